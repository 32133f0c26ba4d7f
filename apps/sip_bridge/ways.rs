//! The ways of accounts and providers that are asked whether they are there.

use super::{lines::Lines, model::Provider};
use b2bua::{app::Registrations, sip::Uri};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// What providers with `qualify` send their calls along, whatever accounts their pools have at the time.
#[derive(Debug)]
pub(super) struct Ways {
    asked: Vec<Asked>,
    /// Two pools that change at once give one list after the other, the later with both changes.
    telling: Mutex<()>,
}

#[derive(Debug)]
struct Asked {
    interval: Duration,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// All calls of the provider go there.
    Proxy(Uri),
    /// Each goes along its account's route.
    Accounts(Arc<Lines>),
}

impl Ways {
    /// Those of these providers, whose pools are given by index.
    pub(super) fn of(providers: &[Provider], pools: &[Arc<Lines>]) -> Self {
        let asked = |provider: &Provider| {
            let way = match &provider.invite.outbound_proxy {
                Some(proxy) => Way::Proxy(proxy.clone()),
                None => Way::Accounts(pools.get(provider.pool)?.clone()),
            };
            Some(Asked {
                interval: provider.qualify?,
                way,
            })
        };
        Self {
            asked: providers.iter().filter_map(asked).collect(),
            telling: Mutex::default(),
        }
    }

    /// All of them at present, each as often as the most impatient provider wants.
    pub(super) fn all(&self) -> Vec<(Uri, Duration)> {
        let mut all: HashMap<Uri, Duration> = HashMap::new();
        for Asked { interval, way } in &self.asked {
            let mut add = |uri: &Uri| match all.get_mut(uri) {
                Some(known) => *known = (*known).min(*interval),
                None => drop(all.insert(uri.clone(), *interval)),
            };
            match way {
                Way::Proxy(proxy) => add(proxy),
                Way::Accounts(lines) => lines.all().iter().for_each(|line| add(&line.account.route)),
            }
        }
        all.into_iter().collect()
    }

    /// Orders that they are asked, and no others.
    pub(super) fn tell(&self, registrations: &Registrations) {
        let _one_at_a_time = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        registrations.watch_trunks(self.all());
    }

    /// The accounts of that pool have changed.
    pub(super) fn changed(&self, pool: &Arc<Lines>, registrations: &Registrations) {
        let concerned =
            |asked: &Asked| matches!(&asked.way, Way::Accounts(lines) if Arc::ptr_eq(lines, pool));
        if self.asked.iter().any(concerned) {
            self.tell(registrations);
        }
    }
}

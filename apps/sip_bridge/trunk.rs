//! What all calls through one provider may take together, and where they may go: what a stolen account cannot pass.

use super::{
    lines::{Count, Held, NoLine},
    model::{Destinations, ProviderLimits},
    number::Dialled,
    sharing::Sharing,
};
use b2bua::accounts::{Caps, Full, Gone, Slot};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The window of `callsPerSecond`.
const SECOND: Duration = Duration::from_secs(1);

/// The calls of one provider, whatever configuration they began with.
#[derive(Debug, Default)]
pub(super) struct Trunk {
    calls: Arc<Count>,
    /// When the calls of the last second began: as many as the cap, at most.
    begun: Mutex<VecDeque<Instant>>,
}

impl Trunk {
    /// Takes a call, if the caps allow it.
    ///
    /// # Errors
    /// The cap that does not.
    pub(super) fn take(&self, limits: &ProviderLimits, now: Instant) -> Result<Held, String> {
        let most = limits.concurrent_calls.unwrap_or(u32::MAX);
        let held = self.calls.take(most);
        let held = held.ok_or_else(|| format!("it has {most} calls, which is limits.concurrentCalls"))?;
        if let Some(rate) = limits.calls_per_second {
            let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
            while begun
                .front()
                .is_some_and(|at| now.saturating_duration_since(*at) >= SECOND)
            {
                begun.pop_front();
            }
            if begun.len() >= usize::try_from(rate).unwrap_or(usize::MAX) {
                return Err(format!(
                    "it got {rate} calls within a second, which is limits.callsPerSecond"
                ));
            }
            begun.push_back(now);
        }
        Ok(held)
    }
}

/// A call of a provider: here, and where its calls are counted with those of other servers.
#[derive(Debug)]
pub(super) struct Through {
    _here: Held,
    _everywhere: Option<Slot>,
}

/// Takes a call, if the caps allow it: those of all servers that share them, then those of this one, which are all that count while
/// nobody knows the others'.
///
/// # Errors
/// The cap that does not.
pub(super) async fn admit(
    trunk: &Trunk,
    limits: &ProviderLimits,
    shared: Option<(&Sharing, &Arc<str>)>,
    now: Instant,
) -> Result<Through, String> {
    let caps = Caps {
        calls: limits.concurrent_calls,
        per_second: limits.calls_per_second,
    };
    let everywhere = match shared.filter(|_| caps != Caps::default()) {
        None => None,
        Some((sharing, name)) => match sharing.admit(name, caps, now).await {
            Ok(Ok(slot)) => Some(slot),
            Ok(Err(Full::Calls)) => {
                let most = caps.calls.unwrap_or_default();
                return Err(format!(
                    "all servers have {most} calls together, which is limits.concurrentCalls"
                ));
            }
            Ok(Err(Full::PerSecond)) => {
                let rate = caps.per_second.unwrap_or_default();
                return Err(format!(
                    "all servers got {rate} calls within a second together, which is limits.callsPerSecond"
                ));
            }
            Err(Gone) => return Err(NoLine::Uncounted.to_string()),
        },
    };
    Ok(Through {
        _here: trunk.take(limits, now)?,
        _everywhere: everywhere,
    })
}

impl Destinations {
    /// Whether a number may be called: the longest prefix that fits decides. What cannot be told from a number that is
    /// denied is denied: a list is there to keep something out.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub(super) fn judge(&self, dialled: &Dialled) -> Result<(), String> {
        if self.allowed.is_empty() && self.denied.is_empty() {
            return Ok(());
        }
        let number = match dialled {
            Dialled::Number(number) => format!("+{number}"),
            Dialled::Local(number) => number.clone(),
            Dialled::Name => {
                return Err("what is called is no number, and destinations allows numbers only".to_owned());
            }
        };
        let longest = |list: &[String]| {
            let fits = list.iter().filter(|prefix| number.starts_with(prefix.as_str()));
            fits.map(String::len).max()
        };
        let (allowed, denied) = (longest(&self.allowed), longest(&self.denied));
        if denied.is_some() && denied >= allowed {
            return Err("destinations.denied has a prefix of the number".to_owned());
        }
        if allowed.is_some() {
            return Ok(());
        }
        match dialled {
            Dialled::Number(_) if self.allowed.is_empty() => Ok(()),
            Dialled::Number(_) => Err("destinations.allowed has no prefix of the number".to_owned()),
            Dialled::Local(_) | Dialled::Name => Err(
                "the number has no country that numbers tells, and destinations.allowed does not name it"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any moment will do to count from")]
    fn any_moment() -> Instant {
        Instant::now()
    }
    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }
    fn world(number: &str) -> Dialled {
        Dialled::Number(number.to_owned())
    }

    #[test]
    fn the_longest_prefix_decides_and_a_tie_is_denied() {
        let rules = Destinations {
            allowed: list(&["+33", "+33899112", "112"]),
            denied: list(&["+33899", "+335"]),
        };
        for (number, good) in [
            ("33123", true),
            ("33899000", false),
            ("33899112", true),
            ("335", false),
            ("4930", false),
        ] {
            assert_eq!(rules.judge(&world(number)).is_ok(), good, "{number}");
        }
        assert!(rules.judge(&Dialled::Local("112".into())).is_ok());
        assert!(rules.judge(&Dialled::Local("3900".into())).is_err());
        let tie = Destinations {
            allowed: list(&["+33"]),
            denied: list(&["+33"]),
        };
        assert!(tie.judge(&world("331")).is_err());
    }

    #[test]
    fn a_list_of_what_is_denied_denies_what_it_cannot_judge() {
        let rules = Destinations {
            allowed: vec![],
            denied: list(&["+33899"]),
        };
        assert!(rules.judge(&world("4930123")).is_ok());
        assert!(rules.judge(&world("33899123")).is_err());
        assert!(
            rules.judge(&Dialled::Local("0899123456".into())).is_err(),
            "no country is known for it"
        );
        assert!(rules.judge(&Dialled::Name).is_err());
        assert!(Destinations::default().judge(&Dialled::Name).is_ok());
    }

    #[test]
    fn no_second_has_more_calls_than_its_cap() {
        let trunk = Trunk::default();
        let limits = ProviderLimits {
            calls_per_second: Some(3),
            ..ProviderLimits::default()
        };
        let began = any_moment();
        let mut taken: Vec<Duration> = Vec::new();
        for step in 0..200u64 {
            let after = Duration::from_millis(step * 37);
            if trunk.take(&limits, began + after).is_ok() {
                taken.push(after);
            }
        }
        assert!(taken.len() > 20, "{}", taken.len());
        for window in taken.windows(4) {
            assert!(window[3] - window[0] >= SECOND, "{window:?}");
        }
    }

    /// S7: a stolen account cannot pass its cap by one call, however many it makes at the same time.
    #[test]
    fn no_thread_gets_past_the_cap_of_calls_at_once() {
        let trunk = Trunk::default();
        let limits = ProviderLimits {
            concurrent_calls: Some(100),
            ..ProviderLimits::default()
        };
        let now = any_moment();
        for _ in 0..20 {
            let held: Vec<Held> = std::thread::scope(|scope| {
                let takers: Vec<_> = (0..8)
                    .map(|_| {
                        scope.spawn(|| {
                            (0..50)
                                .filter_map(|_| trunk.take(&limits, now).ok())
                                .collect::<Vec<_>>()
                        })
                    })
                    .collect();
                takers
                    .into_iter()
                    .flat_map(|taker| taker.join().expect("no panic"))
                    .collect()
            });
            assert_eq!(held.len(), 100);
            assert!(trunk.take(&limits, now).is_err());
        }
        // All of them have been given back, each time.
        assert!(trunk.take(&limits, now).is_ok());
    }

    #[test]
    fn a_call_over_the_rate_holds_nothing() {
        let trunk = Trunk::default();
        let limits = ProviderLimits {
            calls_per_second: Some(1),
            concurrent_calls: Some(2),
            ..ProviderLimits::default()
        };
        let now = any_moment();
        let first = trunk.take(&limits, now).unwrap();
        assert!(trunk.take(&limits, now).unwrap_err().contains("callsPerSecond"));
        let second = trunk.take(&limits, now + SECOND).unwrap();
        assert!(
            trunk
                .take(&limits, now + 2 * SECOND)
                .unwrap_err()
                .contains("concurrentCalls")
        );
        drop(first);
        assert!(trunk.take(&limits, now + 3 * SECOND).is_ok());
        drop(second);
    }
}

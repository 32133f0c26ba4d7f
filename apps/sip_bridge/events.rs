//! Subscriptions of local users, and news of mailboxes from providers.

use super::{
    bridge::{Bridge, Working},
    lines::{Found, Lines},
    model::{Account, NotFound},
    template::Incoming,
};
use b2bua::{
    app::{Decision, Failure, FailureKind, Limits, MediaPolicy, Origin, Outgoing, Side, Standalone},
    sip::{
        Headers, Method, NameAddr, Status, Uri,
        message_summary::{MESSAGE_SUMMARY, priority, with_account},
        subscription::Event,
    },
};
use std::sync::Arc;

impl Bridge {
    /// Where a request goes that begins no call: SUBSCRIBE by an account, out; a NOTIFY of a mailbox to the account's alias, in.
    pub(super) fn standalone(&self, request: &Standalone, random: impl FnMut() -> u64) -> Decision {
        let incoming = Incoming {
            host: Some(request.source.remote.ip()),
            ..Incoming::new(
                request.from.detached(),
                request.to.detached(),
                request.uri().detached(),
                request.headers(),
            )
        };
        let decided = match request.method() {
            Method::Subscribe => self.subscribe(&incoming, request, random),
            Method::Notify => match &request.mailbox {
                Some((pool, account)) => self.news(pool, account, request),
                None => self.notify(&incoming, request, random),
            },
            _ => Err(request.refusal()),
        };
        match decided {
            Ok(outgoing) => Decision::Bridge(vec![outgoing]),
            Err(failure) => Decision::Decline(failure),
        }
    }

    /// The first provider whose trigger matches and that has an account for it.
    ///
    /// # Errors
    /// `false`: none; `true`: one that does not let others be asked.
    fn account(
        &self,
        incoming: &Incoming,
        mut random: impl FnMut() -> u64,
    ) -> Result<(&Working, &Arc<Lines>, Found), String> {
        for provider in &self.providers {
            let plan = &provider.plan;
            if plan.trigger.test(plan, incoming).is_err() {
                continue;
            }
            let Some(pool) = self.pools.get(plan.pool) else {
                continue;
            };
            match pool.identity(&plan.strategy, (incoming, &plan.numbers), random(), None) {
                Ok(found) => return Ok((provider, pool, found)),
                Err(why) if plan.not_found == NotFound::Decline => {
                    return Err(format!("provider {:?}: {why}", plan.name));
                }
                Err(_) => {}
            }
        }
        Err("no provider takes it".to_owned())
    }

    /// SUBSCRIBE goes out under the account's name, to where it was meant to go, by the account's way.
    fn subscribe(
        &self,
        incoming: &Incoming,
        request: &Standalone,
        random: impl FnMut() -> u64,
    ) -> Result<Outgoing, Failure> {
        let refuse = |why: &str| {
            tracing::info!(uri = %request.uri(), "the subscription is refused: {why}");
            Failure::new(Status::NOT_ACCEPTABLE_HERE, Origin::App, FailureKind::Declined)
        };
        let (provider, pool, found) = self.account(incoming, random).map_err(|why| refuse(&why))?;
        let account = &found.account;
        if incoming.host.is_some_and(|host| pool.is_server(account, host)) {
            return Err(refuse("it comes from where it would go to"));
        }
        if let Some(status) = found.unregistered {
            return Err(refuse(&format!(
                "the account {} is not registered: {status}",
                account.uri.uri
            )));
        }
        let way = Self::way_of(&provider.plan.invite, pool, account);
        tracing::info!(provider = provider.plan.name, account = %account.uri.uri, "the subscription goes through this provider");
        let mut headers = Headers::default();
        headers.set("X-Flexisip-B2BUA", "ignore");
        Ok(Outgoing {
            target: request.uri().without_headers(),
            route: way.route,
            headers,
            credentials: way.credentials,
            own: way.own,
            stranger: Some(Side::B),
            ..plain(&account.uri)
        })
    }

    /// News of a mailbox go to the account's alias, by the provider's `outgoingNotify`.
    fn notify(
        &self,
        incoming: &Incoming,
        request: &Standalone,
        random: impl FnMut() -> u64,
    ) -> Result<Outgoing, Failure> {
        let event = Event::of(request.headers());
        let is_summary =
            event.is_some_and(|event| event.package.eq_ignore_ascii_case(MESSAGE_SUMMARY.as_bytes()));
        if !is_summary {
            return Err(request.refusal());
        }
        let drop = |why: &str| {
            tracing::info!(uri = %request.uri(), "news of a mailbox are not passed on: {why}");
            request.refusal()
        };
        let (provider, _, found) = self.account(incoming, random).map_err(|why| drop(&why))?;
        let plan = &provider.plan;
        Self::summary(plan.notify.as_ref(), &found.account, &request.request.body)
            .map_err(|why| drop(&format!("provider {:?}: {why}", plan.name)))
    }

    /// News that came in a subscription of our own (`mwiServerUri`): it is known whose they are. They take the way of the first
    /// provider of the account's pool that has one.
    fn news(&self, pool: &str, account: &str, request: &Standalone) -> Result<Outgoing, Failure> {
        let drop = |why: &str| {
            tracing::info!(account, "news of its mailbox are not passed on: {why}");
            request.refusal()
        };
        let lines = self.pools.iter().find(|lines| &*lines.name == pool);
        let account = lines.and_then(|lines| lines.account(account));
        let account = account.ok_or_else(|| drop("the account has gone"))?;
        let of_pool = |provider: &&Working| {
            let lines = self.pools.get(provider.plan.pool);
            provider.plan.notify.is_some() && lines.is_some_and(|lines| &*lines.name == pool)
        };
        let provider = self.providers.iter().find(of_pool);
        let proxy = provider.and_then(|provider| provider.plan.notify.as_ref());
        let mut outgoing = Self::summary(proxy, &account, &request.request.body).map_err(drop)?;
        // How long our subscription lasts is no business of whom we tell.
        outgoing.headers.set("Subscription-State", "active");
        Ok(outgoing)
    }

    /// A NOTIFY that nobody inside subscribed to.
    fn summary(proxy: Option<&Uri>, account: &Account, body: &[u8]) -> Result<Outgoing, &'static str> {
        let proxy = proxy.ok_or("it has no outgoingNotify")?;
        let alias = account.alias.as_ref().ok_or("the account has no alias")?;
        let mut headers = Headers::default();
        headers.set("Priority", priority(body));
        Ok(Outgoing {
            target: alias.clone(),
            route: vec![proxy.with_param("lr", None)],
            headers,
            body: Some(with_account(body, alias.as_str())),
            stranger: Some(Side::A),
            ..plain(&NameAddr::of(alias.clone()))
        })
    }
}

/// A request under a name, to that name.
fn plain(identity: &NameAddr) -> Outgoing {
    let identity = NameAddr::of(identity.uri.clone());
    Outgoing {
        target: identity.uri.clone(),
        route: Vec::new(),
        from: identity.clone(),
        to: identity,
        headers: Headers::default(),
        credentials: None,
        caller_credentials: None,
        own: None,
        body: None,
        private: true,
        stranger: None,
        media: MediaPolicy::default(),
        limits: Limits::default(),
        lease: None,
    }
}

//! Where a REFER points, in the words of whom it goes to.

use super::{
    bridge::{Bridge, Tried, Working},
    lines::{Line, Lines},
    refusal,
    template::{Identity, Incoming, Scope, address},
};
use b2bua::{
    app::{Failure, FailureKind, Handover, InCall, InCallRequest, Origin, Side},
    sip::{Method, NameAddr, ReferTo, Status, Uri, routing::Source, uri::Scheme},
};
use std::net::IpAddr;

impl Bridge {
    /// What becomes of a request inside of a call, of which `incoming` is how it came and `tried` how it went.
    pub(super) fn in_call(
        &self,
        (incoming, tried): (&Incoming, &Tried),
        request: &InCallRequest,
        random: impl FnMut() -> u64,
    ) -> InCall {
        let refer_to = request
            .refer_to
            .as_ref()
            .filter(|_| request.method == Method::Refer && !request.executed);
        // Of one that the server executes, the target is translated when it is called.
        let Some(refer_to) = refer_to else {
            return InCall::Forward;
        };
        let outside = self.goes_outside(tried, request.side);
        // The provider hears where it points, and neither as whom a phone knows that nor what else it was to say there.
        let sent = |refer_to: ReferTo| if outside { refer_to.bare() } else { refer_to };
        let target = refer_to.target();
        // As phones name who is to be replaced by our own Contact: whose dialog it is says who is meant.
        let names_nobody = target.user().is_none();
        let will_be_known = request.found.is_none() && refer_to.replaces.is_some();
        if names_nobody && will_be_known {
            return InCall::Forward;
        }
        let is_hidden =
            outside && (self.is_inside(&target) || (names_nobody && request.found == Some(false)));
        if outside && let Some(uri) = self.uri_of(&target) {
            tracing::info!(from = %target, to = %uri, "a transfer's target is a local user, and called by its account");
            return InCall::Rewrite(sent(refer_to.aimed_at(&uri)));
        }
        // One that was found has its name from the call that it is in: so it is known outside already.
        let as_it_is = names_nobody || request.found == Some(true);
        let translated = match as_it_is {
            true => None,
            false => self.referred((incoming, tried), refer_to, random),
        };
        match translated {
            Some((provider, target)) => {
                tracing::info!(provider, from = %refer_to.target(), to = %target, "a transfer's target is translated");
                InCall::Rewrite(sent(refer_to.aimed_at(&target)))
            }
            None if is_hidden => {
                tracing::info!(to = %target, "the transfer is refused: its target is of the inside, and has no other name");
                InCall::Refuse(refusal())
            }
            None => {
                tracing::info!(to = %target, "a transfer's target stays as it is: no provider translates it");
                if outside && !will_be_known {
                    InCall::Rewrite(sent(refer_to.clone()))
                } else {
                    InCall::Forward
                }
            }
        }
    }

    /// Whether a device may take a party's place. Who is outside may not: neither a party there, whose call would be one that its
    /// account does not pay for, nor the place of a party inside, which is its user's own. A device inside comes the way that the
    /// party comes whose place it calls for: by the same proxy, or from the same host. `of_account`: it comes from a server of
    /// an account.
    ///
    /// # Errors
    /// 403.
    pub(super) fn may_take_over(
        &self,
        tried: &Tried,
        handover: &Handover,
        of_account: bool,
    ) -> Result<(), Failure> {
        let host = |source: &Source| source.remote.ip().to_canonical();
        let from = host(&handover.invite.source);
        let is_inside = self.goes_outside(tried, handover.by);
        let comes_alike = handover.replaced.as_ref().map(host) == Some(from);
        if is_inside && comes_alike && !of_account {
            return Ok(());
        }
        tracing::info!(
            %from,
            replaces_a_party_inside = is_inside,
            comes_as_that_one_did = comes_alike,
            comes_from_a_provider = of_account,
            "a handover is refused: only devices inside take calls over, and only those of parties inside"
        );
        Err(Failure::new(
            Status::FORBIDDEN,
            Origin::App,
            FailureKind::Declined,
        ))
    }

    /// Whether that host is a server of any account.
    pub(super) fn is_server(&self, host: IpAddr) -> bool {
        let of = |pool: &Lines| pool.all().iter().any(|line| pool.is_server(&line.account, host));
        self.pools.iter().any(|pool| of(pool))
    }

    /// Whether what a party asks for goes to the provider: it is at the end of the account's own way.
    fn goes_outside(&self, tried: &Tried, by: Side) -> bool {
        let own_way = |provider: &Working| provider.plan.invite.outbound_proxy.is_none();
        match by {
            Side::A => self.providers.get(tried.provider).is_some_and(own_way),
            Side::B => !self.providers.get(tried.provider).is_some_and(own_way),
        }
    }

    /// Whether that is an address of the inside: where accounts have aliases.
    fn is_inside(&self, uri: &Uri) -> bool {
        let is_host = |alias: &Uri| alias.host().eq_ignore_ascii_case(uri.host());
        let mut lines = self.pools.iter().flat_map(|pool| pool.all());
        lines.any(|line| line.account.alias.as_ref().is_some_and(is_host))
    }

    /// The account of which that is the alias, as the outside calls it. Upstream leaves such a target to its templates, which have no
    /// name for somebody else's account.
    fn uri_of(&self, alias: &Uri) -> Option<Uri> {
        let is_it = |line: &Line| {
            line.account
                .alias
                .as_ref()
                .is_some_and(|known| known.equivalent(alias))
        };
        let mut lines = self.pools.iter().flat_map(|pool| pool.all());
        lines.find(is_it).map(|line| line.account.uri.uri.clone())
    }

    /// The target that the first provider makes which matches the call's Request-URI and finds an account with the new target as
    /// To. Its `outgoingInvite.to` is evaluated with the new target for To and for Request-URI: it is what will be called.
    fn referred(
        &self,
        (incoming, tried): (&Incoming, &Tried),
        refer_to: &ReferTo,
        mut random: impl FnMut() -> u64,
    ) -> Option<(&str, Uri)> {
        let target = refer_to.target();
        let to = NameAddr {
            uri: target.clone(),
            ..refer_to.address.without_params()
        };
        let called = Incoming {
            to,
            ..incoming.clone()
        };
        let aimed = Incoming {
            request_uri: target,
            ..called.clone()
        };
        for (index, provider) in self.providers.iter().enumerate() {
            let plan = &provider.plan;
            if plan.trigger.test(plan, incoming).is_err() {
                continue;
            }
            let own = tried.accounts.last().filter(|_| tried.provider == index);
            let chosen = self.pools.get(plan.pool).and_then(|pool| {
                let asked = (&called, &plan.numbers);
                pool.identity(&plan.strategy, asked, random(), own.map(String::as_str))
                    .ok()
            });
            let Some(found) = chosen else { continue };
            let scope = Scope {
                incoming: Some(&aimed),
                account: Some(Identity {
                    uri: &found.account.uri,
                    alias: found.account.alias.as_ref(),
                }),
                numbers: &plan.numbers,
                form: plan.numbers.form,
            };
            match address(&plan.invite.to.evaluate(&scope)) {
                Ok(made) if made.uri.scheme() != Scheme::Other => {
                    return Some((&plan.name, made.uri.without_headers()));
                }
                Ok(made) => {
                    tracing::info!(provider = plan.name, uri = %made.uri, "is no target of a transfer")
                }
                Err(what) => tracing::info!(provider = plan.name, %what, "no target of a transfer"),
            }
        }
        None
    }
}

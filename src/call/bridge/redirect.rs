//! A callee that answers where else it can be found (RFC 3261 §8.1.3.4, §21.3).

use super::{Call, Failure, Lease, Outgoing, Side};
use crate::sip::{Uri, uri::Scheme};
use std::collections::VecDeque;

/// Contacts that one call, or one transfer, goes after, however many it is told of.
const MOST: usize = 8;

/// How far a call, or a transfer's, has been sent on.
#[derive(Default)]
pub(super) struct Redirects {
    /// Who has been called, or is going to be.
    targets: Vec<Uri>,
    /// How many of them as contacts of somebody else.
    followed: usize,
    /// Of the route that was redirected: it is used for as long as the call goes after its contacts.
    pub(super) lease: Option<Lease>,
}

impl Call {
    /// Whether a failure says that the callee is elsewhere, and where. Of the 3xx, 305 and 380 name no other callee.
    pub(super) fn is_redirection(&self, failure: &Failure) -> bool {
        let code = failure.status.code();
        self.settings.follow_redirects && matches!(code, 300..=302) && failure.headers.contains("Contact")
    }
    /// What the leg that leg A is joined with holds of an account.
    pub(super) fn take_lease(&mut self) -> Option<Lease> {
        self.member_of(Side::B).and_then(|member| member.lease.take())
    }
    /// Puts the contacts of a redirection before the other routes. `false` where there are none that can be followed.
    pub(super) fn follow(&mut self, failure: &Failure) -> bool {
        if !self.is_redirection(failure) {
            return false;
        }
        let Some(route) = &self.current else {
            return false;
        };
        self.redirects.follow(failure, route, &mut self.routes)
    }
    /// The same for the target of a transfer.
    pub(super) fn follow_target(&mut self, failure: &Failure) -> bool {
        if !self.is_redirection(failure) {
            return false;
        }
        self.rebridge.as_mut().is_some_and(|rebridge| {
            let route = rebridge.route.as_ref();
            route.is_some_and(|route| rebridge.redirects.follow(failure, route, &mut rebridge.routes))
        })
    }
}

impl Redirects {
    /// Puts the contacts before other routes. Whether there are any that can be followed.
    ///
    /// Each is called on the route that led to the redirection, by the same rules: whoever stands there still decides
    /// whether it may be called. Nobody is called twice so, and nobody in clear who was to be called by `sips`.
    fn follow(&mut self, failure: &Failure, route: &Outgoing, routes: &mut VecDeque<Outgoing>) -> bool {
        let secure = route.target.scheme() == Scheme::Sips;
        let mut contacts = failure.headers.contacts().unwrap_or_default();
        // Stable: of those that are equally likely the first stays first.
        contacts.sort_by_key(|contact| std::cmp::Reverse(thousandths(contact.param("q").flatten())));
        let mut found = Vec::new();
        if !self.targets.contains(&route.target) {
            self.targets.push(route.target.clone());
        }
        for contact in contacts {
            let target = contact.uri.without_headers();
            let scheme = target.scheme();
            let fits = scheme == Scheme::Sips || (scheme == Scheme::Sip && !secure);
            if !fits || self.targets.contains(&target) || self.followed >= MOST {
                tracing::debug!(%target, "redirection not followed");
                continue;
            }
            self.targets.push(target.clone());
            self.followed += 1;
            found.push(Outgoing {
                target,
                route: route.route.clone(),
                from: route.from.clone(),
                to: route.to.clone(),
                headers: route.headers.clone(),
                // Without a proxy on the way, whoever the redirection names is asked, and is not to see our answers (S8).
                credentials: route.credentials.clone().filter(|_| !route.route.is_empty()),
                caller_credentials: route.caller_credentials.clone(),
                own: route.own.clone().filter(|_| !route.route.is_empty()),
                private: route.private,
                stranger: route.stranger,
                body: None,
                media: route.media.clone(),
                limits: route.limits.clone(),
                lease: None,
            });
        }
        let any = !found.is_empty();
        if any {
            tracing::info!(status = %failure.status, contacts = found.len(), "redirected");
        }
        for route in found.into_iter().rev() {
            routes.push_front(route);
        }
        any
    }
}

/// A `q` in thousandths (RFC 3261 §20.10); absent, or not readable, it counts as 1.
fn thousandths(q: Option<crate::sip::Text>) -> u32 {
    let Some(q) = q else { return 1000 };
    let text = q.to_str();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |text: &str| text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "0" if digits(fraction) => format!("{fraction:0<3}").parse().unwrap_or(1000),
        _ => 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_is_read_as_rfc_3261_writes_it() {
        for (q, expected) in [
            ("1", 1000),
            ("1.000", 1000),
            ("0.5", 500),
            ("0.05", 50),
            ("0", 0),
            ("0.123", 123),
            ("0.1234", 1000),
            ("-1", 1000),
            ("0.x", 1000),
        ] {
            assert_eq!(thousandths(Some(q.into())), expected, "{q}");
        }
        assert_eq!(thousandths(None), 1000);
    }
}

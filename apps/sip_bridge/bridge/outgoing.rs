//! How a call leaves: its way, its addresses, its header fields.

use super::{
    super::{
        lines::Lines,
        model::{Account, InvitePlan, Provider},
        template::{Identity, Incoming, Scope, Template, address},
    },
    Bridge,
};
use b2bua::{
    app::{Encryption, EncryptionPolicy, Limits, MediaPolicy, Outgoing, RelayChoice, Side},
    sip::{Headers, Text, Uri, auth::Credentials, routing::Own},
};
use std::sync::Arc;

/// How an account's requests leave.
pub(in super::super) struct WayOut {
    pub(in super::super) route: Vec<Uri>,
    pub(in super::super) credentials: Option<Arc<Credentials>>,
    /// By a connection of its own.
    pub(in super::super) own: Option<Own>,
}

impl Bridge {
    /// The way of an account's requests, and what it answers challenges with there. A route of the provider's own stands for
    /// another way than the account's: who is there is not to see its credentials (S8).
    pub(in super::super) fn way_of(invite: &InvitePlan, pool: &Lines, account: &Account) -> WayOut {
        let (route, credentials, own) = match &invite.outbound_proxy {
            Some(proxy) => (vec![proxy.clone()], None, None),
            None => (
                way(account, &pool.service_route(account)),
                account.credentials.clone(),
                pool.own(account),
            ),
        };
        WayOut {
            route: route.iter().map(|uri| uri.with_param("lr", None)).collect(),
            credentials,
            own,
        }
    }

    /// The INVITE. What no template names of the caller does not get into it.
    pub(super) fn outgoing(
        &self,
        plan: &Provider,
        incoming: &Incoming,
        (pool, account): (&Lines, &Account),
    ) -> Result<Outgoing, (&'static str, String)> {
        let scope = Scope {
            incoming: Some(incoming),
            account: Some(Identity {
                uri: &account.uri,
                alias: account.alias.as_ref(),
            }),
            numbers: &plan.numbers,
            form: plan.numbers.form,
        };
        let made = |which: &'static str, template: &Template| {
            let address = address(&template.evaluate(&scope)).map_err(|what| (which, what))?;
            if address.uri.scheme() == b2bua::sip::uri::Scheme::Other {
                return Err((which, format!("{} is neither sip: nor tel:", address.uri)));
            }
            Ok(address.without_params())
        };
        let invite = &plan.invite;
        let to = made("to", &invite.to)?;
        let from = made("from", &invite.from)?;
        let target: Uri = match &invite.request_uri {
            Some(template) => made("requestUri", template)?.uri,
            None => to.uri.clone(),
        };
        let way = Self::way_of(invite, pool, account);
        Ok(Outgoing {
            target,
            route: way.route,
            from,
            to,
            headers: headers(invite, &scope)?,
            credentials: way.credentials,
            own: way.own,
            // Who calls us from outside may ask us for a password within that call, too.
            caller_credentials: account
                .credentials
                .clone()
                .filter(|_| incoming.host.is_some_and(|host| pool.is_server(account, host))),
            private: true,
            // Whoever is not at the end of the provider's own way is at that of the account's.
            stranger: Some(match invite.outbound_proxy {
                None => Side::B,
                Some(_) => Side::A,
            }),
            body: None,
            media: MediaPolicy {
                relay: RelayChoice::Own,
                encryption: EncryptionPolicy::Only(invite.encryption.unwrap_or(Encryption::None)),
                suites: Vec::new(),
                latching: self.latching,
                clear_without_zrtp: false,
                avpf: invite.avpf,
            },
            limits: Limits {
                no_answer: plan.limits.no_answer,
                duration: plan.limits.call_duration,
                stop_codes: Vec::new(),
            },
            lease: None,
        })
    }
}

/// The route of an account's calls: the proxy that it registers through, then what its registrar has named (RFC 3608 §6.1).
/// A registrar that is reached without a proxy names the whole way.
fn way(account: &Account, service_route: &[Uri]) -> Vec<Uri> {
    let is_proxy = service_route.is_empty() || account.route != account.registrar;
    let proxy = is_proxy.then_some(&account.route);
    proxy.into_iter().chain(service_route).cloned().collect()
}

fn headers(invite: &InvitePlan, scope: &Scope<'_>) -> Result<Headers, (&'static str, String)> {
    let mut headers = Headers::default();
    for plan in &invite.headers {
        let value = plan.value.evaluate(scope);
        let value = value.trim_ascii();
        if value.is_empty() {
            continue;
        }
        if value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(("headers", format!("{} with control characters", plan.name)));
        }
        let value = if plan.is_address {
            let address = address(value).map_err(|what| ("headers", format!("{}: {what}", plan.name)))?;
            address.to_text()
        } else {
            Text::from(value.to_vec())
        };
        headers.push(plan.name.as_str(), value);
    }
    // Upstream's proxies before 2.x know a call that has been here by this.
    headers.set("X-Flexisip-B2BUA", "ignore");
    Ok(headers)
}

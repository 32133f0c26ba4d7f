//! Answers to 401 and 407 (RFC 3261 §22): once per nonce, only to the account's realm and servers (S8), a bounded number of times.

use crate::sip::{
    Ids, Request, Response,
    auth::{Challenge, Credentials},
};
use std::{net::IpAddr, sync::Arc};

/// Challenges that one request answers: a proxy's, the server's behind it, and each once more where its nonce was stale.
const MAX_TRIES: usize = 4;

/// Credentials, and the hosts that get answers made of them: within a dialog, requests go where the peer says, and whoever is
/// there may ask for a password in anybody's name.
#[derive(Clone, Debug)]
pub(super) struct Account {
    credentials: Arc<Credentials>,
    hosts: Vec<IpAddr>,
}

impl Account {
    /// For the servers at those addresses.
    pub(super) fn new(credentials: Arc<Credentials>, hosts: impl IntoIterator<Item = IpAddr>) -> Self {
        let hosts = hosts.into_iter().map(|host| host.to_canonical()).collect();
        Self { credentials, hosts }
    }
    /// What is shown to that host.
    pub(super) fn towards(&self, host: IpAddr) -> Option<&Credentials> {
        let is_ours = self.hosts.contains(&host.to_canonical());
        if !is_ours {
            tracing::info!(%host, "asks for a password that is for others: not answered");
        }
        is_ours.then_some(&*self.credentials)
    }
    /// These are its servers, where nobody has said so before.
    pub(super) fn settle(&mut self, hosts: impl IntoIterator<Item = IpAddr>) {
        if self.hosts.is_empty() {
            self.hosts = hosts.into_iter().map(|host| host.to_canonical()).collect();
        }
    }
}

/// What one request has answered so far.
#[derive(Debug, Default)]
pub(super) struct Answers {
    given: Vec<Given>,
    tries: usize,
}

#[derive(Debug)]
struct Given {
    header: &'static str,
    challenge: Challenge,
    count: u32,
}

impl Answers {
    /// Puts credentials for the challenges of `response` into `request`. `false` when there is nothing (more) to say: the
    /// realm is not the account's, the secret was refused, or it has been tried too often.
    pub(super) fn answer(
        &mut self,
        response: &Response,
        credentials: &Credentials,
        request: &mut Request,
        ids: &mut Ids,
    ) -> bool {
        let Some((header, challenge)) = Challenge::asked(response, credentials) else {
            return false;
        };
        let before = self
            .given
            .iter()
            .position(|given| given.header == header && given.challenge.realm == challenge.realm);
        if let Some(given) = before.and_then(|index| self.given.get(index)) {
            // The same realm again: the secret was wrong, unless the nonce was merely old.
            if given.challenge.nonce == challenge.nonce || !challenge.stale {
                return false;
            }
        }
        if self.tries >= MAX_TRIES {
            return false;
        }
        self.tries += 1;
        if let Some(index) = before {
            self.given.swap_remove(index);
        }
        self.given.push(Given {
            header,
            challenge,
            count: 0,
        });
        request.headers.remove("Authorization");
        request.headers.remove("Proxy-Authorization");
        for given in &mut self.given {
            given.count += 1;
            let cnonce = ids.cnonce();
            let value =
                given
                    .challenge
                    .answer(credentials, &request.method, &request.uri, given.count, &cnonce);
            if let Some(value) = value {
                request.headers.push(given.header, value);
            }
        }
        true
    }
}

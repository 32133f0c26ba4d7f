//! Answers to 401 and 407 (RFC 3261 §22): once per nonce, only to the account's realm (S8), a bounded number of times.

use crate::sip::{
    Ids, Request, Response,
    auth::{Challenge, Credentials},
};

/// Challenges that one request answers: a proxy's, the server's behind it, and each once more where its nonce was stale.
const MAX_TRIES: usize = 4;

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

//! Answers to 401 and 407 (RFC 3261 §22). Unlike a call's, a nonce is kept from one request of an account to the next, its uses counted, so
//! that a refresh is one exchange instead of two.

use crate::sip::{
    Ids, Request, Response,
    auth::{Challenge, Credentials},
};

/// Challenges that one operation answers.
const MAX_TRIES: u8 = 4;
/// Realms whose nonce is kept: a proxy's and the server's.
const MAX_KEPT: usize = 2;

/// What challenges there are to answer.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    kept: Vec<Kept>,
    tries: u8,
    /// A nonce of this operation was refused and replaced by another without `stale`, which some servers do at every request.
    second_chance_taken: bool,
}

#[derive(Debug)]
struct Kept {
    header: &'static str,
    challenge: Challenge,
    /// Uses of this nonce.
    count: u32,
    /// The nonce came in the present operation.
    fresh: bool,
}

impl Answers {
    /// A new operation: nonces that are there may be too old by now.
    pub(crate) fn begin(&mut self) {
        self.tries = 0;
        self.second_chance_taken = false;
        for kept in &mut self.kept {
            kept.fresh = false;
        }
    }
    /// Forgets everything: the credentials have changed, or were refused.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
    }
    /// Writes an answer to each challenge that is known into `request`.
    pub(crate) fn dress(&mut self, credentials: &Credentials, request: &mut Request, ids: &mut Ids) {
        for kept in &mut self.kept {
            kept.count = kept.count.wrapping_add(1);
            let cnonce = ids.cnonce();
            let value =
                kept.challenge
                    .answer(credentials, &request.method, &request.uri, kept.count, &cnonce);
            if let Some(value) = value {
                request.headers.push(kept.header, value);
            }
        }
    }
    /// Takes a challenge in. `false` when there is nothing (more) to say: the realm is not the account's, the secret was
    /// refused, or it has been tried too often.
    pub(crate) fn take(&mut self, response: &Response, credentials: &Credentials) -> bool {
        let Some((header, challenge)) = Challenge::asked(response, credentials) else {
            return false;
        };
        let before = self
            .kept
            .iter()
            .position(|kept| kept.header == header && kept.challenge.realm == challenge.realm);
        if let Some(kept) = before.and_then(|at| self.kept.get(at)) {
            let same = kept.challenge.nonce == challenge.nonce;
            // A nonce that has lasted since the operation before is simply too old, whether the server says so or not.
            if !challenge.stale && (same || kept.fresh) {
                if same || self.second_chance_taken {
                    return false;
                }
                self.second_chance_taken = true;
            }
        }
        if self.tries >= MAX_TRIES {
            return false;
        }
        self.tries += 1;
        if let Some(at) = before {
            self.kept.swap_remove(at);
        }
        if self.kept.len() >= MAX_KEPT {
            self.kept.remove(0);
        }
        self.kept.push(Kept {
            header,
            challenge,
            count: 0,
            fresh: true,
        });
        true
    }
}

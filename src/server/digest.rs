//! Callers who come from anywhere and know a password (RFC 3261 §22, RFC 7616, RFC 8760): `digest-users`.
//!
//! Whoever is not trusted by its address or certificate is challenged, with nonces of which nothing is remembered: strangers
//! make us hold nothing. A nonce is sealed, good for five minutes and for the host that it was made for, which proves that this
//! host hears us; an answer counts once, by the count of the nonce's uses. So whoever has overheard one cannot use it
//! again, not even from the same address. What digest authentication cannot do is to keep a message from being changed on its way:
//! TLS does.
//!
//! Wrong answers are counted by host, ten at once and then one in six seconds; beyond that the host is refused without a look
//! at what it says. An unknown user costs the same work and gets the same answer as a wrong password.

mod nonce;
mod replay;
#[cfg(test)]
mod tests;
mod throttle;
mod users;

pub use users::Users;

use crate::sip::{
    Request, Uri,
    auth::{Algorithm, Answer, Challenge, Secret},
    uri::Scheme,
};
use nonce::Nonces;
use replay::Uses;
use std::{net::IpAddr, sync::LazyLock, time::Instant};
use throttle::Failures;
use zeroize::Zeroizing;

/// Fields by which a trusted proxy says who somebody is (RFC 3325): a user's word is its name alone.
pub(super) const ASSERTED: [&str; 2] = ["P-Asserted-Identity", "Remote-Party-ID"];

/// What is known of nonces and of hosts that fail; survives a reload of the users.
#[derive(Debug)]
pub(crate) struct Guard {
    nonces: Nonces,
    uses: Uses,
    failures: Failures,
}

/// Why a request is not taken for a user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// It does not say who it is of, or not in answer to a challenge of ours.
    Unauthenticated,
    /// It answers an old nonce, one of another host, or one that was answered so before.
    Stale,
    /// No such user with such a password.
    Wrong,
    /// Its host was wrong too often.
    TooOften,
    /// It was made for another Request-URI.
    Elsewhere,
    /// From names somebody else.
    NotTheirs,
}

impl Guard {
    /// `key` is secret and this server's own.
    pub(crate) fn new(key: Zeroizing<[u8; 32]>, now: Instant) -> Self {
        Self {
            nonces: Nonces::new(key, now),
            uses: Uses::default(),
            failures: Failures::default(),
        }
    }
    /// Which user a request is of.
    ///
    /// # Errors
    /// Why it is of none.
    pub(crate) fn judge<'a>(
        &mut self,
        users: &'a Users,
        request: &Request,
        host: IpAddr,
        now: Instant,
    ) -> Result<&'a str, Objection> {
        let answers = request.headers.all("Authorization");
        let answer = answers
            .filter_map(|value| Answer::parse(value).ok())
            .find(|answer| answer.realm == users.realm() && users.offered().contains(&answer.algorithm))
            .ok_or(Objection::Unauthenticated)?;
        // A client that was offered qop says it (RFC 3261 §22.4).
        let count = answer.count.ok_or(Objection::Unauthenticated)?;
        let nonce = self.nonces.check(&answer.nonce, host, now);
        let nonce = nonce.ok_or(Objection::Stale)?;
        // From here on it is sure that the host is the one that it says.
        if !self.failures.allows(host, now) {
            return Err(Objection::TooOften);
        }
        let user = users.entry(&answer.username, answer.algorithm);
        let secret = user.map_or_else(|| nobody(answer.algorithm), |(_, secret)| secret);
        let proven = answer.proves(secret, &request.method);
        let Some((user, _)) = user.filter(|_| proven) else {
            self.failures.add(host, now);
            return Err(Objection::Wrong);
        };
        if !is_of(&answer.uri, &request.uri) {
            return Err(Objection::Elsewhere);
        }
        if !self.uses.first(nonce, count, self.nonces.oldest(now)) {
            return Err(Objection::Stale);
        }
        if !is_self(user, request) {
            return Err(Objection::NotTheirs);
        }
        Ok(user)
    }
    /// Asks a host who it is, once with each algorithm that is offered (RFC 8760 §2.4).
    pub(crate) fn challenges(
        &mut self,
        users: &Users,
        (host, stale): (IpAddr, bool),
        now: Instant,
    ) -> Vec<Challenge> {
        let offered = users.offered().iter();
        let challenge = |algorithm: &Algorithm| Challenge {
            realm: users.realm().to_owned(),
            nonce: self.nonces.make(host, now),
            opaque: None,
            algorithm: *algorithm,
            qop_auth: true,
            stale,
        };
        offered.map(challenge).collect()
    }
}

/// What nobody knows, so that a name which is not there takes as long as one which is.
fn nobody(algorithm: Algorithm) -> &'static Secret {
    static NOBODY: LazyLock<[Secret; 2]> =
        LazyLock::new(|| [Secret::Md5Ha1("0".repeat(32)), Secret::Sha256Ha1("0".repeat(64))]);
    match algorithm {
        Algorithm::Md5 | Algorithm::Md5Sess => &NOBODY[0],
        Algorithm::Sha256 | Algorithm::Sha256Sess => &NOBODY[1],
    }
}

/// Whether the `uri` directive is the Request-URI (RFC 7616 §3.4.6): equal as URIs are.
fn is_of(said: &str, uri: &Uri) -> bool {
    said.as_bytes() == uri.as_text().as_bytes()
        || Uri::parse(said.to_owned()).is_ok_and(|said| said.equivalent(uri))
}

/// Whether From names the user: `alice` is anybody's alice, `alice@example.org` and a number are themselves. Who wants to be
/// anonymous has to say so to who calls on its behalf: a call is charged to From.
fn is_self(user: &str, request: &Request) -> bool {
    let Ok(from) = request.headers.from() else {
        return false;
    };
    let uri = from.uri;
    let name = match uri.scheme() {
        Scheme::Tel => uri.as_str().split_once(':').map(|(_, rest)| {
            let digits = rest.split(';').next().unwrap_or_default();
            digits.as_bytes().to_vec()
        }),
        Scheme::Sip | Scheme::Sips | Scheme::Other => uri.user_unescaped(),
    };
    let Some(name) = name else { return false };
    match user.rsplit_once('@') {
        _ if name == user.as_bytes() => true,
        Some((own, host)) => name == own.as_bytes() && uri.host().eq_ignore_ascii_case(host),
        None => false,
    }
}

//! The answer to a challenge (RFC 7616 §3.4), as the server reads it.

use super::{Algorithm, Counted, Secret, bad, digest};
use crate::sip::{Method, ParseError, Text};
use std::fmt;
use subtle::ConstantTimeEq;

/// The value of an `Authorization` or `Proxy-Authorization`. `Debug` does not show what could be replayed or guessed from.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who it claims to be.
    pub username: String,
    /// Which challenge is answered.
    pub realm: String,
    /// The same.
    pub nonce: String,
    /// What was asked for when it was computed.
    pub uri: String,
    /// How it was computed.
    pub algorithm: Algorithm,
    /// How often the nonce was used, this time included; `None` without `qop`.
    pub count: Option<u32>,
    cnonce: String,
    response: String,
}

impl Answer {
    /// Reads one.
    ///
    /// # Errors
    /// When the scheme is not Digest, something is missing that a response is computed of, is there twice, or is nothing that
    /// we have ever asked for: `qop=auth-int`, a hashed user name.
    pub fn parse(text: impl Into<Text>) -> Result<Self, ParseError> {
        let text = text.into();
        let mut found: [Option<String>; NAMES.len()] = Default::default();
        for (name, value) in digest(text.as_bytes())? {
            let known = NAMES
                .iter()
                .position(|known| name.eq_ignore_ascii_case(known.as_bytes()));
            // What is to come changes nothing in the response.
            let Some(place) = known.and_then(|index| found.get_mut(index)) else {
                continue;
            };
            if place.replace(value).is_some() {
                return Err(bad("a directive twice"));
            }
        }
        let [
            username,
            realm,
            nonce,
            uri,
            response,
            algorithm,
            cnonce,
            qop,
            nc,
            userhash,
        ] = found;
        if userhash.is_some_and(|value| !value.eq_ignore_ascii_case("false")) {
            return Err(bad("userhash"));
        }
        let algorithm = match algorithm {
            Some(word) => Algorithm::of(&word).ok_or(bad("unknown algorithm"))?,
            None => Algorithm::Md5,
        };
        let count = match (qop, nc) {
            (None, _) => None,
            (Some(qop), Some(nc)) if qop.eq_ignore_ascii_case("auth") => {
                Some(number(&nc).ok_or(bad("nc not of 8 hex digits"))?)
            }
            (Some(_), _) => return Err(bad("qop not auth, or without nc")),
        };
        if cnonce.is_none() && (count.is_some() || algorithm.is_session()) {
            return Err(bad("no cnonce"));
        }
        Ok(Self {
            username: username.ok_or(bad("no username"))?,
            realm: realm.ok_or(bad("no realm"))?,
            nonce: nonce.ok_or(bad("no nonce"))?,
            uri: uri.ok_or(bad("no uri"))?,
            response: response.ok_or(bad("no response"))?,
            cnonce: cnonce.unwrap_or_default(),
            algorithm,
            count,
        })
    }
    /// Whether who made it knows the secret, and made it for a request of this method with its own `uri`. Takes as long for
    /// a wrong response as for a right one.
    ///
    /// `secret` has to be a hash of the algorithm's family or a password.
    pub fn proves(&self, secret: &Secret, method: &Method) -> bool {
        let (nonce, cnonce) = (self.nonce.as_bytes(), self.cnonce.as_bytes());
        let who = (self.username.as_bytes(), self.realm.as_bytes());
        let Some(ha1) = self.algorithm.ha1(secret, who, (nonce, cnonce)) else {
            return false;
        };
        let nc = self.count.map(|count| format!("{count:08x}"));
        let counted = nc.as_ref().map(|nc| Counted {
            nc: nc.as_bytes(),
            cnonce,
        });
        let asked = (method.as_bytes(), self.uri.as_bytes());
        let expected = self.algorithm.response(&ha1, nonce, counted, asked);
        let said = self.response.to_ascii_lowercase();
        expected.as_bytes().ct_eq(said.as_bytes()).into()
    }
}

/// What a response is computed of, in the order of [`Answer::parse`].
const NAMES: [&str; 10] = [
    "username",
    "realm",
    "nonce",
    "uri",
    "response",
    "algorithm",
    "cnonce",
    "qop",
    "nc",
    "userhash",
];

/// `nc` is hashed as it is written: eight digits, and in lower case.
fn number(nc: &str) -> Option<u32> {
    let digits = nc.len() == 8 && nc.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    digits.then(|| u32::from_str_radix(nc, 16).ok()).flatten()
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .field("algorithm", &self.algorithm)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

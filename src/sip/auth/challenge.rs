//! Challenges (RFC 7616 §3.3): read and answered by the client, written by the server.

use super::{Algorithm, Counted, Credentials, bad, digest};
use crate::sip::{Method, ParseError, Response, Status, Text, Uri, lex};

/// One challenge of a 401 or 407.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Realm.
    pub realm: String,
    /// Nonce.
    pub nonce: String,
    /// Opaque.
    pub opaque: Option<String>,
    /// Digest algorithm.
    pub algorithm: Algorithm,
    /// Whether `qop=auth` is offered.
    pub qop_auth: bool,
    /// `stale=true`: the nonce was old, the secret was right.
    pub stale: bool,
}

impl Challenge {
    /// Reads one `WWW-Authenticate` or `Proxy-Authenticate` value.
    ///
    /// # Errors
    /// When the scheme is not Digest, realm or nonce is missing, or the algorithm or every `qop` is unknown to us: such a
    /// challenge is to be skipped (RFC 8760 §2.4).
    pub fn parse(text: impl Into<Text>) -> Result<Self, ParseError> {
        let text = text.into();
        let (mut realm, mut nonce, mut opaque, mut qop) = (None, None, None, None);
        let (mut algorithm, mut stale) = (Algorithm::Md5, false);
        for (name, value) in digest(text.as_bytes())? {
            match &*name.to_ascii_lowercase() {
                b"realm" => realm = Some(value),
                b"nonce" => nonce = Some(value),
                b"opaque" => opaque = Some(value),
                b"qop" => qop = Some(value),
                b"stale" => stale = value.eq_ignore_ascii_case("true"),
                b"algorithm" => algorithm = Algorithm::of(&value).ok_or(bad("unknown algorithm"))?,
                // `domain`, `charset` and what is to come change nothing in our answer.
                _ => {}
            }
        }
        let qop_auth = match &qop {
            Some(qop)
                if qop
                    .split(',')
                    .any(|word| word.trim().eq_ignore_ascii_case("auth")) =>
            {
                true
            }
            Some(_) => return Err(bad("qop without auth")),
            None => false,
        };
        Ok(Self {
            realm: realm.ok_or(bad("no realm"))?,
            nonce: nonce.ok_or(bad("no nonce"))?,
            opaque,
            algorithm,
            qop_auth,
            stale,
        })
    }
    /// The challenge of a 401 or 407 that this account answers, and the header that its answer goes into.
    ///
    /// The first (they are in the server's order, RFC 8760 §2.4) that the secret can do, of a realm that the account is
    /// for; what cannot be read is skipped. `None` when there is none.
    pub fn asked(response: &Response, credentials: &Credentials) -> Option<(&'static str, Self)> {
        let (asked, header) = if response.status == Status::PROXY_AUTHENTICATION_REQUIRED {
            ("Proxy-Authenticate", "Proxy-Authorization")
        } else {
            ("WWW-Authenticate", "Authorization")
        };
        response
            .headers
            .all(asked)
            .filter_map(|value| Self::parse(value).ok())
            .find(|challenge| {
                credentials.is_for(&challenge.realm) && credentials.secret.can(challenge.algorithm)
            })
            .map(|challenge| (header, challenge))
    }
    /// The value of `Authorization` or `Proxy-Authorization`; `nc` counts uses of this nonce from 1.
    ///
    /// `None` when the account is for another realm or its secret cannot do this algorithm.
    pub fn answer(
        &self,
        credentials: &Credentials,
        method: &Method,
        uri: &Uri,
        nc: u32,
        cnonce: &str,
    ) -> Option<Text> {
        if !credentials.is_for(&self.realm) {
            return None;
        }
        let who = (credentials.username.as_bytes(), self.realm.as_bytes());
        let session = (self.nonce.as_bytes(), cnonce.as_bytes());
        let ha1 = self.algorithm.ha1(&credentials.secret, who, session)?;
        let nc = format!("{nc:08x}");
        let nonce = self.nonce.as_bytes();
        let counted = self.qop_auth.then_some(Counted {
            nc: nc.as_bytes(),
            cnonce: cnonce.as_bytes(),
        });
        let response = self
            .algorithm
            .response(&ha1, nonce, counted, (method.as_bytes(), uri.as_text()));
        let mut value = b"Digest username=".to_vec();
        value.extend(lex::quote(credentials.username.as_bytes()));
        let mut quoted = |name: &str, content: &[u8]| {
            value.extend_from_slice(name.as_bytes());
            value.extend(lex::quote(content));
        };
        quoted(", realm=", self.realm.as_bytes());
        quoted(", nonce=", nonce);
        quoted(", uri=", uri.as_text());
        quoted(", response=", response.as_bytes());
        if self.qop_auth || self.algorithm.is_session() {
            quoted(", cnonce=", cnonce.as_bytes());
        }
        if let Some(opaque) = &self.opaque {
            quoted(", opaque=", opaque.as_bytes());
        }
        value.extend_from_slice(format!(", algorithm={}", self.algorithm.as_str()).as_bytes());
        if self.qop_auth {
            value.extend_from_slice(format!(", qop=auth, nc={nc}").as_bytes());
        }
        Some(value.into())
    }

    /// The value of `WWW-Authenticate` or `Proxy-Authenticate`.
    pub fn to_text(&self) -> Text {
        let mut value = b"Digest realm=".to_vec();
        value.extend(lex::quote(self.realm.as_bytes()));
        let mut quoted = |name: &str, content: &str| {
            value.extend_from_slice(name.as_bytes());
            value.extend(lex::quote(content.as_bytes()));
        };
        quoted(",nonce=", &self.nonce);
        if let Some(opaque) = &self.opaque {
            quoted(",opaque=", opaque);
        }
        if self.qop_auth {
            quoted(",qop=", "auth");
        }
        value.extend_from_slice(b",algorithm=");
        value.extend_from_slice(self.algorithm.as_str().as_bytes());
        if self.stale {
            value.extend_from_slice(b",stale=true");
        }
        value.into()
    }
}

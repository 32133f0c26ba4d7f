//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760), the client's side.

use super::{Method, ParseError, Response, Status, Text, Uri, lex};
use md5::{Digest, Md5};
use sha2::Sha256;
use zeroize::Zeroizing;

#[cfg(test)]
mod tests;

/// What an account knows of its secret.
#[derive(Clone, PartialEq, Eq, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub enum Secret {
    /// The password.
    Clear(String),
    /// `MD5(user:realm:password)` in hex.
    Md5Ha1(String),
    /// `SHA-256(user:realm:password)` in hex.
    Sha256Ha1(String),
}

/// Who we are towards one realm. `Debug` never shows the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The authentication user name.
    pub username: String,
    /// The only realm that is answered; `None` answers any realm of the account's own server.
    pub realm: Option<String>,
    /// The secret.
    pub secret: Secret,
}

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

/// Algorithms that we can do (RFC 8760 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// MD5
    Md5,
    /// MD5-sess
    Md5Sess,
    /// SHA-256
    Sha256,
    /// SHA-256-sess
    Sha256Sess,
}

const fn bad(what: &'static str) -> ParseError {
    ParseError::bad(what, "challenge")
}

impl Challenge {
    /// Reads one `WWW-Authenticate` or `Proxy-Authenticate` value.
    ///
    /// # Errors
    /// When the scheme is not Digest, realm or nonce is missing, or the algorithm or every `qop` is unknown to us: such a
    /// challenge is to be skipped (RFC 8760 §2.4).
    pub fn parse(text: impl Into<Text>) -> Result<Self, ParseError> {
        let text = text.into().trimmed();
        let scheme_len = text.iter().take_while(|&&b| !lex::is_space(b)).count();
        let (scheme, rest) = text.split_at(scheme_len);
        if !scheme.eq_ignore_ascii_case(b"Digest") {
            return Err(bad("scheme not Digest"));
        }
        let (mut realm, mut nonce, mut opaque, mut qop) = (None, None, None, None);
        let (mut algorithm, mut stale) = (Algorithm::Md5, false);
        for (name, value) in directives(rest) {
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
        let ha1 = self.ha1(credentials, cnonce)?;
        let ha2 = self.algorithm.hash(&[method.as_bytes(), b":", uri.as_text()]);
        let nc = format!("{nc:08x}");
        let nonce = self.nonce.as_bytes();
        let response = if self.qop_auth {
            let counted = [nc.as_bytes(), b":", cnonce.as_bytes(), b":auth:"].concat();
            self.algorithm
                .hash(&[ha1.as_bytes(), b":", nonce, b":", &counted, ha2.as_bytes()])
        } else {
            self.algorithm
                .hash(&[ha1.as_bytes(), b":", nonce, b":", ha2.as_bytes()])
        };
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

    /// RFC 7616 §3.4.2.
    fn ha1(&self, credentials: &Credentials, cnonce: &str) -> Option<Zeroizing<String>> {
        if !credentials.secret.can(self.algorithm) {
            return None;
        }
        let ha1 = Zeroizing::new(match &credentials.secret {
            Secret::Clear(password) => self.algorithm.hash(&[
                credentials.username.as_bytes(),
                b":",
                self.realm.as_bytes(),
                b":",
                password.as_bytes(),
            ]),
            Secret::Md5Ha1(ha1) | Secret::Sha256Ha1(ha1) => ha1.to_ascii_lowercase(),
        });
        if !self.algorithm.is_session() {
            return Some(ha1);
        }
        let session = [
            ha1.as_bytes(),
            b":",
            self.nonce.as_bytes(),
            b":",
            cnonce.as_bytes(),
        ];
        Some(Zeroizing::new(self.algorithm.hash(&session)))
    }
}

impl Credentials {
    fn is_for(&self, realm: &str) -> bool {
        self.realm.as_deref().is_none_or(|own| own == realm)
    }
}

impl Secret {
    /// Whether an answer of this algorithm can be made of it: a hash serves its own family only.
    fn can(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Clear(_) => true,
            Self::Md5Ha1(_) => matches!(algorithm, Algorithm::Md5 | Algorithm::Md5Sess),
            Self::Sha256Ha1(_) => matches!(algorithm, Algorithm::Sha256 | Algorithm::Sha256Sess),
        }
    }
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Md5, Self::Md5Sess, Self::Sha256, Self::Sha256Sess];

    fn of(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(word))
    }
    /// The word of the `algorithm` directive.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
        }
    }
    const fn is_session(self) -> bool {
        matches!(self, Self::Md5Sess | Self::Sha256Sess)
    }
    /// The digest of the parts joined, in lower-case hex.
    fn hash(self, parts: &[&[u8]]) -> String {
        fn of<D: Digest>(parts: &[&[u8]]) -> String {
            let mut digest = D::new();
            for part in parts {
                digest.update(part);
            }
            hex::encode(digest.finalize())
        }
        match self {
            Self::Md5 | Self::Md5Sess => of::<Md5>(parts),
            Self::Sha256 | Self::Sha256Sess => of::<Sha256>(parts),
        }
    }
}

/// `name=value` pairs between commas, quotes and escapes undone. What has no `=` is skipped.
fn directives(bytes: &[u8]) -> impl Iterator<Item = (&[u8], String)> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let comma = lex::find_outside(bytes, b',', false);
        rest = comma.and_then(|comma| bytes.get(comma + 1..));
        bytes.get(..comma.unwrap_or(bytes.len()))
    })
    .filter_map(|pair| {
        let equals = pair.iter().position(|&b| b == b'=')?;
        let (name, value) = pair.split_at(equals);
        let value = lex::unquote(lex::trim(value.get(1..)?));
        Some((lex::trim(name), String::from_utf8_lossy(&value).into_owned()))
    })
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

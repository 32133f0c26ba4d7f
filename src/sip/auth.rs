//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760), the client's side.

use super::{Method, ParseError, Text, Uri};

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

impl Challenge {
    /// Reads one `WWW-Authenticate` or `Proxy-Authenticate` value. Unknown algorithms are an error, to skip.
    pub fn parse(text: impl Into<Text>) -> Result<Self, ParseError> {
        let _: Text = text.into();
        todo!()
    }
    /// Which of several challenges to answer: the first (they are in the server's order, RFC 8760 §2.4) that the secret can do.
    pub fn choose(challenges: &[Self], credentials: &Credentials) -> Option<usize> {
        let _ = (challenges, credentials);
        todo!()
    }
    /// The value of `Authorization` or `Proxy-Authorization`; `nc` counts uses of this nonce from 1.
    pub fn answer(
        &self,
        credentials: &Credentials,
        method: &Method,
        uri: &Uri,
        nc: u32,
        cnonce: &str,
    ) -> Option<Text> {
        let _ = (credentials, method, uri, nc, cnonce);
        todo!()
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

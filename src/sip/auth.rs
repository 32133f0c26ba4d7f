//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760): what the client and the server of it compute, and the header
//! fields that go between them. A server writes a [`Challenge`], a client makes its answer, and the server reads that as
//! [`Answer`]. Which nonces a server gives and takes is its own affair.

mod answer;
mod challenge;

pub use answer::Answer;
pub use challenge::Challenge;

use super::{ParseError, lex};
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
    /// What stands for the secret in a response (RFC 7616 §3.4.2); `who` is the user name and the realm, `session` the nonce
    /// and the client's. `None`: the secret is a hash of another family.
    fn ha1(
        self,
        secret: &Secret,
        (username, realm): (&[u8], &[u8]),
        (nonce, cnonce): (&[u8], &[u8]),
    ) -> Option<Zeroizing<String>> {
        if !secret.can(self) {
            return None;
        }
        let ha1 = Zeroizing::new(match secret {
            Secret::Clear(password) => self.hash(&[username, b":", realm, b":", password.as_bytes()]),
            Secret::Md5Ha1(ha1) | Secret::Sha256Ha1(ha1) => ha1.to_ascii_lowercase(),
        });
        if !self.is_session() {
            return Some(ha1);
        }
        Some(Zeroizing::new(self.hash(&[
            ha1.as_bytes(),
            b":",
            nonce,
            b":",
            cnonce,
        ])))
    }
    /// The `response` directive (RFC 7616 §3.4.1), with or without (RFC 2617 §3.2.2.1) a count of the nonce's uses. `asked`
    /// is the method and the `uri` directive.
    fn response(
        self,
        ha1: &str,
        nonce: &[u8],
        counted: Option<Counted<'_>>,
        asked: (&[u8], &[u8]),
    ) -> String {
        let (method, uri) = asked;
        let ha2 = self.hash(&[method, b":", uri]);
        let (ha1, ha2) = (ha1.as_bytes(), ha2.as_bytes());
        match counted {
            Some(Counted { nc, cnonce }) => {
                self.hash(&[ha1, b":", nonce, b":", nc, b":", cnonce, b":auth:", ha2])
            }
            None => self.hash(&[ha1, b":", nonce, b":", ha2]),
        }
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

/// What `qop=auth` adds.
#[derive(Clone, Copy)]
struct Counted<'a> {
    nc: &'a [u8],
    cnonce: &'a [u8],
}

const fn bad(what: &'static str) -> ParseError {
    ParseError::bad(what, "digest")
}

/// The directives of a challenge, or of the answer to one.
///
/// # Errors
/// When the scheme is not Digest.
fn digest(text: &[u8]) -> Result<impl Iterator<Item = (&[u8], String)>, ParseError> {
    let text = lex::trim(text);
    let scheme_len = text.iter().take_while(|&&b| !lex::is_space(b)).count();
    let (scheme, rest) = text.split_at(scheme_len);
    if !scheme.eq_ignore_ascii_case(b"Digest") {
        return Err(bad("scheme not Digest"));
    }
    Ok(directives(rest))
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

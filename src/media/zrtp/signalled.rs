//! `a=zrtp-hash` (RFC 6189 §8): the hash of a Hello, sent ahead by signalling.

use super::digest::{equal, sha256};
use super::message::VERSION;
use std::{fmt, str::FromStr};

/// The value of `a=zrtp-hash`: a version and the SHA-256 of the Hello message of that version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloHash {
    version: [u8; 4],
    hash: [u8; 32],
}

/// A value that is not `VERSION HEX`, with 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a=zrtp-hash is a version such as 1.10, a blank and 64 hexadecimal digits")]
pub struct BadHelloHash;

impl HelloHash {
    /// Of a Hello message, from its preamble to its MAC.
    pub(super) fn of(hello: &[u8]) -> Self {
        Self {
            version: VERSION,
            hash: sha256(hello),
        }
    }

    /// Whether it is of the version that is spoken here. A peer may announce others beside it, in lines of their own.
    pub fn is_ours(&self) -> bool {
        self.version[..3] == VERSION[..3]
    }

    /// Whether a Hello is the announced one.
    pub(super) fn fits(&self, hello: &[u8]) -> bool {
        equal(&self.hash, &sha256(hello))
    }
}

impl FromStr for HelloHash {
    type Err = BadHelloHash;

    fn from_str(text: &str) -> Result<Self, BadHelloHash> {
        let mut words = text.split_ascii_whitespace();
        let (version, digits) = words.next().zip(words.next()).ok_or(BadHelloHash)?;
        let mut hash = [0; 32];
        hex::decode_to_slice(digits, &mut hash).map_err(|_| BadHelloHash)?;
        Ok(Self {
            version: version.as_bytes().try_into().map_err(|_| BadHelloHash)?,
            hash,
        })
    }
}

impl fmt::Display for HelloHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = String::from_utf8_lossy(&self.version);
        write!(f, "{version} {}", hex::encode(self.hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linphones_line_is_read_and_written() {
        let text = "1.10 ea07495873db2dea5fef62d2032fc785ec38ff5f913c6211841b69a1b88957a7";
        let hash: HelloHash = text.parse().unwrap();
        assert_eq!(hash.to_string(), text);
        assert!(hash.is_ours());
        assert_eq!(text.to_uppercase().parse(), Ok(hash));
        assert_eq!(format!(" {text} ").parse(), Ok(hash));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let digits = "ea07495873db2dea5fef62d2032fc785ec38ff5f913c6211841b69a1b88957a7";
        for text in [
            String::new(),
            digits.into(),
            format!("1.1 {digits}"),
            format!("1.10 {}", &digits[1..]),
            format!("1.10 {digits}0"),
            format!("1.10 {}", digits.replace('e', "g")),
        ] {
            assert_eq!(text.parse::<HelloHash>(), Err(BadHelloHash), "{text}");
        }
        let other: HelloHash = format!("2.00 {digits}").parse().unwrap();
        assert!(!other.is_ours());
    }

    #[test]
    fn it_fits_its_own_hello_only() {
        let hash = HelloHash::of(b"hello");
        assert!(hash.fits(b"hello"));
        assert!(!hash.fits(b"hallo"));
        assert_eq!(hash.to_string()[..9], *"1.10 2cf2");
    }
}

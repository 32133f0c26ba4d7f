//! `a=fingerprint` (RFC 8122 §5): the hash of the certificate that the other side will show in its DTLS handshake.

use std::{fmt, str::FromStr};

/// A hash function that a fingerprint may be made with, from the weakest to the strongest (RFC 8122 §5). MD5 and MD2 are
/// registered too, but must not be used; they are read as unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashFunction {
    /// `sha-1`
    Sha1,
    /// `sha-224`
    Sha224,
    /// `sha-256`
    Sha256,
    /// `sha-384`
    Sha384,
    /// `sha-512`
    Sha512,
}

/// One `a=fingerprint` line. A description may have several: of one certificate by several hash functions, or of several
/// certificates.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The hash function.
    pub hash: HashFunction,
    /// As many octets as [`HashFunction::length`] says.
    pub value: Vec<u8>,
}

/// Why a fingerprint line cannot be used. Others of the same description may serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// Not `hash octets`.
    #[error("a=fingerprint: expected <hash function> <octets in hexadecimal, with colons between them>")]
    Syntax,
    /// A hash function that we do not know or must not use.
    #[error("a=fingerprint: hash function `{0}` is not one of sha-1, sha-224, sha-256, sha-384, sha-512")]
    UnknownHash(String),
    /// Too few or too many octets.
    #[error("a=fingerprint: {hash} has {expected} octets, not {found}", expected = hash.length())]
    Length {
        /// The hash function.
        hash: HashFunction,
        /// Octets found.
        found: usize,
    },
}

impl HashFunction {
    /// All of them, the strongest first.
    pub const ALL: [Self; 5] = [Self::Sha512, Self::Sha384, Self::Sha256, Self::Sha224, Self::Sha1];

    /// Its name in SDP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha224 => "sha-224",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }
    /// Octets of its result.
    pub const fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for HashFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Reads the value of an `a=fingerprint` line: the hash function in any case, hexadecimal digits in any case although
/// RFC 8122 §5 asks for capitals.
impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(value: &str) -> Result<Self, FingerprintError> {
        let mut fields = value.split_ascii_whitespace();
        let (Some(name), Some(octets), None) = (fields.next(), fields.next(), fields.next()) else {
            return Err(FingerprintError::Syntax);
        };
        let hash = HashFunction::ALL
            .into_iter()
            .find(|hash| hash.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| FingerprintError::UnknownHash(name.chars().take(32).collect()))?;
        let value = octets
            .split(':')
            .map(|octet| match octet.as_bytes() {
                [a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                    u8::from_str_radix(octet, 16).map_err(|_| FingerprintError::Syntax)
                }
                _ => Err(FingerprintError::Syntax),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if value.len() != hash.length() {
            let found = value.len();
            return Err(FingerprintError::Length { hash, found });
        }
        Ok(Self { hash, value })
    }
}

/// The value of the attribute.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.hash)?;
        for (index, octet) in self.value.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// The fingerprints that a certificate is held against: of those given, the ones made with the strongest hash function,
/// one of which has to match (RFC 8122 §5.1). A match by a weaker function alone does not count: whoever can forge that one
/// must not be able to choose it.
pub fn strongest(fingerprints: &[Fingerprint]) -> impl Iterator<Item = &Fingerprint> {
    let strongest = fingerprints.iter().map(|fingerprint| fingerprint.hash).max();
    fingerprints
        .iter()
        .filter(move |fingerprint| Some(fingerprint.hash) == strongest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHA1: &str = "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";

    #[test]
    fn a_line_is_read_and_printed_back() {
        let text = format!("sha-1 {SHA1}");
        let fingerprint: Fingerprint = text.parse().unwrap();
        assert_eq!(fingerprint.hash, HashFunction::Sha1);
        assert_eq!(fingerprint.value[..2], [0x4a, 0xad]);
        assert_eq!(fingerprint.to_string(), text);
    }

    #[test]
    fn case_does_not_matter() {
        let capitals: Fingerprint = format!("SHA-1 {SHA1}").parse().unwrap();
        let small: Fingerprint = format!("sha-1 {}", SHA1.to_lowercase()).parse().unwrap();
        assert_eq!(capitals, small);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |text: &str| text.parse::<Fingerprint>().unwrap_err();
        assert_eq!(
            error("md5 AA:BB"),
            FingerprintError::UnknownHash("md5".to_owned())
        );
        let hash = HashFunction::Sha256;
        assert_eq!(
            error(&format!("sha-256 {SHA1}")),
            FingerprintError::Length { hash, found: 20 }
        );
        for text in [
            "",
            "sha-1",
            "sha-1 ",
            "sha-1 4AAD",
            "sha-1 4A:+1",
            "sha-1 4A::AD",
            "sha-1 4A:é1",
            "sha-1 4A B9",
        ] {
            assert_eq!(error(text), FingerprintError::Syntax, "{text}");
        }
    }

    #[test]
    fn only_the_strongest_hash_counts() {
        let line = |hash: HashFunction, octet: u8| Fingerprint {
            hash,
            value: vec![octet; hash.length()],
        };
        let lines = [
            line(HashFunction::Sha1, 1),
            line(HashFunction::Sha256, 2),
            line(HashFunction::Sha256, 3),
        ];
        assert_eq!(
            strongest(&lines).collect::<Vec<_>>(),
            [&lines[1], &lines[2]],
            "two certificates, one hash function"
        );
        assert_eq!(strongest(&lines[..1]).count(), 1);
        assert_eq!(strongest(&[]).count(), 0);
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(hash in 0..5_usize, octet: u8) {
            let hash = HashFunction::ALL[hash];
            let fingerprint = Fingerprint { hash, value: vec![octet; hash.length()] };
            prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }
        #[test]
        fn any_text_is_read_or_refused(text in "(sha-1 )?[0-9A-Fa-f:é ]{0,80}") {
            let _ = text.parse::<Fingerprint>();
        }
    }
}

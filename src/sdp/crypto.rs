//! `a=crypto` (RFC 4568 §9.1): one suite with one key.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use std::fmt;
use zeroize::Zeroizing;

/// Padding is written, and need not be there when reading: clients differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// One `a=crypto` line. `Debug` hides the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Crypto {
    /// Identifies the line within its m-line; the answer repeats it.
    pub tag: u32,
    /// The suite's name as written.
    pub suite: String,
    /// Master key and salt.
    pub key: Zeroizing<Vec<u8>>,
    /// Lifetime as written, `2^48` or a number of packets: nobody sends that many in a call, so it is only kept.
    pub lifetime: Option<String>,
    /// Master key identifier, in the octets that packets carry.
    pub mki: Option<Vec<u8>>,
    /// Session parameters as written.
    pub session: Vec<String>,
}

/// Why a crypto line cannot be used. Others of the same m-line may serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// Not `tag suite inline:key`.
    #[error("a=crypto: expected <tag> <suite> inline:<key>")]
    Syntax,
    /// Several keys in one line: they would be told apart by MKI only, which no client is known to do.
    #[error("a=crypto: more than one key in a line is not supported")]
    ManyKeys,
    /// RFC 4568 §6.1: MKI is `value:length` with 1 to 128 octets.
    #[error("a=crypto: expected an MKI as <value>:<length>")]
    Mki,
    /// A session parameter that we cannot honour; RFC 4568 §6.3.7 makes such a line invalid. `UNENCRYPTED_SRTP` and its
    /// kin are here on purpose: a leg that should be encrypted is.
    #[error("a=crypto: session parameter not supported")]
    SessionParameter,
}

impl Crypto {
    /// Reads the value of an `a=crypto` line.
    ///
    /// # Errors
    /// When it is malformed or asks for what we do not do.
    pub fn parse(value: &str) -> Result<Self, CryptoError> {
        let mut fields = value.split_ascii_whitespace();
        let tag = fields
            .next()
            .filter(|tag| tag.len() <= 9 && tag.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|tag| tag.parse().ok())
            .ok_or(CryptoError::Syntax)?;
        let suite = fields.next().ok_or(CryptoError::Syntax)?.to_owned();
        let params = fields.next().ok_or(CryptoError::Syntax)?;
        if params.contains(';') {
            return Err(CryptoError::ManyKeys);
        }
        let (method, info) = params.split_once(':').ok_or(CryptoError::Syntax)?;
        if !method.eq_ignore_ascii_case("inline") {
            return Err(CryptoError::Syntax);
        }
        let mut info = info.split('|');
        let key = info.next().ok_or(CryptoError::Syntax)?;
        let key = Zeroizing::new(BASE64.decode(key).map_err(|_| CryptoError::Syntax)?);
        let (mut lifetime, mut mki) = (None, None);
        for (place, field) in info.enumerate() {
            match (place, field.split_once(':')) {
                (0, None) => lifetime = Some(field.to_owned()),
                (0 | 1, Some((value, length))) if mki.is_none() => mki = Some(identifier(value, length)?),
                _ => return Err(CryptoError::Syntax),
            }
        }
        let session = fields.map(str::to_owned).collect::<Vec<_>>();
        if session.iter().any(|parameter| !harmless(parameter)) {
            return Err(CryptoError::SessionParameter);
        }
        Ok(Self {
            tag,
            suite,
            key,
            lifetime,
            mki,
            session,
        })
    }
}

/// Whether a session parameter changes nothing for us: a window size hint (we keep our own), or one that its writer marks
/// as optional by a leading `-` (RFC 4568 §6.3.7).
fn harmless(parameter: &str) -> bool {
    parameter.starts_with('-') || parameter.to_ascii_uppercase().starts_with("WSH=")
}

/// `1:4` is `00 00 00 01`.
fn identifier(value: &str, length: &str) -> Result<Vec<u8>, CryptoError> {
    let length: usize = length.parse().map_err(|_| CryptoError::Mki)?;
    let value = value.parse::<u128>().map_err(|_| CryptoError::Mki)?.to_be_bytes();
    if !(1..=128).contains(&length) {
        return Err(CryptoError::Mki);
    }
    let (head, tail) = value.split_at(value.len().saturating_sub(length));
    if head.iter().any(|&byte| byte != 0) {
        return Err(CryptoError::Mki);
    }
    let mut octets = vec![0; length - tail.len()];
    octets.extend_from_slice(tail);
    Ok(octets)
}

/// The value of the attribute.
impl fmt::Display for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} inline:{}",
            self.tag,
            self.suite,
            BASE64.encode(&*self.key)
        )?;
        if let Some(lifetime) = &self.lifetime {
            write!(f, "|{lifetime}")?;
        }
        if let Some(mki) = &self.mki {
            // Longer identifiers than 16 octets were only read with leading zeros.
            let value = mki
                .iter()
                .fold(0_u128, |value, &octet| value << 8 | u128::from(octet));
            write!(f, "|{value}:{}", mki.len())?;
        }
        for parameter in &self.session {
            write!(f, " {parameter}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crypto")
            .field("tag", &self.tag)
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

    #[test]
    fn all_parts_are_read_and_printed_back() {
        for tail in [
            "",
            "|2^20",
            "|2^20|1:4",
            "|1:4",
            "|1048576|17:1 WSH=128",
            " -FOO=1",
        ] {
            let text = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{tail}");
            assert_eq!(Crypto::parse(&text).unwrap().to_string(), text);
        }
    }
    #[test]
    fn missing_padding_is_forgiven() {
        let padded = "QZZFj21qFWsTRp1rhLJJJizWg1/1d3eDndkt9AagCZ/0FAl3Jvvzm2HT9KuW/w==";
        let crypto = |key: &str| Crypto::parse(&format!("4 AES_256_CM_HMAC_SHA1_32 inline:{key}")).unwrap();
        assert_eq!(crypto(padded), crypto(padded.trim_end_matches('=')));
        assert_eq!(crypto(padded).key.len(), 46);
    }
    #[test]
    fn an_mki_has_the_octets_that_packets_carry() {
        let crypto = Crypto::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31|258:3")).unwrap();
        assert_eq!(crypto.mki, Some(vec![0, 1, 2]));
        for bad in ["256:1", "1:0", "1:129", "x:1", "1:"] {
            let text = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|{bad}");
            assert_eq!(Crypto::parse(&text), Err(CryptoError::Mki), "{bad}");
        }
    }
    #[test]
    fn what_would_weaken_or_change_the_transform_is_refused() {
        for parameter in [
            "UNENCRYPTED_SRTP",
            "UNENCRYPTED_SRTCP",
            "UNAUTHENTICATED_SRTP",
            "KDR=1",
            "FEC_ORDER=FEC_SRTP",
            "UNHEARD_OF",
        ] {
            let text = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} {parameter}");
            assert_eq!(Crypto::parse(&text), Err(CryptoError::SessionParameter));
        }
        let two = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4;inline:{KEY}|2^20|2:4");
        assert_eq!(Crypto::parse(&two), Err(CryptoError::ManyKeys));
    }
    #[test]
    fn nonsense_is_an_error() {
        for text in [
            "",
            "1",
            "x AES inline:AAAA",
            "1 AES",
            "1 AES AAAA",
            "1 AES inline:?",
            "1234567890 A inline:AA",
        ] {
            assert!(Crypto::parse(text).is_err(), "{text}");
        }
    }
}

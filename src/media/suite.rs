//! SRTP crypto suites (RFC 4568 §6.2, RFC 6188, RFC 7714).

use std::{fmt, str::FromStr};

/// A crypto suite. `FromStr` reads its names in SDP and configuration, in any case; `Display` writes the registered one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80`
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`
    AesCm128HmacSha1_32,
    /// `AES_256_CM_HMAC_SHA1_80` (RFC 6188); `AES_CM_256_HMAC_SHA1_80` is read too.
    AesCm256HmacSha1_80,
    /// `AES_256_CM_HMAC_SHA1_32`; `AES_CM_256_HMAC_SHA1_32` is read too.
    AesCm256HmacSha1_32,
    /// `AEAD_AES_128_GCM`
    AeadAes128Gcm,
    /// `AEAD_AES_256_GCM`
    AeadAes256Gcm,
}

/// A name that is not one of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown crypto suite `{0}`, expected one of {names}", names = Suite::ALL.map(Suite::name).join(", "))]
pub struct UnknownSuite(pub String);

impl Suite {
    /// Every suite, in the order in which we offer them when nothing else is said.
    pub const ALL: [Self; 6] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AesCm256HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The other spelling in use: some clients say `AES_CM_256_…` where RFC 6188 §5 says `AES_256_CM_…`. An answer
    /// repeats the spelling of its offer.
    pub const fn other_name(self) -> Option<&'static str> {
        match self {
            Self::AesCm256HmacSha1_80 => Some("AES_CM_256_HMAC_SHA1_80"),
            Self::AesCm256HmacSha1_32 => Some("AES_CM_256_HMAC_SHA1_32"),
            Self::AesCm128HmacSha1_80
            | Self::AesCm128HmacSha1_32
            | Self::AeadAes128Gcm
            | Self::AeadAes256Gcm => None,
        }
    }

    /// Octets of the master key.
    pub const fn key_length(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Octets of the master salt (RFC 3711 §8.2, RFC 7714 §12).
    pub const fn salt_length(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// Octets of key and salt together, as `inline:` carries them.
    pub const fn master_length(self) -> usize {
        self.key_length() + self.salt_length()
    }

    /// Octets of the authentication tag of an SRTP packet.
    pub const fn rtp_tag_length(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_32 | Self::AesCm256HmacSha1_32 => 4,
            Self::AesCm128HmacSha1_80 | Self::AesCm256HmacSha1_80 => 10,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// Octets of the authentication tag of an SRTCP packet: 80 bits for the `_32` suites too (RFC 4568 §6.2.2).
    pub const fn rtcp_tag_length(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }

    /// Whether it is one of RFC 7714's: encryption and authentication in one.
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::AeadAes128Gcm | Self::AeadAes256Gcm)
    }
}

impl FromStr for Suite {
    type Err = UnknownSuite;

    fn from_str(text: &str) -> Result<Self, UnknownSuite> {
        Self::ALL
            .into_iter()
            .find(|suite| {
                suite.name().eq_ignore_ascii_case(text)
                    || suite
                        .other_name()
                        .is_some_and(|name| name.eq_ignore_ascii_case(text))
            })
            .ok_or_else(|| UnknownSuite(text.to_owned()))
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for suite in Suite::ALL {
            assert_eq!(suite.to_string().parse(), Ok(suite));
            assert_eq!(suite.name().to_lowercase().parse(), Ok(suite));
        }
    }

    #[test]
    fn both_spellings_of_the_256_bit_suites_are_read() {
        for (text, suite) in [
            ("AES_256_CM_HMAC_SHA1_80", Suite::AesCm256HmacSha1_80),
            ("AES_CM_256_HMAC_SHA1_80", Suite::AesCm256HmacSha1_80),
            ("AES_256_CM_HMAC_SHA1_32", Suite::AesCm256HmacSha1_32),
            ("AES_CM_256_HMAC_SHA1_32", Suite::AesCm256HmacSha1_32),
        ] {
            assert_eq!(text.parse(), Ok(suite), "{text}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let error = "AES_CM_192_HMAC_SHA1_80".parse::<Suite>().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("AES_CM_192_HMAC_SHA1_80"), "{text}");
        assert!(text.contains("AES_256_CM_HMAC_SHA1_32"), "{text}");
        for refused in ["", "F8_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_80 "] {
            assert!(refused.parse::<Suite>().is_err(), "{refused:?}");
        }
    }

    #[test]
    fn lengths_are_the_rfcs() {
        let rows = [
            (Suite::AesCm128HmacSha1_80, 30, 10, 10),
            (Suite::AesCm128HmacSha1_32, 30, 4, 10),
            (Suite::AesCm256HmacSha1_80, 46, 10, 10),
            (Suite::AesCm256HmacSha1_32, 46, 4, 10),
            (Suite::AeadAes128Gcm, 28, 16, 16),
            (Suite::AeadAes256Gcm, 44, 16, 16),
        ];
        for (suite, master, rtp, rtcp) in rows {
            assert_eq!(suite.master_length(), master, "{suite}");
            assert_eq!(suite.rtp_tag_length(), rtp, "{suite}");
            assert_eq!(suite.rtcp_tag_length(), rtcp, "{suite}");
        }
    }
}

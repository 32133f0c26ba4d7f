//! `a=setup` (RFC 4145 §4) and `a=tls-id` (RFC 8842 §4): who begins a DTLS association, and which one it is.

use std::{fmt, str::FromStr};

/// The value of `a=setup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// Its writer is the DTLS client: it begins.
    Active,
    /// Its writer is the DTLS server: it waits.
    Passive,
    /// Its writer can be either: what an offer says (RFC 5763 §5).
    Actpass,
    /// No association for now.
    Holdconn,
}

/// The value of `a=tls-id`: names a DTLS association. While both sides repeat theirs, the association stays; who changes it
/// asks for a new one (RFC 8842 §4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsId(String);

/// Not a value of `a=setup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a=setup: expected active, passive, actpass or holdconn")]
pub struct UnknownSetup;

/// Not a value of `a=tls-id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a=tls-id: expected 20 to 255 letters, digits, `+`, `/`, `-` or `_`")]
pub struct BadTlsId;

impl Setup {
    /// The word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::Actpass => "actpass",
            Self::Holdconn => "holdconn",
        }
    }
    /// What an answer says to an offer of this when there is no association yet: active to `actpass`, as RFC 5763 §5
    /// prefers since it lets the association begin before the answer has arrived. `None`: there is none to be had.
    pub const fn answer(self) -> Option<Self> {
        match self {
            Self::Actpass | Self::Passive => Some(Self::Active),
            Self::Active => Some(Self::Passive),
            Self::Holdconn => None,
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Setup {
    type Err = UnknownSetup;

    fn from_str(text: &str) -> Result<Self, UnknownSetup> {
        let text = text.trim_ascii();
        [Self::Active, Self::Passive, Self::Actpass, Self::Holdconn]
            .into_iter()
            .find(|setup| setup.name().eq_ignore_ascii_case(text))
            .ok_or(UnknownSetup)
    }
}

impl TlsId {
    /// Names an association of ours by 120 random bits, as RFC 8842 §4 asks for at least.
    pub fn new(random: [u8; 15]) -> Self {
        let digits = random.iter().map(|octet| format!("{octet:02x}"));
        Self(digits.collect())
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TlsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for TlsId {
    type Err = BadTlsId;

    fn from_str(text: &str) -> Result<Self, BadTlsId> {
        let text = text.trim_ascii();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
        if (20..=255).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadTlsId)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back() {
        for setup in [Setup::Active, Setup::Passive, Setup::Actpass, Setup::Holdconn] {
            assert_eq!(setup.to_string().parse(), Ok(setup));
            assert_eq!(setup.name().to_uppercase().parse(), Ok(setup));
        }
        for text in ["", "act pass", "actpas", "activee"] {
            assert_eq!(text.parse::<Setup>(), Err(UnknownSetup), "{text}");
        }
    }

    #[test]
    fn one_side_is_active_and_the_other_passive() {
        assert_eq!(Setup::Actpass.answer(), Some(Setup::Active));
        assert_eq!(Setup::Active.answer(), Some(Setup::Passive));
        assert_eq!(Setup::Passive.answer(), Some(Setup::Active));
        assert_eq!(Setup::Holdconn.answer(), None);
    }

    #[test]
    fn an_identifier_of_ours_is_one() {
        let ours = TlsId::new([0xa7; 15]);
        assert_eq!(ours.as_str().len(), 30);
        assert_eq!(ours.to_string().parse(), Ok(ours));
    }

    #[test]
    fn an_identifier_keeps_to_its_alphabet_and_length() {
        let text = |length: usize| "aZ0+/-_".repeat(40)[..length].to_owned();
        for length in [20, 255] {
            assert!(text(length).parse::<TlsId>().is_ok(), "{length}");
        }
        for bad in [text(19), text(256), format!("{} x", text(20)), "é".repeat(20)] {
            assert_eq!(bad.parse::<TlsId>(), Err(BadTlsId), "{bad}");
        }
    }
}

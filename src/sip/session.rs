//! Session-Expires and Min-SE (RFC 4028 §4, §5).

use super::{Headers, Text, lex};

/// The option tag of session timers (RFC 4028 §3).
pub const TIMER: &str = "timer";

/// Who refreshes a session, named by its part in the request that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// Who sends the request.
    Uac,
    /// Who answers it.
    Uas,
}

/// The value of Session-Expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// After so many seconds without a refresh the session is over.
    pub seconds: u32,
    /// Who refreshes; `None`: the other one may choose.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// Reads the header. `None`: there is none, or none that makes sense, which is the same to whoever must not fail a call
    /// for it.
    pub fn of(headers: &Headers) -> Option<Self> {
        let value = headers.get("Session-Expires")?;
        let bytes = value.as_bytes();
        let end = bytes.iter().position(|byte| *byte == b';').unwrap_or(bytes.len());
        let (seconds, params) = bytes.split_at(end);
        let refresher = match lex::param(params, "refresher").flatten() {
            Some(word) if word.eq_ignore_ascii_case(b"uac") => Some(Refresher::Uac),
            Some(word) if word.eq_ignore_ascii_case(b"uas") => Some(Refresher::Uas),
            _ => None,
        };
        Some(Self {
            seconds: lex::number(lex::trim(seconds))?,
            refresher,
        })
    }
    /// The value for the wire.
    pub fn to_text(self) -> Text {
        let refresher = match self.refresher {
            Some(Refresher::Uac) => ";refresher=uac",
            Some(Refresher::Uas) => ";refresher=uas",
            None => "",
        };
        format!("{}{refresher}", self.seconds).into()
    }
}

/// The value of Min-SE in seconds; parameters are not known yet and ignored.
pub fn min_se(headers: &Headers) -> Option<u32> {
    let value = headers.get("Min-SE")?;
    let number = value.as_bytes().split(|byte| *byte == b';').next()?;
    lex::number(lex::trim(number))
}

/// Whether the sender knows session timers: `timer` in Supported or Require.
pub fn is_supported(headers: &Headers) -> bool {
    ["Supported", "Require"].into_iter().any(|name| {
        headers
            .values(name)
            .any(|tag| tag.as_bytes().eq_ignore_ascii_case(TIMER.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> Option<SessionExpires> {
        let mut headers = Headers::default();
        headers.push("x", value);
        SessionExpires::of(&headers)
    }

    #[test]
    fn values_are_read_and_written() {
        for (value, seconds, refresher) in [
            ("1800", 1800, None),
            ("90;refresher=uac", 90, Some(Refresher::Uac)),
            ("90 ; Refresher = UAS", 90, Some(Refresher::Uas)),
            ("90;other=1;refresher=uas", 90, Some(Refresher::Uas)),
            ("90;refresher=both", 90, None),
        ] {
            assert_eq!(of(value), Some(SessionExpires { seconds, refresher }), "{value}");
        }
        for value in ["", "soon", "-1", ";refresher=uac", "99999999999"] {
            assert_eq!(of(value), None, "{value}");
        }
        let value = SessionExpires {
            seconds: 90,
            refresher: Some(Refresher::Uas),
        };
        assert_eq!(value.to_text().to_str(), "90;refresher=uas");
        assert_eq!(of(&value.to_text().to_str()), Some(value));
    }

    #[test]
    fn the_shortest_interval_and_the_option_are_read() {
        let mut headers = Headers::default();
        assert_eq!((min_se(&headers), is_supported(&headers)), (None, false));
        headers.push("Min-SE", "120;x=y");
        headers.push("k", "100rel, Timer");
        assert_eq!((min_se(&headers), is_supported(&headers)), (Some(120), true));
    }
}

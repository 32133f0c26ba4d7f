//! How long a subscription lasts (RFC 6665).

use crate::sip::{Headers, Text};
use std::time::{Duration, Instant};

/// Longest time between two SUBSCRIBEs of a subscription that passes through us, in seconds: who lives asks once a day.
const LONGEST: u32 = 86_400;

/// A subscription whose two halves have been agreed on.
#[derive(Debug)]
pub(super) struct Subscription {
    /// Its `Event`.
    pub(super) event: Text,
    /// Nobody has renewed it by then.
    pub(super) until: Instant,
    /// The last word has been said.
    pub(super) over: bool,
}

impl Subscription {
    /// Agreed for `seconds` from now. It lives a little longer than that, for the notifier's last NOTIFY; one that was ended,
    /// or never meant to last, only so long.
    pub(super) fn renew(&mut self, seconds: u32, grace: Duration, now: Instant) {
        self.until = now + Duration::from_secs(u64::from(seconds)) + grace;
    }
}

/// The seconds of an `Expires`, at most a day. `None` where there is none, or none that can be read.
pub(super) fn seconds(headers: &Headers) -> Option<u32> {
    let text = headers.get("Expires")?;
    let text = text.to_str();
    let digits = text.split(';').next().unwrap_or_default().trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More than a u32 can hold is as good as for ever.
    Some(digits.parse().unwrap_or(LONGEST).min(LONGEST))
}

/// Whether a NOTIFY says that it is the last (RFC 6665 §4.1.3).
pub(super) fn is_last(headers: &Headers) -> bool {
    headers.get("Subscription-State").is_some_and(|state| {
        let state = state.to_str();
        let word = state.split(';').next().unwrap_or_default().trim();
        word.eq_ignore_ascii_case("terminated")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expires_is_read_as_far_as_it_is_a_number_and_bounded_by_a_day() {
        for (text, expected) in [
            ("3600", Some(3600)),
            ("0", Some(0)),
            (" 60 ;x=y", Some(60)),
            ("99999999999999999999", Some(LONGEST)),
            ("4294967295", Some(LONGEST)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let mut headers = Headers::default();
            headers.push("Expires", text);
            assert_eq!(seconds(&headers), expected, "{text:?}");
        }
        assert_eq!(seconds(&Headers::default()), None);
    }

    #[test]
    fn the_last_notify_says_so() {
        for (text, last) in [
            ("terminated;reason=timeout", true),
            ("Terminated", true),
            ("active;expires=1", false),
            ("terminated-not", false),
        ] {
            let mut headers = Headers::default();
            headers.push("Subscription-State", text);
            assert_eq!(is_last(&headers), last, "{text:?}");
        }
    }
}

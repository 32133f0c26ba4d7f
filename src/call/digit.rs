//! Digits as INFO says them: `application/dtmf-relay` and `application/dtmf`, of no RFC, but what every phone that has no
//! telephone-event sends.

use super::signal::Payload;
use crate::{
    media::Digit,
    sip::{Headers, Method},
};
use std::time::Duration;

/// How long a digit is that says nothing of it.
const USUAL: Duration = Duration::from_millis(160);
/// No shorter and no longer than what a receiver takes for one key that was pressed (Q.24: 40 ms).
const SHORTEST: Duration = Duration::from_millis(40);
const LONGEST: Duration = Duration::from_secs(1);
/// More than this is no digit.
const MAX_BODY: usize = 256;

/// The digit that an INFO says; `None` where it says something else.
pub(super) fn read(payload: &Payload) -> Option<Digit> {
    if payload.method != Method::Info || payload.body.len() > MAX_BODY {
        return None;
    }
    let kind = payload.headers.get("Content-Type")?;
    let kind = kind
        .to_str()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let text = std::str::from_utf8(&payload.body).ok()?;
    match kind.as_str() {
        "application/dtmf-relay" => {
            let field = |name: &str| {
                text.lines().find_map(|line| {
                    let (key, value) = line.split_once('=')?;
                    key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
                })
            };
            let duration = field("Duration").and_then(|text| text.parse().ok());
            Some(Digit {
                event: event(field("Signal")?)?,
                duration: duration
                    .map_or(USUAL, Duration::from_millis)
                    .clamp(SHORTEST, LONGEST),
            })
        }
        "application/dtmf" => {
            // Some write it as the other kind is written.
            let text = text.trim();
            let signal = text.split_once('=').map_or(text, |(_, value)| value);
            Some(Digit {
                event: event(signal.lines().next()?.trim())?,
                duration: USUAL,
            })
        }
        _ => None,
    }
}

/// Whether an INFO asks who sends video for a new picture (RFC 5168).
pub(super) fn wants_picture(payload: &Payload) -> bool {
    let kind = payload.headers.get("Content-Type").unwrap_or_default();
    let is_control = kind
        .to_str()
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("application/media_control+xml");
    let names = |word: &[u8]| payload.body.windows(word.len()).any(|window| window == word);
    payload.method == Method::Info
        && payload.body.len() <= 4 * MAX_BODY
        && is_control
        && names(b"picture_fast_update")
}

/// The INFO that says a digit; `None` for an event that is none.
pub(super) fn write(event: u8) -> Option<(Headers, bytes::Bytes)> {
    let signal = "0123456789*#ABCD".chars().nth(usize::from(event))?;
    let mut headers = Headers::default();
    headers.push("Content-Type", "application/dtmf-relay");
    let body = format!("Signal={signal}\r\nDuration={}\r\n", USUAL.as_millis());
    Some((headers, body.into()))
}

/// The event (RFC 4733 §3.2) of a signal: the key, or its number.
fn event(signal: &str) -> Option<u8> {
    let mut letters = signal.chars();
    match (letters.next()?, letters.next()) {
        (digit @ '0'..='9', None) => u8::try_from(digit).ok().map(|digit| digit - b'0'),
        ('*', None) => Some(10),
        ('#', None) => Some(11),
        (letter @ ('A'..='D' | 'a'..='d'), None) => u8::try_from(letter.to_ascii_uppercase())
            .ok()
            .map(|letter| letter - b'A' + 12),
        _ => signal.parse().ok().filter(|event| (10..16).contains(event)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: &str, body: &str) -> Option<(u8, u64)> {
        let mut headers = Headers::default();
        headers.push("Content-Type", kind);
        let payload = Payload::new(Method::Info, headers, body.to_owned().into());
        read(&payload).map(|digit| (digit.event, digit.duration.as_millis() as u64))
    }

    #[test]
    fn digits_are_read_as_phones_write_them() {
        for (kind, body, expected) in [
            (
                "application/dtmf-relay",
                "Signal=5\r\nDuration=250\r\n",
                Some((5, 250)),
            ),
            (
                "application/dtmf-relay",
                "Signal= #\nDuration= 160",
                Some((11, 160)),
            ),
            (
                "Application/DTMF-Relay; charset=utf-8",
                "signal=d",
                Some((15, 160)),
            ),
            ("application/dtmf-relay", "Duration=1\r\nSignal=*", Some((10, 40))),
            (
                "application/dtmf-relay",
                "Signal=1\r\nDuration=99999999",
                Some((1, 1000)),
            ),
            (
                "application/dtmf-relay",
                "Signal=1\r\nDuration=-4",
                Some((1, 160)),
            ),
            ("application/dtmf-relay", "Signal=10", Some((10, 160))),
            ("application/dtmf-relay", "Signal=16", None),
            ("application/dtmf-relay", "Signal=", None),
            ("application/dtmf-relay", "", None),
            ("application/dtmf", "7", Some((7, 160))),
            ("application/dtmf", " A\r\n", Some((12, 160))),
            ("application/dtmf", "Signal=3\r\nDuration=90", Some((3, 160))),
            ("application/dtmf", "12", Some((12, 160))),
            ("application/dtmf", "é", None),
            ("text/plain", "7", None),
        ] {
            assert_eq!(said(kind, body), expected, "{kind} {body:?}");
        }
    }

    #[test]
    fn a_request_for_a_picture_is_known_by_what_it_names() {
        let wants = |kind: &str, body: &str| {
            let mut headers = Headers::default();
            headers.push("Content-Type", kind);
            wants_picture(&Payload::new(Method::Info, headers, body.to_owned().into()))
        };
        let body = "<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>";
        assert!(wants("application/media_control+xml", body));
        assert!(!wants("application/xml", body));
        assert!(!wants("application/media_control+xml", "<media_control/>"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for digit in 0..16 {
            let (headers, body) = write(digit).expect("a digit");
            let payload = Payload::new(Method::Info, headers, body);
            assert_eq!(read(&payload).map(|read| read.event), Some(digit));
        }
        assert!(write(16).is_none() && write(255).is_none());
    }
}

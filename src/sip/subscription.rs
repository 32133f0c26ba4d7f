//! Event, Subscription-State (RFC 6665 §8.2) and the body in which a REFER's subscription tells how far it is: `message/sipfrag`
//! (RFC 3420, RFC 3515 §2.4.5).

use super::{Headers, Status, Text, lex};
use bytes::Bytes;

/// Content-Type of [`sipfrag`].
pub const SIPFRAG: &str = "message/sipfrag;version=2.0";
/// The longest status line that is looked at.
const MOST: usize = 512;

/// Which subscription a NOTIFY belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The package, such as `refer`.
    pub package: Text,
    /// `id`: of a REFER its CSeq number, where there may be several (RFC 3515 §2.4.6).
    pub id: Option<Text>,
}

impl Event {
    /// Reads the header.
    pub fn of(headers: &Headers) -> Option<Self> {
        let value = headers.get("Event")?;
        let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
        let (package, params) = value.split_at(end);
        let package = lex::trim(package);
        let id = lex::param(params, "id").flatten();
        lex::is_token(package).then(|| Self {
            package: value.part_of(package),
            id: id.map(|id| value.part_of(id)),
        })
    }
    /// Whether it is of REFER.
    pub fn is_refer(&self) -> bool {
        self.package.eq_ignore_ascii_case(b"refer")
    }
}

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionState {
    /// More will come, for so many seconds.
    Active {
        /// `expires`.
        expires: Option<u32>,
    },
    /// Not decided yet.
    Pending,
    /// Nothing more comes.
    Terminated,
}

impl SubscriptionState {
    /// Reads the header; `None` without one or with a word that is not known.
    pub fn of(headers: &Headers) -> Option<Self> {
        let value = headers.get("Subscription-State")?;
        let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
        let (word, params) = value.split_at(end);
        let expires = lex::param(params, "expires").flatten().and_then(lex::number);
        match lex::trim(word) {
            word if word.eq_ignore_ascii_case(b"active") => Some(Self::Active { expires }),
            word if word.eq_ignore_ascii_case(b"pending") => Some(Self::Pending),
            word if word.eq_ignore_ascii_case(b"terminated") => Some(Self::Terminated),
            _ => None,
        }
    }
}

/// Why a subscription was ended, and when it may be asked for again (RFC 6665 §4.1.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Termination {
    /// `reason`, such as `timeout`.
    pub reason: Option<Text>,
    /// `retry-after`, in seconds.
    pub retry_after: Option<u32>,
}

impl Termination {
    /// Reads the parameters of Subscription-State.
    pub fn of(headers: &Headers) -> Self {
        let value = headers.get("Subscription-State").unwrap_or_default();
        let start = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
        let params = value.get(start..).unwrap_or_default();
        Self {
            reason: lex::param(params, "reason")
                .flatten()
                .map(|reason| value.part_of(reason)),
            retry_after: lex::param(params, "retry-after").flatten().and_then(lex::number),
        }
    }
    /// Whether asking again would get the same answer: `rejected`, `noresource` and `invariant` say so.
    pub fn is_for_good(&self) -> bool {
        let is = |word: &[u8]| {
            self.reason
                .as_ref()
                .is_some_and(|reason| reason.eq_ignore_ascii_case(word))
        };
        is(b"rejected") || is(b"noresource") || is(b"invariant")
    }
}

/// A status line as a body.
pub fn sipfrag(status: Status, reason: Option<&Text>) -> Bytes {
    let reason = match reason {
        Some(reason) if !reason.is_empty() => reason.to_str().into_owned(),
        _ => status.reason().to_owned(),
    };
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(200).collect();
    format!("SIP/2.0 {status} {reason}\r\n").into_bytes().into()
}

/// The status that a body tells, with its phrase: of a fragment of a response only its first line is needed.
pub fn status_of(body: &[u8]) -> Option<(Status, Text)> {
    let line = body.get(..body.len().min(MOST))?;
    let line = line.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let version = words.next()?;
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return None;
    }
    let code = words
        .next()
        .filter(|code| code.len() == 3)
        .and_then(lex::number)?;
    let status = Status::new(u16::try_from(code).ok()?)?;
    let reason = words.next().unwrap_or_default();
    Some((status, Text::from(lex::trim(reason).to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(name: &str, value: &str) -> Headers {
        let mut headers = Headers::default();
        headers.push(name, value);
        headers
    }

    #[test]
    fn an_event_has_a_package_and_perhaps_an_id() {
        let event = Event::of(&headers("o", "Refer ; id=93809824")).unwrap();
        assert!(event.is_refer());
        assert_eq!(event.id, Some("93809824".into()));
        assert!(!Event::of(&headers("Event", "presence")).unwrap().is_refer());
        assert_eq!(Event::of(&headers("Event", ";id=1")), None);
        assert_eq!(Event::of(&Headers::default()), None);
    }

    #[test]
    fn a_state_is_one_of_three_words() {
        let state = |value: &str| SubscriptionState::of(&headers("Subscription-State", value));
        assert_eq!(
            state("active;expires=60"),
            Some(SubscriptionState::Active { expires: Some(60) })
        );
        assert_eq!(state("Active"), Some(SubscriptionState::Active { expires: None }));
        assert_eq!(state("pending"), Some(SubscriptionState::Pending));
        assert_eq!(
            state("terminated;reason=noresource"),
            Some(SubscriptionState::Terminated)
        );
        assert_eq!(state("over"), None);
    }

    #[test]
    fn an_end_has_a_reason_and_perhaps_a_time_to_wait() {
        let end = |value: &str| Termination::of(&headers("Subscription-State", value));
        let probation = end("terminated;reason=Probation;retry-after=7");
        assert_eq!(probation.reason, Some("Probation".into()));
        assert_eq!((probation.retry_after, probation.is_for_good()), (Some(7), false));
        for (reason, for_good) in [
            ("rejected", true),
            ("NoResource", true),
            ("invariant", true),
            ("timeout", false),
        ] {
            assert_eq!(
                end(&format!("terminated;reason={reason}")).is_for_good(),
                for_good,
                "{reason}"
            );
        }
        assert_eq!(end("terminated"), Termination::default());
        assert_eq!(Termination::of(&Headers::default()), Termination::default());
    }

    #[test]
    fn the_first_line_of_a_fragment_is_its_status() {
        let known = [
            ("SIP/2.0 100 Trying", 100, "Trying"),
            ("SIP/2.0 200 OK\r\n", 200, "OK"),
            (
                "SIP/2.0 603 Declined by user\r\nServer: x\r\n",
                603,
                "Declined by user",
            ),
            ("SIP/2.0 486", 486, ""),
        ];
        for (body, code, reason) in known {
            let (status, phrase) = status_of(body.as_bytes()).unwrap();
            assert_eq!((status.code(), phrase.to_str().as_ref()), (code, reason));
        }
        for body in [
            "",
            "HTTP/1.1 200 OK",
            "SIP/2.0 99 x",
            "SIP/2.0 0200 OK",
            "SIP/2.0",
            "INVITE sip:a SIP/2.0",
        ] {
            assert_eq!(status_of(body.as_bytes()), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn a_status_comes_back_as_it_was_told(code in 100_u16..700, reason in "[ -~]{0,40}") {
            let status = Status::new(code).unwrap();
            let (found, phrase) = status_of(&sipfrag(status, Some(&reason.clone().into()))).unwrap();
            prop_assert_eq!(found, status);
            let said = if reason.is_empty() { status.reason() } else { reason.trim() };
            prop_assert_eq!(phrase.to_str().into_owned(), said.to_owned());
        }
        #[test]
        fn no_body_breaks_it(body: Vec<u8>) {
            if let Some((status, reason)) = status_of(&body) {
                prop_assert_eq!(status_of(&sipfrag(status, Some(&reason))).map(|found| found.0), Some(status));
            }
        }
    }
}

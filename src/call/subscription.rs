//! The subscription that a REFER opens (RFC 3515 §2.4.4): what its sender is told about what became of it. A small machine beside
//! a leg: the NOTIFYs are requests that the leg carries.

use super::signal::Payload;
use crate::sip::{Headers, Method, Status, Text, subscription};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// How long the sender of a REFER is told of it. Calls ring no longer than this.
pub const LIFETIME: Duration = Duration::from_secs(300);

/// What the sender of one REFER is told.
#[derive(Debug)]
pub struct Subscription {
    /// CSeq of the REFER, where it was not the first in its dialog (RFC 3515 §2.4.6).
    id: Option<u32>,
    /// `Refer-Sub: false`: nothing is told (RFC 4488).
    silent: bool,
    /// When it ends by itself; `None` once it has ended.
    expires: Option<Instant>,
    /// The last status that was told.
    told: Option<Status>,
    /// Marks the NOTIFYs, so that their answers find back.
    number: u32,
}

impl Subscription {
    /// Begins; nothing is said yet.
    pub fn new(id: Option<u32>, silent: bool, number: u32, now: Instant) -> Self {
        Self {
            id,
            silent,
            expires: Some(now + LIFETIME),
            told: None,
            number,
        }
    }
    /// How far it is. A final status ends the subscription; one that was told before is no news.
    pub fn tell(&mut self, status: Status, reason: Option<&Text>, now: Instant) -> Option<Payload> {
        let expires = self.expires?;
        if self.told == Some(status) {
            return None;
        }
        self.told = Some(status);
        let state = if status.is_final() {
            self.expires = None;
            "terminated;reason=noresource".to_owned()
        } else {
            let left = expires.saturating_duration_since(now).as_secs();
            format!("active;expires={left}")
        };
        self.notify(&state, subscription::sipfrag(status, reason))
    }
    /// Ends it without news: what it told last is told again, as the last.
    pub fn end(&mut self) -> Option<Payload> {
        self.expires.take()?;
        self.last("noresource")
    }
    /// Ends it when its time is over.
    pub fn expire(&mut self, now: Instant) -> Option<Payload> {
        self.expires.take_if(|at| *at <= now)?;
        self.last("timeout")
    }
    fn last(&self, why: &str) -> Option<Payload> {
        let told = self.told.unwrap_or(Status::TRYING);
        self.notify(
            &format!("terminated;reason={why}"),
            subscription::sipfrag(told, None),
        )
    }
    /// The answer to a NOTIFY: who does not want them gets no more (RFC 6665 §4.2.2).
    pub fn answered(&mut self, status: Status) {
        if status.is_final() && !status.is_success() {
            self.expires = None;
        }
    }
    /// Whether its sender is to be told nothing.
    pub const fn is_silent(&self) -> bool {
        self.silent
    }
    /// Whether nothing more is told.
    pub const fn is_over(&self) -> bool {
        self.expires.is_none()
    }
    /// When it ends by itself.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.expires
    }
    fn notify(&self, state: &str, body: Bytes) -> Option<Payload> {
        if self.silent {
            return None;
        }
        let mut headers = Headers::default();
        let event = self.id.map_or("refer".to_owned(), |id| format!("refer;id={id}"));
        headers.push("Event", event);
        headers.push("Subscription-State", state.to_owned());
        headers.push("Content-Type", subscription::SIPFRAG);
        Some(Payload {
            method: Method::Notify,
            headers,
            body,
            number: self.number,
            cseq: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
        Instant::now()
    }
    fn status(code: u16) -> Status {
        Status::new(code).unwrap()
    }
    fn state(payload: &Payload) -> String {
        payload.headers.get("Subscription-State").unwrap().to_string()
    }

    #[test]
    fn a_final_status_is_the_last_that_is_told() {
        let now = now();
        let mut subscription = Subscription::new(None, false, 7, now);
        let first = subscription.tell(Status::TRYING, None, now).unwrap();
        assert_eq!(state(&first), "active;expires=300");
        assert_eq!((&*first.body, first.number), (&b"SIP/2.0 100 Trying\r\n"[..], 7));
        assert_eq!(first.headers.get("Event"), Some("refer".into()));
        assert!(subscription.tell(Status::TRYING, None, now).is_none(), "no news");
        let later = now + Duration::from_secs(10);
        let rings = subscription.tell(Status::RINGING, None, later).unwrap();
        assert_eq!(state(&rings), "active;expires=290");
        let last = subscription
            .tell(status(603), Some(&"No thanks".into()), later)
            .unwrap();
        assert_eq!(state(&last), "terminated;reason=noresource");
        assert_eq!(&*last.body, b"SIP/2.0 603 No thanks\r\n");
        assert!(subscription.is_over());
        assert!(subscription.tell(Status::OK, None, later).is_none());
        assert!(subscription.expire(later + LIFETIME).is_none() && subscription.end().is_none());
    }

    #[test]
    fn it_ends_by_itself() {
        let now = now();
        let mut subscription = Subscription::new(Some(42), false, 1, now);
        subscription.tell(Status::TRYING, None, now).unwrap();
        assert_eq!(subscription.poll_timeout(), Some(now + LIFETIME));
        assert!(
            subscription
                .expire(now + LIFETIME - Duration::from_millis(1))
                .is_none()
        );
        let last = subscription.expire(now + LIFETIME).unwrap();
        assert_eq!(state(&last), "terminated;reason=timeout");
        assert_eq!(last.headers.get("Event"), Some("refer;id=42".into()));
        assert_eq!(subscription.poll_timeout(), None);
    }

    #[test]
    fn whoever_wants_no_notify_gets_none() {
        let now = now();
        let mut silent = Subscription::new(None, true, 1, now);
        assert!(silent.tell(Status::TRYING, None, now).is_none());
        assert!(silent.tell(Status::OK, None, now).is_none());
        assert!(silent.is_over());
        let mut refused = Subscription::new(None, false, 1, now);
        refused.tell(Status::TRYING, None, now).unwrap();
        refused.answered(Status::OK);
        assert!(!refused.is_over());
        refused.answered(Status::CALL_DOES_NOT_EXIST);
        assert!(refused.is_over());
        assert!(refused.tell(Status::OK, None, now).is_none());
    }
}

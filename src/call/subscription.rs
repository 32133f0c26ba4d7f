//! The subscription that a REFER opens (RFC 3515 §2.4.4): what its sender is told about what became of it. A small machine beside
//! a leg: the NOTIFYs are requests that the leg carries.

use super::signal::Payload;
use crate::sip::{Headers, Method, Status, Text, subscription};
use std::time::{Duration, Instant};

/// How long the sender of a REFER is told of it. Calls ring no longer than this.
pub const LIFETIME: Duration = Duration::from_secs(300);

/// So often the same news are said to somebody who answers them with 500.
const TRIES: u32 = 5;

/// What the sender of one REFER is told.
///
/// One NOTIFY after the other: what is new while one is unanswered is said after it, so that none overtakes another.
#[derive(Debug)]
pub struct Subscription {
    /// CSeq of the REFER, where it was not the first in its dialog (RFC 3515 §2.4.6).
    id: Option<u32>,
    /// `Refer-Sub: false`: nothing is told (RFC 4488).
    silent: bool,
    /// When it ends by itself; `None` once it has ended.
    expires: Option<Instant>,
    /// The last news.
    news: Option<News>,
    /// A NOTIFY is not answered yet.
    open: bool,
    /// There are news that no NOTIFY has said.
    unsaid: bool,
    /// How often the last NOTIFY was said before.
    tries: u32,
    /// Marks the NOTIFYs, so that their answers find back.
    number: u32,
}

#[derive(Clone, Debug)]
struct News {
    status: Status,
    reason: Option<Text>,
    /// They are the last, and why.
    last: Option<&'static str>,
}

impl Subscription {
    /// Begins; nothing is said yet.
    pub fn new(id: Option<u32>, silent: bool, number: u32, now: Instant) -> Self {
        Self {
            id,
            silent,
            expires: Some(now + LIFETIME),
            news: None,
            open: false,
            unsaid: false,
            tries: 0,
            number,
        }
    }
    /// How far it is. A final status ends the subscription; one that was told before is no news.
    pub fn tell(&mut self, status: Status, reason: Option<&Text>, now: Instant) -> Option<Payload> {
        self.expires?;
        if self.news.as_ref().is_some_and(|news| news.status == status) {
            return None;
        }
        let last = status.is_final().then_some("noresource");
        if last.is_some() {
            self.expires = None;
        }
        self.news = Some(News {
            status,
            reason: reason.cloned(),
            last,
        });
        self.say(now)
    }
    /// Ends it without news: what it told last is told again, as the last.
    pub fn end(&mut self, now: Instant) -> Option<Payload> {
        self.expires.take()?;
        self.last("noresource", now)
    }
    /// Ends it when its time is over.
    pub fn expire(&mut self, now: Instant) -> Option<Payload> {
        self.expires.take_if(|at| *at <= now)?;
        self.last("timeout", now)
    }
    fn last(&mut self, why: &'static str, now: Instant) -> Option<Payload> {
        let told = self.news.as_ref().map_or(Status::TRYING, |news| news.status);
        self.news = Some(News {
            status: told,
            reason: None,
            last: Some(why),
        });
        self.say(now)
    }
    /// The answer to the NOTIFY; what is to be said next. It may have been overtaken by another request of the leg
    /// (500, RFC 3261 §12.2.2), and is then said again. Who does not want them gets no more (RFC 6665 §4.2.2).
    pub fn answered(&mut self, status: Status, now: Instant) -> Option<Payload> {
        if !status.is_final() || !std::mem::take(&mut self.open) {
            return None;
        }
        let overtaken = status == Status::SERVER_INTERNAL_ERROR && self.tries < TRIES;
        if overtaken || (status.is_success() && self.unsaid) {
            let tries = if overtaken { self.tries + 1 } else { 0 };
            let next = self.say(now);
            self.tries = tries;
            return next;
        }
        if !status.is_success() {
            self.expires = None;
            self.unsaid = false;
        }
        None
    }
    /// Whether its sender is to be told nothing.
    pub const fn is_silent(&self) -> bool {
        self.silent
    }
    /// Whether there will be no more news.
    pub const fn has_ended(&self) -> bool {
        self.expires.is_none()
    }
    /// Whether nothing more is told.
    pub const fn is_over(&self) -> bool {
        self.expires.is_none() && !self.open
    }
    /// When it ends by itself.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.expires
    }
    /// Says the last news, now or once the NOTIFY that is open is answered.
    fn say(&mut self, now: Instant) -> Option<Payload> {
        if self.silent {
            return None;
        }
        self.unsaid = self.open;
        if self.open {
            return None;
        }
        let News { status, reason, last } = self.news.as_ref()?;
        let state = match (last, self.expires) {
            (None, Some(expires)) => {
                let left = expires.saturating_duration_since(now).as_secs();
                format!("active;expires={left}")
            }
            (last, _) => format!("terminated;reason={}", last.unwrap_or("noresource")),
        };
        let mut headers = Headers::default();
        let event = self.id.map_or("refer".to_owned(), |id| format!("refer;id={id}"));
        headers.push("Event", event);
        headers.push("Subscription-State", state);
        headers.push("Content-Type", subscription::SIPFRAG);
        let body = subscription::sipfrag(*status, reason.as_ref());
        (self.open, self.tries) = (true, 0);
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
        assert!(subscription.answered(Status::OK, now).is_none());
        let later = now + Duration::from_secs(10);
        let rings = subscription.tell(Status::RINGING, None, later).unwrap();
        assert_eq!(state(&rings), "active;expires=290");
        assert!(subscription.answered(Status::OK, later).is_none());
        let last = subscription
            .tell(status(603), Some(&"No thanks".into()), later)
            .unwrap();
        assert_eq!(state(&last), "terminated;reason=noresource");
        assert_eq!(&*last.body, b"SIP/2.0 603 No thanks\r\n");
        assert!(
            subscription.has_ended() && !subscription.is_over(),
            "it may not have come"
        );
        assert!(subscription.answered(Status::OK, later).is_none());
        assert!(subscription.is_over());
        assert!(subscription.tell(Status::OK, None, later).is_none());
        assert!(subscription.expire(later + LIFETIME).is_none() && subscription.end(later).is_none());
    }

    #[test]
    fn it_ends_by_itself() {
        let now = now();
        let mut subscription = Subscription::new(Some(42), false, 1, now);
        subscription.tell(Status::TRYING, None, now).unwrap();
        subscription.answered(Status::OK, now);
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
        refused.answered(Status::OK, now);
        refused.tell(Status::RINGING, None, now).unwrap();
        assert!(!refused.is_over());
        assert!(refused.answered(Status::CALL_DOES_NOT_EXIST, now).is_none());
        assert!(refused.is_over());
        assert!(refused.tell(Status::OK, None, now).is_none());
    }

    #[test]
    fn what_is_new_while_a_notify_is_open_is_said_after_it() {
        let now = now();
        let mut subscription = Subscription::new(None, false, 1, now);
        subscription.tell(Status::TRYING, None, now).unwrap();
        assert!(subscription.tell(Status::RINGING, None, now).is_none());
        assert!(subscription.tell(Status::OK, None, now).is_none());
        assert!(!subscription.is_over(), "the last is not said yet");
        let last = subscription.answered(Status::OK, now).unwrap();
        assert_eq!(&*last.body, b"SIP/2.0 200 OK\r\n", "what stands now, once");
        assert_eq!(state(&last), "terminated;reason=noresource");
        assert!(subscription.answered(Status::OK, now).is_none() && subscription.is_over());
    }

    #[test]
    fn a_notify_that_was_overtaken_is_said_again_but_not_for_ever() {
        let now = now();
        let mut subscription = Subscription::new(None, false, 1, now);
        subscription.tell(Status::OK, None, now).unwrap();
        for _ in 0..TRIES {
            let again = subscription.answered(Status::SERVER_INTERNAL_ERROR, now).unwrap();
            assert_eq!(&*again.body, b"SIP/2.0 200 OK\r\n");
        }
        assert!(
            subscription
                .answered(Status::SERVER_INTERNAL_ERROR, now)
                .is_none()
        );
        assert!(subscription.is_over());
    }
}

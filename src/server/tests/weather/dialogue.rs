//! A subscription as one of its ends knows it (RFC 6665).

use super::plan::Life;
use crate::sip::{Method, Request, Response};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// What is going to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Say {
    News,
    /// The last NOTIFY.
    End,
    Renew,
    Leave,
}

#[derive(Debug, Default)]
pub(super) struct Dialogue {
    /// Of the request that began it.
    pub(super) ask: String,
    pub(super) call_id: String,
    pub(super) local: String,
    pub(super) remote: Option<String>,
    /// Ours, and the other's.
    pub(super) uris: (String, String),
    pub(super) target: String,
    pub(super) cseq: u32,
    /// The highest of the other.
    highest: u32,
    says: VecDeque<(Instant, Say)>,
    /// It says one thing at a time.
    pub(super) patient: bool,
    notifies: bool,
    expires: u32,
    until: Option<Instant>,
    /// Since when it is over.
    pub(super) ended: Option<Instant>,
    /// It is so because it was refused, or nobody answered.
    pub(super) failed: bool,
}

impl Dialogue {
    pub(super) fn new(call_id: &str, local: &str) -> Self {
        Self {
            call_id: call_id.to_owned(),
            local: local.to_owned(),
            cseq: 10,
            ..Self::default()
        }
    }
    /// Of who subscribes.
    pub(super) fn subscribes(&mut self, life: &Life, now: Instant) {
        self.patient = true;
        self.expires = life.expires;
        let renewals = life.renewed.iter().map(|after| (now + *after, Say::Renew));
        self.says = renewals
            .chain(life.left.map(|after| (now + after, Say::Leave)))
            .collect();
    }
    /// Of who notifies.
    pub(super) fn of_subscribe(request: &Request, local: &str, life: &Life, now: Instant) -> Self {
        let headers = &request.headers;
        let (from, to) = (headers.from().expect("checked"), headers.to().expect("checked"));
        let contact = headers.get("Contact").expect("a SUBSCRIBE has one").to_string();
        let mut says: Vec<_> = life.news.iter().map(|after| (now + *after, Say::News)).collect();
        // RFC 6665 §4.2.1.2: one at once.
        says.push((now, if life.expires == 0 { Say::End } else { Say::News }));
        if let Some(after) = life.ended {
            says.push((now + after, Say::End));
        }
        says.sort_by_key(|(at, _)| *at);
        let cseq = headers.cseq().expect("checked").number;
        Self {
            ask: headers.get("X-Id").unwrap_or_default().to_string(),
            remote: from.tag().map(|tag| tag.to_string()),
            uris: (to.uri.to_string(), from.uri.to_string()),
            target: contact
                .trim_start_matches('<')
                .split(['>', ';'])
                .next()
                .unwrap_or_default()
                .to_owned(),
            highest: cseq,
            says: says.into(),
            patient: life.patient,
            notifies: true,
            until: Some(now + Duration::from_secs(life.expires.into())),
            ..Self::new(&headers.call_id().expect("checked").to_string(), local)
        }
    }
    pub(super) fn is_notifier(&self) -> bool {
        self.notifies
    }
    /// When it has something to say; `waits`: something of its own is not answered.
    pub(super) fn due(&self, waits: bool) -> Option<Instant> {
        let next = self.says.front().map(|(at, _)| *at);
        let due = next.into_iter().chain(self.until).min();
        due.filter(|_| self.may_speak(waits))
    }
    fn may_speak(&self, waits: bool) -> bool {
        self.ended.is_none() && self.remote.is_some() && !(self.patient && waits)
    }
    /// What it says now: method and header fields.
    pub(super) fn next(&mut self, now: Instant, waits: bool) -> Option<(&'static str, String)> {
        if self.due(waits)? > now {
            return None;
        }
        let expired = self.until.is_some_and(|until| until <= now);
        let say = match self.says.pop_front_if(|(at, _)| *at <= now) {
            _ if expired => Say::End,
            Some((_, say)) => say,
            None => return None,
        };
        let event = "Event: presence\r\n";
        Some(match say {
            Say::News => ("NOTIFY", format!("{event}Subscription-State: active\r\n")),
            Say::End => {
                self.ended = Some(now);
                ("NOTIFY", format!("{event}Subscription-State: terminated\r\n"))
            }
            Say::Renew => ("SUBSCRIBE", format!("{event}Expires: {}\r\n", self.expires)),
            Say::Leave => ("SUBSCRIBE", format!("{event}Expires: 0\r\n")),
        })
    }
    pub(super) fn fails(&mut self, now: Instant) {
        self.failed |= self.ended.is_none();
        self.ended.get_or_insert(now);
    }
    /// What it asked is answered.
    pub(super) fn told(&mut self, method: &str, response: &Response, now: Instant) {
        let code = response.status.code();
        if code == 481 || (method == "SUBSCRIBE" && self.remote.is_none() && code >= 300) {
            return self.fails(now);
        }
        if method == "SUBSCRIBE" && code < 300 {
            let tag = response.headers.to().expect("checked").tag();
            self.remote = self.remote.take().or(tag.map(|tag| tag.to_string()));
        }
    }
    /// What is to be said to what comes inside of it (RFC 3261 §12.2.2, RFC 6665 §4.1.3, §4.2.1).
    pub(super) fn hears(&mut self, request: &Request, now: Instant) -> u16 {
        let headers = &request.headers;
        let peer = headers.from().expect("checked").tag().map(|tag| tag.to_string());
        let cseq = headers.cseq().expect("checked").number;
        if self.ended.is_some()
            || self
                .remote
                .as_ref()
                .is_some_and(|known| Some(known) != peer.as_ref())
        {
            return 481;
        }
        self.remote = peer;
        if cseq <= self.highest {
            return 500;
        }
        self.highest = cseq;
        match (&request.method, self.notifies) {
            (Method::Notify, false) => {
                let state = headers.get("Subscription-State").unwrap_or_default();
                if state.to_str().starts_with("terminated") {
                    self.ended = Some(now);
                }
                200
            }
            (Method::Subscribe, true) => {
                let expires = headers.get("Expires").unwrap_or_default().to_string();
                let seconds: u64 = expires.parse().expect("ours");
                self.until = (seconds > 0).then(|| now + Duration::from_secs(seconds));
                if seconds == 0 {
                    self.says.clear();
                }
                let say = if seconds == 0 { Say::End } else { Say::News };
                self.says.push_front((now, say));
                200
            }
            _ => 405,
        }
    }
    pub(super) fn is_of(&self, request: &Request) -> bool {
        let headers = &request.headers;
        let to = headers.to().ok().and_then(|to| to.tag());
        headers.call_id().is_ok_and(|id| id.to_str() == self.call_id)
            && to.is_some_and(|tag| tag.to_str() == self.local)
    }
}

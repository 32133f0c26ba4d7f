//! REFER (RFC 3515): who sends one hears what became of it, and who gets one says that. And digits in INFO.

use super::{Agent, client::Purpose, server::Answer};
use crate::{
    call::Input,
    media::{MediaEvent, StreamId},
    sip::{Headers, ReferTo, subscription},
    testing::Sim,
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// What becomes of a REFER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The far end calls, and is answered with this.
    Called(u16),
    /// The same, and nobody wants to know (RFC 4488).
    CalledInSilence(u16),
    /// The far end does not want to.
    Refused(u16),
}

/// A REFER of an agent, and what it was told of it.
#[derive(Clone, Debug)]
pub struct Referral {
    /// What is to become of it.
    pub outcome: Outcome,
    /// The answer to the REFER itself.
    pub answered: Option<u16>,
    /// What it was told.
    pub told: Vec<u16>,
    /// It has heard the last of it.
    pub over: bool,
    cseq: u32,
}

/// What an agent was asked to do, and has to tell of it.
#[derive(Debug)]
struct Errand {
    refer: u32,
    news: VecDeque<(Instant, u16)>,
}

/// Both.
#[derive(Debug, Default)]
pub(super) struct Referrals {
    sent: Vec<Referral>,
    errands: Vec<Errand>,
}

impl Referrals {
    pub(super) fn is_quiet(&self) -> bool {
        self.sent.iter().all(|referral| referral.over) && self.errands.is_empty()
    }
    /// One after the other: which of two was first would else be the weather's choice.
    pub(super) fn may_refer(&self) -> bool {
        self.sent.iter().all(|referral| referral.answered.is_some())
    }
    pub(super) fn due(&self) -> Option<Instant> {
        let news = self.errands.iter().filter_map(|errand| errand.news.front());
        news.map(|(at, _)| *at).min()
    }
}

impl Agent {
    /// Its REFERs.
    pub fn referrals(&self) -> &[Referral] {
        &self.referrals.sent
    }
    /// Its dialog, for whoever is to name it (RFC 3891).
    pub fn replaces(&self) -> String {
        let ours = self.remote.split(";tag=").nth(1).unwrap_or_default();
        format!("{};to-tag={ours};from-tag={}", self.call_id, self.tag)
    }
    pub(super) fn say_digit(&mut self, sim: &mut Sim, digit: char) {
        // Each has a length of its own, so that no two are alike.
        let body = format!("Signal={digit}\r\nDuration={}\r\n", 100 + self.cseq);
        self.facts.digits.insert(body.clone(), false);
        let kind = "Content-Type: application/dtmf-relay\r\n";
        self.request(sim, "INFO", kind, &body, Purpose::Digit(body.clone()));
    }
    pub(super) fn press(&mut self, sim: &mut Sim, event: u8) {
        let (side, stream) = (self.phone.side, StreamId(0));
        let sends = self.phone.views.first().is_some_and(|view| view.sends);
        let connect = sim.relay.side(side, stream.0);
        if sends && connect.is_some_and(|connect| connect.events.is_some()) {
            *self.facts.pressed.entry(event).or_default() += 1;
            sim.feed(Input::Media(MediaEvent::Digit { side, stream, event }));
        }
    }
    pub(super) fn refer(&mut self, sim: &mut Sim, outcome: Outcome) {
        let (user, sub) = match outcome {
            Outcome::Called(code) => (format!("carol.called-{code}"), ""),
            Outcome::CalledInSilence(code) => (format!("carol.called-{code}"), "Refer-Sub: false\r\n"),
            Outcome::Refused(code) => (format!("carol.refused-{code}"), ""),
        };
        let names = self.names.as_ref().map_or(String::new(), |named| {
            format!("?Replaces={}", named.replace(';', "%3B").replace('=', "%3D"))
        });
        let headers = format!("Refer-To: <sip:{user}@example.net{names}>\r\n{sub}");
        self.referrals.sent.push(Referral {
            outcome,
            answered: None,
            told: Vec::new(),
            over: false,
            cseq: self.cseq + 1,
        });
        self.request(sim, "REFER", &headers, "", Purpose::Refer);
    }
    pub(super) fn refer_answered(&mut self, cseq: u32, code: u16) {
        if let Some(sent) = self.referrals.sent.iter_mut().find(|sent| sent.cseq == cseq) {
            sent.answered = Some(code);
            sent.over |= code >= 300 || matches!(sent.outcome, Outcome::CalledInSilence(_));
        }
    }
    /// A NOTIFY.
    pub(super) fn notified(&mut self, sim: &mut Sim, at: usize) {
        let request = self.request_at(at);
        let Some(event) = subscription::Event::of(&request.headers) else {
            return self.respond(sim, at, Answer::code(489));
        };
        let id = event.id.map(|id| id.to_str().into_owned());
        // Only of the first one it needs no id (RFC 3515 §2.4.6); those that were refused have begun nothing.
        let taken = |sent: &&mut Referral| sent.answered.is_none_or(|code| code == 202);
        let known = self.referrals.sent.iter_mut().filter(taken).enumerate();
        let known = known
            .map(|(number, sent)| {
                let own = sent.cseq.to_string();
                (number, own, sent)
            })
            .find(|(number, own, _)| id.as_ref().map_or(*number == 0, |id| id == own));
        let Some((_, _, referral)) = known.filter(|(_, _, referral)| !referral.over) else {
            return self.respond(sim, at, Answer::code(481));
        };
        if let Some((status, _)) = subscription::status_of(&request.body) {
            referral.told.push(status.code());
        }
        let state = request.headers.get("Subscription-State").unwrap_or_default();
        referral.over = state.to_str().starts_with("terminated");
        self.respond(sim, at, Answer::code(200));
    }
    /// A REFER: what becomes of it is in the name of who is to be called.
    pub(super) fn referred(&mut self, sim: &mut Sim, at: usize) {
        let request = self.request_at(at);
        let target = ReferTo::of(&request.headers).expect("the server's own REFER");
        let target = target.target().to_string();
        let (_, user) = target.split_once("sip:").expect("a SIP URI");
        let (what, code) = user
            .split_once('@')
            .and_then(|(user, _)| user.split_once('-'))
            .expect("a test's own target");
        let code: u16 = code.parse().expect("a test's own target");
        if what == "carol.refused" {
            return self.respond(sim, at, Answer::code(code));
        }
        let silent = is_silent(&request.headers);
        let mut answer = Answer::code(202);
        if silent {
            answer.headers = "Refer-Sub: false\r\n".to_owned();
        }
        self.respond(sim, at, answer);
        if !silent {
            let rings = sim.now + Duration::from_millis(self.dice.below(1_500));
            let ends = rings + Duration::from_millis(self.dice.below(3_000));
            let news = [(sim.now, 100), (rings, 180), (ends, code)];
            self.referrals.errands.push(Errand {
                refer: request.headers.cseq().expect("CSeq").number,
                news: news.into(),
            });
        }
    }
    /// Tells what is new by now.
    pub(super) fn fire_news(&mut self, sim: &mut Sim) {
        let mut due = Vec::new();
        for errand in &mut self.referrals.errands {
            while errand.news.front().is_some_and(|(at, _)| *at <= sim.now) {
                due.extend(errand.news.pop_front().map(|(_, news)| (errand.refer, news)));
            }
        }
        for (refer, news) in due {
            let state = match news {
                100..200 => "active;expires=60",
                _ => "terminated;reason=noresource",
            };
            let headers = format!(
                "Event: refer;id={refer}\r\nSubscription-State: {state}\r\nContent-Type: message/sipfrag\r\n"
            );
            let body = format!("SIP/2.0 {news} so far\r\n");
            self.request(sim, "NOTIFY", &headers, &body, Purpose::News(refer, news));
        }
    }
    pub(super) fn news_answered(&mut self, now: Instant, refer: u32, news: u16, code: u16) {
        let errands = &mut self.referrals.errands;
        let Some(at) = errands.iter().position(|errand| errand.refer == refer) else {
            return;
        };
        match (news, code) {
            // Overtaken, or not; the last is told in any case.
            (100..200, 200 | 500) => {}
            // RFC 3261 §12.2.2: overtaken; said again, with a number of its own.
            (_, 500) => errands[at].news.push_back((now, news)),
            _ => {
                errands.remove(at);
            }
        }
    }
}

fn is_silent(headers: &Headers) -> bool {
    headers
        .get("Refer-Sub")
        .is_some_and(|text| text.to_str().starts_with("false"))
}

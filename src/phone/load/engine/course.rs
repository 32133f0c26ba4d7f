//! The course of a call: what both sides say, and what comes of it.

use super::{Call, Engine, FAULTS, Half, LOOK, Side, Voice, Wake};
use crate::phone::load::plan::{Fate, Media};
use crate::phone::session::Described;
use crate::phone::ua::Event;
use std::cmp::Reverse;
use std::time::Instant;

impl Engine {
    /// Takes what both sides have to say, sends what they have to send, and closes what is over.
    pub(super) fn settle(&mut self, number: u32, now: Instant) {
        let Some(mut call) = self.calls.remove(&number) else {
            return;
        };
        while let Some(event) = call.caller.ua.event() {
            self.caller_event(number, &mut call, event, now);
        }
        while let Some(event) = call.callee.as_mut().and_then(|callee| callee.ua.event()) {
            self.callee_event(number, &mut call, event, now);
        }
        while let Some((text, to)) = call.caller.ua.transmit() {
            self.send(Side::Caller, &text, to);
        }
        while let Some((text, to)) = call.callee.as_mut().and_then(|callee| callee.ua.transmit()) {
            self.send(Side::Callee, &text, to);
        }
        self.queue(number, Wake::Caller, &mut call.caller);
        if let Some(callee) = &mut call.callee {
            self.queue(number, Wake::Callee, callee);
        }
        let ended =
            call.caller.ua.has_ended() && call.callee.as_ref().is_none_or(|callee| callee.ua.has_ended());
        if ended && !call.closed {
            self.close(&mut call);
        }
        if ended && call.caller.ua.is_over() && call.callee.as_ref().is_none_or(|callee| callee.ua.is_over())
        {
            self.forget(&call);
        } else {
            self.calls.insert(number, call);
        }
    }

    fn queue(&mut self, number: u32, wake: Wake, half: &mut Half) {
        if let Some(at) = half.ua.poll_timeout()
            && half.queued.is_none_or(|queued| at < queued)
        {
            half.queued = Some(at);
            self.wakes.push(Reverse((at, number, wake)));
        } else if half.ua.poll_timeout().is_none() {
            half.queued = None;
        }
    }

    fn caller_event(&mut self, number: u32, call: &mut Call, event: Event, now: Instant) {
        match event {
            Event::Progress(180, _) => {
                self.ringing.push(now - call.placed);
                if call.fate == Fate::Cancelled && number.is_multiple_of(2) {
                    call.caller.ua.cancel(now);
                }
            }
            Event::Progress(..) => {}
            Event::Answered(body) => {
                self.answering.push(now - call.placed);
                self.summary.answered += 1;
                self.up += 1;
                self.summary.most_at_once = self.summary.most_at_once.max(self.up);
                call.answered = Some(now);
                let agreed = match self.run.media {
                    Media::Signalling => Ok(None),
                    _ => Described::read(&body.unwrap_or_default())
                        .and_then(|answer| call.caller.local.accept(&answer).map(Some)),
                };
                match agreed {
                    Ok(agreed) => {
                        let mut next = (now + self.run.hold, Wake::HangUp);
                        if let (Some(deck), Some(line), Some(agreed)) = (&self.deck, call.caller.line, agreed)
                        {
                            let us = Voice {
                                call: number,
                                side: Side::Caller,
                            };
                            // Where keys come after the answer, it is from then on that the call is held.
                            let later = self.run.media.agrees();
                            let told = deck.agree(line, us, agreed).and_then(|()| match later {
                                true => Ok(()),
                                false => deck.talk(line, true),
                            });
                            next = match later {
                                true => (now + LOOK, Wake::Speak),
                                false => (now + self.run.hold, Wake::Quiet),
                            };
                            if let Err(error) = told {
                                call.outcome = Some(Err(error.to_string()));
                            }
                        }
                        let (at, wake) = next;
                        self.wakes.push(Reverse((at, number, wake)));
                    }
                    Err(error) => {
                        call.outcome = Some(Err(error.to_string()));
                        call.caller.ua.hang_up(now);
                    }
                }
            }
            Event::Refused(status) => {
                let met = call.fate.is_met_by(status);
                call.outcome = Some(if met {
                    Ok(())
                } else {
                    Err(format!("{}: {status}", call.fate.name()))
                });
            }
            event => self.either_event(call, event, now),
        }
    }

    fn callee_event(&mut self, number: u32, call: &mut Call, event: Event, now: Instant) {
        match event {
            Event::Acknowledged => {
                if let (Some(deck), Some(line)) =
                    (&self.deck, call.callee.as_ref().and_then(|callee| callee.line))
                    && !self.run.media.agrees()
                {
                    let _ = deck.talk(line, true);
                }
            }
            Event::Cancelled if matches!(call.fate, Fate::Cancelled | Fate::Unanswered) => {}
            event => {
                let _ = number;
                self.either_event(call, event, now);
            }
        }
    }

    fn either_event(&mut self, call: &mut Call, event: Event, now: Instant) {
        let name = call.fate.name();
        match event {
            Event::Ended(200) => {
                call.outcome.get_or_insert(Ok(()));
            }
            Event::HungUp if call.hanging_up => {
                call.outcome.get_or_insert(Ok(()));
            }
            Event::HungUp => call.outcome = Some(Err(format!("{name}: hung up by the server"))),
            Event::Offered(_) => {
                call.outcome = Some(Err(format!("{name}: an offer that nobody asked for")));
                call.caller.ua.answer_invite(488, None, now);
                if let Some(callee) = &mut call.callee {
                    callee.ua.answer_invite(488, None, now);
                }
            }
            Event::Fault(what) => self.fault(what),
            event => call.outcome = Some(Err(format!("{name}: {event:?}"))),
        }
    }

    pub(super) fn fault(&mut self, what: String) {
        if self.summary.faults.len() < FAULTS {
            self.summary.faults.push(what);
        }
    }

    /// The call has ended on both sides.
    pub(super) fn close(&mut self, call: &mut Call) {
        call.closed = true;
        self.open -= 1;
        self.up -= u32::from(call.answered.is_some());
        let planned =
            call.answered.is_some() == (call.fate == Fate::Answered) || call.fate == Fate::Cancelled;
        match call.outcome.take() {
            Some(Ok(())) if planned => *self.summary.as_planned.entry(call.fate.name()).or_default() += 1,
            Some(Err(reason)) => *self.summary.failed.entry(reason).or_default() += 1,
            _ => {
                *self
                    .summary
                    .failed
                    .entry(format!("{}: ended otherwise", call.fate.name()))
                    .or_default() += 1
            }
        }
        for half in std::iter::once(&mut call.caller).chain(&mut call.callee) {
            if let (Some(deck), Some(line)) = (&self.deck, half.line.take()) {
                let _ = deck.close(line);
            }
        }
    }

    pub(super) fn forget(&mut self, call: &Call) {
        for (side, half) in [
            (Side::Caller, Some(&call.caller)),
            (Side::Callee, call.callee.as_ref()),
        ] {
            let Some(half) = half else { continue };
            let again = half.ua.again();
            self.summary.retransmissions.sent += again.sent;
            self.summary.retransmissions.seen += again.seen;
            self.by_call_id.remove(&(side, half.ua.call_id().to_owned()));
        }
    }
}

//! The requests that a phone gets (RFC 3261 §17.2) and the responses that it gives.

use super::message::{reason, respond};
use super::{Event, Inbound, Method, Repeat, State, Ua, timer};
use std::net::SocketAddr;
use std::time::Instant;

/// Replies kept for retransmissions. A call has few other requests than INVITE.
const REPLIES: usize = 4;

/// An INVITE or re-INVITE that came.
pub(super) struct Invited {
    invite: Inbound,
    from: SocketAddr,
    /// What was answered last.
    response: String,
    status: u16,
    /// Running from the final response to its ACK.
    repeat: Option<Repeat>,
}

impl Invited {
    pub(super) fn next(&self) -> Option<Instant> {
        self.repeat.as_ref().map(Repeat::next)
    }
}

impl Ua {
    pub(super) fn take_invite(&mut self, invite: Inbound, from: SocketAddr, now: Instant) {
        self.invited = Some(Invited {
            invite,
            from,
            response: String::new(),
            status: 0,
            repeat: None,
        });
        self.answer_invite(100, None, now);
    }

    /// Answers the INVITE that is open: 180, 183 with or without a session, 200 with one, or a refusal.
    /// Does nothing when no INVITE is open, since it was cancelled meanwhile.
    pub fn answer_invite(&mut self, status: u16, body: Option<&str>, now: Instant) {
        let Some(invited) = self.invited.as_mut().filter(|invited| invited.status < 200) else {
            return;
        };
        // 100 makes no dialog and has no tag (§8.2.6.2).
        let tag = Some(self.token.as_str()).filter(|_| status > 100);
        let contact = Some((self.me.user.as_str(), self.me.at)).filter(|_| (101..300).contains(&status));
        invited.response = respond(&invited.invite, (status, reason(status)), tag, contact, body);
        invited.status = status;
        self.transmits.push_back((invited.response.clone(), invited.from));
        if status >= 200 {
            invited.repeat = Some(Repeat::new(timer::T2, now));
            match (self.state, status) {
                (State::Early, 200..=299) => self.state = State::Confirmed,
                (State::Early, _) => self.state = State::Over,
                _ => {}
            }
        }
    }

    pub(super) fn take_request(&mut self, request: Inbound, from: SocketAddr, now: Instant) {
        match request.cseq.1 {
            Method::Invite => self.another_invite(request, from, now),
            Method::Ack => self.acknowledged(&request, now),
            method => {
                let before = |(branch, kept, _): &&(String, Method, String)| {
                    *branch == request.branch && *kept == method
                };
                if let Some((_, _, text)) = self.replies.iter().find(before) {
                    self.again.seen += 1;
                    self.again.sent += 1;
                    self.transmits.push_back((text.clone(), from));
                    return;
                }
                let status = match method {
                    Method::Bye if self.state == State::Early && self.invited.is_none() => 481,
                    Method::Bye | Method::Options => 200,
                    Method::Cancel
                        if self
                            .invited
                            .as_ref()
                            .is_some_and(|i| i.invite.branch == request.branch) =>
                    {
                        200
                    }
                    Method::Cancel => 481,
                    _ => 501,
                };
                let text = respond(&request, (status, reason(status)), Some(&self.token), None, None);
                self.transmits.push_back((text.clone(), from));
                self.replies.truncate(REPLIES - 1);
                self.replies.insert(0, (request.branch.clone(), method, text));
                if status == 200 && method != Method::Options {
                    self.stopped(method, now);
                }
            }
        }
    }

    /// BYE or CANCEL was accepted: what is still open ends with it.
    fn stopped(&mut self, method: Method, now: Instant) {
        let open = self.invited.as_ref().is_some_and(|invited| invited.status < 200);
        let was_over = self.state == State::Over;
        if open {
            self.answer_invite(487, None, now);
        }
        match method {
            Method::Cancel if open && !was_over => self.events.push_back(Event::Cancelled),
            // CANCEL has no effect on what was answered already (§9.2).
            Method::Cancel => return,
            // Both hung up at once: our own BYE tells the end.
            _ if was_over => {}
            _ => self.events.push_back(Event::HungUp),
        }
        if method == Method::Bye {
            // Whoever hangs up has our answer, and will not acknowledge it any more.
            if let Some(invited) = self
                .invited
                .as_mut()
                .filter(|invited| (200..300).contains(&invited.status))
            {
                invited.repeat = None;
            }
        }
        self.end(now);
    }

    fn another_invite(&mut self, request: Inbound, from: SocketAddr, now: Instant) {
        if let Some(invited) = self
            .invited
            .as_ref()
            .filter(|invited| invited.invite.branch == request.branch)
        {
            self.again.seen += 1;
            if !invited.response.is_empty() {
                self.again.sent += 1;
                self.transmits.push_back((invited.response.clone(), from));
            }
            return;
        }
        let ours_open = self.clients.iter().any(|client| {
            client.method == Method::Invite && !matches!(client.phase, super::Phase::Completed { .. })
        });
        let theirs_open = self.invited.as_ref().is_some_and(|invited| invited.status < 200);
        if self.state != State::Confirmed || theirs_open {
            let text = respond(&request, (481, reason(481)), Some(&self.token), None, None);
            self.transmits.push_back((text, from));
            self.fault(format!("{}: an INVITE where none may be", request.start));
            return;
        }
        if let Some(target) = request.contact() {
            self.target = target;
            self.find_hop();
        }
        let body = request.body().map(<[u8]>::to_vec);
        self.take_invite(request, from, now);
        if ours_open {
            // Both at once (§14.2).
            self.answer_invite(491, None, now);
        } else {
            self.events.push_back(Event::Offered(body));
        }
    }

    fn acknowledged(&mut self, ack: &Inbound, now: Instant) {
        let Some(invited) = self
            .invited
            .as_mut()
            .filter(|invited| invited.invite.cseq.0 == ack.cseq.0)
        else {
            self.fault(format!("{}: an ACK of nothing", ack.start));
            return;
        };
        if invited.repeat.take().is_none() {
            self.again.seen += 1;
        } else if invited.status < 300 {
            self.events.push_back(Event::Acknowledged);
        } else if self.state == State::Over {
            self.end(now);
        }
    }

    pub(super) fn run_invited(&mut self, now: Instant) {
        let Some(invited) = &mut self.invited else { return };
        let Some(repeat) = &mut invited.repeat else { return };
        match repeat.due(now) {
            Ok(false) => {}
            Ok(true) => {
                self.again.sent += 1;
                self.transmits.push_back((invited.response.clone(), invited.from));
            }
            Err(()) => {
                invited.repeat = None;
                self.events.push_back(Event::TimedOut(Method::Ack));
                // §13.3.1.4: an answer that nobody acknowledges is followed by BYE.
                self.hang_up(now);
            }
        }
    }
}

//! The requests that a phone sends (RFC 3261 §17.1) and the responses that it gets.

use super::{Again, Event, Inbound, Method, Repeat, State, Ua, timer};
use std::net::SocketAddr;
use std::time::Instant;

/// Where a request of ours stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// Nobody has answered: it is sent again and again.
    Calling(Repeat),
    /// A provisional response came; of an INVITE nothing is sent again.
    Proceeding(Option<Repeat>),
    /// A final response came; kept for its retransmissions, with the ACK of a refused INVITE.
    Completed { until: Instant, ack: Option<String> },
}

/// A request of ours.
pub(super) struct Client {
    pub(super) method: Method,
    cseq: u32,
    branch: String,
    text: String,
    to: SocketAddr,
    pub(super) phase: Phase,
    /// The INVITE is to be cancelled as soon as anything provisional was heard (§9.1).
    pub(super) cancel: bool,
}

impl Client {
    pub(super) fn next(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Calling(repeat) | Phase::Proceeding(Some(repeat)) => Some(repeat.next()),
            Phase::Proceeding(None) => None,
            Phase::Completed { until, .. } => Some(*until),
        }
    }
}

impl Ua {
    /// Sends a new request with the next number.
    pub(super) fn request(&mut self, method: Method, body: Option<&str>, now: Instant) {
        self.cseq += 1;
        let branch = format!("z9hG4bK{}.{}", self.token, self.cseq);
        let text = self.print(method, self.cseq, &branch, &self.route, body);
        self.start(method, self.cseq, branch, text, self.hop, now);
    }

    fn start(
        &mut self,
        method: Method,
        cseq: u32,
        branch: String,
        text: String,
        to: SocketAddr,
        now: Instant,
    ) {
        self.transmits.push_back((text.clone(), to));
        // Timer A doubles without end (§17.1.1.2), timer E up to T2 (§17.1.2.2).
        let ceiling = if method == Method::Invite {
            timer::GIVE_UP
        } else {
            timer::T2
        };
        let phase = Phase::Calling(Repeat::new(ceiling, now));
        self.clients.push(Client {
            method,
            cseq,
            branch,
            text,
            to,
            phase,
            cancel: false,
        });
    }

    /// Gives up a call that was not answered yet.
    pub fn cancel(&mut self, now: Instant) {
        let early = self.state == State::Early;
        let Some(invite) = self
            .clients
            .iter_mut()
            .find(|client| early && client.method == Method::Invite)
        else {
            return;
        };
        invite.cancel = true;
        if matches!(invite.phase, Phase::Proceeding(_)) {
            let (cseq, branch, to) = (invite.cseq, invite.branch.clone(), invite.to);
            self.send_cancel(cseq, branch, to, now);
        }
    }

    fn send_cancel(&mut self, cseq: u32, branch: String, to: SocketAddr, now: Instant) {
        // §9.1: the same Request-URI, branch, number, From and To, the latter without a tag that came since.
        let text = self.print(Method::Cancel, cseq, &branch, &self.route, None);
        self.start(Method::Cancel, cseq, branch, text, to, now);
    }

    pub(super) fn take_response(&mut self, response: &Inbound, now: Instant) {
        let status = response.status().expect("the caller looked");
        let mine = |client: &Client| client.branch == response.branch && client.method == response.cseq.1;
        let Some(index) = self.clients.iter().position(mine) else {
            // A 2xx is repeated until its ACK arrives, also after its transaction (§13.2.2.4).
            match &self.ack {
                // A provisional response that its 2xx has overtaken.
                Some((cseq, ..)) if *cseq == response.cseq.0 && status < 200 => self.again.seen += 1,
                Some((cseq, text, to)) if *cseq == response.cseq.0 && response.cseq.1 == Method::Invite => {
                    self.transmits.push_back((text.clone(), *to));
                    self.again = Again {
                        sent: self.again.sent + 1,
                        seen: self.again.seen + 1,
                    };
                }
                _ => self.fault(format!(
                    "{}: a response to nothing that was asked",
                    response.start
                )),
            }
            return;
        };
        if let Phase::Completed { ack, .. } = &self.clients[index].phase {
            self.again.seen += 1;
            if let Some(ack) = ack.clone() {
                self.again.sent += 1;
                self.transmits.push_back((ack, self.clients[index].to));
            }
            return;
        }
        match (self.clients[index].method, status) {
            (Method::Invite, 100..=199) => self.invite_progressed(index, status, response, now),
            (Method::Invite, 200..=299) => self.invite_accepted(index, response, now),
            (Method::Invite, _) => self.invite_refused(index, status, response, now),
            (_, 100..=199) => {
                // §17.1.2.2: it is still sent again, every T2.
                if let Phase::Calling(mut repeat) =
                    std::mem::replace(&mut self.clients[index].phase, Phase::Proceeding(None))
                {
                    repeat.interval = timer::T2;
                    self.clients[index].phase = Phase::Proceeding(Some(repeat));
                }
            }
            (method, _) => {
                self.clients[index].phase = Phase::Completed {
                    until: now + timer::T4,
                    ack: None,
                };
                if method == Method::Bye {
                    self.events.push_back(Event::Ended(status));
                    self.end(now);
                } else if method == Method::Cancel && status != 200 {
                    self.fault(format!("{}: to a CANCEL", response.start));
                }
            }
        }
    }

    fn invite_progressed(&mut self, index: usize, status: u16, response: &Inbound, now: Instant) {
        let invite = &mut self.clients[index];
        let first = matches!(invite.phase, Phase::Calling(_));
        invite.phase = Phase::Proceeding(None);
        if first && invite.cancel {
            let (cseq, branch, to) = (invite.cseq, invite.branch.clone(), invite.to);
            self.send_cancel(cseq, branch, to, now);
        }
        if status > 100 {
            self.events
                .push_back(Event::Progress(status, response.body().map(<[u8]>::to_vec)));
        }
    }

    fn invite_accepted(&mut self, index: usize, response: &Inbound, now: Instant) {
        // The transaction is over with the 2xx (§17.1.1.2): what comes again is for the ACK below.
        let invite = self.clients.remove(index);
        if self.state == State::Early {
            self.make_dialog(response);
        } else if let Some(target) = response.contact() {
            self.target = target;
            self.find_hop();
        }
        let branch = format!("z9hG4bK{}.{}.ack", self.token, invite.cseq);
        let ack = self.print(Method::Ack, invite.cseq, &branch, &self.route, None);
        self.transmits.push_back((ack.clone(), self.hop));
        self.ack = Some((invite.cseq, ack, self.hop));
        if self.state == State::Early {
            self.state = State::Confirmed;
        }
        self.events
            .push_back(Event::Answered(response.body().map(<[u8]>::to_vec)));
        if invite.cancel {
            // The answer crossed our CANCEL (§9.1): we do not want the call any more.
            self.hang_up(now);
        }
    }

    /// RFC 3261 §12.1.2.
    fn make_dialog(&mut self, response: &Inbound) {
        match (&response.to_tag, response.contact()) {
            (Some(tag), Some(target)) => {
                self.remote = format!("{};tag={tag}", self.remote);
                self.target = target;
                self.route = response.record_route();
                self.route.reverse();
                self.find_hop();
            }
            _ => self.fault(format!(
                "{}: without a tag, or without a Contact that rsip can read",
                response.start
            )),
        }
    }

    fn invite_refused(&mut self, index: usize, status: u16, response: &Inbound, now: Instant) {
        let (cseq, branch) = (self.clients[index].cseq, self.clients[index].branch.clone());
        // §17.1.1.3: the ACK has the To of the response, so with the tag that it may have brought.
        let plain = self.remote.clone();
        if let (State::Early, Some(tag)) = (self.state, &response.to_tag) {
            self.remote = format!("{plain};tag={tag}");
        }
        let ack = self.print(Method::Ack, cseq, &branch, &self.route, None);
        self.remote = plain;
        self.transmits.push_back((ack.clone(), self.clients[index].to));
        // Timer D is 32 s for a network; what we wait for is retransmissions by one that is near.
        self.clients[index].phase = Phase::Completed {
            until: now + timer::T4,
            ack: Some(ack),
        };
        self.events.push_back(Event::Refused(status));
        if self.state == State::Early {
            self.end(now);
        }
    }

    pub(super) fn run_clients(&mut self, now: Instant) {
        let mut lost = Vec::new();
        let (transmits, again) = (&mut self.transmits, &mut self.again);
        self.clients.retain_mut(|client| match &mut client.phase {
            Phase::Completed { until, .. } => now < *until,
            Phase::Proceeding(None) => true,
            Phase::Calling(repeat) | Phase::Proceeding(Some(repeat)) => match repeat.due(now) {
                Ok(due) => {
                    if due {
                        again.sent += 1;
                        transmits.push_back((client.text.clone(), client.to));
                    }
                    true
                }
                Err(()) => {
                    lost.push(client.method);
                    false
                }
            },
        });
        for method in lost {
            self.events.push_back(Event::TimedOut(method));
            self.end(now);
        }
    }

    /// Forgets an INVITE that nobody will answer: a phone whose user has given up on it.
    pub fn abandon(&mut self) {
        self.clients.clear();
        self.invited = None;
        self.linger = None;
        self.state = State::Over;
    }
}

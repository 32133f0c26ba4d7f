//! One call as one phone sees it: a small user agent over UDP (RFC 3261), without socket and clock.
//!
//! Its transactions follow RFC 3261 §17 in the one table of `timer`, and are otherwise plain: one INVITE at a
//! time in each direction, loose routing only, no forks, no digest. What the far end says arrives by
//! [`Ua::handle`], what the phone wants by the verbs; then drain [`Ua::transmit`] and [`Ua::event`], and come
//! back at [`Ua::poll_timeout`].

mod client;
mod server;

use super::message::{self, Inbound, Outline};
use client::{Client, Phase};
use rsip::{Method, SipMessage, Uri};
use server::Invited;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// RFC 3261 §17.1.1.1, and the table of appendix A.
pub(super) mod timer {
    use std::time::Duration;
    /// The round trip that is assumed.
    pub(crate) const T1: Duration = Duration::from_millis(500);
    /// The longest interval between retransmissions but of an INVITE.
    pub(crate) const T2: Duration = Duration::from_secs(4);
    /// How long a message may stay in the network. For so long we answer stragglers of a call that is over,
    /// and not for the 32 s of Timer J: after that they hear 481, which ends their transaction as well.
    pub(crate) const T4: Duration = Duration::from_secs(5);
    /// Timers B, F and H, and how long a 2xx waits for its ACK.
    pub(crate) const GIVE_UP: Duration = Duration::from_secs(32);
}

/// Which phone it is.
#[derive(Clone, Debug)]
pub struct Me {
    /// The user of its Contact and of its address of record.
    pub user: String,
    /// Where it listens.
    pub at: SocketAddr,
    /// Everything goes here, whatever routes and contacts say: an outbound proxy. Else phones follow them.
    pub proxy: Option<SocketAddr>,
}

/// What happened to the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A provisional response but 100, with its session description.
    Progress(u16, Option<Vec<u8>>),
    /// Our INVITE or re-INVITE was accepted. The ACK is on its way.
    Answered(Option<Vec<u8>>),
    /// Our INVITE or re-INVITE was refused with this status.
    Refused(u16),
    /// A re-INVITE came: answer or refuse it.
    Offered(Option<Vec<u8>>),
    /// The ACK for our 2xx came.
    Acknowledged,
    /// The caller gave up before we answered.
    Cancelled,
    /// The far end hung up.
    HungUp,
    /// Our BYE was answered with this status.
    Ended(u16),
    /// Nobody answered this request, or nobody acknowledged our answer to it.
    TimedOut(Method),
    /// The far end did what it must not.
    Fault(String),
}

/// How often anything was sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Again {
    /// By us.
    pub sent: u64,
    /// By the far end.
    pub seen: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the 2xx, in either direction.
    Early,
    /// After it.
    Confirmed,
    /// After BYE, failure or cancellation.
    Over,
}

/// One call as one phone sees it.
pub struct Ua {
    me: Me,
    call_id: String,
    /// Unique: our tag, and the stem of our branches.
    token: String,
    /// Our and the far end's value of `From` or `To`.
    local: String,
    remote: String,
    /// Where the far end wants requests, by which proxies, and what that means on the wire.
    target: Uri,
    route: Vec<Uri>,
    hop: SocketAddr,
    /// The last sequence numbers.
    cseq: u32,
    state: State,
    clients: Vec<Client>,
    /// The ACK of the last 2xx, for its retransmissions.
    ack: Option<(u32, String, SocketAddr)>,
    invited: Option<Invited>,
    /// What was answered to other requests, by branch, for their retransmissions.
    replies: Vec<(String, Method, String)>,
    linger: Option<Instant>,
    again: Again,
    transmits: VecDeque<(String, SocketAddr)>,
    events: VecDeque<Event>,
}

impl Ua {
    /// Places a call to `target` by way of `hop`; `to` is the callee's address of record. `token` must be unique.
    pub fn place(
        me: Me,
        (to, target): (&str, Uri),
        hop: SocketAddr,
        token: &str,
        offer: Option<&str>,
        now: Instant,
    ) -> Self {
        let call_id = format!("{token}@phone.invalid");
        let local = format!("<sip:{}@{}>;tag={token}", me.user, me.at.ip());
        let mut ua = Self::new(me, call_id, token, (local, format!("<{to}>")), target, hop);
        ua.request(Method::Invite, offer, now);
        ua
    }

    /// Takes an INVITE that begins a call. 100 goes out at once; ring, answer or refuse it next.
    ///
    /// # Errors
    /// [`super::Error::Message`] if it is no INVITE, or has no Contact to send requests to.
    pub fn invited(
        me: Me,
        invite: Inbound,
        from: SocketAddr,
        token: &str,
        now: Instant,
    ) -> Result<Self, super::Error> {
        let SipMessage::Request(request) = &invite.message else {
            return Err(super::Error::Message(format!(
                "{}: expected an INVITE",
                invite.start
            )));
        };
        let header = |wanted: &str| {
            request.headers.iter().find_map(|header| match header {
                rsip::Header::From(value) if wanted == "From" => Some(value.to_string()),
                rsip::Header::To(value) if wanted == "To" => Some(value.to_string()),
                _ => None,
            })
        };
        let value = |name: &str| {
            let line = header(name)?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let missing = |what: &str| super::Error::Message(format!("{}: no {what}", invite.start));
        let remote = value("From").ok_or_else(|| missing("From"))?;
        let local = format!("{};tag={token}", value("To").ok_or_else(|| missing("To"))?);
        let target = invite
            .contact()
            .ok_or_else(|| missing("Contact that rsip can read"))?;
        let mut ua = Self::new(me, invite.call_id.clone(), token, (local, remote), target, from);
        // RFC 3261 §12.1.1: the callee's route set is in the order of the headers.
        ua.route = invite.record_route();
        ua.find_hop();
        ua.take_invite(invite, from, now);
        Ok(ua)
    }

    fn new(
        me: Me,
        call_id: String,
        token: &str,
        (local, remote): (String, String),
        target: Uri,
        hop: SocketAddr,
    ) -> Self {
        Self {
            hop: me.proxy.unwrap_or(hop),
            me,
            call_id,
            token: token.to_owned(),
            local,
            remote,
            target,
            route: Vec::new(),
            cseq: 0,
            state: State::Early,
            clients: Vec::new(),
            ack: None,
            invited: None,
            replies: Vec::new(),
            linger: None,
            again: Again::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Where requests go next: the first route, else the target, if we can read it; else where it all began.
    fn find_hop(&mut self) {
        if self.me.proxy.is_none()
            && let Some(hop) = message::address(self.route.first().unwrap_or(&self.target))
        {
            self.hop = hop;
        }
    }

    /// `Call-ID`, by which datagrams are told apart.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// A message of this call arrived.
    pub fn handle(&mut self, inbound: Inbound, from: SocketAddr, now: Instant) {
        if inbound.status().is_some() {
            self.take_response(&inbound, now);
        } else {
            self.take_request(inbound, from, now);
        }
    }

    /// Hangs up an answered call.
    pub fn hang_up(&mut self, now: Instant) {
        if self.state == State::Confirmed {
            self.state = State::Over;
            self.request(Method::Bye, None, now);
        }
    }

    /// Offers another session in an answered call (re-INVITE).
    pub fn reoffer(&mut self, offer: &str, now: Instant) {
        if self.state == State::Confirmed {
            self.request(Method::Invite, Some(offer), now);
        }
    }

    /// When [`Ua::handle_timeout`] is due. None: the call is over and may be forgotten, or nothing is awaited.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let clients = self.clients.iter().filter_map(Client::next);
        clients
            .chain(self.invited.as_ref().and_then(Invited::next))
            .chain(self.linger)
            .min()
    }

    /// Whether nothing will come of this call any more.
    pub fn is_over(&self) -> bool {
        self.state == State::Over && self.linger.is_none() && self.poll_timeout().is_none()
    }

    /// Whether the call has ended, for better or worse; stragglers may still come.
    pub fn has_ended(&self) -> bool {
        self.state == State::Over
    }

    /// What is due now is done.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.run_clients(now);
        self.run_invited(now);
        if self.linger.is_some_and(|at| at <= now) {
            self.linger = None;
        }
    }

    /// The next datagram to send.
    pub fn transmit(&mut self) -> Option<(String, SocketAddr)> {
        self.transmits.pop_front()
    }

    /// The next thing that happened.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// How often anything was sent again so far.
    pub fn again(&self) -> Again {
        self.again
    }

    fn end(&mut self, now: Instant) {
        self.state = State::Over;
        self.linger = Some(now + timer::T4);
    }

    /// Prints a request of this call. CANCEL and the ACK of a refusal bring their INVITE's number and branch.
    fn print(&self, method: Method, cseq: u32, branch: &str, route: &[Uri], body: Option<&str>) -> String {
        Outline {
            method,
            uri: &self.target,
            at: self.me.at,
            user: &self.me.user,
            branch,
            route,
            from: &self.local,
            to: &self.remote,
            call_id: &self.call_id,
            cseq,
            body,
        }
        .print()
    }

    fn fault(&mut self, what: String) {
        self.events.push_back(Event::Fault(what));
    }
}

/// Sends again at growing intervals until it is stopped or too late.
#[derive(Clone, Debug)]
struct Repeat {
    at: Instant,
    interval: Duration,
    ceiling: Duration,
    until: Instant,
}

impl Repeat {
    fn new(ceiling: Duration, now: Instant) -> Self {
        Self {
            at: now + timer::T1,
            interval: timer::T1,
            ceiling,
            until: now + timer::GIVE_UP,
        }
    }

    fn next(&self) -> Instant {
        self.at.min(self.until)
    }

    /// Whether it is too late (an error), time to send again, or neither.
    fn due(&mut self, now: Instant) -> Result<bool, ()> {
        if now >= self.until {
            return Err(());
        }
        if now < self.at {
            return Ok(false);
        }
        self.interval = (self.interval * 2).min(self.ceiling);
        self.at = now + self.interval;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;

//! Who is called: one agent, or several behind a proxy that forks (RFC 3261 §16).

use crate::{
    sip::{
        Message, Method, Request, Status,
        routing::TransactionKey,
        timers::Timers,
        transaction::{Fired, ServerInvite},
    },
    testing::{
        Act, Agent, Sim, Who,
        agent::{Phase, response},
    },
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// What becomes of an INVITE at one of the addresses of who is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// Nobody is there.
    Silence,
    /// A final response, such as 503.
    Refusal(u16),
    /// 401: who does not answer it well is refused with 403.
    Challenge,
    /// The forks hear of it.
    Proceed,
}

/// What a fork says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// 180
    Ring,
    /// 183 with an answer.
    Early,
    /// 200
    Answer,
    /// A refusal; the proxy passes on the first one when all have refused.
    Refuse(u16),
}

/// One agent and what it says, so long after the INVITE.
#[derive(Debug)]
pub struct Fork {
    /// The agent.
    pub agent: Agent,
    /// What it says.
    pub says: Vec<(Duration, Say)>,
}

/// All who are called.
#[derive(Debug)]
pub struct Callee {
    who: Who,
    /// They.
    pub forks: Vec<Fork>,
    /// What INVITEs meet at the first address, at the next port, and so on.
    pub greetings: Vec<Greeting>,
    /// How many INVITEs were challenged, and how many answered the challenge.
    pub challenged: (u32, u32),
    /// How many were refused, or not answered, at the door.
    pub turned_away: u32,
    /// How many were cancelled.
    pub cancelled: u32,
    invitations: Vec<Invitation>,
    /// What is done once somebody has answered.
    waiting: VecDeque<Act>,
    /// All of them want to hang up.
    leaves: bool,
}

/// The server transaction of an INVITE that begins a call.
#[derive(Debug)]
struct Invitation {
    who: Who,
    key: TransactionKey,
    request: Request,
    machine: ServerInvite,
    silent: bool,
    says: VecDeque<(Instant, usize, Say)>,
    refused: usize,
    answered: Option<Instant>,
    refusal: Option<(u16, Bytes)>,
}

/// The proxy stops the other forks so long after the first 2xx.
const CANCELS: Duration = Duration::from_millis(40);
const NONCE: &str = "f84f1cec41e6cbe5aea9c8e88d359";

impl Callee {
    /// Those who are called.
    pub fn new(forks: Vec<Fork>, greetings: &[Greeting]) -> Self {
        Self {
            who: forks.first().map_or(Who::B, |fork| fork.agent.who),
            forks,
            greetings: greetings.to_vec(),
            challenged: (0, 0),
            turned_away: 0,
            cancelled: 0,
            invitations: Vec::new(),
            waiting: VecDeque::new(),
            leaves: false,
        }
    }
    /// Who is in the call, or was; the first where nobody is.
    pub fn party(&self) -> &Agent {
        let up = self.forks.iter().find(|fork| fork.agent.phase == Phase::Up);
        &up.unwrap_or(&self.forks[0]).agent
    }
    pub(super) fn act(&mut self, sim: &mut Sim, act: Act) {
        if act == Act::Vanish {
            self.forks.iter_mut().for_each(|fork| fork.agent.act(sim, act));
            self.greetings.clear();
            return self.invitations.clear();
        }
        self.waiting.push_back(act);
        self.go_on(sim);
    }
    fn go_on(&mut self, sim: &mut Sim) {
        let mut up = self.forks.iter_mut().filter(|fork| fork.agent.phase == Phase::Up);
        if self.leaves {
            // Whichever of them won.
            return up.for_each(|fork| {
                fork.agent.leave(sim);
            });
        }
        if let Some(fork) = up.next() {
            while let Some(act) = self.waiting.pop_front() {
                if act == Act::Bye {
                    self.leaves = true;
                    return self.go_on(sim);
                }
                fork.agent.act(sim, act);
            }
        }
    }
    /// How many have answered and were not hung up.
    pub fn up(&self) -> usize {
        let up = |fork: &&Fork| fork.agent.phase == Phase::Up;
        self.forks.iter().filter(up).count()
    }
    pub(super) fn due(&self) -> Option<Instant> {
        let agents = self.forks.iter().filter_map(|fork| fork.agent.due()).min();
        let own = self.invitations.iter().filter_map(|invitation| {
            let says = invitation.says.front().map(|(at, ..)| *at);
            [says, invitation.machine.poll_timeout()]
                .into_iter()
                .flatten()
                .min()
        });
        [agents, own.min()].into_iter().flatten().min()
    }
    pub(super) fn react(&mut self, sim: &mut Sim) {
        for message in std::mem::take(&mut sim.party(self.who).inbox) {
            match &message {
                Message::Request(request) => self.requested(sim, request, &message),
                Message::Response(response) => {
                    let tag = response.headers.from().ok().and_then(|from| from.tag());
                    if let Some(fork) = self.tagged(tag) {
                        fork.agent.receive(sim, &message);
                    }
                }
            }
        }
    }
    fn tagged(&mut self, tag: Option<crate::sip::Text>) -> Option<&mut Fork> {
        let tag = tag?.to_str().into_owned();
        self.forks.iter_mut().find(|fork| fork.agent.tag() == tag)
    }
    fn requested(&mut self, sim: &mut Sim, request: &Request, message: &Message) {
        let key = TransactionKey::of(request).expect("a request of the server");
        let known = self.invitations.iter_mut().find(|known| known.key == key);
        match (known, &request.method) {
            (Some(known), Method::Invite) => {
                if let Some(bytes) = known.machine.receive_invite().filter(|_| !known.silent) {
                    sim.send(self.who, bytes);
                }
            }
            (Some(known), Method::Ack) => {
                known.machine.receive_ack(sim.now);
            }
            (Some(known), Method::Cancel) if !known.silent => {
                sim.send(self.who, response(request, Status::OK, Some("proxy"), "", ""));
                if known.machine.is_pending() {
                    self.cancelled += 1;
                    known.says.clear();
                    let bytes = response(&known.request, Status::REQUEST_TERMINATED, Some("proxy"), "", "");
                    known.respond(sim, Status::REQUEST_TERMINATED, bytes);
                }
            }
            (Some(_), _) => {}
            (None, method) => {
                let tag = request.headers.to().ok().and_then(|to| to.tag());
                match (self.tagged(tag.clone()), method) {
                    (Some(fork), _) => fork.agent.receive(sim, message),
                    (None, Method::Invite) if tag.is_none() => self.invited(sim, request, key),
                    (None, Method::Ack) => {}
                    (None, _) => {
                        let bytes = response(request, Status::CALL_DOES_NOT_EXIST, None, "", "");
                        sim.send(self.who, bytes);
                    }
                }
            }
        }
    }
    fn invited(&mut self, sim: &mut Sim, invite: &Request, key: TransactionKey) {
        let mut invitation = Invitation {
            who: self.who,
            key,
            request: invite.clone(),
            machine: ServerInvite::new(false, Timers::default()),
            silent: false,
            says: VecDeque::new(),
            refused: 0,
            answered: None,
            refusal: None,
        };
        let door = usize::from(
            sim.reached
                .port()
                .saturating_sub(sim.party(self.who).address.port()),
        );
        let greeting = self.greetings.get(door).copied().unwrap_or(Greeting::Silence);
        let refuse = |invitation: &mut Invitation, sim: &mut Sim, code: u16, headers: &str| {
            let status = Status::new(code).expect("a test's own status");
            let bytes = response(invite, status, Some("proxy"), headers, "");
            invitation.respond(sim, status, bytes);
        };
        match greeting {
            Greeting::Silence => {
                self.turned_away += 1;
                invitation.silent = true;
            }
            Greeting::Refusal(code) => {
                self.turned_away += 1;
                refuse(&mut invitation, sim, code, "");
            }
            Greeting::Challenge => match invite.headers.get("Authorization") {
                Some(said) if said.to_str().contains(NONCE) => {
                    self.challenged.1 += 1;
                    self.proceed(sim, &mut invitation);
                }
                Some(_) => refuse(&mut invitation, sim, 403, ""),
                None => {
                    self.challenged.0 += 1;
                    let header =
                        format!("WWW-Authenticate: Digest realm=\"example.org\", nonce=\"{NONCE}\"\r\n");
                    refuse(&mut invitation, sim, 401, &header);
                }
            },
            Greeting::Proceed => self.proceed(sim, &mut invitation),
        }
        self.invitations.push(invitation);
    }
    fn proceed(&mut self, sim: &mut Sim, invitation: &mut Invitation) {
        // From here on all that is said to leg B's peer goes to where it is.
        sim.targets = None;
        let bytes = response(&invitation.request, Status::TRYING, None, "", "");
        invitation.respond(sim, Status::TRYING, bytes);
        let mut says = Vec::new();
        for (at, fork) in self.forks.iter_mut().enumerate() {
            fork.agent.invited(&invitation.request);
            says.extend(fork.says.iter().map(|(after, say)| (sim.now + *after, at, *say)));
        }
        says.sort_by_key(|(at, ..)| *at);
        invitation.says = says.into();
    }
    pub(super) fn tick(&mut self, sim: &mut Sim) {
        for invitation in &mut self.invitations {
            while let Some(fired) = invitation.machine.fire(sim.now) {
                match fired {
                    Fired::Send(bytes) => sim.send(self.who, bytes),
                    Fired::TimedOut => {}
                }
            }
            while invitation.says.front().is_some_and(|(at, ..)| *at <= sim.now) {
                let Some((at, fork, say)) = invitation.says.pop_front() else {
                    break;
                };
                if invitation
                    .answered
                    .is_some_and(|answered| answered + CANCELS < at)
                {
                    continue;
                }
                if say == Say::Answer && self.forks[fork].agent.is_unpracked() {
                    // RFC 3262 §3: not before its PRACK.
                    let later = sim.now + Duration::from_millis(100);
                    let place = invitation.says.iter().position(|(at, ..)| *at > later);
                    let place = place.unwrap_or(invitation.says.len());
                    invitation.says.insert(place, (later, fork, say));
                    continue;
                }
                let count = self.forks.len();
                invitation.say(sim, &mut self.forks[fork].agent, say, count);
            }
        }
        for fork in &mut self.forks {
            fork.agent.tick(sim);
        }
        self.go_on(sim);
    }
}

impl Invitation {
    fn respond(&mut self, sim: &mut Sim, status: Status, bytes: Bytes) {
        if let Some(bytes) = self.machine.respond(status, bytes, sim.now) {
            sim.send(self.who, bytes);
        }
    }
    fn say(&mut self, sim: &mut Sim, agent: &mut Agent, say: Say, forks: usize) {
        let request = self.request.clone();
        match say {
            Say::Ring | Say::Early => {
                let (code, bytes) = agent.rings(sim, &request, say == Say::Early);
                let status = Status::new(code).expect("180 or 183");
                self.respond(sim, status, bytes);
            }
            Say::Answer => {
                let bytes = agent.answers(sim, &request);
                self.answered.get_or_insert(sim.now);
                self.respond(sim, Status::OK, bytes);
            }
            Say::Refuse(code) => {
                let bytes = agent.refuses(&request, code);
                self.refusal.get_or_insert((code, bytes));
                self.refused += 1;
                if self.refused == forks && self.answered.is_none() {
                    let (code, bytes) = self.refusal.take().expect("just put there");
                    let status = Status::new(code).expect("a test's own status");
                    self.respond(sim, status, bytes);
                }
            }
        }
    }
}

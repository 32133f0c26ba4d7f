//! The bridge: two legs, their routes, their media plan, their limits.
//!
//! | file | activity |
//! |---|---|
//! | `setup` | from the caller's INVITE to the first attempt: question, lookup, ports, leg B |
//! | `hunt` | leg B's progress, answer or failure; further routes; rescue |
//! | `digits` | what one leg says in INFO and the other in its media |
//! | `redirect` | where a callee that answers 3xx says it can be found |
//! | `early` | offers and answers before the answer to the call |
//! | `update` | offers and answers in mid-call, from either side |
//! | `keying`, `zrtp` | key agreements at the media's ports |
//! | `requests` | what a party asks for in mid-call, and what the application says to it |
//! | `transfer` | REFER, and what its sender is told of it |
//! | `adoption` | a leg is wanted by another call, and may come back |
//! | `rebridge` | another party takes the place of one: dialled, joined with who stays, or all as it was |
//! | `lookup`, `relay` | what is asked of DNS and of the relay, and their answers |
//! | `record` | what the summary will say |
//! | `members` | whose legs there are |
//! | `end` | hanging up, and what is left to do after it |

mod adoption;
mod client_hello;
mod digits;
mod early;
mod end;
mod hunt;
mod keying;
mod lookup;
mod members;
mod rebridge;
mod record;
mod redirect;
mod relay;
mod requests;
mod setup;
mod transfer;
mod update;
mod zrtp;

pub use self::adoption::{Adoptee, Destined};
use self::{
    adoption::Adoption,
    digits::EarlyKeys,
    early::Early,
    keying::Agreements,
    lookup::{Asker, Lookups},
    members::{Member, Place},
    rebridge::Rebridge,
    record::Record,
    redirect::Redirects,
    relay::Relay,
    requests::Requests,
    transfer::Transfers,
};
use super::{
    CallEvent, Cause, Command, Env, Failure, HeaderList, Incoming, Input, Invite, Lease, Leg, LookupError,
    Outgoing, Output, Question, Side, Signal, Summary, TransferMode,
    failure::{Kind, Origin},
    leg::{LegOutput, Profile},
    media_plan::{MediaPlan, Session},
};
use crate::{
    media::{MediaCommand, MediaEvent, StreamId},
    sdp::Sdp,
    sip::{
        NameAddr, Replaces, Status, Text,
        routing::{NextHop, Target},
    },
};
use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// What all calls of a server have in common.
#[derive(Clone, Debug)]
pub struct CallSettings {
    /// Of both legs.
    pub profile: Arc<Profile>,
    /// `max-call-duration`.
    pub max_duration: Option<Duration>,
    /// `no-rtp-timeout`.
    pub no_rtp: Option<Duration>,
    /// `rtp-keepalive`.
    pub rtp_keepalive: Option<Duration>,
    /// `media-address`: what is bound and signalled instead of the leg's own SIP address, by family.
    pub media_addresses: Vec<IpAddr>,
    /// SDES suites offered when a rule names none.
    pub suites: Vec<crate::media::Suite>,
    /// Of the certificate that DTLS handshakes show; without one there is no DTLS-SRTP.
    pub fingerprint: Option<crate::sdp::Fingerprint>,
    /// `transfer-mode`.
    pub transfer: TransferMode,
    /// `audio-codec`, `video-codec`: what may be offered.
    pub codecs: crate::sdp::Codecs,
    /// `follow-redirects`: a 3xx of the callee is acted on by us; otherwise the caller gets it.
    pub follow_redirects: bool,
}

/// How long a call waits for its relay's last word before it ends without counts.
const RELAY_PATIENCE: Duration = Duration::from_secs(5);
/// Most attempts at a leg B in one call, whatever an application says.
const MAX_ATTEMPTS: u32 = 64;

/// One call.
pub struct Call {
    settings: Arc<CallSettings>,
    /// Where the caller's INVITE came from.
    caller: IpAddr,
    /// The caller's leg first, then the callee's and former attempts that still clean up.
    members: Vec<Member>,
    phase: Phase,
    /// A question is open.
    asked: bool,
    media: MediaPlan,
    relay: Relay,
    early_keys: EarlyKeys,
    agreements: Agreements,
    exchange: Option<Exchange>,
    /// `exchange` is one before the answer: that of the INVITE waits here.
    early: Option<Early>,
    routes: VecDeque<Outgoing>,
    /// The route that is being tried or was answered.
    current: Option<Outgoing>,
    /// Its addresses of which media would live elsewhere than at those that are tried first.
    later: Vec<Target>,
    attempts: u32,
    redirects: Redirects,
    max_forwards: u8,
    lookups: Lookups,
    requests: Requests,
    transfers: Transfers,
    /// The dialog whose place this call is to take, as leg B is to be told.
    replaces: Option<Replaces>,
    /// Another party is to take the place of one.
    rebridge: Option<Rebridge>,
    /// Legs of this call in others.
    adoption: Adoption,
    /// No answer by then: the call fails.
    unanswered: Option<Instant>,
    /// The current route rings no longer than this.
    no_answer: Option<Instant>,
    /// The answered call ends then.
    too_long: Option<Instant>,
    record: Record,
    /// The server goes down: nobody is called any more.
    draining: bool,
    /// Which header fields cross inside the call.
    crossing: Arc<HeaderList>,
    outputs: VecDeque<Output>,
}

/// Where a call is.
#[derive(Debug)]
enum Phase {
    /// Whose the dialog is that the caller wants replaced, is being asked until then.
    Identifying(Box<Invite>, Replaces, Instant),
    /// The application thinks where it goes.
    Routing,
    /// The first hop of a route is looked up.
    LookingUp,
    /// Ports are being bound for this attempt.
    Opening(Vec<Target>),
    /// Leg B has its INVITE.
    Dialling,
    /// The application thinks about a failure.
    Rescuing(Failure),
    /// Answered.
    Up,
    /// Both legs have heard that it is over.
    Over,
}

/// An offer on its way, and what will be agreed if it is accepted.
struct Exchange {
    /// Who began it.
    asker: Side,
    /// Whose description is the offer; unknown while an offerless re-INVITE waits for it.
    offerer: Option<Side>,
    /// The offer as it came.
    offer: Option<Sdp>,
    session: Session,
    /// Waits for ports, then goes on.
    ports: bool,
    /// Nobody has said anything new: it only asks whether the other party of `offerer` is still there.
    is_refresh: bool,
    /// A callee's offer came in a provisional response with that status.
    progress: Option<Status>,
    /// Who made the offer has gone. It was withdrawn, and nothing comes of what is said to it.
    void: bool,
}

impl Call {
    /// Inside the call these header fields cross, either way; until this is said, none.
    pub fn let_cross(&mut self, fields: Arc<HeaderList>) {
        self.crossing = fields;
    }

    /// Feeds one input.
    pub fn handle(&mut self, input: Input, env: &mut Env<'_>) {
        match input {
            Input::Message(_, incoming) => self.message(incoming, env),
            Input::Undeliverable(_, unsent) => {
                // Not its other attempts, which may be at the same address.
                if let Some(member) = self.member(&unsent.call_id) {
                    member.leg.handle_undeliverable(&unsent, env);
                } else if let Some(dialog) = self.adoption.departed(&unsent.call_id) {
                    let input = Input::Undeliverable(Side::A, unsent);
                    self.put(Output::Forward(dialog, Box::new(input)));
                }
            }
            Input::Targets(side, targets) => self.targets(side, targets, env),
            Input::Verdict(verdict) => self.verdict(verdict, env),
            Input::Media(event) => self.media_event(event, env),
            Input::Handshake(result) => self.handshake_ended(result, env),
            Input::Retained(answer) => self.zrtp_retained(answer, env),
            Input::Command(Command::Hangup(cause)) => self.hang_up(None, cause, env),
            Input::Command(Command::Report) => self.report(env),
            Input::Replace(replaces, invite) => self.replace(&replaces, invite, env),
            Input::Designate(asker, replaces) => {
                let found = self.designate(&replaces).map(Box::new);
                self.put(Output::Designated(asker, replaces, found));
            }
            Input::Identified(replaces, found) => self.identified(&replaces, found.as_deref(), env),
            Input::Command(Command::Drain) => self.drain(env),
            Input::Command(Command::Adopt(adoptee)) => self.adopt(*adoptee, env),
            Input::Give(wish) => self.give(wish, env),
            Input::Withheld(named, failure) => self.leg_withheld(&named, &failure, env),
            Input::Kept(dialog) => self.is_kept(&dialog, env),
            Input::Lost(call) => self.is_lost(call, env),
        }
        self.settle(env);
    }

    /// A deadline has passed.
    pub fn handle_timeout(&mut self, env: &mut Env<'_>) {
        let now = env.now;
        let is_due = |at: &mut Instant| *at <= now;
        for member in self.members.iter_mut().filter(|member| !member.closed) {
            if member.leg.poll_timeout().is_some_and(|at| at <= now) {
                member.leg.handle_timeout(env);
            }
        }
        // What a leg has to say at this very moment comes first: an answer in time is in time.
        self.settle(env);
        if self.relay.closing.take_if(is_due).is_some() {
            tracing::warn!("relay did not answer, call ends without packet counts");
            self.relay.closed = true;
        }
        if self.too_long.take_if(is_due).is_some() {
            self.hang_up(None, Cause::of(Kind::MaxDuration, Origin::Local), env);
        }
        if self.unanswered.take_if(is_due).is_some() {
            self.fail(Failure::of(Kind::NoAnswer, Origin::Local), env);
        }
        if self.no_answer.take_if(is_due).is_some() {
            self.give_up_ringing(env);
        }
        self.invite_due(env);
        self.transfers_due(env);
        self.adoption_due(env);
        self.leg_overdue(env);
        self.media.zrtp_timeout(env);
        self.drain_zrtp(env);
        self.keys_overdue(env);
        self.settle(env);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call `handle_timeout`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let open = self.members.iter().filter(|member| !member.closed);
        open.filter_map(|member| member.leg.poll_timeout())
            .chain(self.unanswered)
            .chain(self.no_answer)
            .chain(self.too_long)
            .chain(self.transfers.poll_timeout())
            .chain(self.adoption.poll_timeout())
            .chain(self.leg_due())
            .chain(match self.phase {
                Phase::Identifying(_, _, until) => Some(until),
                _ => None,
            })
            .chain(self.relay.closing)
            .chain(self.agreements.poll_timeout())
            .chain(self.media.zrtp_poll_timeout())
            .min()
    }

    /// What tells both parties that the call is over, should its task die: the BYE of each leg that has a dialog.
    pub fn farewells(&self) -> Vec<(Side, super::Transmit)> {
        let open = self.members.iter().filter(|member| !member.closed);
        open.filter_map(|member| Some((member.leg.side(), member.leg.farewell()?)))
            .collect()
    }

    fn message(&mut self, incoming: Incoming, env: &mut Env<'_>) {
        let call_id = incoming.message.headers().call_id().unwrap_or_default();
        let Some(member) = self.member(&call_id) else {
            if let Some(dialog) = self.adoption.departed(&call_id) {
                let input = Input::Message(Side::A, incoming);
                return self.put(Output::Forward(dialog, Box::new(input)));
            }
            return tracing::debug!("message for no leg of this call");
        };
        member.source = Some(incoming.source);
        let (place, side) = (member.place, member.leg.side());
        let source = setup::media_source(&incoming, member.direct);
        match (place, source) {
            (Place::Current, Some(address)) => self.media.trust(side, address),
            (Place::Guest, Some(address)) => self.guest_is_at(address),
            _ => {}
        }
        self.member(&call_id)
            .expect("it was there just now")
            .leg
            .handle_message(incoming, env);
    }

    fn put(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
    fn ask(&mut self, question: Question) {
        self.asked = true;
        self.put(Output::Ask(question));
    }
    fn event(&mut self, event: CallEvent) {
        self.put(Output::Event(event));
    }
    /// Drains the legs and carries what they say across, until nobody has more to say; then sees whether the call is finished.
    fn settle(&mut self, env: &mut Env<'_>) {
        loop {
            self.end_early(env);
            let mut outputs = self.members.iter_mut().enumerate();
            let next = outputs.find_map(|(index, member)| Some((index, member.leg.poll_output()?)));
            let Some((index, output)) = next else {
                if self.give_if_ready()
                    || self.admit_if_ready(env)
                    || self.join_if_ready(env)
                    || self.refresh_stale(env)
                {
                    continue;
                }
                break;
            };
            let member = &mut self.members[index];
            let side = member.leg.side();
            if member.place == Place::Current {
                self.media.takes_infos(side, member.leg.takes_infos());
            }
            match output {
                LegOutput::Signal(signal) => match (member.place, side) {
                    (Place::Current, Side::A) => self.heard_from_a(signal, env),
                    (Place::Current, Side::B) => self.heard_from_b(signal, env),
                    (Place::Guest, _) => self.heard_from_guest(signal, env),
                    (Place::Leaving, _) => self.heard_from_leaving(index, signal, env),
                    (Place::Former, _) => tracing::debug!(?signal, "a former attempt says"),
                },
                LegOutput::Closed => member.closed = true,
                LegOutput::Reopened => member.closed = false,
                other => self.pass(index, other),
            }
        }
        self.finish_if_done(env);
    }

    /// Leg outputs that go straight out.
    fn pass(&mut self, index: usize, output: LegOutput) {
        let leg = &self.members[index].leg;
        let side = leg.side();
        match output {
            LegOutput::Transmit(transmit) => self.put(Output::Transmit(side, transmit)),
            LegOutput::Dialog(key) => self.put(Output::Dialog(side, key)),
            LegOutput::Invited(key, uri) => self.put(Output::Invited(key, uri)),
            LegOutput::Tombstone(key, transmit) => self.put(Output::Tombstone(key, transmit)),
            LegOutput::Lookup(hop) => {
                let came = leg.came();
                let asker = Asker::Leg(leg.call_id().clone());
                self.look_up(side, asker, hop, came);
            }
            // Handled by the caller.
            LegOutput::Signal(_) | LegOutput::Closed | LegOutput::Reopened => {}
        }
    }
}

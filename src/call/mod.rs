//! Calls: two legs and what joins them. Machines without socket, clock or task.
//!
//! Contract of every machine here: *after any `handle_*`, drain `poll_output` to `None`, then wait for input or
//! until `poll_timeout`*. `now` and fresh identifiers come in with [`Env`] and are never stored.

pub mod adoption;
pub mod bridge;
mod crossing;
pub mod decision;
mod digit;
pub mod event;
pub mod failure;
pub mod handover;
pub mod handshake;
pub mod in_call;
pub mod invite;
pub mod leg;
pub mod media_plan;
pub mod signal;
pub mod standalone;
pub mod subscription;
pub mod transfer;

pub use bridge::{Adoptee, Call, Destined};
pub use crossing::{HeaderList, HeaderListError};
pub use decision::{
    Contact, Decision, Encryption, EncryptionPolicy, InCall, Lease, Limits, MediaPolicy, NatLatching,
    Outgoing, RelayChoice, Rescue,
};
pub use event::{CallEvent, Party, Sas, Standing, Summary};
pub use failure::{Cause, Failure, Origin};
pub use handover::Handover;
pub use in_call::InCallRequest;
pub use invite::Invite;
pub use leg::{Leg, Reliability};
pub use signal::{Body, Signal};
pub use standalone::Standalone;
pub use transfer::{CallNumber, Designation, TransferMode};

use crate::{
    media::{MediaCommand, MediaEvent},
    sip::{
        Ids, Message, Replaces,
        routing::{Destination, DialogKey, NextHop, Own, Source, Target, Transport},
    },
};
use std::time::Instant;

/// What a machine may know of the outside: the time and fresh identifiers. Never stored.
pub struct Env<'a> {
    /// Now, monotonic.
    pub now: Instant,
    /// Tags, branches, Call-IDs, keys.
    pub ids: &'a mut Ids,
}

/// Which leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Towards the caller: we were called.
    A,
    /// Towards the callee: we call.
    B,
}

impl Side {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A message from the wire and where it came from. The top Via of a request already has `received` and `rport`.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The message.
    pub message: Message,
    /// Its source.
    pub source: Source,
    /// Our own address towards that sender for Contact and Via: host (IPv6 in brackets) and port. Like
    /// [`Target::sent_by`], it is the advertised name where `source.local` is a wildcard.
    pub sent_by: crate::sip::Text,
    /// The transport by which we are reached at `sent_by`, for Contact: the source's own but over a connection that we opened
    /// to somewhere without listening on that transport.
    pub reached_by: Transport,
    /// Whose connection it came over; `None`: one that all share.
    pub own: Option<Own>,
    /// The sender is a proxy that we trust (`trusted-hosts`), so what its Vias say of the phone's address is believed.
    pub trusted: bool,
}

/// Bytes to send, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// A whole message.
    pub bytes: bytes::Bytes,
    /// Where to.
    pub to: Destination,
}

/// A message that could not be sent: connection refused or lost, host unreachable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// Whose: the leg's.
    pub call_id: crate::sip::Text,
    /// Which transaction, and which attempt at it.
    pub branch: crate::sip::Text,
    /// Where it was to go.
    pub to: Destination,
}

impl Unsent {
    /// What is known of it; `None` where Call-ID or branch cannot be read.
    pub fn of(message: &Message, to: Destination) -> Option<Self> {
        let headers = message.headers();
        Some(Self {
            call_id: headers.call_id().ok()?,
            branch: headers.via().ok()?.branch()?,
            to,
        })
    }
}

/// What a [`Call`] is fed.
pub enum Input {
    /// A message of one leg's dialog or transactions.
    Message(Side, Incoming),
    /// A request or response of that side could not be sent.
    Undeliverable(Side, Unsent),
    /// The answer to [`Output::Lookup`].
    Targets(Side, Result<Vec<Target>, LookupError>),
    /// The answer to [`Output::Ask`].
    Verdict(Verdict),
    /// A fact from the relay.
    Media(MediaEvent),
    /// A DTLS handshake has come to its end.
    Handshake(handshake::HandshakeResult),
    /// The answer of the store of ZRTP's secrets.
    Retained(handshake::ZrtpRetained),
    /// An order from outside the call.
    Command(Command),
    /// An INVITE that is to take the place of a dialog of this call (RFC 3891); what may not be is answered by [`Output::Refused`].
    Replace(Replaces, Incoming),
    /// Another call asks whether this dialog is one of ours; answered by [`Output::Designated`].
    Designate(CallNumber, Replaces),
    /// The answer to [`Output::Identify`]; `None`: no call here has that dialog.
    Identified(Replaces, Option<Box<Designation>>),
    /// Another call wants the leg at the other end of the leg that has this dialog; answered by [`Output::Give`] or
    /// [`Output::Withheld`].
    Give(adoption::Wish),
    /// The answer to [`Output::Adopt`] where no [`Command::Adopt`] comes: nobody has that dialog, or who has it does not give.
    Withheld(Replaces, Failure),
    /// The leg that was given away has its place in the other call for good.
    Kept(DialogKey),
    /// That call has gone, and whatever was given to it and has not come back.
    Lost(CallNumber),
}

/// What a [`Call`] wants done.
pub enum Output {
    /// Send this.
    Transmit(Side, Transmit),
    /// Resolve this next hop (RFC 3263); answered by [`Input::Targets`], for literals at once. With where it called us from,
    /// if it did: by that way it is to be reached.
    Lookup(Side, NextHop, Option<Source>),
    /// Ask the application; answered by [`Input::Verdict`].
    Ask(Question),
    /// Forget the open question: the caller has gone. No verdict follows.
    Withdraw,
    /// Tell the relay.
    Media(MediaCommand),
    /// Begin, feed or end a DTLS handshake.
    Handshake(handshake::HandshakeCommand),
    /// Ask the store of ZRTP's secrets, or give it some.
    Zrtp(handshake::ZrtpCommand),
    /// Tell observers: CDR, metrics, the application.
    Event(CallEvent),
    /// Ask whichever call of this server has this dialog what it is to the other end; answered by [`Input::Identified`].
    Identify(Replaces),
    /// The answer to [`Input::Designate`].
    Designated(CallNumber, Replaces, Option<Box<Designation>>),
    /// Ask whichever call of this server has this dialog for the leg at its other end, for that side of this call; answered by
    /// [`Command::Adopt`] or [`Input::Withheld`].
    Adopt(Box<adoption::Wish>),
    /// This leg goes to the call that wanted it, or back to where it came from. From now on its messages are that call's.
    Give(Box<Adoptee>),
    /// The answer to [`Input::Give`]: that call does not get it.
    Withheld(CallNumber, Replaces, Failure),
    /// The leg with this dialog, which that call gave away, stays here.
    Kept(CallNumber, DialogKey),
    /// A message of a dialog whose leg was given away while it was on its way here.
    Forward(DialogKey, Box<Input>),
    /// This INVITE, which came as [`Input::Replace`], is answered so and is nothing of this call.
    Refused(Box<Incoming>, Failure),
    /// A dialog of this call begins: the dispatcher routes it here from now on.
    Dialog(Side, DialogKey),
    /// The INVITE that opens this dialog has that Request-URI: should it come back with it, it has gone in a loop.
    Invited(DialogKey, crate::sip::Text),
    /// A final response of a finished server transaction, to be repeated to retransmissions after the call has gone.
    Tombstone(crate::sip::routing::TransactionKey, Transmit),
    /// The answer to [`Command::Report`]: the call so far.
    Report(Box<Summary>),
    /// The last output: nothing is left.
    Finished(Box<Summary>),
}

/// What an application is asked. Private to `call` and `server`: authors see typed methods.
#[derive(Clone, Debug)]
pub enum Question {
    /// Where does this call go?
    Route(Box<Invite>),
    /// Leg B failed and no route is left: what now?
    Rescue(Failure),
    /// A party asks for something within the call: may it?
    InCall(Box<InCallRequest>),
    /// Somebody calls for the place of a party: may it?
    Handover(Box<Handover>),
}

/// What an application answered.
#[derive(Debug)]
pub enum Verdict {
    /// To [`Question::Route`].
    Route(Decision),
    /// To [`Question::Rescue`].
    Rescue(Rescue),
    /// To [`Question::InCall`].
    InCall(InCall),
    /// To [`Question::Handover`]; what it is refused with.
    Handover(Result<(), Failure>),
}

/// Orders to a running call.
#[derive(Debug)]
pub enum Command {
    /// End it: both legs get BYE (or CANCEL, or the failure as a response) with this reason.
    Hangup(Cause),
    /// The server goes down: what is up or rings goes on, and nobody is called any more (acceptance #34).
    Drain,
    /// This leg of another call is now one of this call's: to take the place of a party (the answer to [`Output::Adopt`]), or
    /// because it has come back.
    Adopt(Box<Adoptee>),
    /// Say what there is of it, with the packets so far: answered by [`Output::Report`], once for all that are open.
    Report,
}

/// Why a next hop led nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The name does not exist or has no addresses.
    #[error("no address for {0}")]
    NotFound(String),
    /// DNS did not answer.
    #[error("name lookup of {0} failed: {1}")]
    Failed(String, String),
    /// We have no listening socket or client for that transport or address family.
    #[error("transport of {0} is not available here")]
    Unavailable(String),
    /// No port of an account's own could be opened.
    #[error("no port of its own: {0}")]
    NoPort(String),
    /// Not a SIP URI.
    #[error("{0} cannot be called: scheme not supported")]
    Scheme(String),
}

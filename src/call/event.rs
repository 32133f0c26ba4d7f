//! Facts about a call for those who watch: CDR, metrics, log, application.

use super::{Cause, Encryption, Failure, Invite, Side, failure::Kind, failure::Origin};
use crate::{
    media::StreamStats,
    sip::{Request, Status, Text},
};
use std::time::Instant;

/// Something happened.
#[derive(Clone, Debug)]
pub enum CallEvent {
    /// The INVITE of leg B left.
    Dialled {
        /// Its Request-URI.
        target: String,
    },
    /// Leg A was told of a provisional response.
    Ringing(Status),
    /// Both legs are up.
    Answered,
    /// An offer was passed on and answered.
    Updated {
        /// Who began it.
        by: Side,
    },
    /// A party wants the other one to talk to somebody else (REFER).
    Referred {
        /// Who wants it.
        by: Side,
        /// To whom, without what else the URI says.
        to: String,
    },
    /// What became of that.
    Transferred {
        /// Who wanted it.
        by: Side,
        /// How the call to the target ended, or began.
        status: Status,
    },
    /// A leg's keys are there.
    Keyed {
        /// Which leg.
        side: Side,
        /// How.
        encryption: Encryption,
        /// ZRTP's string for the users to compare; with its first stream only.
        sas: Option<Sas>,
    },
    /// It is over.
    Ended(Box<Summary>),
}

/// The Short Authentication String of a leg (RFC 6189 §7). Both users compare theirs with the server's, not with each other's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sas {
    /// As it is shown: four characters, or two words.
    pub text: String,
    /// Both sides remember that it was compared in an earlier call, and their secrets since then match.
    pub verified: bool,
    /// A secret that was retained of this peer is not there at its end: somebody is in the middle, or it lost its cache.
    pub mismatch: bool,
}

/// Who a leg's INVITE was between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The dialog's Call-ID.
    pub call_id: Text,
    /// From, as it stood in the INVITE.
    pub from: Text,
    /// To.
    pub to: Text,
    /// The Request-URI.
    pub uri: Text,
}

impl Party {
    /// Of an INVITE as it came, whatever is wrong with it.
    pub fn as_it_came(invite: &Request) -> Self {
        let field = |name| invite.headers.get(name).unwrap_or_default();
        Self {
            call_id: invite.headers.call_id().unwrap_or_default(),
            from: field("From"),
            to: field("To"),
            uri: invite.uri.as_text().clone(),
        }
    }
    /// Of the caller's INVITE.
    pub(super) fn of(invite: &Invite, call_id: Text) -> Self {
        Self {
            call_id,
            from: invite.from.to_text(),
            to: invite.to.to_text(),
            uri: invite.uri().as_text().clone(),
        }
    }
}

/// One attempt at a callee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The Request-URI that was tried.
    pub target: Text,
    /// What it ended with; `None`: it was answered, or the call ended meanwhile.
    pub failed: Option<(Status, Origin, Kind)>,
}

/// One transfer within a call (REFER).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Who wanted it.
    pub by: Side,
    /// To whom.
    pub to: Text,
    /// What became of it; `None`: nobody has said, or the call ended meanwhile. The record of a call waits
    /// for the end of one that has taken a leg of it into another call.
    pub status: Option<Status>,
}

/// What was agreed on for one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTerms {
    /// `audio`, `video` …
    pub kind: String,
    /// The first codec that each leg agreed on, like `opus/48000/2`.
    pub codecs: (Option<String>, Option<String>),
}

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is decided where it goes, or that place is looked up.
    Routing,
    /// The callee has its INVITE.
    Calling,
    /// The caller was told of progress.
    Ringing,
    /// Both legs are up.
    Up,
    /// It has ended.
    Over,
}

impl Standing {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [Self::Routing, Self::Calling, Self::Ringing, Self::Up, Self::Over];
    /// The word for metrics and lists.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Routing => "routing",
            Self::Calling => "calling",
            Self::Ringing => "ringing",
            Self::Up => "up",
            Self::Over => "over",
        }
    }
}

/// One call in one record, of a call that has ended or of one that runs.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Where it is.
    pub standing: Standing,
    /// The caller's leg.
    pub a: Party,
    /// The last leg towards a callee; `None` if none was dialled.
    pub b: Option<Party>,
    /// Who was tried, in their order.
    pub attempts: Vec<Attempt>,
    /// Who was to be talked to instead, in their order.
    pub transfers: Vec<Transfer>,
    /// When the INVITE came.
    pub began: Instant,
    /// When the caller was first told of progress (180, 183 …).
    pub ringing: Option<Instant>,
    /// When it was answered.
    pub answered: Option<Instant>,
    /// When it ended; of a running call, now.
    pub ended: Instant,
    /// The final code towards leg A; 200 while it runs.
    pub status: Status,
    /// How it failed before answer.
    pub failure: Option<Failure>,
    /// Who ended it and why, after answer.
    pub cause: Option<Cause>,
    /// Encryption of each leg.
    pub encryption: (Option<Encryption>, Option<Encryption>),
    /// What each leg's users compared, where ZRTP keyed it.
    pub sas: (Option<Sas>, Option<Sas>),
    /// What was agreed on, by stream. Streams that went away again are among them.
    pub streams: Vec<Option<StreamTerms>>,
    /// Packets, per side and stream.
    pub media: Vec<StreamStats>,
}

impl Summary {
    /// Of a call that came to nothing before there was one: refused, or lost by a fault of ours.
    pub fn of_refused(a: Party, began: Instant, ended: Instant, failure: Failure) -> Self {
        Self {
            standing: Standing::Over,
            a,
            b: None,
            attempts: Vec::new(),
            transfers: Vec::new(),
            began,
            ringing: None,
            answered: None,
            ended,
            status: failure.status,
            failure: Some(failure),
            cause: None,
            encryption: (None, None),
            sas: (None, None),
            streams: Vec::new(),
            media: Vec::new(),
        }
    }
}

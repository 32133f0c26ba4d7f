//! Facts about a call for those who watch: CDR, metrics, log, application.

use super::{Cause, Encryption, Failure, Side};
use crate::{
    media::StreamStats,
    sip::{Status, Text},
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

/// One call in one record.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Call-ID of each leg; B's is `None` if none was dialled.
    pub call_ids: (Text, Option<Text>),
    /// When the INVITE came.
    pub began: Instant,
    /// When it was answered.
    pub answered: Option<Instant>,
    /// When it ended.
    pub ended: Instant,
    /// The final code towards leg A.
    pub status: Status,
    /// How it failed before answer.
    pub failure: Option<Failure>,
    /// Who ended it and why, after answer.
    pub cause: Option<Cause>,
    /// Encryption of each leg.
    pub encryption: (Option<Encryption>, Option<Encryption>),
    /// What each leg's users compared, where ZRTP keyed it.
    pub sas: (Option<Sas>, Option<Sas>),
    /// Packets, per side and stream.
    pub media: Vec<StreamStats>,
}

//! What calls of one server tell each other of their dialogs, and what is done with a REFER.

use crate::sip::{NameAddr, Replaces};
use std::{fmt, str::FromStr};

/// `transfer-mode`: what becomes of a REFER.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransferMode {
    /// The far end gets it and does it, as with Flexisip.
    #[default]
    Relay,
    /// The server does it: it calls the target and joins it with the party that stays.
    Execute,
    /// 603.
    Refuse,
}

/// A word that names no mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown transfer mode {0:?}: expected one of relay, execute, refuse")]
pub struct UnknownTransferMode(pub String);

impl FromStr for TransferMode {
    type Err = UnknownTransferMode;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "relay" => Ok(Self::Relay),
            "execute" => Ok(Self::Execute),
            "refuse" => Ok(Self::Refuse),
            other => Err(UnknownTransferMode(other.to_owned())),
        }
    }
}
impl fmt::Display for TransferMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Relay => "relay",
            Self::Execute => "execute",
            Self::Refuse => "refuse",
        })
    }
}

/// A call of this server, for another one to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallNumber(pub u64);

/// A dialog of this server that somebody named, seen from beyond: what it is to the party at the other end of its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Designation {
    /// The dialog of the other leg, as its peer is to be told.
    pub peer: Replaces,
    /// That peer.
    pub address: NameAddr,
    /// Its leg can be moved into another call, and that is better than to call it once more: see
    /// [`adoption`](super::adoption).
    pub adoptable: bool,
}

//! A device that calls for the place of a party as applications see it: read-only.

use super::{Invite, Side};
use crate::sip::routing::Source;

/// An INVITE with Replaces for a dialog of this server (RFC 3891), where the server executes transfers. Neither party has heard of
/// it.
#[derive(Clone, Debug)]
pub struct Handover {
    /// Who calls, and from where.
    pub invite: Invite,
    /// Whose place it calls for.
    pub by: Side,
    /// Where that party's last message came from; `None` where it has said nothing yet.
    pub replaced: Option<Source>,
}

//! Where a leg stands with offers and answers (RFC 3264, RFC 6337 §2 and §4, RFC 3311 §5, RFC 3262 §5).

use crate::sdp::Sdp;
use std::time::Instant;

/// Offers and answers of a leg, before the answer to its INVITE and after.
#[derive(Debug, Default)]
pub(super) struct Offers {
    pub(super) position: Position,
    /// An offer of the other leg that is not on the wire.
    pub(super) wanted: Option<Wanted>,
    /// When our open re-INVITE is given up: a peer that only says 100 must not block the call for ever.
    pub(super) limit: Option<Instant>,
    /// How often the open offer was refused with 491.
    pub(super) glares: u8,
    /// Nobody wants the open offer any more.
    pub(super) withdrawn: bool,
}

/// An offer that is not on the wire: it waits for its turn, or for the end of a pause after 491.
#[derive(Debug)]
pub(super) struct Wanted {
    /// `None` asks the peer for an offer.
    pub(super) sdp: Option<Sdp>,
    pub(super) not_before: Option<Instant>,
}

impl Offers {
    /// None is open but that of the INVITE.
    pub(super) fn begin(position: Position) -> Self {
        Self {
            position,
            ..Self::default()
        }
    }
    /// When one that waits may go, or one that is open is given up.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let pause = self.wanted.as_ref().and_then(|wanted| wanted.not_before);
        pause.into_iter().chain(self.limit).min()
    }
}

/// Whose turn it is. At most one offer is open in a dialog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Position {
    /// No offer is open.
    #[default]
    Settled,
    /// Our INVITE or UPDATE carries an offer; the 2xx (or a reliable provisional response) brings the answer.
    Offered,
    /// Our INVITE carries none; the 2xx (or a reliable provisional response) brings an offer.
    Asked,
    /// Our reliable provisional response carries an offer; the PRACK brings the answer.
    OfferedInProgress,
    /// Our 2xx carries an offer; the ACK brings the answer.
    OfferedInAnswer,
    /// The peer's INVITE carries an offer, which the other leg has not answered.
    PeerOffered,
    /// The peer's UPDATE or PRACK does.
    PeerOfferedByUpdate,
    /// The peer's INVITE carries none: we owe an offer.
    PeerAsked,
    /// The peer's reliable provisional response carries an offer: we owe an answer in our PRACK.
    PeerOfferedInProgress,
    /// The peer's 2xx carries an offer: we owe an answer in our ACK.
    PeerOfferedInAnswer,
}

/// A request that wants the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// A re-INVITE of the peer, with or without an offer.
    PeerInvite,
    /// An UPDATE of the peer with an offer.
    PeerUpdate,
    /// A re-INVITE of ours, or an UPDATE before the answer.
    OurInvite,
}

/// What a wish gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The turn.
    Granted,
    /// 491: our own offer or INVITE is open (RFC 3261 §14.2, RFC 3311 §5.2).
    Pending,
    /// 500 with `Retry-After`: the peer's former request is still open (same sections).
    Busy,
    /// Ours has to wait until the open one is done.
    Wait,
}

impl Position {
    /// The whole table. `unacknowledged`: a 2xx of ours to an INVITE waits for its ACK, so that this INVITE is still in
    /// progress and we may not begin another (RFC 3261 §14.1).
    pub(super) const fn turn(self, wish: Wish, unacknowledged: bool) -> Turn {
        match (self, wish) {
            (Self::Settled, Wish::PeerInvite | Wish::PeerUpdate) => Turn::Granted,
            (Self::Settled, Wish::OurInvite) if unacknowledged => Turn::Wait,
            (Self::Settled, Wish::OurInvite) => Turn::Granted,
            (_, Wish::OurInvite) => Turn::Wait,
            (
                Self::Offered | Self::Asked | Self::OfferedInProgress | Self::OfferedInAnswer,
                Wish::PeerInvite | Wish::PeerUpdate,
            ) => Turn::Pending,
            (
                Self::PeerOffered
                | Self::PeerOfferedByUpdate
                | Self::PeerAsked
                | Self::PeerOfferedInProgress
                | Self::PeerOfferedInAnswer,
                Wish::PeerInvite | Wish::PeerUpdate,
            ) => Turn::Busy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6337 tables 2 to 4 for the exchanges that we take part in: every position, every wish.
    #[test]
    fn every_position_grants_or_refuses_as_rfc_6337_says() {
        use Position as P;
        use Turn::{Busy, Granted, Pending, Wait};
        let table = [
            // position, peer's INVITE, peer's UPDATE, our INVITE, our INVITE while a 2xx is unacknowledged
            (P::Settled, Granted, Granted, Granted, Wait),
            (P::Offered, Pending, Pending, Wait, Wait),
            (P::Asked, Pending, Pending, Wait, Wait),
            (P::OfferedInProgress, Pending, Pending, Wait, Wait),
            (P::OfferedInAnswer, Pending, Pending, Wait, Wait),
            (P::PeerOffered, Busy, Busy, Wait, Wait),
            (P::PeerOfferedByUpdate, Busy, Busy, Wait, Wait),
            (P::PeerAsked, Busy, Busy, Wait, Wait),
            (P::PeerOfferedInProgress, Busy, Busy, Wait, Wait),
            (P::PeerOfferedInAnswer, Busy, Busy, Wait, Wait),
        ];
        for (position, invite, update, ours, unacknowledged) in table {
            for open in [false, true] {
                assert_eq!(position.turn(Wish::PeerInvite, open), invite, "{position:?}");
                assert_eq!(position.turn(Wish::PeerUpdate, open), update, "{position:?}");
            }
            assert_eq!(position.turn(Wish::OurInvite, false), ours, "{position:?}");
            assert_eq!(
                position.turn(Wish::OurInvite, true),
                unacknowledged,
                "{position:?}"
            );
        }
    }
}

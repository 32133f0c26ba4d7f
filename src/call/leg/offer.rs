//! Where a leg stands with offers and answers after the call is up (RFC 3264, RFC 6337 §2 and §4, RFC 3311 §5).

/// Whose turn it is. At most one offer is open in a dialog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Position {
    /// No offer is open.
    #[default]
    Settled,
    /// Our re-INVITE carries an offer; the 2xx brings the answer.
    Offered,
    /// Our re-INVITE carries none; the 2xx brings an offer.
    Asked,
    /// Our 2xx carries an offer; the ACK brings the answer.
    OfferedInAnswer,
    /// The peer's re-INVITE carries an offer, which the other leg has not answered.
    PeerOffered,
    /// The peer's UPDATE does.
    PeerOfferedByUpdate,
    /// The peer's re-INVITE carries none: we owe an offer in our 2xx.
    PeerAsked,
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
    /// A re-INVITE of ours.
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
            (Self::Offered | Self::Asked | Self::OfferedInAnswer, Wish::PeerInvite | Wish::PeerUpdate) => {
                Turn::Pending
            }
            (
                Self::PeerOffered | Self::PeerOfferedByUpdate | Self::PeerAsked | Self::PeerOfferedInAnswer,
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
            (P::OfferedInAnswer, Pending, Pending, Wait, Wait),
            (P::PeerOffered, Busy, Busy, Wait, Wait),
            (P::PeerOfferedByUpdate, Busy, Busy, Wait, Wait),
            (P::PeerAsked, Busy, Busy, Wait, Wait),
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

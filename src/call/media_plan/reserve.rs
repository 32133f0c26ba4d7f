//! Ports beside those of a side, at another address of ours: for a guest whose media would not live where that of whose place it
//! takes does. They are bound before it is told of them, used when it takes the place, and then those of the former party are the ones
//! beside, until it is clear that it does not come back.

use super::{MediaPlan, Session, Side};
use crate::media::{MediaCommand, StreamId, StreamKind};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

/// Ports in reserve.
#[derive(Debug)]
pub(super) struct Reserve {
    side: Side,
    address: IpAddr,
    /// Of the orders whose answers count.
    number: u32,
    /// Streams whose ports are ordered.
    awaited: BTreeSet<usize>,
    ports: BTreeMap<usize, (SocketAddr, SocketAddr)>,
}

impl MediaPlan {
    /// The streams for which a guest of that side needs ports when it is to be offered something.
    pub fn streams_to_offer(&self, side: Side) -> Vec<(StreamId, StreamKind)> {
        self.agreed.active_streams(side.other())
    }

    /// Whether a guest that we reach from that address of ours has ports of its own.
    pub(super) fn lives_apart(&self, side: Side, local: IpAddr) -> bool {
        self.voice(side).address != Some(self.home(local))
    }

    /// Orders what a guest of that side needs for these streams and has not, and gives back what it does not need.
    pub fn reserve(
        &mut self,
        side: Side,
        local: IpAddr,
        streams: &[(StreamId, StreamKind)],
    ) -> Vec<MediaCommand> {
        if !self.lives_apart(side, local) {
            return self.release();
        }
        let address = self.home(local);
        let fits = |reserve: &Reserve| (reserve.side, reserve.address) == (side, address);
        let mut commands = if self.reserve.as_ref().is_some_and(fits) {
            Vec::new()
        } else {
            self.release()
        };
        let reserve = self.reserve.get_or_insert_with(|| {
            self.reserves = self.reserves.wrapping_add(1);
            Reserve {
                side,
                address,
                number: self.reserves,
                awaited: BTreeSet::new(),
                ports: BTreeMap::new(),
            }
        });
        for &(stream, kind) in streams {
            if !reserve.ports.contains_key(&stream.0) && reserve.awaited.insert(stream.0) {
                commands.push(MediaCommand::Reserve {
                    side,
                    stream,
                    kind,
                    address,
                    number: reserve.number,
                });
            }
        }
        commands
    }

    /// Whether all that was ordered is there.
    pub fn is_reserved(&self) -> bool {
        self.reserve
            .as_ref()
            .is_none_or(|reserve| reserve.awaited.is_empty())
    }

    /// Ports are bound, or could not be. Whether somebody waits for them, and need not any more.
    pub fn reserved(
        &mut self,
        number: u32,
        stream: StreamId,
        bound: Option<(SocketAddr, SocketAddr)>,
    ) -> bool {
        let Some(reserve) = self.reserve.as_mut().filter(|known| known.number == number) else {
            return false;
        };
        if !reserve.awaited.remove(&stream.0) {
            return false;
        }
        match bound {
            Some(ports) => {
                reserve.ports.insert(stream.0, ports);
                reserve.awaited.is_empty()
            }
            // One is missing: the others are not waited for.
            None => {
                reserve.awaited.clear();
                true
            }
        }
    }

    /// Gives back what is in reserve.
    pub fn release(&mut self) -> Vec<MediaCommand> {
        let reserve = self.reserve.take();
        reserve
            .map(|reserve| MediaCommand::Release { side: reserve.side })
            .into_iter()
            .collect()
    }

    /// The ports of a guest.
    pub(super) fn ports_of_guest(
        &self,
        side: Side,
        address: Option<IpAddr>,
    ) -> BTreeMap<usize, (SocketAddr, SocketAddr)> {
        let former = self.voice(side);
        if former.address == address {
            return former.ports.clone();
        }
        let own = self.reserve.as_ref();
        let own = own.filter(|reserve| (reserve.side, Some(reserve.address)) == (side, address));
        own.map(|reserve| reserve.ports.clone()).unwrap_or_default()
    }
}

impl Session {
    /// The streams of a leg that are not refused, and from which range their ports come.
    pub fn active_streams(&self, side: Side) -> Vec<(StreamId, StreamKind)> {
        let leg = self.leg(side);
        let active = (0..leg.streams.len()).filter(|&index| leg.is_active(index));
        active.map(|index| (StreamId(index), leg.kind(index))).collect()
    }
}

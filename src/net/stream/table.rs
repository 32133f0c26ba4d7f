//! Which connections there are, and who goes when they are too many.

use super::Queued;
use crate::sip::routing::{FlowId, Transport};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::sync::mpsc;

/// What connects to an address, and to whom: a connection that was proved to lead to one domain leads to no other
/// (RFC 5922 §7.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Peer {
    pub(super) transport: Transport,
    pub(super) remote: SocketAddr,
    /// Of TLS connections that we opened: the domain that was asked for.
    pub(super) name: Option<String>,
    /// Whose connection it is; `None`: one that all share.
    pub(super) own: Option<Arc<str>>,
}

impl Entry {
    /// Opened by somebody for itself alone.
    fn is_own(&self) -> bool {
        self.peer.own.is_some() && !self.accepted
    }
}

impl Peer {
    /// Where it is, whoever it is.
    fn address(&self) -> (SocketAddr, Option<Arc<str>>) {
        (self.remote, self.own.clone())
    }
}

#[derive(Default)]
pub(super) struct Table {
    pub(super) by_flow: HashMap<FlowId, Entry>,
    /// The newest usable connection to each peer.
    pub(super) by_peer: HashMap<Peer, FlowId>,
    /// Connections of ours that were proved to lead to some domain, by their address alone, and by whose they are.
    proved: HashMap<(SocketAddr, Option<Arc<str>>), FlowId>,
    pub(super) accepted_from: HashMap<IpAddr, usize>,
    /// Accepted connections of strangers in the order of their coming; some have spoken or gone since.
    silent: VecDeque<FlowId>,
    /// How many of those are there and have not spoken.
    pub(super) half_open: usize,
    /// How many connections were opened by somebody for itself alone.
    owned: usize,
    /// Addresses that we listen on: connections leave from there.
    pub(super) locals: HashSet<IpAddr>,
}

pub(super) struct Entry {
    pub(super) peer: Peer,
    pub(super) accepted: bool,
    /// The peer has shown a certificate of an authority that vouches for callers.
    pub(super) vouched: bool,
    /// One of [`Table::silent`] that has brought no message yet.
    pub(super) is_silent: bool,
    /// Boxed: a channel has room for 32 of what passes through it from the beginning.
    pub(super) queue: mpsc::Sender<Box<Queued>>,
    pub(super) last_used: Arc<AtomicU64>,
}

impl Table {
    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.by_flow.clear();
        self.by_peer.clear();
        self.proved.clear();
        self.owned = 0;
    }
    /// Notes a new connection to a peer as the newest.
    fn note(&mut self, peer: &Peer, flow: FlowId) {
        self.by_peer.insert(peer.clone(), flow);
        if peer.name.is_some() {
            self.proved.insert(peer.address(), flow);
        }
    }
    /// The connection to a peer. One that is named by its address says where it is, not who: there, whoever has proved to be
    /// anybody will do. Proxies name themselves so in Record-Route, with certificates for their domains.
    pub(super) fn leading_to(&self, peer: &Peer) -> Option<&Entry> {
        let nameless = peer.transport == Transport::Tls && peer.name.is_none();
        let proved = || self.proved.get(&peer.address()).filter(|_| nameless);
        let flow = self.by_peer.get(peer).or_else(proved);
        flow.and_then(|flow| self.by_flow.get(flow))
    }
    /// No more requests go there by this connection.
    pub(super) fn retire(&mut self, flow: FlowId) {
        let Some(Entry { peer, .. }) = self.by_flow.get(&flow) else {
            return;
        };
        if self.by_peer.get(peer) == Some(&flow) {
            self.by_peer.remove(peer);
        }
        let address = peer.address();
        if self.proved.get(&address) == Some(&flow) {
            self.proved.remove(&address);
        }
    }
    /// Counts a stranger's connection among the silent ones, and closes the oldest where they are too many: how many.
    pub(super) fn watch(&mut self, flow: FlowId, most: usize) -> u64 {
        if let Some(entry) = self.by_flow.get_mut(&flow) {
            entry.is_silent = true;
            self.half_open += 1;
            self.silent.push_back(flow);
        }
        let mut cut = 0;
        while self.half_open > most
            && let Some(oldest) = self.oldest_silent()
        {
            self.remove(oldest);
            cut += 1;
        }
        if self.silent.len() > 2 * most + 16 {
            let by_flow = &self.by_flow;
            self.silent
                .retain(|flow| by_flow.get(flow).is_some_and(|entry| entry.is_silent));
        }
        cut
    }
    /// The one that came first; those before it, which have spoken or gone, are forgotten.
    pub(super) fn oldest_silent(&mut self) -> Option<FlowId> {
        while let Some(flow) = self.silent.front().copied() {
            if self.by_flow.get(&flow).is_some_and(|entry| entry.is_silent) {
                return Some(flow);
            }
            self.silent.pop_front();
        }
        None
    }
    /// Of the connections that all share, or of those of somebody's own, the one that was idle longest, where there are `most` of
    /// that kind or more.
    pub(super) fn to_be_closed_for(&self, is_own: bool, most: usize) -> Option<FlowId> {
        let count = if is_own {
            self.owned
        } else {
            self.by_flow.len() - self.owned
        };
        if count < most {
            return None;
        }
        let kind = self.by_flow.iter().filter(|(_, entry)| entry.is_own() == is_own);
        let idle = |(_, entry): &(&FlowId, &Entry)| entry.last_used.load(Relaxed);
        kind.min_by_key(idle).map(|(flow, _)| *flow)
    }
    /// Closes what is that one's own.
    pub(super) fn close_own(&mut self, own: &str) {
        let is_its = |(_, entry): &(&FlowId, &Entry)| entry.peer.own.as_deref() == Some(own);
        let its: Vec<_> = self
            .by_flow
            .iter()
            .filter(is_its)
            .map(|(flow, _)| *flow)
            .collect();
        its.into_iter().for_each(|flow| self.remove(flow));
    }
    pub(super) fn add(&mut self, flow: FlowId, entry: Entry) {
        self.note(&entry.peer, flow);
        self.owned += usize::from(entry.is_own());
        if entry.accepted {
            *self.accepted_from.entry(entry.peer.remote.ip()).or_insert(0) += 1;
        }
        self.by_flow.insert(flow, entry);
    }
    pub(super) fn remove(&mut self, flow: FlowId) {
        self.retire(flow);
        let Some(entry) = self.by_flow.remove(&flow) else {
            return;
        };
        self.owned -= usize::from(entry.is_own());
        if entry.is_silent {
            self.half_open -= 1;
        }
        if entry.accepted
            && let Some(count) = self.accepted_from.get_mut(&entry.peer.remote.ip())
        {
            *count -= 1;
            if *count == 0 {
                self.accepted_from.remove(&entry.peer.remote.ip());
            }
        }
    }
}

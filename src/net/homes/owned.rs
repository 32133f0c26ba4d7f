//! Ports of somebody's own ([`Own`]): one for each transport and address of ours that packets leave from, which nothing of anybody
//! else goes through or comes in by. What is sent over a connection leaves from the port that is listened on, so that whoever is
//! to call us there needs no other.

use super::{Address, Home, Homes, Listen, reaches};
use crate::{
    call::Transmit,
    sip::routing::{Destination, FlowId, Own, Source, Target, Transport},
};
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};
use tokio::net::UdpSocket;

/// How long ports stay after their owner has gone: what it said last may be asked for again (64*T1, RFC 3261 §17).
const GRACE: Duration = Duration::from_secs(32);

/// All of them.
pub(super) struct Owned {
    most: usize,
    all: RwLock<All>,
}

#[derive(Default)]
struct All {
    by_name: HashMap<Arc<str>, Entry>,
    /// Of UDP, by socket.
    by_flow: HashMap<FlowId, Arc<str>>,
    /// Of connections, by what is listened on.
    by_port: HashMap<(Transport, SocketAddr), Arc<str>>,
}

struct Entry {
    /// What is given out: as long as there are others of it, somebody is there.
    own: Own,
    homes: Vec<Home>,
    /// Since when nobody is.
    unused: Option<Instant>,
}

impl All {
    fn count(&self) -> usize {
        self.by_flow.len() + self.by_port.len()
    }
    fn find(&self, own: &str, transport: Transport, local: IpAddr) -> Option<(Own, Address)> {
        let entry = self.by_name.get(own)?;
        let fits = |home: &&Home| home.transport == transport && home.address.ip() == local;
        let home = entry.homes.iter().find(fits)?;
        Some((entry.own.clone(), home.called(local)))
    }
}

impl Owned {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            all: RwLock::default(),
        }
    }
    fn read(&self) -> RwLockReadGuard<'_, All> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }
    fn write(&self) -> RwLockWriteGuard<'_, All> {
        self.all.write().unwrap_or_else(PoisonError::into_inner)
    }
    /// Its socket of UDP, and where to.
    pub(super) fn socket(&self, transmit: &Transmit) -> Option<Arc<UdpSocket>> {
        let all = self.read();
        let home = match &transmit.to {
            Destination::Target(Target {
                own: Some(own),
                local,
                ..
            }) => {
                let mut homes = all.by_name.get(own.name())?.homes.iter();
                homes.find(|home| home.socket.is_some() && home.address.ip() == *local)
            }
            Destination::Target(_) => None,
            Destination::Reply { source, .. } => {
                let mut homes = all.by_name.get(all.by_flow.get(&source.flow)?)?.homes.iter();
                homes.find(|home| home.flow == source.flow)
            }
        };
        home?.socket.clone()
    }
}

impl Homes {
    /// What `own` is called towards `remote`, by the port of its own that packets leave from as those of others would. Opens one
    /// where it has none.
    ///
    /// # Errors
    /// When no route leads there, or no socket can be opened, or there are as many as there may be.
    pub(in crate::net) fn own_towards(
        &self,
        own: &Own,
        transport: Transport,
        remote: SocketAddr,
        from: Option<IpAddr>,
    ) -> io::Result<(Own, Address)> {
        let from = from.filter(|from| !from.is_unspecified() && reaches(*from, remote.ip()));
        let local = match (from, self.find(transport, remote, None)?) {
            (Some(from), _) => from,
            (None, Some(shared)) => shared.local,
            (None, None) => self.leaves_from(remote, None)?,
        };
        if let Some(found) = self.owned.read().find(own.name(), transport, local) {
            return Ok(found);
        }
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let count = {
            let all = self.owned.read();
            if let Some(found) = all.find(own.name(), transport, local) {
                return Ok(found);
            }
            all.count()
        };
        if count >= self.owned.most {
            return Err(io::Error::other(format!(
                "{count} ports of their own are open, as many as the limit of open files leaves room for"
            )));
        }
        let listen = Listen {
            transport,
            address: SocketAddr::new(local, 0),
            advertised: self.advertised(local),
        };
        let name: Arc<str> = own.name().into();
        let home = self.open(&listen, None, Some(&name))?;
        self.streams.add_local(local);
        let address = home.called(local);
        tracing::debug!(
            own = &*name,
            transport = transport.as_via(),
            port = home.address.port(),
            "opened a port of its own"
        );
        let mut all = self.owned.write();
        if home.socket.is_some() {
            all.by_flow.insert(home.flow, name.clone());
        } else {
            all.by_port.insert((transport, home.address), name.clone());
        }
        let entry = all.by_name.entry(name.clone()).or_insert_with(|| Entry {
            own: Own::new(&*name),
            homes: Vec::new(),
            unused: None,
        });
        entry.homes.push(home);
        Ok((entry.own.clone(), address))
    }
    /// Whose port or connection a message came by, if it was somebody's own.
    pub(in crate::net) fn own_of(&self, source: &Source) -> Option<Own> {
        let of_stream = || (source.transport != Transport::Udp).then(|| self.streams.own_of(source.flow))?;
        let all = self.owned.read();
        let by_port = all.by_port.get(&(source.transport, source.local));
        let name = all.by_flow.get(&source.flow).or(by_port).cloned();
        let entry = all.by_name.get(&*name.or_else(of_stream)?)?;
        Some(entry.own.clone())
    }
    /// What its owner is called there.
    pub(super) fn own_called(&self, own: &Own, source: &Source) -> Option<(String, Transport)> {
        let all = self.owned.read();
        for transport in [source.transport, Transport::Udp] {
            if let Some((_, address)) = all.find(own.name(), transport, source.local.ip()) {
                return Some((address.sent_by, transport));
            }
        }
        None
    }
    /// Closes the ports and connections of those that nobody has been for a while.
    pub(in crate::net) fn sweep(&self, now: Instant) {
        let mut closed = Vec::new();
        {
            let mut all = self.owned.write();
            let All {
                by_name,
                by_flow,
                by_port,
            } = &mut *all;
            by_name.retain(|name, entry| {
                if entry.own.holders() > 1 {
                    entry.unused = None;
                    return true;
                }
                let since = *entry.unused.get_or_insert(now);
                let stays = now.saturating_duration_since(since) < GRACE;
                if !stays {
                    for home in &entry.homes {
                        by_flow.remove(&home.flow);
                        by_port.remove(&(home.transport, home.address));
                    }
                    closed.push(name.clone());
                }
                stays
            });
        }
        for name in closed {
            tracing::debug!(own = &*name, "ports and connections of its own are closed");
            self.streams.close_own(&name);
        }
    }
    /// How many ports are somebody's own.
    pub(in crate::net) fn owned(&self) -> usize {
        self.owned.read().count()
    }
}

#[cfg(test)]
mod tests;

//! Our own addresses: the sockets that we listen on, and which of them speaks to a given remote.
//!
//! Towards one remote we are called by one address only, the one that packets to it leave from. Where the two parties of a
//! call are on two networks, neither may learn our address on the other's: what is opened at need serves only remotes that
//! are routed from its own address, while an address that was configured is the operator's choice, and serves whom it reaches.

mod owned;
mod socket;

pub(super) use socket::local_towards;

use super::{
    Flows, Listen, NetEvent, bracketed,
    stream::{Place, Streams},
    udp,
};
use crate::{
    call::Transmit,
    sip::{
        Text,
        routing::{Destination, FlowId, Source, Transport},
    },
};
use owned::Owned;
use socket::bound;
use socket2::{SockRef, Type};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, RwLock},
};
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::mpsc,
    task::JoinHandle,
};

/// Ports opened at need that are kept: one for each transport and address of ours that packets leave from. A machine has
/// few of those at a time, but over the years IPv6 may give it any number: then the oldest port is closed.
const MAX_OPENED: usize = 32;

/// Finds the address of ours from which packets to a remote leave.
type Route = fn(SocketAddr) -> io::Result<IpAddr>;

/// A socket that we listen on.
struct Home {
    transport: Transport,
    /// Opened at need, not configured: only for remotes that are routed from this very address.
    at_need: bool,
    /// As bound, the port filled in.
    address: SocketAddr,
    advertised: Option<String>,
    /// What every remote calls it; `None` when that depends on the path.
    name: Option<Text>,
    flow: FlowId,
    /// Of UDP.
    socket: Option<Arc<UdpSocket>>,
    task: JoinHandle<()>,
}

impl Drop for Home {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What we are called on the way to a remote.
pub(super) struct Address {
    /// Where packets leave from.
    pub(super) local: IpAddr,
    /// Host and port for Via and Contact.
    pub(super) sent_by: String,
}

/// All of them: those of the configuration first, then those that were opened at need.
pub(super) struct Homes {
    list: RwLock<Vec<Home>>,
    owned: Owned,
    /// Held while a socket is opened at need, so that many calls at once open one.
    opening: Mutex<()>,
    route: Route,
    flows: Arc<Flows>,
    streams: Arc<Streams>,
    events: mpsc::Sender<NetEvent>,
}

impl Homes {
    pub(super) fn new(flows: Arc<Flows>, streams: Arc<Streams>, events: mpsc::Sender<NetEvent>) -> Self {
        Self {
            list: RwLock::default(),
            owned: Owned::new(streams.limits.own),
            opening: Mutex::default(),
            route: local_towards,
            flows,
            streams,
            events,
        }
    }
    /// Binds one address of the configuration and begins to receive there.
    pub(super) fn listen(&self, listen: &Listen) -> io::Result<()> {
        let index = self.list.read().unwrap_or_else(PoisonError::into_inner).len();
        let home = self.open(listen, Some(index), None)?;
        self.add(home);
        Ok(())
    }
    fn add(&self, home: Home) {
        if !home.address.ip().is_unspecified() {
            // Requests that only their size made go by TCP leave from the address that their Via names, too.
            self.streams.add_local(home.address.ip());
        }
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        if home.at_need && list.iter().filter(|home| home.at_need).count() >= MAX_OPENED {
            let oldest = list.iter().position(|home| home.at_need);
            oldest.map(|at| list.remove(at));
        }
        list.push(home);
    }
    fn open(&self, listen: &Listen, index: Option<usize>, own: Option<&Arc<str>>) -> io::Result<Home> {
        self.opened(listen, index, own).map_err(|error| {
            let what = listen.transport.as_via();
            io::Error::new(error.kind(), format!("{what} {}: {error}", listen.address))
        })
    }
    fn opened(&self, listen: &Listen, index: Option<usize>, own: Option<&Arc<str>>) -> io::Result<Home> {
        let flow = self.flows.fresh();
        let (address, socket, task) = match listen.transport {
            Transport::Udp => {
                let socket = Arc::new(UdpSocket::from_std(
                    bound(listen.address, Type::DGRAM, false)?.into(),
                )?);
                let address = socket.local_addr()?;
                // It yields by itself.
                let task = tokio::spawn(tokio::task::unconstrained(udp::receive(
                    socket.clone(),
                    address,
                    flow,
                    self.streams.gate.clone(),
                    self.events.clone(),
                )));
                (address, Some(socket), task)
            }
            transport => {
                let listener =
                    TcpListener::from_std(bound(listen.address, Type::STREAM, own.is_some())?.into())?;
                let address = listener.local_addr()?;
                let place = Place {
                    transport,
                    index,
                    own: own.cloned(),
                };
                let task = tokio::spawn(self.streams.clone().accept(listener, place));
                (address, None, task)
            }
        };
        let mut home = Home {
            name: None,
            at_need: false,
            transport: listen.transport,
            address,
            advertised: listen.advertised.clone(),
            flow,
            socket,
            task,
        };
        if home.advertised.is_some() || !address.ip().is_unspecified() {
            home.name = Some(home.called(address.ip()).sent_by.into());
        }
        Ok(home)
    }
    /// Where we listen.
    pub(super) fn local(&self) -> Vec<(Transport, SocketAddr)> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        list.iter().map(|home| (home.transport, home.address)).collect()
    }
    /// What we are called towards `remote`. Opens a socket when we listen on none that speaks to it. `from` is the address that
    /// `remote` itself has chosen by sending there: it is known to work, and no other is to be told.
    ///
    /// # Errors
    /// When no route leads there, or no socket can be opened.
    pub(super) fn towards(
        &self,
        transport: Transport,
        remote: SocketAddr,
        from: Option<IpAddr>,
    ) -> io::Result<Address> {
        if let Some(found) = self.find(transport, remote, from)? {
            return Ok(found);
        }
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = self.find(transport, remote, from)? {
            return Ok(found);
        }
        let local = self.leaves_from(remote, from)?;
        let listen = Listen {
            transport,
            address: SocketAddr::new(local, 0),
            advertised: self.advertised(local),
        };
        let mut home = self.open(&listen, None, None)?;
        home.at_need = true;
        let address = home.called(local);
        tracing::info!(transport = transport.as_via(), %local, "opened a port to send from");
        self.add(home);
        Ok(address)
    }
    /// The name that the configuration gives an address: its own, that of the wildcard, or that of the only one in its family.
    fn advertised(&self, local: IpAddr) -> Option<String> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let configured = || {
            let family = |home: &&Home| !home.at_need && home.address.is_ipv4() == local.is_ipv4();
            list.iter().filter(family)
        };
        let named = |ip: IpAddr| configured().find(|home| home.address.ip() == ip);
        let any = if local.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let only = || configured().next().filter(|_| configured().count() == 1);
        let home = named(local).or_else(|| named(any)).or_else(only);
        home.and_then(|home| home.advertised.clone())
    }
    /// What we are called by who sent us something from `source`, and by which transport he reaches us there.
    pub(super) fn called_by(&self, source: &Source) -> (Text, Transport) {
        if let Some(own) = self.own_of(source)
            && let Some((name, transport)) = self.own_called(&own, source)
        {
            return (name.into(), transport);
        }
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let home = list.iter().find(|home| match home.transport {
            Transport::Udp => home.flow == source.flow,
            transport => {
                let ip = home.address.ip();
                transport == source.transport
                    && home.address.port() == source.local.port()
                    && (ip == source.local.ip() || ip.is_unspecified())
            }
        });
        if let Some(home) = home {
            let name = match &home.name {
                Some(name) => name.clone(),
                None => home.called(source.local.ip()).sent_by.into(),
            };
            return (name, home.transport);
        }
        drop(list);
        // A connection that we opened: its own port takes no other. Where only the size of a request made it TCP, we are
        // reached by UDP as before.
        for transport in [source.transport, Transport::Udp] {
            if let Ok(Some(address)) = self.find(transport, source.remote, Some(source.local.ip())) {
                return (address.sent_by.into(), transport);
            }
        }
        let own = format!(
            "{}:{}",
            bracketed(&source.local.ip().to_string()),
            source.local.port()
        );
        (own.into(), source.transport)
    }
    fn leaves_from(&self, remote: SocketAddr, from: Option<IpAddr>) -> io::Result<IpAddr> {
        match from.filter(|from| !from.is_unspecified() && reaches(*from, remote.ip())) {
            Some(from) => Ok(from),
            None => (self.route)(remote),
        }
    }
    fn find(
        &self,
        transport: Transport,
        remote: SocketAddr,
        from: Option<IpAddr>,
    ) -> io::Result<Option<Address>> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let fitting = |home: &&Home| home.transport == transport && reaches(home.address.ip(), remote.ip());
        let mut configured = list.iter().filter(fitting).filter(|home| !home.at_need);
        if let Some(first) = configured.next()
            && configured.next().is_none()
            && !first.address.ip().is_unspecified()
        {
            return Ok(Some(first.called(first.address.ip())));
        }
        if !list.iter().any(|home| fitting(&home)) {
            return Ok(None);
        }
        let routed = self.leaves_from(remote, from)?;
        let rank = |home: &&Home| match home.address.ip() {
            ip if ip == routed => 0,
            ip if ip.is_unspecified() => 1,
            _ => 2,
        };
        let candidates = list
            .iter()
            .filter(fitting)
            .filter(|home| !home.at_need || home.address.ip() == routed);
        Ok(candidates.min_by_key(rank).map(|home| {
            let ip = home.address.ip();
            home.called(if ip.is_unspecified() { routed } else { ip })
        }))
    }
    /// Sends a datagram from the socket that fits its destination.
    ///
    /// # Errors
    /// What the kernel says, unless it is only that its buffer is full: then the datagram is lost as on any network.
    pub(super) fn send_datagram(&self, transmit: &Transmit) -> io::Result<()> {
        let own = self.owned.socket(transmit);
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let (home, remote) = match &transmit.to {
            Destination::Target(target) if target.own.is_some() => (None, target.remote),
            Destination::Target(target) => {
                let fits = |home: &&Home| {
                    let ip = home.address.ip();
                    home.socket.is_some()
                        && ip.is_ipv4() == target.remote.is_ipv4()
                        && (ip == target.local || ip.is_unspecified())
                };
                // Of several ports on one address, the one that our Via names.
                let named = |home: &&Home| fits(home) && ends_with_port(&target.sent_by, home.address.port());
                let home = list.iter().find(named).or_else(|| list.iter().find(fits));
                (home, target.remote)
            }
            Destination::Reply { source, address } => {
                let same_flow = |home: &&Home| home.flow == source.flow;
                (list.iter().find(same_flow), *address)
            }
        };
        let socket = own
            .as_ref()
            .or_else(|| home.and_then(|home| home.socket.as_ref()));
        let socket = socket.ok_or_else(|| {
            io::Error::new(io::ErrorKind::AddrNotAvailable, "no socket of ours leads there")
        })?;
        // Straight to the kernel: a socket that was opened just now is writable before its poller knows.
        match SockRef::from(&**socket).send_to(&transmit.bytes, &remote.into()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tracing::debug!(to = %remote, "send buffer full, datagram lost");
                Ok(())
            }
            other => other.map(drop),
        }
    }
}

impl Home {
    fn called(&self, local: IpAddr) -> Address {
        let host = self.advertised.clone().unwrap_or_else(|| local.to_string());
        Address {
            local,
            sent_by: format!("{}:{}", bracketed(&host), self.address.port()),
        }
    }
}

fn ends_with_port(sent_by: &str, port: u16) -> bool {
    sent_by
        .rsplit_once(':')
        .is_some_and(|(_, text)| text.parse() == Ok(port))
}

/// Whether packets from a socket bound to `ours` can come to `remote`: the family is the same, and a loopback socket
/// speaks to loopback only.
fn reaches(ours: IpAddr, remote: IpAddr) -> bool {
    ours.is_ipv4() == remote.is_ipv4() && (!ours.is_loopback() || remote.is_loopback())
}

#[cfg(test)]
mod tests;

//! Port pairs: an even RTP port and the RTCP port above it, from a range or from the kernel.

use super::socket::{self, Socket};
use crate::media::{Component, StreamKind};
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
};

/// Ports that other programs hold are stepped over this many times before a call is refused.
const TRIES: usize = 64;

/// All ports of a server, shared by its relay threads. Locked when ports are taken and given back, never by packets.
pub(crate) struct Ports {
    audio: Range,
    video: Range,
}

#[derive(Clone)]
enum Range {
    /// `0..=0`: the kernel chooses.
    Kernel,
    /// One pool per local address.
    Pools(Arc<Pools>),
}

#[derive(Debug)]
struct Pools {
    range: RangeInclusive<u16>,
    pools: Mutex<HashMap<IpAddr, Pool>>,
}

/// The free even ports of one address. Taking and giving back are O(1), the choice is random: a stranger cannot guess
/// where the next call will be.
#[derive(Debug)]
struct Pool {
    free: Vec<u16>,
    random: SplitMix,
}

/// Two bound sockets. Dropping it closes them and gives the ports back.
#[derive(Debug)]
pub(crate) struct PortPair {
    /// RTP.
    pub(crate) rtp: Socket,
    /// RTCP.
    pub(crate) rtcp: Socket,
    /// Where `rtp` is bound.
    pub(crate) rtp_address: SocketAddr,
    /// Where `rtcp` is bound.
    pub(crate) rtcp_address: SocketAddr,
    // After the sockets: fields are dropped in this order, and a port may only be handed out once it is closed.
    _lease: Option<PortLease>,
}

#[derive(Debug)]
struct PortLease {
    pools: Arc<Pools>,
    address: IpAddr,
    port: u16,
}

impl Ports {
    /// The ranges as configured: inclusive, `0..=0` for the kernel's choice. Equal ranges share their ports.
    pub(crate) fn new(audio: RangeInclusive<u16>, video: RangeInclusive<u16>) -> Self {
        let shared = audio == video;
        let audio = Range::new(audio);
        let video = if shared { audio.clone() } else { Range::new(video) };
        Self { audio, video }
    }

    /// Binds a pair on exactly this address.
    ///
    /// # Errors
    /// When the address is not ours, no port of the range is free, or descriptors have run out.
    pub(crate) fn open(&self, kind: StreamKind, address: IpAddr) -> io::Result<PortPair> {
        let range = match kind {
            StreamKind::Audio => &self.audio,
            StreamKind::Video => &self.video,
        };
        match range {
            Range::Kernel => kernels_choice(address),
            Range::Pools(pools) => Pools::open(pools, address),
        }
    }
}

impl Range {
    fn new(range: RangeInclusive<u16>) -> Self {
        if *range.end() == 0 {
            return Self::Kernel;
        }
        Self::Pools(Arc::new(Pools {
            range,
            pools: Mutex::new(HashMap::new()),
        }))
    }
}

impl Pools {
    fn open(pools: &Arc<Self>, address: IpAddr) -> io::Result<PortPair> {
        let mut refused = Vec::new();
        let mut opened = Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!(
                "no free port on {address} in {}-{}",
                pools.range.start(),
                pools.range.end()
            ),
        ));
        for _ in 0..TRIES {
            // The lock is not held while binding: the kernel may take its time.
            let Some(port) = pools.with(address, Pool::take) else {
                break;
            };
            let lease = PortLease {
                pools: Arc::clone(pools),
                address,
                port,
            };
            match socket::bind_pair(address, port) {
                Ok((rtp, rtcp)) => {
                    opened = PortPair::new(rtp, rtcp, Some(lease));
                    break;
                }
                // Another program has it. It goes back when the search is over.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => refused.push(lease),
                Err(error) => {
                    opened = Err(error);
                    break;
                }
            }
        }
        opened
    }

    fn with<T>(&self, address: IpAddr, act: impl FnOnce(&mut Pool) -> T) -> T {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        act(pools.entry(address).or_insert_with(|| Pool::new(&self.range)))
    }
}

impl Pool {
    fn new(range: &RangeInclusive<u16>) -> Self {
        // A pair needs the port above too.
        let first = range.start().checked_next_multiple_of(2).unwrap_or(u16::MAX);
        let free = (first..*range.end())
            .step_by(2)
            .filter(|&port| port > 0)
            .collect();
        Self {
            free,
            random: SplitMix::from_system(),
        }
    }

    fn take(&mut self) -> Option<u16> {
        if self.free.is_empty() {
            return None;
        }
        let position = self.random.below(self.free.len());
        Some(self.free.swap_remove(position))
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        let port = self.port;
        self.pools.with(self.address, |pool| pool.free.push(port));
    }
}

impl PortPair {
    /// The socket of a component.
    #[inline]
    pub(crate) const fn socket(&self, component: Component) -> &Socket {
        match component {
            Component::Rtp => &self.rtp,
            Component::Rtcp => &self.rtcp,
        }
    }

    fn new(rtp: Socket, rtcp: Socket, lease: Option<PortLease>) -> io::Result<Self> {
        Ok(Self {
            rtp_address: rtp.local()?,
            rtcp_address: rtcp.local()?,
            rtp,
            rtcp,
            _lease: lease,
        })
    }
}

/// Lets the kernel choose until it gives an even port whose neighbour is free.
fn kernels_choice(address: IpAddr) -> io::Result<PortPair> {
    let mut set_aside = Vec::new();
    for _ in 0..TRIES {
        let rtp = Socket::bind(SocketAddr::new(address, 0))?;
        let port = rtp.local()?.port();
        if port % 2 == 0 {
            match Socket::bind(SocketAddr::new(address, port + 1)) {
                Ok(rtcp) => return PortPair::new(rtp, rtcp, None),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        // Held for now, so that it is not offered again.
        set_aside.push(rtp);
    }
    Err(io::Error::new(
        io::ErrorKind::AddrInUse,
        format!("the kernel offers no even port on {address} with a free one above"),
    ))
}

/// A small generator for what need not be secret against someone who sees its output: port order, replaced SSRCs.
#[derive(Debug)]
pub(crate) struct SplitMix(u64);

impl SplitMix {
    /// Seeded by the standard library's per-process hash keys, which come from the system.
    pub(crate) fn from_system() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self(RandomState::new().hash_one(0u8))
    }

    /// The same numbers for the same seed.
    #[cfg(test)]
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u128;
        usize::try_from((u128::from(self.next()) * bound) >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, net::Ipv4Addr};

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn the_kernel_gives_an_even_port_and_its_neighbour() {
        let ports = Ports::new(0..=0, 0..=0);
        for address in [LOCAL, "::1".parse().unwrap()] {
            let pair = ports.open(StreamKind::Audio, address).unwrap();
            assert_eq!(pair.rtp_address.ip(), address);
            assert_eq!(pair.rtp_address.port() % 2, 0);
            assert_eq!(pair.rtcp_address.port(), pair.rtp_address.port() + 1);
        }
    }

    #[test]
    fn a_range_is_used_up_without_repeating_and_comes_back() {
        let ports = Ports::new(21_001..=21_020, 21_001..=21_020);
        for _ in 0..3 {
            let mut pairs = Vec::new();
            while let Ok(pair) = ports.open(StreamKind::Audio, LOCAL) {
                pairs.push(pair);
            }
            let taken: HashSet<u16> = pairs.iter().map(|pair| pair.rtp_address.port()).collect();
            // 21,002 to 21,018: 21,020 has no neighbour within the range.
            assert_eq!(taken.len(), pairs.len());
            assert_eq!(pairs.len(), 9);
            assert!(
                taken
                    .iter()
                    .all(|port| port % 2 == 0 && (21_001..21_020).contains(port))
            );
            let error = ports.open(StreamKind::Video, LOCAL).err().unwrap().to_string();
            assert!(error.contains("21001-21020"), "{error}");
        }
    }

    #[test]
    fn a_port_that_another_program_holds_is_stepped_over() {
        let stranger = Socket::bind((Ipv4Addr::LOCALHOST, 21_103).into()).unwrap();
        let ports = Ports::new(21_100..=21_105, 0..=0);
        let pairs: Vec<_> = (0..2)
            .map(|_| ports.open(StreamKind::Audio, LOCAL).unwrap())
            .collect();
        assert!(pairs.iter().all(|pair| pair.rtp_address.port() != 21_102));
        assert!(ports.open(StreamKind::Audio, LOCAL).is_err());
        drop(stranger);
        assert_eq!(
            ports.open(StreamKind::Audio, LOCAL).unwrap().rtp_address.port(),
            21_102
        );
    }

    #[test]
    fn the_order_is_not_the_ports_order() {
        let mut pool = Pool {
            free: (0..1000).collect(),
            random: SplitMix::seeded(1),
        };
        let first: Vec<u16> = (0..10).filter_map(|_| pool.take()).collect();
        assert!(first.windows(2).any(|pair| pair[1] < pair[0]), "{first:?}");
    }

    #[test]
    fn strange_ranges_give_no_port_and_do_not_panic() {
        for range in [0..=1, 1..=2, u16::MAX..=u16::MAX, 65_534..=65_535] {
            let pool = Pool::new(&range);
            assert!(pool.free.iter().all(|&port| port > 0 && port < u16::MAX));
        }
        assert_eq!(Pool::new(&(65_534..=65_535)).free, [65_534]);
    }

    #[test]
    fn an_address_that_is_not_ours_leaves_the_pool_whole() {
        let ports = Ports::new(21_200..=21_210, 0..=0);
        let stranger = "192.0.2.1".parse().unwrap();
        for _ in 0..20 {
            assert!(ports.open(StreamKind::Audio, stranger).is_err());
        }
        let Range::Pools(pools) = &ports.audio else {
            unreachable!()
        };
        assert_eq!(pools.with(stranger, |pool| pool.free.len()), 5);
    }
}

//! Three network namespaces and the cables between them.
//!
//! ```text
//!   namespace a            hub                          namespace b
//!   198.51.100.2   ───── va 198.51.100.1
//!   2001:db8:a::2           2001:db8:a::1
//!                           203.0.113.1 vb ─────────── 203.0.113.2
//!                           2001:db8:b::1              2001:db8:b::2
//! ```
//!
//! The caller lives in `a`, the callee in `b`, the server, the proxies, the name server and the
//! test itself in the hub. So leg A and leg B are two wires, and what is seen on `vb` is exactly
//! what leg B's network learns.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Outcome;

/// Leg A or leg B: which wire, which namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    A,
    B,
}

impl Side {
    /// The phone's IPv4 address.
    pub(crate) fn phone(self) -> IpAddr {
        IpAddr::V4(match self {
            Self::A => Ipv4Addr::new(198, 51, 100, 2),
            Self::B => Ipv4Addr::new(203, 0, 113, 2),
        })
    }

    /// The hub's IPv4 address on this wire: where the server listens for this leg.
    pub(crate) fn hub(self) -> IpAddr {
        IpAddr::V4(match self {
            Self::A => Ipv4Addr::new(198, 51, 100, 1),
            Self::B => Ipv4Addr::new(203, 0, 113, 1),
        })
    }

    /// The phone's IPv6 address.
    pub(crate) fn phone6(self) -> IpAddr {
        IpAddr::V6(self.v6(2))
    }

    /// The hub's IPv6 address on this wire.
    pub(crate) fn hub6(self) -> IpAddr {
        IpAddr::V6(self.v6(1))
    }

    fn v6(self, host: u16) -> Ipv6Addr {
        let net = if self == Self::A { 0xa } else { 0xb };
        Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host)
    }

    /// The hub's interface on this wire.
    pub(crate) fn interface(self) -> &'static str {
        if self == Self::A { "va" } else { "vb" }
    }

    /// The letter, for file names.
    pub(crate) fn letter(self) -> &'static str {
        if self == Self::A { "a" } else { "b" }
    }
}

/// What the phones may call the hub: a certificate of it says this name.
pub(crate) const HUB: &str = "hub.test";

/// The namespaces of one test. Dropping it ends whatever still runs in them and removes them.
pub(crate) struct Namespaces {
    tag: String,
}

impl Namespaces {
    /// Creates and cables them. `tag` must be unique on this machine.
    pub(crate) fn create(tag: &str) -> Outcome<Self> {
        let made = Self { tag: tag.to_owned() };
        for part in ["h", "a", "b"] {
            let name = made.name(part);
            ip(&format!("netns add {name}"))?;
            ip(&format!("-n {name} link set lo up"))?;
            // An address that is still being checked for duplicates sends nothing for a second.
            sysctl(&name, "net.ipv6.conf.default.dad_transmits=0")?;
        }
        // Read by the resolver of everything that runs in the hub (`ip netns exec` mounts it).
        let etc = format!("/etc/netns/{}", made.hub());
        fs::create_dir_all(&etc)
            .and_then(|()| fs::write(format!("{etc}/resolv.conf"), "nameserver 127.0.0.1\n"))
            .map_err(|e| format!("{etc}: {e}"))?;
        for side in [Side::A, Side::B] {
            let etc = format!("/etc/netns/{}", made.name(side.letter()));
            fs::create_dir_all(&etc)
                .and_then(|()| fs::write(format!("{etc}/hosts"), format!("{} {HUB}\n", side.hub())))
                .map_err(|e| format!("{etc}: {e}"))?;
        }
        sysctl(&made.hub(), "net.ipv4.ip_forward=1")?;
        sysctl(&made.hub(), "net.ipv6.conf.all.forwarding=1")?;
        for side in [Side::A, Side::B] {
            made.cable(side)?;
        }
        Ok(made)
    }

    fn cable(&self, side: Side) -> Outcome {
        let (hub, far, near) = (self.hub(), self.name(side.letter()), side.interface());
        ip(&format!(
            "-n {hub} link add {near} type veth peer name e0 netns {far}"
        ))?;
        for (ns, dev, v4, v6) in [
            (&hub, near, side.hub(), side.hub6()),
            (&far, "e0", side.phone(), side.phone6()),
        ] {
            // Big INVITEs must not be cut into fragments: the captures are read packet by packet.
            ip(&format!("-n {ns} link set {dev} mtu 9000 up"))?;
            ip(&format!("-n {ns} addr add {v4}/24 dev {dev}"))?;
            ip(&format!("-n {ns} addr add {v6}/64 dev {dev} nodad"))?;
        }
        ip(&format!("-n {far} route add default via {}", side.hub()))?;
        ip(&format!("-n {far} route add default via {}", side.hub6()))
    }

    fn name(&self, part: &str) -> String {
        format!("{}{part}", self.tag)
    }

    /// The hub's name, for `ip netns exec`.
    pub(crate) fn hub(&self) -> String {
        self.name("h")
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for part in ["a", "b", "h"] {
            remove(&self.name(part));
        }
    }
}

/// The name of a side's namespace, from the hub's (which the test is told by its runner).
pub(crate) fn beside(hub: &str, side: Side) -> String {
    format!("{}{}", hub.strip_suffix('h').unwrap_or(hub), side.letter())
}

/// Does something in a side's namespace, on a thread of its own: sockets stay where they were made.
pub(crate) fn inside<T: Send>(hub: &str, side: Side, what: impl FnOnce() -> T + Send) -> Outcome<T> {
    let path = Path::new("/run/netns").join(beside(hub, side));
    let namespace = fs::File::open(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let network = Some(LinkNameSpaceType::Network);
    thread::scope(|scope| {
        let done = scope.spawn(|| move_into_link_name_space(namespace.as_fd(), network).map(|()| what()));
        match done.join() {
            Ok(done) => done.map_err(|e| format!("{}: {e}", path.display())),
            Err(_) => Err(format!("{}: what was to be done there panicked", path.display())),
        }
    })
}

/// Removes namespaces that a killed run of this suite has left: `prefix` + pid + `-…`, where no
/// such process lives any more.
pub(crate) fn remove_stale(prefix: &str) {
    let Ok(list) = Command::new("ip").args(["netns", "list"]).output() else {
        return;
    };
    for line in String::from_utf8_lossy(&list.stdout).lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let owner = name.strip_prefix(prefix).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !pid.is_empty() && !Path::new("/proc").join(pid).exists()) {
            remove(name);
        }
    }
}

fn remove(name: &str) {
    if let Ok(pids) = Command::new("ip")
        .args(["netns", "pids", name])
        .stderr(Stdio::null())
        .output()
    {
        for pid in String::from_utf8_lossy(&pids.stdout).split_whitespace() {
            let _ = Command::new("kill")
                .args(["-KILL", pid])
                .stderr(Stdio::null())
                .status();
        }
    }
    let _ = Command::new("ip")
        .args(["netns", "del", name])
        .stderr(Stdio::null())
        .status();
    let _ = fs::remove_dir_all(format!("/etc/netns/{name}"));
}

fn sysctl(ns: &str, setting: &str) -> Outcome {
    ip(&format!("netns exec {ns} sysctl -qw {setting}"))
}

/// Runs `ip` with the words of `command`.
fn ip(command: &str) -> Outcome {
    let out = Command::new("ip").args(command.split(' ')).output();
    let out = out.map_err(|e| format!("ip: {e}"))?;
    if out.status.success() {
        return Ok(());
    }
    Err(format!(
        "ip {command}: {}",
        String::from_utf8_lossy(&out.stderr).trim()
    ))
}

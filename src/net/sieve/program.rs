//! The sieve as a program of the kernel's classic packet filter (the machine of `tcpdump -d`). It runs where a datagram
//! would enter the socket's buffer; what it returns is how many bytes to keep.

use socket2::SockFilter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Instructions of a program. The kernel takes 4,096 and little memory for them: 20 kB a socket where it has not been told
/// otherwise, for an old program and its successor together.
const MOST: usize = 700;
/// Comparisons that share one way out: a jump leads over at most 255 instructions.
const RUN: usize = 200;

/// Loads four bytes at a fixed place.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
/// Jumps if the accumulator is the number.
const IF_EQUAL: u16 = 0x15;
/// Jumps if the accumulator is the number or more.
const IF_AT_LEAST: u16 = 0x35;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;

/// Where the IP header begins (`SKF_NET_OFF`): the datagram itself begins with that of UDP.
const IP_HEADER: u32 = 0xfff0_0000;
/// A number by chance (`SKF_AD_OFF + SKF_AD_RANDOM`).
const CHANCE: u32 = 0xffff_f000 + 56;
const ALL: u32 = u32::MAX;

/// One instruction: what, where to go on if true and if not, and its number.
pub(super) type Step = (u16, u8, u8, u32);

/// The program for a socket of one family: everything from the networks and the hosts, and of the rest one in 2 to the
/// power of `shift`. Networks first, then hosts, as many as have room.
pub(in crate::net) fn program(
    is_ipv6: bool,
    shift: u32,
    networks: &[(IpAddr, u8)],
    hosts: &[IpAddr],
) -> Vec<SockFilter> {
    let steps = steps(is_ipv6, shift, networks, hosts);
    let filters = steps
        .iter()
        .map(|&(code, yes, no, k)| SockFilter::new(code, yes, no, k));
    filters.collect()
}

pub(super) fn steps(is_ipv6: bool, shift: u32, networks: &[(IpAddr, u8)], hosts: &[IpAddr]) -> Vec<Step> {
    // Of 2^32 numbers the lowest 2^(32 - shift) pass.
    let beyond = 1_u32.checked_shl(32 - shift.clamp(1, 31)).unwrap_or(1);
    let mut steps = vec![
        (LOAD, 0, 0, CHANCE),
        (IF_AT_LEAST, 1, 0, beyond),
        (RETURN, 0, 0, ALL),
    ];
    if is_ipv6 {
        let whole = hosts.iter().map(|host| (*host, 128));
        for (address, prefix) in networks.iter().copied().chain(whole) {
            if let IpAddr::V6(address) = address {
                add_if_room(&mut steps, of_ipv6(address, prefix));
            }
        }
    } else {
        for (address, prefix) in networks {
            if let IpAddr::V4(address) = address {
                add_if_room(&mut steps, of_ipv4(*address, *prefix));
            }
        }
        let hosts: Vec<u32> = hosts
            .iter()
            .filter_map(|host| match host {
                IpAddr::V4(host) => Some(u32::from(*host)),
                IpAddr::V6(_) => None,
            })
            .collect();
        for run in hosts.chunks(RUN) {
            add_if_room(&mut steps, of_hosts(run));
        }
    }
    steps.push((RETURN, 0, 0, 0));
    steps
}

fn add_if_room(steps: &mut Vec<Step>, more: Vec<Step>) {
    if steps.len() + more.len() < MOST {
        steps.extend(more);
    }
}

/// All ones above the host's bits.
const fn mask(prefix: u32) -> u32 {
    match prefix {
        0 => 0,
        1..=31 => u32::MAX << (32 - prefix),
        _ => u32::MAX,
    }
}

fn of_ipv4(network: Ipv4Addr, prefix: u8) -> Vec<Step> {
    let mask = mask(u32::from(prefix));
    vec![
        (LOAD, 0, 0, IP_HEADER + 12),
        (AND, 0, 0, mask),
        (IF_EQUAL, 0, 1, u32::from(network) & mask),
        (RETURN, 0, 0, ALL),
    ]
}

/// At most [`RUN`] hosts.
fn of_hosts(hosts: &[u32]) -> Vec<Step> {
    let mut steps = vec![(LOAD, 0, 0, IP_HEADER + 12)];
    for (index, host) in hosts.iter().enumerate() {
        // Over the hosts that follow and the jump behind them.
        let out = u8::try_from(hosts.len() - index).unwrap_or(u8::MAX);
        steps.push((IF_EQUAL, out, 0, *host));
    }
    steps.push((JUMP, 0, 0, 1));
    steps.push((RETURN, 0, 0, ALL));
    steps
}

fn of_ipv6(network: Ipv6Addr, prefix: u8) -> Vec<Step> {
    let bits = network.to_bits();
    let words: Vec<(u32, u32, u32)> = (0_u32..4)
        .map(|word| {
            let mask = mask(u32::from(prefix).saturating_sub(word * 32));
            let number = (bits >> (96 - word * 32)) as u32;
            (word, number & mask, mask)
        })
        .take_while(|(_, _, mask)| *mask != 0)
        .collect();
    let mut steps: Vec<Step> = Vec::new();
    for (index, (word, number, mask)) in words.iter().enumerate() {
        steps.push((LOAD, 0, 0, IP_HEADER + 8 + word * 4));
        steps.push((AND, 0, 0, *mask));
        // Over the three steps of each word that follows, and the way out.
        let no = u8::try_from((words.len() - index - 1) * 3 + 1).unwrap_or(u8::MAX);
        steps.push((IF_EQUAL, 0, no, *number));
    }
    steps.push((RETURN, 0, 0, ALL));
    steps
}

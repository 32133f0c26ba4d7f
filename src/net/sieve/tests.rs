use super::{
    program::{Step, steps},
    *,
};
use std::net::IpAddr;

fn begin() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "where time begins; it goes on by hand")]
    Instant::now()
}

/// What the kernel would keep of a datagram from there when chance gives this number.
fn keeps(steps: &[Step], from: IpAddr, chance: u32) -> bool {
    let header = match from {
        IpAddr::V4(from) => [&[0; 12][..], &from.octets()].concat(),
        IpAddr::V6(from) => [&[0; 8][..], &from.octets()].concat(),
    };
    let (mut at, mut value) = (0, 0);
    loop {
        let (code, yes, no, k) = steps[at];
        at += 1;
        match code {
            0x20 if k == 0xffff_f038 => value = chance,
            0x20 => {
                let place = (k - 0xfff0_0000) as usize;
                value = u32::from_be_bytes(header[place..place + 4].try_into().expect("four bytes"));
            }
            0x54 => value &= k,
            0x15 => at += usize::from(if value == k { yes } else { no }),
            0x35 => at += usize::from(if value >= k { yes } else { no }),
            0x05 => at += k as usize,
            0x06 => return k != 0,
            other => panic!("no such instruction: {other:#x}"),
        }
    }
}

fn host(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn trusted_networks_and_called_hosts_pass_whatever_chance_says() {
    let networks = [
        (host("192.0.2.128"), 25),
        (host("198.51.100.7"), 32),
        (host("2001:db8:7::"), 48),
        (host("2001:db8:8:0:8000::"), 65),
    ];
    let called: Vec<IpAddr> = (0..500_u32)
        .map(|number| IpAddr::from((0x0a00_0000 + number * 3).to_be_bytes()))
        .collect();
    let four = steps(false, 10, &networks, &called);
    for known in [
        "192.0.2.128",
        "192.0.2.255",
        "198.51.100.7",
        "10.0.0.0",
        "10.0.0.3",
        "10.0.5.217",
    ] {
        assert!(keeps(&four, host(known), u32::MAX), "{known}");
    }
    for stranger in [
        "192.0.2.127",
        "198.51.100.6",
        "10.0.0.1",
        "10.0.5.220",
        "203.0.113.1",
    ] {
        assert!(!keeps(&four, host(stranger), u32::MAX), "{stranger}");
        assert!(keeps(&four, host(stranger), 0), "{stranger}");
    }
    let six = steps(true, 10, &networks, &[host("2001:db8::5")]);
    for known in [
        "2001:db8:7::",
        "2001:db8:7:ffff::1",
        "2001:db8:8:0:8000::1",
        "2001:db8::5",
    ] {
        assert!(keeps(&six, host(known), u32::MAX), "{known}");
    }
    for stranger in ["2001:db8:6::", "2001:db8:8::1", "2001:db8::6", "2001:db9::5"] {
        assert!(!keeps(&six, host(stranger), u32::MAX), "{stranger}");
    }
    // A network of everybody.
    assert!(keeps(
        &steps(false, 10, &[(host("0.0.0.0"), 0)], &[]),
        host("203.0.113.1"),
        u32::MAX
    ));
    assert!(keeps(
        &steps(true, 10, &[(host("::"), 0)], &[]),
        host("2001:db8::1"),
        u32::MAX
    ));
}

#[test]
fn of_strangers_one_in_two_to_that_power_passes() {
    for shift in [1, 2, 5, 20] {
        let steps = steps(false, shift, &[], &[]);
        let last = (1_u64 << (32 - shift)) as u32 - 1;
        assert!(keeps(&steps, host("203.0.113.1"), last), "{shift}");
        assert!(!keeps(&steps, host("203.0.113.1"), last + 1), "{shift}");
    }
}

#[test]
fn a_program_never_outgrows_what_the_kernel_takes() {
    let many: Vec<IpAddr> = (0..5_000_u32)
        .map(|number| IpAddr::from(number.to_be_bytes()))
        .collect();
    let networks: Vec<(IpAddr, u8)> = many.iter().map(|host| (*host, 31)).collect();
    let sixes: Vec<IpAddr> = (0..5_000_u128)
        .map(|number| IpAddr::from(number.to_be_bytes()))
        .collect();
    let (four, six) = (host("203.0.113.1"), host("2001:db8::1"));
    for (program, stranger) in [
        (steps(false, 3, &networks, &many), four),
        (steps(false, 3, &[], &many), four),
        (steps(true, 3, &[], &sixes), six),
    ] {
        assert!((400..=700).contains(&program.len()), "{}", program.len());
        assert!(!keeps(&program, stranger, u32::MAX));
    }
}

/// So many datagrams a second of strangers for a while; the share that is let through after it, and how many were read.
fn flood(sieve: &mut Sieve, from: Instant, rate: u32, comes: u64, time: Duration) -> (u32, u64) {
    let (mut shift, mut read) = (sieve.shift, 0);
    let step = Duration::from_millis(1);
    let mut now = from;
    let mut left = 0.0;
    while now < from + time {
        left += comes as f64 / 1_000.0 / f64::from(1_u32 << shift);
        while left >= 1.0 {
            left -= 1.0;
            read += 1;
            if sieve.heard(now, rate) {
                match sieve.judge(now, rate, 0) {
                    Some(Order::Sift(finer)) => shift = finer,
                    Some(Order::Open) => shift = 0,
                    None => {}
                }
            }
        }
        sieve.emptied(now);
        match sieve.judge(now, rate, 0) {
            Some(Order::Sift(finer)) => shift = finer,
            Some(Order::Open) => shift = 0,
            None => {}
        }
        now += step;
    }
    (shift, read)
}

#[test]
fn a_flood_of_any_size_is_soon_brought_down_to_the_rate_and_stays_there() {
    for comes in [20_000, 100_000, 1_000_000, 20_000_000] {
        let mut sieve = Sieve::new(begin());
        let from = begin();
        flood(&mut sieve, from, 4_000, comes, Duration::from_millis(500));
        let (shift, read) = flood(
            &mut sieve,
            from + Duration::from_millis(500),
            4_000,
            comes,
            Duration::from_secs(10),
        );
        assert!(
            (2_000..=8_200).contains(&(read / 10)),
            "{comes} come, {} are read",
            read / 10
        );
        assert!(shift > 0);
    }
}

#[test]
fn what_is_no_flood_is_not_sifted_and_after_a_flood_everybody_is_heard_again() {
    let from = begin();
    let mut sieve = Sieve::new(from);
    assert_eq!(
        flood(&mut sieve, from, 4_000, 3_900, Duration::from_secs(5)),
        (0, 19_500)
    );
    let from = from + Duration::from_secs(5);
    assert!(flood(&mut sieve, from, 4_000, 500_000, Duration::from_secs(1)).0 > 4);
    let from = from + Duration::from_secs(1);
    assert_eq!(flood(&mut sieve, from, 4_000, 100, Duration::from_secs(1)).0, 0);
    assert!(!sieve.is_on());
}

#[test]
fn what_waited_from_before_is_no_reason_for_a_finer_sieve() {
    let begin = begin();
    let mut sieve = Sieve::new(begin);
    let mut first = None;
    for _ in 0..10_000 {
        if sieve.heard(begin, 4_000)
            && let Some(order) = sieve.judge(begin + Duration::from_millis(2), 4_000, 0)
        {
            assert_eq!(first.replace(order), None, "told once");
        }
    }
    assert!(matches!(first, Some(Order::Sift(_))));
}

#[test]
fn a_host_that_is_called_meanwhile_is_let_through_soon() {
    let begin = begin();
    let mut sieve = Sieve::new(begin);
    for _ in 0..10_000 {
        sieve.heard(begin, 4_000);
    }
    let Some(Order::Sift(shift)) = sieve.judge(begin, 4_000, 1) else {
        panic!("a flood");
    };
    assert_eq!(sieve.judge(begin + Duration::from_millis(5), 4_000, 2), None);
    assert_eq!(sieve.judge(begin + REFRESH, 4_000, 2), Some(Order::Sift(shift)));
    assert_eq!(sieve.judge(begin + REFRESH, 4_000, 2), None);
}

#[test]
fn where_the_kernel_takes_no_filter_it_is_asked_once() {
    let from = begin();
    let mut sieve = Sieve::new(from);
    assert!(flood(&mut sieve, from, 4_000, 500_000, Duration::from_secs(1)).0 > 0);
    sieve.give_up();
    let from = from + Duration::from_secs(1);
    assert_eq!(
        flood(&mut sieve, from, 4_000, 500_000, Duration::from_secs(1)).0,
        0
    );
}

/// Datagrams that have come.
fn come(socket: &std::net::UdpSocket) -> usize {
    let mut buffer = [0; 64];
    std::iter::from_fn(|| socket.recv_from(&mut buffer).ok()).count()
}

#[test]
fn the_kernel_keeps_strangers_out_and_lets_through_who_is_known() {
    for (ours, trusted, stranger) in [
        ("127.0.0.1:0", "127.0.0.2:0", Some("127.0.0.3:0")),
        // Loopback has one address of IPv6 alone.
        ("[::1]:0", "[::1]:0", None),
    ] {
        let socket = std::net::UdpSocket::bind(ours).expect("a free port");
        socket.set_nonblocking(true).expect("a socket");
        let to = socket.local_addr().expect("bound");
        let send = |from: &str, count| {
            let sender = std::net::UdpSocket::bind(from).expect("a free port");
            for _ in 0..count {
                sender.send_to(b"OPTIONS", to).expect("sent");
            }
        };
        let known = trusted.parse::<std::net::SocketAddr>().expect("an address").ip();
        let filter = socket2::SockRef::from(&socket);
        // One in 2^31: none of a hundred.
        let sift = |networks: &[(IpAddr, u8)], hosts: &[IpAddr]| {
            let program = program(to.is_ipv6(), 31, networks, hosts);
            filter.attach_filter(&program).expect("the kernel takes it");
        };
        sift(&[(known, if to.is_ipv6() { 64 } else { 31 })], &[]);
        send(trusted, 100);
        assert_eq!(come(&socket), 100, "{trusted}, of a trusted network");
        sift(&[], &[known]);
        send(trusted, 100);
        assert_eq!(come(&socket), 100, "{trusted}, a host that was called");
        if let Some(stranger) = stranger {
            send(stranger, 100);
            assert_eq!(come(&socket), 0, "{stranger}");
        }
        sift(&[], &[]);
        send(trusted, 100);
        assert_eq!(come(&socket), 0, "{trusted} as a stranger");
        // The largest program, and half of what comes.
        let many: Vec<IpAddr> = (0..5_000_u32)
            .map(|number| IpAddr::from(number.to_be_bytes()))
            .collect();
        let largest = program(to.is_ipv6(), 1, &[], &many);
        filter.attach_filter(&largest).expect("the kernel takes it");
        filter
            .attach_filter(&largest)
            .expect("and its successor beside it");
        send(trusted, 100);
        let half = come(&socket);
        assert!((20..=80).contains(&half), "{half} of 100");
        filter.detach_filter().expect("there is one");
        send(trusted, 100);
        assert_eq!(come(&socket), 100, "everybody");
    }
}

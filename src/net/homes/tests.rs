//! A machine with many addresses, made of loopback: packets to 127.0.1.n leave from 127.0.0.n.

use super::*;
use crate::net::Limits;

#[expect(clippy::unnecessary_wraps, reason = "the type of a route")]
fn routes(remote: SocketAddr) -> io::Result<IpAddr> {
    Ok(match remote.ip() {
        IpAddr::V4(ip) => Ipv4Addr::new(127, 0, 0, ip.octets()[3]).into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    })
}

fn homes(listen: &[(Transport, &str, Option<&str>)]) -> Homes {
    let (events, _) = mpsc::channel(8);
    let flows = Arc::new(Flows::default());
    let streams = Arc::new(Streams::new(
        Limits::default(),
        flows.clone(),
        Arc::default(),
        events.clone(),
    ));
    let mut homes = Homes::new(flows, streams, events);
    homes.route = routes;
    for (transport, address, advertised) in listen {
        homes
            .listen(&Listen {
                transport: *transport,
                address: address.parse().expect("an address"),
                advertised: advertised.map(str::to_owned),
            })
            .expect("a free port");
    }
    homes
}

fn remote(n: u8) -> SocketAddr {
    ([127, 0, 1, n], 5060).into()
}

fn host(homes: &Homes, transport: Transport, remote: SocketAddr) -> String {
    let address = homes.towards(transport, remote, None).expect("a way");
    let (host, port) = address.sent_by.rsplit_once(':').expect("host and port");
    assert!(port.parse::<u16>().is_ok_and(|port| port != 0), "{port}");
    host.to_owned()
}

/// What a message is called by that came over a connection of ours, from a port of its own.
fn over_our_connection(homes: &Homes, n: u8) -> (String, Transport) {
    let source = Source {
        transport: Transport::Tcp,
        local: ([127, 0, 0, n], 9).into(),
        remote: remote(n),
        flow: FlowId(99),
    };
    let (name, transport) = homes.called_by(&source);
    (name.to_string(), transport)
}

#[tokio::test]
async fn what_is_opened_at_need_serves_only_what_is_routed_from_its_address() {
    let homes = homes(&[
        (Transport::Udp, "127.0.0.2:0", None),
        (Transport::Udp, "127.0.0.3:0", None),
    ]);
    for _ in 0..2 {
        assert_eq!(host(&homes, Transport::Tcp, remote(2)), "127.0.0.2");
        assert_eq!(host(&homes, Transport::Tcp, remote(3)), "127.0.0.3");
        assert_eq!(host(&homes, Transport::Tcp, remote(4)), "127.0.0.4");
    }
    assert_eq!(homes.local().len(), 5, "{:?}", homes.local());
    assert_eq!(host(&homes, Transport::Udp, remote(2)), "127.0.0.2");
    assert_eq!(host(&homes, Transport::Udp, remote(3)), "127.0.0.3");
}

#[tokio::test]
async fn the_one_address_that_was_configured_is_used_wherever_packets_are_routed_from() {
    let homes = homes(&[
        (Transport::Udp, "127.0.0.2:0", None),
        (Transport::Tcp, "127.0.0.3:0", None),
    ]);
    for n in [2, 3, 4] {
        assert_eq!(host(&homes, Transport::Udp, remote(n)), "127.0.0.2");
        assert_eq!(host(&homes, Transport::Tcp, remote(n)), "127.0.0.3");
    }
    assert_eq!(homes.local().len(), 2, "nothing was opened");
}

#[tokio::test]
async fn a_wildcard_is_called_by_the_address_that_packets_leave_from() {
    let homes = homes(&[(Transport::Udp, "0.0.0.0:0", None)]);
    for n in [2, 3] {
        assert_eq!(host(&homes, Transport::Udp, remote(n)), format!("127.0.0.{n}"));
        assert_eq!(host(&homes, Transport::Tcp, remote(n)), format!("127.0.0.{n}"));
    }
}

#[tokio::test]
async fn what_is_opened_at_need_has_the_advertised_name_of_its_own_address_only() {
    let both = [
        (Transport::Udp, "127.0.0.2:0", Some("inside.example")),
        (Transport::Udp, "127.0.0.3:0", Some("outside.example")),
    ];
    let two = homes(&both);
    assert_eq!(host(&two, Transport::Tcp, remote(2)), "inside.example");
    assert_eq!(host(&two, Transport::Tcp, remote(3)), "outside.example");
    assert_eq!(host(&two, Transport::Tcp, remote(4)), "127.0.0.4");
    // Behind one NAT there is one name.
    let one = homes(&both[..1]);
    assert_eq!(host(&one, Transport::Tcp, remote(4)), "inside.example");
    let any = homes(&[(Transport::Udp, "0.0.0.0:0", Some("any.example"))]);
    assert_eq!(host(&any, Transport::Tcp, remote(4)), "any.example");
}

#[tokio::test]
async fn over_a_connection_that_only_size_asked_for_we_are_reached_by_udp_as_before() {
    let homes = homes(&[
        (Transport::Udp, "127.0.0.2:0", None),
        (Transport::Udp, "127.0.0.3:0", None),
    ]);
    for (n, (_, udp)) in [2, 3].into_iter().zip(homes.local()) {
        assert_eq!(over_our_connection(&homes, n), (udp.to_string(), Transport::Udp));
    }
    assert_eq!(homes.local().len(), 2, "who sends opens nothing");
    // Where TCP is what was asked for, a port for it has been opened, of the same address.
    let tcp = homes
        .towards(Transport::Tcp, remote(3), None)
        .expect("a way")
        .sent_by;
    assert_eq!(over_our_connection(&homes, 3), (tcp, Transport::Tcp));
    assert_eq!(over_our_connection(&homes, 2).1, Transport::Udp);
    assert_eq!(
        over_our_connection(&homes, 4).0.split(':').next(),
        Some("127.0.0.2")
    );
}

#[tokio::test]
async fn there_are_never_more_ports_opened_at_need_than_a_bound_says() {
    let homes = homes(&[(Transport::Udp, "127.0.0.2:0", None)]);
    for n in 1..=200 {
        assert_eq!(host(&homes, Transport::Tcp, remote(n)), format!("127.0.0.{n}"));
    }
    let local = homes.local();
    assert_eq!(local.len(), 1 + MAX_OPENED);
    assert_eq!(local[0].0, Transport::Udp, "what was configured stays");
    assert_eq!(local[1].1.ip(), IpAddr::from([127, 0, 0, 169]), "the oldest go");
}

#[tokio::test]
async fn who_has_chosen_an_address_of_ours_is_spoken_to_from_there() {
    let homes = homes(&[
        (Transport::Udp, "127.0.0.2:0", None),
        (Transport::Udp, "127.0.0.3:0", None),
    ]);
    for transport in [Transport::Udp, Transport::Tcp] {
        let from = |n: u8| Some(IpAddr::from([127, 0, 0, n]));
        let address = homes.towards(transport, remote(2), from(3)).expect("a way");
        assert_eq!(address.local, from(3).expect("an address"));
        assert!(address.sent_by.starts_with("127.0.0.3:"), "{}", address.sent_by);
        // What cannot be is not tried: a loopback address reaches nobody else, and a wildcard is no address.
        let elsewhere = SocketAddr::from(([192, 0, 2, 2], 5060));
        assert_eq!(homes.leaves_from(elsewhere, from(3)).ok(), from(2));
        assert_eq!(
            homes
                .leaves_from(remote(2), Some(Ipv4Addr::UNSPECIFIED.into()))
                .ok(),
            from(2)
        );
        // Others are spoken to as they are routed.
        assert_eq!(host(&homes, transport, remote(2)), "127.0.0.2");
    }
}

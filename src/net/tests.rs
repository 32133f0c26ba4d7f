//! Sockets on loopback, with limits short enough to watch them.

mod limits;

use super::*;
use crate::sip::routing::{FlowId, Transport};
use bytes::Bytes;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(5);

fn localhost() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

async fn bound(limits: Limits) -> (Net, mpsc::Receiver<NetEvent>, SocketAddr) {
    let (events, receiver) = mpsc::channel(64);
    let listen = Listen {
        transport: Transport::Tcp,
        address: localhost(),
        advertised: None,
    };
    let net = Net::bind(&[listen], &[], limits, events)
        .await
        .expect("a free port");
    let address = net.local()[0].1;
    (net, receiver, address)
}

fn quick() -> Limits {
    let soon = Duration::from_millis(200);
    Limits {
        connect: soon,
        message: soon,
        first_message: soon,
        ..Limits::default()
    }
}

fn client(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a valid time");
    stream
}

/// How long it takes until the server closes.
async fn closed_after(mut stream: TcpStream) -> Duration {
    tokio::task::spawn_blocking(move || {
        let began = now();
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
        began.elapsed()
    })
    .await
    .expect("no panic")
}

#[expect(clippy::disallowed_methods, reason = "sockets are watched in real time")]
fn now() -> Instant {
    Instant::now()
}

const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
                       To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

fn target(remote: SocketAddr) -> Target {
    Target {
        transport: Transport::Tcp,
        remote,
        server_name: None,
        local: remote.ip(),
        sent_by: "127.0.0.1:5060".into(),
        fixed_transport: true,
        own: None,
    }
}

fn to(remote: SocketAddr, bytes: &'static str) -> Transmit {
    Transmit {
        bytes: Bytes::from_static(bytes.as_bytes()),
        to: Destination::Target(target(remote)),
    }
}

async fn next(events: &mut mpsc::Receiver<NetEvent>) -> NetEvent {
    #[expect(clippy::disallowed_methods, reason = "sockets are watched in real time")]
    let event = tokio::time::timeout(PATIENCE, events.recv()).await;
    event.expect("an event in time").expect("the net is there")
}

async fn until_connections(net: &Net, count: usize) {
    for _ in 0..500 {
        if net.connections() == count {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "sockets are watched in real time")]
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} connections, not {count}", net.connections());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_cannot_be_connected_to_is_undeliverable() {
    let (net, mut events, _) = bound(quick()).await;
    // Bound and not listened on: nobody else can take it meanwhile.
    let closed = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    closed.bind(&localhost().into()).expect("a free port");
    let nobody = closed.local_addr().expect("bound").as_socket().expect("IPv4");
    let transmit = to(nobody, "INVITE");
    net.send(transmit.clone());
    match next(&mut events).await {
        NetEvent::Undeliverable(back) => assert_eq!(back, transmit),
        other => panic!("{other:?}"),
    }
    until_connections(&net, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_is_used_again_and_replaced_when_it_is_lost() {
    let (net, _events, _) = bound(Limits::default()).await;
    let listener = TcpListener::bind(localhost()).expect("a free port");
    let remote = listener.local_addr().expect("bound");
    let accept = |listener: &TcpListener| listener.accept().expect("a connection").0;
    net.send(to(remote, "one"));
    net.send(to(remote, "two"));
    let mut first = accept(&listener);
    let mut buffer = [0; 6];
    first.read_exact(&mut buffer).expect("both");
    assert_eq!(&buffer, b"onetwo");
    assert_eq!(net.connections(), 1);
    drop(first);
    until_connections(&net, 0).await;
    net.send(to(remote, "three"));
    let mut second = accept(&listener);
    let mut buffer = [0; 5];
    second.read_exact(&mut buffer).expect("over a new connection");
    assert_eq!(&buffer, b"three");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_does_not_read_is_cut_and_what_waited_for_it_comes_back() {
    let limits = Limits { queue: 8, ..quick() };
    let (net, mut events, _) = bound(limits).await;
    let listener = TcpListener::bind(localhost()).expect("a free port");
    let remote = listener.local_addr().expect("bound");
    let ballast: &'static str = Box::leak("x".repeat(60_000).into_boxed_str());
    net.send(to(remote, "first"));
    let _never_read = listener.accept().expect("a connection").0;
    let mut refused = 0;
    for _ in 0..2_000 {
        net.send(to(remote, ballast));
        tokio::task::yield_now().await;
        while let Ok(event) = events.try_recv() {
            assert!(matches!(event, NetEvent::Undeliverable(_)));
            refused += 1;
        }
    }
    assert!(refused > 1_000, "the queue is bounded: {refused}");
    drop(listener);
    // What the queue held may have gone into the kernel's buffers: only who keeps sending finds the peer stuck.
    for _ in 0..500 {
        if net.connections() == 0 {
            break;
        }
        net.send(to(remote, ballast));
        #[expect(clippy::disallowed_methods, reason = "sockets are watched in real time")]
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    until_connections(&net, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_port_is_opened_once_for_a_family_that_is_not_listened_on() {
    let (net, _events, _) = bound(Limits::default()).await;
    let hop = |text: &str| NextHop::to(crate::sip::Uri::parse(text).expect("a URI"));
    let first = net
        .resolve(&hop("sip:[::1]:5070"), None)
        .await
        .expect("loopback is there");
    let again = net
        .resolve(&hop("sip:[::1]:5080"), None)
        .await
        .expect("loopback is there");
    assert_eq!(first[0].sent_by, again[0].sent_by);
    assert!(first[0].sent_by.starts_with("[::1]:"), "{}", first[0].sent_by);
    assert_eq!(net.local().len(), 2);
    let source = Source {
        transport: Transport::Tcp,
        local: net.local()[0].1,
        remote: localhost(),
        flow: FlowId(99),
    };
    let (sent_by, reached_by) = net.sent_by(&source);
    assert_eq!(
        (sent_by.to_string(), reached_by),
        (net.local()[0].1.to_string(), Transport::Tcp)
    );
}

#[tokio::test]
async fn what_is_not_available_is_said_so() {
    let (net, _events, _) = bound(Limits::default()).await;
    let hop = |text: &str| NextHop::to(crate::sip::Uri::parse(text).expect("a URI"));
    for text in [
        "sips:a@127.0.0.1;transport=udp",
        "sip:127.0.0.1;transport=sctp",
        "sip:127.0.0.1;transport=ws",
    ] {
        let error = net.resolve(&hop(text), None).await.expect_err(text);
        assert!(matches!(error, LookupError::Unavailable(_)), "{error}");
    }
    let error = net.resolve(&hop("tel:+1234"), None).await.expect_err("no host");
    assert!(matches!(error, LookupError::Scheme(_)), "{error}");
    let found = net
        .resolve(&hop("sip:127.0.0.1;transport=tcp"), None)
        .await
        .expect("a literal");
    assert_eq!(
        (found[0].transport, found[0].remote.port()),
        (Transport::Tcp, 5060)
    );
    assert!(found[0].fixed_transport);
    for text in [
        "sips:a@127.0.0.1",
        "sip:127.0.0.1;transport=tls",
        "sips:127.0.0.1;transport=tcp",
    ] {
        let found = net.resolve(&hop(text), None).await.expect("a literal");
        assert_eq!(
            (found[0].transport, found[0].remote.port()),
            (Transport::Tls, 5061)
        );
        assert!(
            !found[0].sent_by.ends_with(":0"),
            "a port that takes connections: {found:?}"
        );
    }
}

/// RFC 5626 §3.5.1: over connections of ours, where it is wanted; a pong, or none, changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn connections_of_ours_are_kept_alive_where_that_is_wanted() {
    let limits = Limits {
        ping: Duration::from_millis(100),
        ..quick()
    };
    let (net, mut events, address) = bound(limits).await;
    for wanted in [false, true] {
        net.keep_alive(wanted);
        let listener = TcpListener::bind(localhost()).expect("a free port");
        net.send(to(listener.local_addr().expect("bound"), "first"));
        let mut stream = listener.accept().expect("a connection").0;
        stream.set_read_timeout(Some(PATIENCE)).expect("a valid time");
        let mut first = [0; 5];
        stream.read_exact(&mut first).expect("what was sent");
        stream
            .set_read_timeout(Some(if wanted {
                PATIENCE
            } else {
                Duration::from_millis(400)
            }))
            .expect("a valid time");
        let mut pings = [0; 8];
        let heard = stream.read_exact(&mut pings);
        assert_eq!(heard.is_ok(), wanted, "{pings:?}");
        if wanted {
            assert_eq!(&pings, b"\r\n\r\n\r\n\r\n");
            stream.write_all(b"\r\n").expect("a pong");
            stream.read_exact(&mut pings).expect("more of them");
            // It still carries messages.
            stream.write_all(OPTIONS.as_bytes()).expect("open");
            assert!(matches!(next(&mut events).await, NetEvent::Message(..)));
        }
    }
    // Who connects to us keeps itself alive.
    let mut other = client(address);
    other.write_all(OPTIONS.as_bytes()).expect("open");
    assert!(matches!(next(&mut events).await, NetEvent::Message(..)));
    other
        .set_read_timeout(Some(Duration::from_millis(400)))
        .expect("a valid time");
    assert!(other.read_exact(&mut [0; 4]).is_err());
}

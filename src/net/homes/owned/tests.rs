//! Who has ports of its own, on loopback.

use super::*;
use crate::{
    call::LookupError,
    net::{Limits, Net, NetEvent},
    sip::{Uri, routing::NextHop},
};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket as Datagrams},
};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(5);

fn options(over: &str) -> String {
    format!(
        "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/{over} h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
         Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

struct Server {
    net: Net,
    events: mpsc::Receiver<NetEvent>,
}

impl Server {
    async fn new(listens: Transport, limits: Limits) -> Self {
        let (sender, events) = mpsc::channel(64);
        let listen = Listen {
            transport: listens,
            address: ([127, 0, 0, 1], 0).into(),
            advertised: None,
        };
        let net = Net::bind(&[listen], &[], limits, sender)
            .await
            .expect("a free port");
        Self { net, events }
    }
    fn target(&self, remote: SocketAddr, over: &str, own: Option<&str>) -> Result<Target, LookupError> {
        let uri = Uri::parse(format!("sip:{remote};transport={over}")).expect("a URI");
        let hop = NextHop::to(uri).by(own.map(Own::new).as_ref());
        let targets = self.net.resolve_now(&hop, None).expect("a literal")?;
        Ok(targets.into_iter().next().expect("a target"))
    }
    fn send(&self, target: &Target) {
        self.net.send(Transmit {
            bytes: options(target.transport.as_via()).into(),
            to: Destination::Target(target.clone()),
        });
    }
    async fn next(&mut self) -> NetEvent {
        #[expect(clippy::disallowed_methods, reason = "sockets are watched in real time")]
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        event.expect("an event in time").expect("the net is there")
    }
    /// The source of the next message.
    async fn heard(&mut self) -> Source {
        match self.next().await {
            NetEvent::Message(_, source, _) => source,
            other => panic!("no message: {other:?}"),
        }
    }
}

fn accepted(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let (stream, from) = listener.accept().expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a valid time");
    (stream, from)
}

/// Reads one OPTIONS.
fn hear(stream: &mut TcpStream) {
    let mut text = vec![0; options("TCP").len()];
    stream.read_exact(&mut text).expect("a message");
    assert!(text.starts_with(b"OPTIONS"));
}

fn port(target: &Target) -> u16 {
    assert_ne!(target.port(), 0, "{target:?}");
    target.port()
}

#[expect(clippy::disallowed_methods, reason = "where virtual time begins")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nobody_shares_a_connection_that_is_somebodys_own() {
    let server = Server::new(Transport::Tcp, Limits::default()).await;
    let peer = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let remote = peer.local_addr().expect("bound");
    let mut connections = Vec::new();
    let mut targets = Vec::new();
    for own in [Some("a"), Some("b"), None] {
        let target = server.target(remote, "tcp", own).expect("a way");
        server.send(&target);
        let (mut stream, from) = accepted(&peer);
        hear(&mut stream);
        match own {
            Some(_) => assert_eq!(from.port(), port(&target), "it leaves from where it is reached"),
            None => assert_eq!(port(&target), server.net.local()[0].1.port(), "where all are"),
        }
        connections.push(stream);
        targets.push(target);
    }
    assert_ne!(port(&targets[0]), port(&targets[1]));
    assert_eq!(server.net.own_ports(), 2);
    // Each goes on by the one that is there.
    for (target, stream) in targets.iter().zip(&mut connections) {
        let again = Target {
            own: target.own.as_ref().map(|own| Own::new(own.name())),
            ..target.clone()
        };
        server.send(&again);
        hear(stream);
    }
    assert_eq!(server.net.connections(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_comes_by_its_port_or_its_connection_is_its_own() {
    let mut server = Server::new(Transport::Udp, Limits::default()).await;
    let peer = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let remote = peer.local_addr().expect("bound");
    let target = server.target(remote, "tcp", Some("a")).expect("a way");
    server.send(&target);
    let (mut stream, _) = accepted(&peer);
    stream.write_all(options("TCP").as_bytes()).expect("open");
    let mut other = TcpStream::connect(&target.sent_by).expect("it listens there");
    let by_own = server.heard().await;
    other.write_all(options("TCP").as_bytes()).expect("open");
    let by_port = server.heard().await;
    assert_ne!(by_own.flow, by_port.flow);
    for source in [by_own, by_port] {
        let own = server.net.own_of(&source).expect("somebody's own");
        assert_eq!(own.name(), "a");
        let (name, transport) = server.net.sent_by(&source);
        assert_eq!(
            (name.to_string(), transport),
            (target.sent_by.clone(), Transport::Tcp)
        );
    }
    // What all share is nobody's.
    let shared = Datagrams::bind("127.0.0.1:0").expect("a free port");
    shared
        .send_to(options("UDP").as_bytes(), server.net.local()[0].1)
        .expect("sent");
    let source = server.heard().await;
    assert_eq!(server.net.own_of(&source), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn datagrams_leave_from_and_come_to_a_port_of_its_own() {
    let mut server = Server::new(Transport::Udp, Limits::default()).await;
    let peer = Datagrams::bind("127.0.0.1:0").expect("a free port");
    peer.set_read_timeout(Some(PATIENCE)).expect("a valid time");
    let remote = peer.local_addr().expect("bound");
    let mut ports = Vec::new();
    for own in [Some("a"), Some("b"), None] {
        let target = server.target(remote, "udp", own).expect("a way");
        server.send(&target);
        let mut buffer = [0; 2048];
        let (_, from) = peer.recv_from(&mut buffer).expect("a datagram");
        assert_eq!(from.port(), port(&target));
        ports.push(from.port());
        peer.send_to(options("UDP").as_bytes(), from).expect("sent");
        let source = server.heard().await;
        let heard = server.net.own_of(&source);
        assert_eq!(heard.as_ref().map(Own::name), own);
        let (name, _) = server.net.sent_by(&source);
        assert_eq!(name.to_string(), target.sent_by);
        // And an answer goes back from there.
        server.net.send(Transmit {
            bytes: options("UDP").into(),
            to: Destination::Reply {
                source,
                address: remote,
            },
        });
        let (_, from) = peer.recv_from(&mut buffer).expect("a datagram");
        assert_eq!(from.port(), port(&target));
    }
    ports.dedup();
    assert_eq!(ports.len(), 3);
    assert_eq!(ports[2], server.net.local()[0].1.port());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_of_its_own_that_is_lost_is_news_and_the_next_leaves_from_the_same_port() {
    let mut server = Server::new(Transport::Tcp, Limits::default()).await;
    let peer = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let remote = peer.local_addr().expect("bound");
    let target = server.target(remote, "tcp", Some("a")).expect("a way");
    let shared = server.target(remote, "tcp", None).expect("a way");
    server.send(&shared);
    drop(accepted(&peer));
    for _ in 0..3 {
        server.send(&target);
        let (mut stream, from) = accepted(&peer);
        hear(&mut stream);
        assert_eq!(from.port(), port(&target));
        drop(stream);
        // That one that all share is lost is nobody's news.
        match server.next().await {
            NetEvent::Lost(own) => assert_eq!(own.name(), "a"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn ports_and_connections_are_closed_a_while_after_their_owner_has_gone() {
    let server = Server::new(Transport::Tcp, Limits::default()).await;
    let peer = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let remote = peer.local_addr().expect("bound");
    let goes = server.target(remote, "tcp", Some("goes")).expect("a way");
    server.send(&goes);
    let (mut gone, _) = accepted(&peer);
    let stays = server.target(remote, "tcp", Some("stays")).expect("a way");
    server.send(&stays);
    let (mut left, _) = accepted(&peer);
    hear(&mut gone);
    hear(&mut left);
    let begin = now();
    let after = |time: Duration| server.net.0.homes.sweep(begin + time);
    after(Duration::ZERO);
    after(GRACE * 2);
    assert_eq!(server.net.own_ports(), 2, "both are held");
    let port = goes.sent_by.clone();
    drop(goes);
    after(GRACE * 2);
    after(GRACE * 3 - Duration::from_millis(1));
    assert_eq!(
        server.net.own_ports(),
        2,
        "what was said last may be asked for again"
    );
    after(GRACE * 3);
    assert_eq!(server.net.own_ports(), 1);
    assert_eq!(gone.read(&mut [0]).expect("an orderly end"), 0);
    assert_eq!(server.net.connections(), 1);
    // The task that listens is told to end, and ends.
    let refused = |_: &usize| TcpStream::connect(&port).is_err();
    assert!((0..100).find(refused).is_some());
    server.send(&stays);
    hear(&mut left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thousand_have_their_own_and_one_more_than_there_is_room_for_is_told_why() {
    let limits = Limits {
        own: 1_000,
        ..Limits::default()
    };
    let server = Server::new(Transport::Udp, limits).await;
    let remote = SocketAddr::from(([127, 0, 0, 1], 9));
    let mut targets = Vec::new();
    for number in 0..1_000 {
        let target = server
            .target(remote, "udp", Some(&number.to_string()))
            .expect("room");
        targets.push(target);
    }
    let mut ports: Vec<_> = targets.iter().map(port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 1_000);
    let error = server.target(remote, "udp", Some("more")).expect_err("no room");
    assert_eq!(
        error.to_string(),
        "no port of its own: 1000 ports of their own are open, as many as the limit of open files leaves room for"
    );
    // Who has one keeps it, and others are reached as ever.
    assert!(server.target(remote, "udp", Some("7")).is_ok());
    assert!(server.target(remote, "udp", None).is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn strangers_at_its_port_take_no_room_from_its_own_connections() {
    let limits = Limits {
        own: 2,
        connections: 3,
        ..Limits::default()
    };
    let mut server = Server::new(Transport::Udp, limits).await;
    let peer = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let remote = peer.local_addr().expect("bound");
    let target = server.target(remote, "tcp", Some("a")).expect("a way");
    server.send(&target);
    let (mut own, _) = accepted(&peer);
    hear(&mut own);
    let mut strangers = Vec::new();
    for _ in 0..10 {
        let mut stranger = TcpStream::connect(&target.sent_by).expect("it listens");
        stranger.write_all(options("TCP").as_bytes()).expect("open");
        server.heard().await;
        strangers.push(stranger);
    }
    assert_eq!(server.net.connections(), 1 + 3);
    server.send(&target);
    hear(&mut own);
}

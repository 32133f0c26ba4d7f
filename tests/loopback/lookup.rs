//! Names: RFC 3263 with a real DNS server.

use super::{
    dns::Dns,
    party::{Party, fresh},
    server::Server,
};
use std::{
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

fn nobody() -> SocketAddr {
    "127.0.0.1:9".parse().expect("an address")
}

fn host(name: &str, address: &str) -> String {
    format!("--host-record={name}.example.test,{address}")
}

fn srv(service: &str, target: &str, port: u16, priority: u16) -> String {
    format!("--srv-host={service}.example.test,{target}.example.test,{port},{priority},10")
}

fn server(dns: &Dns, proxy: &str) -> Server {
    Server::start(proxy, &format!("name-servers=127.0.0.1:{}\n", dns.port))
}

#[test]
fn acceptance_25_the_first_target_is_dead_the_second_refuses_with_503_and_the_third_takes_the_call() {
    let dead = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let dead_port = dead.local_addr().expect("bound").port();
    let mut busy = Party::udp("127.0.0.1", nobody());
    let mut good = Party::udp("127.0.0.1", nobody());
    let dns = Dns::serving(&[
        host("a", "127.0.0.1"),
        srv("_sip._udp", "a", dead_port, 1),
        srv("_sip._udp", "a", busy.address.port(), 2),
        srv("_sip._udp", "a", good.address.port(), 3),
    ]);
    let server = server(&dns, "sip:example.test");
    let mut caller = Party::udp("127.0.0.1", server.udp());

    let began = Instant::now();
    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    let asked = busy.expect("INVITE ");
    busy.respond(&asked, "503 Service Unavailable", "");
    busy.expect("ACK ");
    let asked = good.expect("INVITE ");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    good.respond(&asked, "200 OK", &good.sdp());
    let answered = caller.expect("SIP/2.0 200");
    caller.send(&caller.within("ACK", 1, &answered));
    good.expect("ACK ");

    // Who did not answer is asked last for a while: the next call does not wait for it.
    let began = Instant::now();
    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    busy.expect("INVITE ");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

/// The whole row, for calls that need a password: nobody but who asked for it gets an answer, and who was dead or busy is asked again
/// when it is his turn.
#[test]
fn acceptance_25_the_password_goes_to_the_member_that_asked_and_the_dead_one_is_tried_later() {
    let mut dead = Party::udp("127.0.0.1", nobody());
    let mut busy = Party::udp("127.0.0.1", nobody());
    let mut good = Party::udp("127.0.0.1", nobody());
    let dns = Dns::serving(&[
        host("a", "127.0.0.1"),
        srv("_sip._udp", "a", dead.address.port(), 1),
        srv("_sip._udp", "a", busy.address.port(), 2),
        srv("_sip._udp", "a", good.address.port(), 3),
    ]);
    let folder = tempfile::tempdir().expect("a folder");
    let providers = folder.path().join("providers.json");
    let text = r#"{"schemaVersion": 2,
        "providers": [{"name": "p", "accountPool": "pool", "accountToUse": {"strategy": "Random"},
            "onAccountNotFound": "decline", "triggerCondition": {"strategy": "Always"},
            "outgoingInvite": {"to": "sip:{incoming.requestUri.user}@{account.uri.hostport}"} }],
        "accountPools": {"pool": {"registrationRequired": false, "maxCallsPerLine": 9, "outboundProxy": "<sip:example.test>",
            "loader": [{"uri": "sip:acc@example.org", "secretType": "clrtxt", "secret": "secret"}] } } }"#;
    std::fs::write(&providers, text).expect("writable");
    let server = Server::start(
        " ",
        &format!(
            "name-servers=127.0.0.1:{}\napplication=sip-bridge\n[b2bua-server::sip-bridge]\nproviders={}\n",
            dns.port,
            providers.display()
        ),
    );
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let began = Instant::now();
    caller.send(&caller.invite(&fresh("call"), "sip:+4930123@example.org"));
    let asked = busy.expect("INVITE ");
    let full = busy.response(&asked, "503 Service Unavailable", "");
    busy.send(&full.replace("Contact:", "Retry-After: 60\r\nContact:"));
    let ack = busy.expect("ACK ");
    assert_eq!(ack.field("Via"), asked.field("Via"));
    let first = good.expect("INVITE ");
    assert!(!first.0.contains("Authorization"), "{}", first.0);
    let challenge = good.response(&first, "407 Proxy Authentication Required", "");
    let asks = "Proxy-Authenticate: Digest realm=\"example.org\", nonce=\"n1\", algorithm=MD5\r\nContact:";
    good.send(&challenge.replace("Contact:", asks));
    let ack = good.expect("ACK ");
    assert_eq!(ack.field("Via"), first.field("Via"));
    let second = good.expect("INVITE ");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(
        second.field("Proxy-Authorization").contains("username=\"acc\""),
        "{}",
        second.0
    );
    good.respond(&second, "200 OK", &good.sdp());
    let answered = caller.expect("SIP/2.0 200");
    caller.send(&caller.within("ACK", 1, &answered));
    good.expect("ACK ");
    // Neither of the others has seen it.
    busy.expect_silence();
    let mut seen = 0;
    while let Some(heard) = dead.hear_within(Duration::from_millis(50)) {
        assert!(
            heard.0.starts_with("INVITE ") && !heard.0.contains("Authorization"),
            "{}",
            heard.0
        );
        seen += 1;
    }
    assert!(seen > 0, "the dead one was tried first");
    caller.send(&caller.within("BYE", 2, &answered));
    let bye = good.expect("BYE ");
    good.respond(&bye, "200 OK", "");
    caller.expect("SIP/2.0 200");

    // The next call goes where the last one was answered; when that is full, to the one that was dead: it has come back.
    caller.send(&caller.invite(&fresh("call"), "sip:+4930123@example.org"));
    let asked = good.expect("INVITE ");
    good.respond(&asked, "503 Service Unavailable", "");
    good.expect("ACK ");
    let asked = dead.expect("INVITE ");
    dead.respond(&asked, "486 Busy Here", "");
    dead.expect("ACK ");
    caller.expect("SIP/2.0 486");
    // Who asked to be left alone for a minute is.
    busy.expect_silence();
}

#[test]
fn naptr_chooses_tcp_where_srv_of_udp_exists_too() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let udp = Party::udp("127.0.0.1", nobody());
    let dns = Dns::serving(&[
        host("a", "127.0.0.1"),
        "--naptr-record=example.test,10,10,s,SIP+D2T,,_sip._tcp.example.test".to_owned(),
        "--naptr-record=example.test,20,10,s,SIP+D2U,,_sip._udp.example.test".to_owned(),
        srv("_sip._tcp", "a", listener.local_addr().expect("bound").port(), 1),
        srv("_sip._udp", "a", udp.address.port(), 1),
    ]);
    let server = server(&dns, "sip:example.test");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    let mut callee = Party::accepted(&listener);
    let asked = callee.expect("INVITE ");
    assert!(asked.field("Via").starts_with("SIP/2.0/TCP "), "{}", asked.0);
}

#[test]
fn a_port_means_addresses_only_and_a_name_that_is_not_there_is_an_error() {
    let mut callee = Party::udp("127.0.0.1", nobody());
    let dns = Dns::serving(&[
        host("pbx", "127.0.0.1"),
        "--srv-host=_sip._udp.pbx.example.test,pbx.example.test,9,1,1".to_owned(),
    ]);
    let server = server(&dns, &format!("sip:pbx.example.test:{}", callee.address.port()));
    let mut caller = Party::udp("127.0.0.1", server.udp());
    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    callee.expect("INVITE ");

    let server = self::server(&dns, "sip:nowhere.example.test");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    let failed = caller.expect("SIP/2.0 5");
    assert!(!failed.start().contains(" 500 "), "{}", failed.start());
    let invite = caller.invite(&fresh("call"), "sip:bob@example.org");
    caller.send(&invite);
    caller.expect("SIP/2.0 5");
}

//! Where requests inside a call go: through proxies that record the route, to phones behind NATs, over every transport
//! (acceptance #24).

use super::{
    carriers::{self, Authority},
    party::{Heard, Party, fresh},
    server::Server,
};
use std::net::{SocketAddr, TcpListener};

const ALL: &str =
    "sip:127.0.0.1:0 sip:127.0.0.1:0;transport=tcp sips:127.0.0.1:0 sip:127.0.0.1:0;transport=wss";

fn nobody() -> SocketAddr {
    "127.0.0.1:9".parse().expect("an address")
}

/// Acceptance #24: two phones behind two record-routing proxies that share one connection.
#[test]
fn acceptance_24_to_the_caller_every_request_carries_the_whole_route_over_the_proxys_connection() {
    let authority = Authority::new();
    for word in ["UDP", "TCP", "TLS", "WSS"] {
        let mut callee = Party::udp("127.0.0.1", nobody());
        let server = Server::listening_on(ALL, &callee.uri(), &authority.lines());
        let mut proxy = match word {
            "UDP" => Party::udp("127.0.0.1", server.udp()),
            "TCP" => Party::tcp(server.tcp()),
            "TLS" => carriers::tls(authority.client(false), server.tls()),
            _ => carriers::wss(authority.client(false), server.wss()),
        };
        let transport = if word == "WSS" {
            "ws".to_owned()
        } else {
            word.to_ascii_lowercase()
        };
        let near = format!("<sip:{};transport={transport};lr>", proxy.address);
        let far = "<sip:edge.example.net;transport=tls;lr;ob=x>";
        let mut calls = Vec::new();
        for phone in ["one", "two"] {
            let contact = format!("<sip:{phone}@10.9.8.7:5071;transport={transport}>");
            let invite = proxy.invite(&fresh(phone), "sip:bob@example.org");
            let own = format!("Contact: <{}>\r\n", proxy.uri());
            assert!(invite.contains(&own));
            let routed = format!("Contact: {contact}\r\nRecord-Route: {near}\r\nRecord-Route: {far}\r\n");
            proxy.send(&invite.replace(&own, &routed));
            let asked = callee.expect("INVITE ");
            callee.respond(&asked, "200 OK", &callee.sdp());
            let answered = proxy.expect("SIP/2.0 200");
            assert_eq!(
                answered.fields("Record-Route"),
                [near.as_str(), far],
                "{}",
                answered.0
            );
            proxy.send(&proxy.within("ACK", 1, &answered));
            callee.expect("ACK ");
            calls.push((contact, asked));
        }
        let check = |heard: &Heard, contact: &str| {
            let uri = contact.trim_matches(['<', '>']);
            assert!(heard.start().contains(&format!(" {uri} ")), "{word}: {}", heard.0);
            assert_eq!(
                heard.fields("Route").join(", "),
                format!("{near}, {far}"),
                "{word}: {}",
                heard.0
            );
        };
        // The second first: neither the connection nor the order of coming says whose it is.
        for (contact, asked) in calls.iter().rev() {
            let held = format!("{}a=sendonly\r\n", callee.sdp());
            callee.send(&callee.within_with("INVITE", 2, asked, &held));
            let offer = proxy.expect("INVITE ");
            check(&offer, contact);
            let answer = proxy.response(&offer, "200 OK", &proxy.sdp());
            proxy.send(&answer.replace(&format!("<{}>", proxy.uri()), contact));
            let accepted = callee.expect("SIP/2.0 200");
            assert_eq!(accepted.field("CSeq"), "2 INVITE");
            check(&proxy.expect("ACK "), contact);
            callee.send(&callee.within("ACK", 2, asked));
        }
        for (contact, asked) in &calls {
            callee.send(&callee.within("BYE", 3, asked));
            let bye = proxy.expect("BYE ");
            check(&bye, contact);
            proxy.respond(&bye, "200 OK", "");
        }
        server.until_empty();
    }
}

/// The same towards callees. Nobody can be called by WebSocket.
#[test]
fn acceptance_24_to_the_callee_every_request_carries_the_whole_route_over_the_proxys_connection() {
    let authority = Authority::new();
    for word in ["UDP", "TCP", "TLS"] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut datagrams = Party::udp("127.0.0.1", nobody());
        let transport = word.to_ascii_lowercase();
        let address = match word {
            "UDP" => datagrams.address,
            _ => listener.local_addr().expect("bound"),
        };
        let server = Server::listening_on(
            ALL,
            &format!("sip:{address};transport={transport}"),
            &authority.lines(),
        );
        let mut caller = Party::udp("127.0.0.1", server.udp());
        let near = format!("<sip:{address};transport={transport};lr>");
        let far = "<sip:edge.example.net;transport=tls;lr;ob=x>";
        let mut connected = None;
        let mut calls = Vec::new();
        for phone in ["one", "two"] {
            caller.send(&caller.invite(&fresh(phone), &format!("sip:{phone}@example.org")));
            // Both calls over the first call's connection: another one would never be accepted here.
            let proxy = match word {
                "UDP" => &mut datagrams,
                "TCP" => connected.get_or_insert_with(|| Party::accepted(&listener)),
                _ => connected.get_or_insert_with(|| carriers::accepted_tls(&authority, &listener)),
            };
            let asked = proxy.expect("INVITE ");
            let contact = format!("<sip:{phone}@10.9.8.7:5071;transport={transport}>");
            let own = format!("Contact: <{}>\r\n", proxy.uri());
            let accepted = proxy.response(&asked, "200 OK", &proxy.sdp());
            assert!(accepted.contains(&own));
            // In the order in which the request met them, the last on top.
            let routed = format!("Contact: {contact}\r\nRecord-Route: {far}\r\nRecord-Route: {near}\r\n");
            proxy.send(&accepted.replace(&own, &routed));
            let answered = caller.expect("SIP/2.0 200");
            check(&proxy.expect("ACK "), &contact, &near, far);
            caller.send(&caller.within("ACK", 1, &answered));
            calls.push((contact, answered));
        }
        let proxy = match word {
            "UDP" => &mut datagrams,
            _ => connected.as_mut().expect("connected"),
        };
        for (contact, answered) in calls.iter().rev() {
            let held = format!("{}a=sendonly\r\n", caller.sdp());
            caller.send(&caller.within_with("INVITE", 2, answered, &held));
            let offer = proxy.expect("INVITE ");
            check(&offer, contact, &near, far);
            let answer = proxy.response(&offer, "200 OK", &proxy.sdp());
            proxy.send(&answer.replace(&format!("<{}>", proxy.uri()), contact));
            let accepted = caller.expect("SIP/2.0 200");
            assert_eq!(accepted.field("CSeq"), "2 INVITE");
            check(&proxy.expect("ACK "), contact, &near, far);
            caller.send(&caller.within("ACK", 2, answered));
        }
        for (contact, answered) in &calls {
            caller.send(&caller.within("BYE", 3, answered));
            let bye = proxy.expect("BYE ");
            check(&bye, contact, &near, far);
            proxy.respond(&bye, "200 OK", "");
            assert_eq!(caller.expect("SIP/2.0 200").field("CSeq"), "3 BYE");
        }
        server.until_empty();
        let connections = if word == "UDP" { 0 } else { 1 };
        assert_eq!(server.gauges()["connections"], connections, "{word}");
    }
}

/// To that phone, through both proxies.
fn check(heard: &Heard, contact: &str, near: &str, far: &str) {
    let uri = contact.trim_matches(['<', '>']);
    assert!(heard.start().contains(&format!(" {uri} ")), "{}", heard.0);
    assert_eq!(heard.fields("Route"), [near, far], "{}", heard.0);
}

/// Two phones behind one NAT, which know their private address only; nothing in between records a route.
#[test]
fn acceptance_24_phones_behind_a_nat_are_reached_where_they_speak_from() {
    let authority = Authority::new();
    for word in ["UDP", "TCP", "TLS"] {
        let mut callee = Party::udp("127.0.0.1", nobody());
        let server = Server::listening_on(ALL, &callee.uri(), &authority.lines());
        let phone = || match word {
            "UDP" => Party::udp("127.0.0.1", server.udp()),
            "TCP" => Party::tcp(server.tcp()),
            _ => carriers::tls(authority.client(false), server.tls()),
        };
        let mut calls = Vec::new();
        for (port, mut caller) in [(5071, phone()), (5072, phone())] {
            let (seen, inside) = (caller.address.to_string(), format!("10.9.8.7:{port}"));
            let invite = caller.invite(&fresh("nat"), "sip:bob@example.org");
            caller.send(&invite.replace(&seen, &inside));
            let asked = callee.expect("INVITE ");
            callee.respond(&asked, "200 OK", &callee.sdp());
            let answered = caller.expect("SIP/2.0 200");
            caller.send(&caller.within("ACK", 1, &answered).replace(&seen, &inside));
            callee.expect("ACK ");
            calls.push((caller, asked, seen, inside));
        }
        for (caller, asked, seen, inside) in calls.iter_mut().rev() {
            let held = format!("{}a=sendonly\r\n", callee.sdp());
            callee.send(&callee.within_with("INVITE", 2, asked, &held));
            let is_his = |heard: Heard| {
                assert!(
                    heard.start().contains(&format!("sip:{inside}")),
                    "{word}: {}",
                    heard.0
                );
                assert!(heard.fields("Route").is_empty(), "{word}: {}", heard.0);
                heard
            };
            let offer = is_his(caller.expect("INVITE "));
            caller.send(
                &caller
                    .response(&offer, "200 OK", &caller.sdp())
                    .replace(&*seen, inside),
            );
            callee.expect("SIP/2.0 200");
            callee.send(&callee.within("ACK", 2, asked));
            is_his(caller.expect("ACK "));
            callee.send(&callee.within("BYE", 3, asked));
            callee.expect("SIP/2.0 200");
            let bye = is_his(caller.expect("BYE "));
            caller.respond(&bye, "200 OK", "");
        }
        server.until_empty();
    }
}

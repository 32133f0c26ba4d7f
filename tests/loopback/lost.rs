//! Connections that are lost in mid-call, and calls that are found again (RFC 3261 §18, RFC 5923): by the server at the Contact or
//! the route, by a party over a connection of its own.

use super::{
    carriers::{self, Authority},
    party::{Heard, Party, fresh},
    server::Server,
};
use std::net::{SocketAddr, TcpListener};

const ALL: &str = "sip:127.0.0.1:0 sip:127.0.0.1:0;transport=tcp sips:127.0.0.1:0";
const SECURE_AND_NOT: [bool; 2] = [false, true];

fn nobody() -> SocketAddr {
    "127.0.0.1:9".parse().expect("an address")
}

/// Where a party takes connections, and how.
struct House<'a> {
    listener: TcpListener,
    authority: &'a Authority,
    secure: bool,
}

impl<'a> House<'a> {
    fn new(authority: &'a Authority, secure: bool) -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").expect("a free port"),
            authority,
            secure,
        }
    }
    fn address(&self) -> String {
        self.listener.local_addr().expect("bound").to_string()
    }
    fn uri(&self) -> String {
        let transport = if self.secure { "tls" } else { "tcp" };
        format!("sip:{};transport={transport}", self.address())
    }
    /// The next connection that comes.
    fn accept(&self) -> Party {
        if self.secure {
            carriers::accepted_tls(self.authority, &self.listener)
        } else {
            Party::accepted(&self.listener)
        }
    }
    /// A connection from here.
    fn connect(&self, server: &Server) -> Party {
        if self.secure {
            carriers::tls(self.authority.client(false), server.tls())
        } else {
            Party::tcp(server.tcp())
        }
    }
    /// What a party writes, where it says that it is to be found in this house.
    fn at_home(&self, party: &Party, text: &str) -> String {
        text.replace(&party.address.to_string(), &self.address())
    }
}

/// A call from a house to a party on UDP.
fn from_house(house: &House<'_>, server: &Server, callee: &mut Party) -> (Party, Heard, Heard) {
    let mut caller = house.connect(server);
    let invite = caller.invite(&fresh("lost"), "sip:bob@example.org");
    caller.send(&house.at_home(&caller, &invite));
    let asked = callee.expect("INVITE ");
    callee.respond(&asked, "200 OK", &callee.sdp());
    let answered = caller.expect("SIP/2.0 200");
    caller.send(&house.at_home(&caller, &caller.within("ACK", 1, &answered)));
    callee.expect("ACK ");
    (caller, asked, answered)
}

#[test]
fn a_caller_whose_connection_is_lost_is_found_at_its_contact() {
    let authority = Authority::new();
    for secure in SECURE_AND_NOT {
        let house = House::new(&authority, secure);
        let mut callee = Party::udp("127.0.0.1", nobody());
        let server = Server::listening_on(ALL, &callee.uri(), &authority.lines());
        let (caller, asked, _) = from_house(&house, &server, &mut callee);
        drop(caller);
        server.until(|gauges| gauges["connections"] == 0);
        let held = format!("{}a=sendonly\r\n", callee.sdp());
        callee.send(&callee.within_with("INVITE", 2, &asked, &held));
        let mut caller = house.accept();
        let offer = caller.expect("INVITE ");
        assert!(offer.start().contains(&house.address()), "{}", offer.0);
        caller.send(&house.at_home(&caller, &caller.response(&offer, "200 OK", &caller.sdp())));
        callee.expect("SIP/2.0 200");
        callee.send(&callee.within("ACK", 2, &asked));
        caller.expect("ACK ");
        // And once more, for its end.
        drop(caller);
        server.until(|gauges| gauges["connections"] == 0);
        callee.send(&callee.within("BYE", 3, &asked));
        callee.expect("SIP/2.0 200");
        let mut caller = house.accept();
        let bye = caller.expect("BYE ");
        caller.respond(&bye, "200 OK", "");
        server.until_empty();
    }
}

/// A phone behind a NAT can only come back by itself; from then on it is reached over the connection that it speaks on.
#[test]
fn a_caller_that_comes_back_over_another_connection_has_its_call_there() {
    let authority = Authority::new();
    for secure in SECURE_AND_NOT {
        let house = House::new(&authority, secure);
        let mut callee = Party::udp("127.0.0.1", nobody());
        let server = Server::listening_on(ALL, &callee.uri(), &authority.lines());
        let mut caller = house.connect(&server);
        let inside = "10.9.8.7:5071";
        let masked = |party: &Party, text: String| text.replace(&party.address.to_string(), inside);
        let invite = caller.invite(&fresh("lost"), "sip:bob@example.org");
        caller.send(&masked(&caller, invite));
        let asked = callee.expect("INVITE ");
        callee.respond(&asked, "200 OK", &callee.sdp());
        let answered = caller.expect("SIP/2.0 200");
        caller.send(&masked(&caller, caller.within("ACK", 1, &answered)));
        callee.expect("ACK ");
        drop(caller);
        server.until(|gauges| gauges["connections"] == 0);

        let mut caller = house.connect(&server);
        caller.send(&masked(&caller, caller.within("INFO", 2, &answered)));
        let info = callee.expect("INFO ");
        callee.respond(&info, "200 OK", "");
        caller.expect("SIP/2.0 200");
        callee.send(&callee.within("BYE", 2, &asked));
        callee.expect("SIP/2.0 200");
        let bye = caller.expect("BYE ");
        assert!(bye.start().contains(inside), "{}", bye.0);
        caller.respond(&bye, "200 OK", "");
        server.until_empty();
        assert_eq!(server.gauges()["connections"], 1);
    }
}

#[test]
fn a_callee_whose_connection_is_lost_is_found_again_and_finds_its_call() {
    let authority = Authority::new();
    for secure in SECURE_AND_NOT {
        for ends_itself in [false, true] {
            let house = House::new(&authority, secure);
            let server = Server::listening_on(ALL, &house.uri(), &authority.lines());
            let mut caller = Party::udp("127.0.0.1", server.udp());
            caller.send(&caller.invite(&fresh("lost"), "sip:bob@example.org"));
            let mut callee = house.accept();
            let asked = callee.expect("INVITE ");
            let accepted = callee.response(&asked, "200 OK", &callee.sdp());
            callee.send(&house.at_home(&callee, &accepted));
            let answered = caller.expect("SIP/2.0 200");
            caller.send(&caller.within("ACK", 1, &answered));
            callee.expect("ACK ");
            drop(callee);
            server.until(|gauges| gauges["connections"] == 0);

            if ends_itself {
                let mut callee = house.connect(&server);
                callee.send(&house.at_home(&callee, &callee.within("BYE", 2, &asked)));
                callee.expect("SIP/2.0 200");
                let bye = caller.expect("BYE ");
                caller.respond(&bye, "200 OK", "");
            } else {
                let held = format!("{}a=sendonly\r\n", caller.sdp());
                caller.send(&caller.within_with("INVITE", 2, &answered, &held));
                let mut callee = house.accept();
                let offer = callee.expect("INVITE ");
                let accepted = callee.response(&offer, "200 OK", &callee.sdp());
                callee.send(&house.at_home(&callee, &accepted));
                callee.expect("ACK ");
                caller.expect("SIP/2.0 200");
                caller.send(&caller.within("ACK", 2, &answered));
                caller.send(&caller.within("BYE", 3, &answered));
                let bye = callee.expect("BYE ");
                callee.respond(&bye, "200 OK", "");
                caller.expect("SIP/2.0 200");
            }
            server.until_empty();
        }
    }
}

/// RFC 3261 §18.2.2: then its answer comes over a connection to the sent-by of our Via.
#[test]
fn a_callee_that_loses_its_connection_while_it_rings_answers_over_another() {
    let authority = Authority::new();
    for secure in SECURE_AND_NOT {
        let house = House::new(&authority, secure);
        let server = Server::listening_on(ALL, &house.uri(), &authority.lines());
        let mut caller = Party::udp("127.0.0.1", server.udp());
        caller.send(&caller.invite(&fresh("lost"), "sip:bob@example.org"));
        let mut callee = house.accept();
        let asked = callee.expect("INVITE ");
        let rings = callee.response(&asked, "180 Ringing", "");
        callee.send(&house.at_home(&callee, &rings));
        caller.expect("SIP/2.0 180");
        drop(callee);
        server.until(|gauges| gauges["connections"] == 0);
        let sent_by = if secure { server.tls() } else { server.tcp() };
        assert!(asked.field("Via").contains(&sent_by.to_string()), "{}", asked.0);
        let mut callee = house.connect(&server);
        let accepted = callee.response(&asked, "200 OK", &callee.sdp());
        callee.send(&house.at_home(&callee, &accepted));
        let answered = caller.expect("SIP/2.0 200");
        caller.send(&caller.within("ACK", 1, &answered));
        house.accept().expect("ACK ");
        caller.send(&caller.within("BYE", 2, &answered));
        caller.expect("SIP/2.0 200");
    }
}

/// Nobody is there any more: the other party is told, and no call stays behind.
#[test]
fn a_party_that_cannot_be_reached_any_more_does_not_hold_the_call() {
    let authority = Authority::new();
    for secure in SECURE_AND_NOT {
        let house = House::new(&authority, secure);
        let mut callee = Party::udp("127.0.0.1", nobody());
        let server = Server::listening_on(ALL, &callee.uri(), &authority.lines());
        let (caller, asked, _) = from_house(&house, &server, &mut callee);
        drop((caller, house));
        server.until(|gauges| gauges["connections"] == 0);
        let held = format!("{}a=sendonly\r\n", callee.sdp());
        let invite = callee.within_with("INVITE", 2, &asked, &held);
        callee.send(&invite);
        let refused = callee.expect("SIP/2.0 503");
        callee.ack_failure(&invite, &refused);
        assert!(
            refused.field("Reason").starts_with("Q.850;cause=38"),
            "{}",
            refused.0
        );
        callee.send(&callee.within("BYE", 3, &asked));
        callee.expect("SIP/2.0 200");
        server.until_empty();
    }
}

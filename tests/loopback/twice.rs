//! Calls inside that go out to a provider and come back from it, so that everything is bridged twice, and a transfer between two of
//! them: `attendedCallTransferSuccessful_bidirectionalBridgeForAll` and its `Declined`.

use super::{
    party::{Heard, Party, fresh},
    server::Server,
};
use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    thread,
};

/// A proxy at the provider's: what the server calls by a number comes back to it. Requests inside of a dialog do not pass here.
struct Exchange(UdpSocket);

impl Exchange {
    fn serve(&self, server: SocketAddr) {
        let own = self.0.local_addr().expect("bound");
        let mut buffer = vec![0; 65_535];
        while let Ok(length) = self.0.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            let (start, rest) = text.split_once("\r\n").expect("a message");
            let passed = if start.starts_with("SIP/2.0") {
                // Its own Via is the first line.
                let (_, rest) = rest
                    .split_once("\r\n")
                    .expect("a response to what has passed here");
                format!("{start}\r\n{rest}")
            } else {
                let heard = Heard(text.to_string());
                let via = heard.field("Via");
                let branch = via
                    .split("branch=")
                    .nth(1)
                    .and_then(|rest| rest.split(';').next());
                let branch = branch.expect("a branch");
                // A registrar finds the account where it has registered: no loop, but a spiral (RFC 3261 §16.3).
                let user = start.split([':', '@']).nth(1).expect("a number");
                let start = format!("INVITE sip:{user}@{server} SIP/2.0");
                let fields = rest.split_inclusive("\r\n");
                let rest: String = fields.filter(|line| !line.starts_with("Route:")).collect();
                format!("{start}\r\nVia: SIP/2.0/UDP {own};branch={branch}x\r\n{rest}")
            };
            self.0.send_to(passed.as_bytes(), server).expect("sent");
        }
    }
}

/// Three phones behind one address: which is meant is in the Call-ID.
fn stage() -> (Party, Server, tempfile::TempDir) {
    let mut inside = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let exchange = Exchange(UdpSocket::bind("127.0.0.2:0").expect("a free port"));
    let folder = tempfile::tempdir().expect("a folder");
    let providers = folder.path().join("providers.json");
    let account = |number: u32, name: &str| {
        format!(r#"{{"uri": "sip:+{number}@itsp.test", "alias": "sip:{name}@example.org"}}"#)
    };
    let text = format!(
        r#"{{"schemaVersion": 2, "providers": [
          {{"name": "out", "accountPool": "line", "onAccountNotFound": "nextProvider",
            "triggerCondition": {{"strategy": "MatchRegex", "pattern": "sip:\\+[0-9]+@.*", "source": ""}},
            "accountToUse": {{"strategy": "FindInPool", "source": "{{from}}", "by": "alias"}},
            "outgoingInvite": {{"to": "sip:{{incoming.requestUri.user}}@{{account.uri.hostport}}"}} }},
          {{"name": "in", "accountPool": "line", "triggerCondition": {{"strategy": "Always"}},
            "accountToUse": {{"strategy": "FindInPool", "source": "{{to}}", "by": "uri"}},
            "onAccountNotFound": "nextProvider",
            "outgoingInvite": {{"to": "{{account.alias}}", "outboundProxy": "<sip:{inside}>"}} }}],
        "accountPools": {{"line": {{"registrationRequired": false, "maxCallsPerLine": 2, "outboundProxy": "<sip:{provider}>",
          "loader": [{alice}, {bob}, {carol}] }} }} }}"#,
        inside = inside.address,
        provider = exchange.0.local_addr().expect("bound"),
        alice = account(331, "alice"),
        bob = account(332, "bob"),
        carol = account(333, "carol"),
    );
    fs::write(&providers, text).expect("writable");
    let server = Server::quiet_on(
        "sip:127.0.0.1:0;transport=udp sip:127.0.0.2:0;transport=udp",
        " ",
        &format!(
            "application=sip-bridge\ntrusted-hosts=127.0.0.1 127.0.0.2\n[b2bua-server::sip-bridge]\nproviders={}\n",
            providers.display()
        ),
    );
    inside.peer = server.udp_of("127.0.0.1");
    let outside = server.udp_of("127.0.0.2");
    thread::spawn(move || exchange.serve(outside));
    (inside, server, folder)
}

/// Both ends of a call that is up: what alice was answered, and the INVITE that the other got.
fn up(phones: &mut Party, number: &str, name: &str) -> (Heard, Heard) {
    let call_id = fresh("twice");
    let invite = phones.invite(&call_id, &format!("sip:{number}@b2bua.test"));
    phones.send(&invite);
    let called = phones.expect("INVITE ");
    assert!(
        called.start().starts_with(&format!("INVITE sip:{name}@")),
        "{}",
        called.0
    );
    let sdp = phones.sdp();
    phones.respond(&called, "200 OK", &sdp);
    let answer = phones.expect("SIP/2.0 200");
    assert_eq!(answer.field("Call-ID"), call_id);
    let ack = phones.within("ACK", 1, &answer);
    phones.send(&ack);
    (answer, called)
}

fn tag(field: &str) -> String {
    field.split("tag=").nth(1).expect("a tag").to_owned()
}

/// Alice asks that bob take her call with carol; he says what has become of it.
fn transfer(phones: &mut Party, bob: &(Heard, Heard), carol: &(Heard, Heard), cseq: u32, outcome: &str) {
    let dialog = format!(
        "{}%3Bto-tag%3D{}%3Bfrom-tag%3D{}",
        carol.0.field("Call-ID"),
        tag(&carol.0.field("To")),
        tag(&carol.0.field("From"))
    );
    let refer = phones.within("REFER", cseq, &bob.0).replace(
        "Content-Length",
        &format!("Refer-To: <sip:+333@b2bua.test?Replaces={dialog}>\r\nContent-Length"),
    );
    phones.send(&refer);
    let trying = phones.expect("NOTIFY ");
    assert!(trying.0.ends_with("SIP/2.0 100 Trying\r\n"), "{}", trying.0);
    phones.respond(&trying, "200 OK", "");
    let referred = phones.expect("REFER ");
    assert_eq!(referred.field("Call-ID"), bob.1.field("Call-ID"));
    // The dialog that carol has, in her words: behind four legs.
    let hers = format!(
        "<sip:carol@example.org?Replaces={}%3Bto-tag%3Dcallee%3Bfrom-tag%3D{}>",
        carol.1.field("Call-ID").replace('@', "%40"),
        tag(&carol.1.field("From"))
    );
    assert_eq!(referred.field("Refer-To"), hers);
    phones.respond(&referred, "202 Accepted", "");
    let fragment = format!("SIP/2.0 {outcome}\r\n");
    let news = phones.within_with("NOTIFY", cseq, &bob.1, &fragment).replace(
        "Content-Type: application/sdp",
        "Content-Type: message/sipfrag;version=2.0\r\nEvent: refer\r\nSubscription-State: terminated;reason=noresource",
    );
    phones.send(&news);
    let told = phones.expect("NOTIFY ");
    assert!(told.0.ends_with(&fragment), "{}", told.0);
    assert!(
        told.field("Subscription-State").starts_with("terminated"),
        "{}",
        told.0
    );
    phones.respond(&told, "200 OK", "");
}

fn hang_up(phones: &mut Party, call: &(Heard, Heard), cseq: u32) {
    let bye = phones.within("BYE", cseq, &call.0);
    phones.send(&bye);
    let told = phones.expect("BYE ");
    assert_eq!(told.field("Call-ID"), call.1.field("Call-ID"));
    phones.respond(&told, "200 OK", "");
}

#[test]
fn acceptance_27_attended_transfers_find_their_dialog_where_everything_is_bridged_twice() {
    let (mut phones, server, _folder) = stage();
    let bob = up(&mut phones, "+332", "bob");
    let carol = up(&mut phones, "+333", "carol");
    assert_eq!(server.gauges()["calls"], 4);
    transfer(&mut phones, &bob, &carol, 2, "603 Decline");
    // The first call is as it was.
    let sdp = phones.sdp();
    let again = phones.within_with("INVITE", 3, &bob.0, &format!("{sdp}a=sendonly\r\n"));
    phones.send(&again);
    let asked = phones.expect("INVITE ");
    assert_eq!(asked.field("Call-ID"), bob.1.field("Call-ID"));
    assert!(asked.0.contains("a=sendonly"), "{}", asked.0);
    phones.respond(&asked, "200 OK", &format!("{sdp}a=recvonly\r\n"));
    let answer = phones.expect("SIP/2.0 200");
    let ack = phones.within("ACK", 3, &answer);
    phones.send(&ack);
    transfer(&mut phones, &bob, &carol, 4, "200 OK");
    hang_up(&mut phones, &bob, 5);
    hang_up(&mut phones, &carol, 2);
    server.until(|gauges| gauges["calls"] == 0);
}

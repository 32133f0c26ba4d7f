//! A trunk that knows us by our certificate and our name alone: `config/trunks/direct-routing.toml`, end to end.

use super::{
    carriers::{self, Authority},
    party::{Heard, Party, fresh},
    server::Server,
};
use std::{
    fs,
    net::{SocketAddr, TcpListener},
};

const KEY: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";

#[test]
fn a_trunk_that_wants_our_certificate_and_our_name_is_asked_called_and_may_call() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let far = listener.local_addr().expect("bound").port();
    let own = TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .port();
    let folder = tempfile::tempdir().expect("a folder");
    let providers = folder.path().join("providers.toml");
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/config/trunks/direct-routing.toml");
    let recipe = fs::read_to_string(recipe).expect("readable");
    // Its names are those of a certificate of ours.
    let text = recipe
        .replace("sip.pstnhub.microsoft.com:5061", &format!("localhost:{far}"))
        .replace("sbc.example.com", "localhost");
    assert!(
        text.contains(&format!("<sip:localhost:{far};transport=tls>")),
        "{text}"
    );
    fs::write(&providers, text).expect("writable");
    let more = format!(
        "application=sip-bridge\ntrusted-hosts=127.0.0.2\n{}tls-verify=optional\n[b2bua-server::sip-bridge]\nproviders={}\n",
        authority.lines(),
        providers.display()
    );
    let transport = format!("sip:localhost:{own};transport=tls sip:127.0.0.2:0;transport=udp");
    let server = Server::listening_on(&transport, " ", &more);

    // It is asked first, and sees who asks: TLS fails without a certificate of the authority.
    let mut trunk = carriers::accepted_mutual_tls(&authority, &listener);
    let contact = format!("localhost:{own}");
    let names_us = |asked: &Heard| {
        let (via, named) = (
            format!("SIP/2.0/TLS {contact};"),
            format!("{contact};transport=tls>"),
        );
        assert!(asked.field("Via").starts_with(&via), "{}", asked.0);
        assert!(asked.field("Contact").contains(&named), "{}", asked.0);
    };
    let asked = trunk.expect("OPTIONS ");
    assert!(
        asked.start().starts_with(&format!("OPTIONS sip:localhost:{far}")),
        "{}",
        asked.0
    );
    names_us(&asked);
    trunk.respond(&asked, "200 OK", "");
    server.until_logged("the trunk is up");

    let mut caller = Party::udp("127.0.0.2", server.udp_of("127.0.0.2"));
    let dialled = caller.invite(&fresh("call"), "sip:0612345678@b2bua.example");
    caller.send(&dialled.replace("sip:alice@example.org", "sip:0123456789@inside.example"));
    let asked = trunk.expect("INVITE ");
    assert_eq!(
        asked.start(),
        "INVITE sip:+33612345678@sip.pstnhub.microsoft.com SIP/2.0"
    );
    assert!(
        asked.field("From").contains("<sip:+33123456789@localhost>;tag="),
        "{}",
        asked.0
    );
    names_us(&asked);
    assert!(
        asked.0.contains(" RTP/SAVP ") && asked.0.contains("a=crypto:"),
        "{}",
        asked.0
    );
    assert!(
        !asked.0.contains("inside.example") && !asked.0.contains("b2bua.example"),
        "{}",
        asked.0
    );
    let answer = trunk.sdp().replace("RTP/AVP", "RTP/SAVP") + KEY;
    trunk.respond(&asked, "200 OK", &answer);
    let answered = caller.expect("SIP/2.0 200");
    assert!(
        answered.0.contains(" RTP/AVP 0") && !answered.0.contains("a=crypto"),
        "{}",
        answered.0
    );
    caller.send(&caller.within("ACK", 1, &answered));
    trunk.expect("ACK ");
    trunk.send(&trunk.within("BYE", 2, &asked));
    trunk.expect("SIP/2.0 200");
    let bye = caller.expect("BYE ");
    caller.respond(&bye, "200 OK", "");
    server.until_empty();

    // The other way its certificate says who it is; the recipe has no provider for what it calls.
    let tls: SocketAddr = server.tls();
    for (certified, code) in [(true, "SIP/2.0 488"), (false, "SIP/2.0 403")] {
        let mut calls = carriers::tls(authority.client(certified), tls);
        calls.send(&calls.invite(&fresh("in"), "sip:not-a-number@localhost"));
        calls.expect(code);
    }
}

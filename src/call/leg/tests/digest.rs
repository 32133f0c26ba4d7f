//! Who gets an answer to 401 and 407 within a dialog (S8): the servers of the account, for its realm, and nobody else.

use super::{
    failover::{account, challenge},
    *,
};
use crate::call::{Cause, Origin, signal::Payload};

const TRUNK: &str = "192.0.2.103:5060";
const STRANGER: &str = "192.0.2.66:5060";

/// What a leg can be told to ask its peer.
fn asked() -> [(Method, Signal); 4] {
    let request = |method: Method| {
        let mut headers = crate::sip::Headers::default();
        if method == Method::Refer {
            headers.push("Refer-To", "<sip:carol@example.org>");
        }
        Signal::Request(Payload {
            method,
            headers,
            body: bytes::Bytes::new(),
            number: 1,
            cseq: 0,
        })
    };
    [
        (Method::Bye, Signal::Hangup(Cause::bye(Origin::LegA))),
        (Method::Invite, Signal::Offer(Some(sdp(3)))),
        (Method::Refer, request(Method::Refer)),
        (Method::Info, request(Method::Info)),
    ]
}

/// An answered leg B of an account whose later requests lead there.
fn up_to(realm: &str, later: &str) -> One {
    let mut one = One::dial_to(&account(realm), Body::Offer(sdp(1)), vec![udp(TRUNK)]);
    let invite = one.last(&Method::Invite);
    let contact = [("Contact", "<sip:b@192.0.2.9>"), ("Allow", "INVITE, REFER, INFO")];
    one.to = vec![udp(later)];
    one.hear(reply(&invite, 200, "b", &contact, Some(&sdp(2))));
    one
}

/// How often the peer heard a request of that method, challenged each time with a fresh nonce; the first one is stale then.
fn heard(one: &mut One, method: &Method, signal: Signal) -> Vec<Request> {
    one.sent.clear();
    one.tell(signal);
    let mut all = Vec::new();
    for nonce in ["n1", "n2"] {
        let request = one.last(method);
        if all.last() == Some(&request) {
            break;
        }
        all.push(request.clone());
        let asks = challenge(nonce, nonce == "n2");
        one.hear(reply(&request, 407, "b", &[("Proxy-Authenticate", &asks)], None));
    }
    let last = one.last(method);
    if all.last() != Some(&last) {
        all.push(last);
    }
    all
}

#[test]
fn each_request_of_a_dialog_is_answered_for_at_the_trunk_also_when_its_nonce_was_stale() {
    for (method, signal) in asked() {
        let mut one = up_to("example.org", TRUNK);
        let all = heard(&mut one, &method, signal);
        let nonces: Vec<String> = all
            .iter()
            .map(|request| header(request, "Proxy-Authorization"))
            .collect();
        assert_eq!(nonces.len(), 3, "{method}");
        assert_eq!(nonces[0], "");
        assert!(nonces[1].contains("nonce=\"n1\""), "{method}: {nonces:?}");
        assert!(nonces[2].contains("nonce=\"n2\""), "{method}: {nonces:?}");
    }
}

#[test]
fn nobody_else_gets_an_answer_whatever_realm_he_names() {
    for (realm, later) in [("example.org", STRANGER), ("other.example", TRUNK)] {
        for (method, signal) in asked() {
            let mut one = up_to(realm, later);
            let all = heard(&mut one, &method, signal);
            assert_eq!(all.len(), 1, "{method} to {later} for {realm}");
            for (message, _) in &one.sent {
                let headers = message.headers();
                let shown = headers.contains("Authorization") || headers.contains("Proxy-Authorization");
                assert!(!shown, "{method} to {later} for {realm}");
            }
        }
    }
}

#[test]
fn a_caller_is_answered_where_the_application_says_that_it_is_the_trunk_and_from_its_own_host_alone() {
    let credentials = account("example.org").credentials;
    let alice: SocketAddr = ALICE.parse().expect("an address");
    for (credentials, later, times) in [
        (credentials.clone(), ALICE, 3),
        (credentials, STRANGER, 1),
        (None, ALICE, 1),
    ] {
        for (method, signal) in asked() {
            let (mut one, _) = uas::up();
            one.leg.authenticate(credentials.clone(), alice.ip());
            one.leg.resolved.clear();
            one.to = vec![udp(later)];
            let all = heard(&mut one, &method, signal);
            assert_eq!(all.len(), times, "{method} to {later}");
        }
    }
}

//! Where requests of leg B go whose callee is behind a NAT, and of leg A whose caller comes back from elsewhere (acceptance #24).

use super::*;
use crate::call::{Cause, Origin};

#[test]
fn acceptance_24_a_callee_that_names_a_private_address_is_reached_where_it_answered() {
    for (answered_from, contact, route, reached) in [
        ("198.51.100.9:5080", "10.1.2.3", None, "sip:198.51.100.9:5080"),
        ("198.51.100.9:5080", "100.64.0.9", None, "sip:198.51.100.9:5080"),
        ("198.51.100.9:5080", "[fd00::1]", None, "sip:198.51.100.9:5080"),
        ("198.51.100.9:5080", "192.0.2.77", None, "sip:bob@192.0.2.77"),
        (
            "198.51.100.9:5080",
            "phone.example.org",
            None,
            "sip:bob@phone.example.org",
        ),
        // In the same private world, or behind a proxy beside us: it may well be reached there.
        ("192.168.7.7:5080", "10.1.2.3", None, "sip:bob@10.1.2.3"),
        ("127.0.0.1:5080", "10.1.2.3", None, "sip:bob@10.1.2.3"),
        // A proxy that wants to be passed through knows the way.
        (
            "198.51.100.9:5080",
            "10.1.2.3",
            Some("<sip:p.example.org;lr>"),
            "sip:p.example.org;lr",
        ),
    ] {
        let mut one = One::dial_to(&plan(), Body::Offer(sdp(1)), vec![udp(answered_from)]);
        let invite = one.last(&Method::Invite);
        one.lookups.clear();
        let uri = format!("sip:bob@{contact}");
        let address = format!("<{uri}>");
        let mut headers = vec![("Contact", address.as_str())];
        headers.extend(route.map(|route| ("Record-Route", route)));
        one.hear(reply(&invite, 200, "b", &headers, Some(&sdp(2))));
        assert_eq!(one.lookups, [reached], "{answered_from} {contact}");
        assert_eq!(one.last(&Method::Ack).uri.to_string(), uri);
        one.tell(Signal::Hangup(Cause::bye(Origin::LegA)));
        assert_eq!(one.last(&Method::Bye).uri.to_string(), uri);
        assert_eq!(one.lookups, [reached], "the BYE goes the same way");
    }
}

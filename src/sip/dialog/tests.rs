use super::*;
use crate::sip::{Message, Status, parse};
use bytes::Bytes;

fn invite(extra: &str) -> Request {
    let text = format!(
        "INVITE sip:bob@192.0.2.4 SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\nFrom: \"A\" <sip:alice@example.org>;tag=a1\n\
         To: Bob <sip:bob@example.org>\nCall-ID: c1\nCSeq: 314159 INVITE\n{extra}Content-Length: 0\n\n"
    );
    match parse::datagram(Bytes::from(text.replace('\n', "\r\n"))).expect("a message") {
        parse::Parsed::Message(Message::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

fn ok(invite: &Request, headers: &[(&str, &str)]) -> Response {
    let mut response = invite.respond(Status::OK, Some("b1"));
    for (name, value) in headers {
        response.headers.push(*name, *value);
    }
    response
}

fn header(request: &Request, name: &str) -> Vec<String> {
    request.headers.all(name).map(|value| value.to_string()).collect()
}

#[test]
fn our_requests_as_uas_take_the_recorded_routes_in_order_and_swap_from_and_to() {
    let invite = invite(
        "Contact: <sip:alice@192.0.2.1:5080>\nRecord-Route: <sip:p2;lr>, <sip:p1;lr>\nRecord-Route: <sip:p0;lr>\n",
    );
    let mut dialog = Dialog::uas(&invite, "t1", 0).expect("a dialog");
    let path = dialog.path();
    let bye = dialog.request(Method::Bye, &path);
    assert_eq!(bye.uri.as_str(), "sip:alice@192.0.2.1:5080");
    assert_eq!(
        header(&bye, "Route"),
        ["<sip:p2;lr>", "<sip:p1;lr>", "<sip:p0;lr>"]
    );
    assert_eq!(header(&bye, "From"), ["Bob <sip:bob@example.org>;tag=t1"]);
    assert_eq!(header(&bye, "To"), ["\"A\" <sip:alice@example.org>;tag=a1"]);
    assert_eq!(header(&bye, "CSeq"), ["1 BYE"]);
    assert_eq!(path.hop.uri.as_str(), "sip:p2;lr");
}

#[test]
fn our_requests_as_uac_take_them_in_reverse_and_the_ack_has_the_number_of_the_invite() {
    let invite = invite("Contact: <sip:us>\n");
    let response = ok(
        &invite,
        &[
            ("Record-Route", "<sip:p2;lr>, <sip:p1;lr>"),
            ("Contact", "<sip:bob@192.0.2.8>"),
        ],
    );
    let mut dialog = Dialog::uac(&invite, &response).expect("a dialog");
    let path = dialog.path();
    let ack = dialog.numbered(Method::Ack, 314_159, &path);
    assert_eq!(header(&ack, "Route"), ["<sip:p1;lr>", "<sip:p2;lr>"]);
    assert_eq!(header(&ack, "CSeq"), ["314159 ACK"]);
    assert_eq!(header(&ack, "To"), ["Bob <sip:bob@example.org>;tag=b1"]);
    let bye = dialog.request(Method::Bye, &path);
    assert_eq!(header(&bye, "CSeq"), ["314160 BYE"]);
    assert_eq!(bye.uri.as_str(), "sip:bob@192.0.2.8");
}

#[test]
fn a_2xx_without_contact_leaves_requests_where_the_invite_went() {
    let invite = invite("Contact: <sip:us>\n");
    let dialog = Dialog::uac(&invite, &ok(&invite, &[])).expect("a dialog");
    assert_eq!(dialog.remote_target.as_str(), "sip:bob@192.0.2.4");
}

#[test]
fn a_caller_of_rfc_2543_without_contact_is_reached_where_it_comes_from() {
    let dialog = Dialog::uas(&invite(""), "t1", 0).expect("a dialog");
    assert_eq!(dialog.remote_target.as_str(), "sip:alice@example.org");
}

#[test]
fn numbers_of_the_peer_may_leave_gaps_but_not_go_back() {
    let mut dialog = Dialog::uas(&invite("Contact: <sip:a>\n"), "t1", 0).expect("a dialog");
    for (number, fits) in [
        (314_160, true),
        (314_190, true),
        (314_190, false),
        (314_189, false),
        (314_191, true),
    ] {
        assert_eq!(dialog.receive(number).is_ok(), fits, "{number}");
    }
    // A dialog that we opened knows no number of the peer: any is the first.
    let invite = invite("Contact: <sip:us>\n");
    let mut dialog = Dialog::uac(&invite, &ok(&invite, &[])).expect("a dialog");
    assert_eq!(dialog.receive(0), Ok(()));
    assert_eq!(dialog.receive(0), Err(OutOfOrder { got: 0, seen: 0 }));
}

#[test]
fn contact_moves_the_peer_and_rubbish_does_not() {
    let mut dialog = Dialog::uas(&invite("Contact: <sip:a>\n"), "t1", 0).expect("a dialog");
    let mut headers = Headers::default();
    assert!(!dialog.refresh(&headers));
    headers.push("Contact", "<sip:moved@192.0.2.77>");
    assert!(dialog.refresh(&headers));
    assert_eq!(dialog.remote_target.as_str(), "sip:moved@192.0.2.77");
    headers.set("Contact", "<<<");
    assert!(!dialog.refresh(&headers));
    assert_eq!(dialog.remote_target.as_str(), "sip:moved@192.0.2.77");
}

#[test]
fn a_to_without_brackets_gets_them_before_its_tag() {
    let mut bare = invite("Contact: <sip:a>\n");
    bare.headers.set("To", "sip:bob@example.org");
    let mut dialog = Dialog::uas(&bare, "t1", 0).expect("a dialog");
    let path = dialog.path();
    assert_eq!(
        header(&dialog.request(Method::Bye, &path), "From"),
        ["<sip:bob@example.org>;tag=t1"]
    );
}

//! Tests of header fields.

use super::*;
use crate::sip::{Message, Uri, parse};

fn headers(block: &str) -> Headers {
    let text = format!("OPTIONS sip:h SIP/2.0\r\n{block}\r\n");
    let (message, _) = parse::message(Bytes::from(text)).unwrap();
    message.headers().clone()
}

fn printed(headers: &Headers) -> String {
    headers
        .lines()
        .map(|(_, line)| String::from_utf8_lossy(line).into_owned())
        .collect()
}

#[test]
fn values_are_trimmed_and_unfolded() {
    let headers = headers("Subject :  a\r\n\t b \r\n  c  \r\ns: \r\n");
    let subjects: Vec<_> = headers.all("subject").map(|text| text.to_string()).collect();
    assert_eq!(subjects, ["a b c", ""]);
}

#[test]
fn compact_names_and_case_make_no_difference() {
    let headers = headers("v: one\r\nVIA: two, three\r\nx-Y: z\r\n");
    assert_eq!(headers.get("Via"), Some("one".into()));
    assert_eq!(headers.get("X-y"), Some("z".into()));
    let values: Vec<_> = headers.values("via").map(|text| text.to_string()).collect();
    assert_eq!(values, ["one", "two", "three"]);
    assert!(!headers.contains("X") && headers.get("from").is_none());
}

#[test]
fn edits_touch_nothing_else() {
    let mut headers = headers("v : 1\r\nX-A:  b\r\n c\r\nm: <sip:x>\r\nContact:<sip:y>\r\ni: 1\r\n");
    headers.set("Contact", "<sip:z>");
    headers.push_front("Route", "<sip:p;lr>");
    headers.push("Z", "1");
    headers.remove("call-id");
    assert_eq!(
        printed(&headers),
        "Route: <sip:p;lr>\r\nv : 1\r\nX-A:  b\r\n c\r\nContact: <sip:z>\r\nZ: 1\r\n"
    );
}

#[test]
fn copied_fields_look_as_they_did() {
    let from = headers("x-a :  1\r\n  2\r\nY: 1\r\nX-A: 3\r\n");
    let mut to = Headers::default();
    to.copy_from(&from, "X-A");
    assert_eq!(printed(&to), "x-a :  1\r\n  2\r\nX-A: 3\r\n");
    assert_eq!(to.get("x-a"), Some("1 2".into()));
}

#[test]
fn a_value_cannot_begin_another_field() {
    let mut headers = Headers::default();
    headers.push("Subject", "a\r\nX-Evil: b\n\0");
    headers.push("Bad name\r\n:", "c");
    headers.push(":", "d");
    headers.push(Name::new(":v"), "e");
    assert_eq!(headers.get("Via"), Some("e".into()));
    headers.remove("Via");
    assert_eq!(printed(&headers), "Subject: a  X-Evil: b\r\nBadname: c\r\n");
}

#[test]
fn the_top_via_is_stamped_and_those_behind_its_comma_stay() {
    let mut headers = headers("v:SIP/2.0/UDP a;rport,\r\n SIP/2.0/TCP b ;x\r\nVia: SIP/2.0/UDP c\r\n");
    headers.stamp("192.0.2.9:99".parse().unwrap()).unwrap();
    assert_eq!(
        printed(&headers),
        "v: SIP/2.0/UDP a;rport=99;received=192.0.2.9,\r\n SIP/2.0/TCP b ;x\r\nVia: SIP/2.0/UDP c\r\n"
    );
    let vias = headers.vias().unwrap();
    let hosts: Vec<_> = vias.iter().map(|via| via.host.to_string()).collect();
    assert_eq!(hosts, ["a", "b", "c"]);
    assert_eq!(headers.via().unwrap().rport(), Some(99));
}

#[test]
fn typed_fields_are_read() {
    let headers = headers(
        "f: A <sip:a@h>;tag=1\r\nt: sip:b@h\r\ni: x@y\r\nCSeq: 7 BYE\r\nMax-Forwards: 0068\r\n\
         Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\nRecord-Route: <sip:p3;lr>\r\nm: <sip:a@c>;q=1\r\nl: 0\r\n",
    );
    assert_eq!(headers.from().unwrap().tag(), Some("1".into()));
    assert_eq!(headers.to().unwrap().uri, Uri::parse("sip:b@h").unwrap());
    assert_eq!(headers.call_id().unwrap(), "x@y");
    assert_eq!(headers.cseq().unwrap().number, 7);
    assert_eq!(headers.max_forwards().unwrap(), Some(68));
    assert_eq!(headers.content_length().unwrap(), Some(0));
    assert_eq!(headers.contacts().unwrap().len(), 1);
    let routes = headers.routes("Record-Route").unwrap();
    let hosts: Vec<_> = routes.iter().map(|route| route.uri.host()).collect();
    assert_eq!(hosts, ["p1", "p2", "p3"]);
    assert_eq!(headers.uri("t").unwrap().user(), Some("b"));
}

#[test]
fn what_is_missing_or_wrong_is_told_with_its_place() {
    let headers = headers("Max-Forwards: 256\r\nContact: *\r\nFrom: x\r\nl: 1\r\nContent-Length: 2\r\n");
    let say = |error: crate::sip::ParseError| error.reason().to_string();
    assert_eq!(say(headers.to().unwrap_err()), "Missing header: To");
    assert_eq!(say(headers.from().unwrap_err()), "No scheme: From");
    assert_eq!(
        say(headers.max_forwards().unwrap_err()),
        "Not a number from 0 to 255: Max-Forwards"
    );
    assert!(headers.contacts().is_err());
    assert_eq!(
        say(headers.content_length().unwrap_err()),
        "Two different values: Content-Length"
    );
}

#[test]
fn a_response_copies_what_the_rfc_says_and_adds_the_tag() {
    let text = "INVITE sip:h SIP/2.0\r\nv: SIP/2.0/UDP a,SIP/2.0/UDP b\r\nVia:SIP/2.0/UDP c\r\nTo: <sip:b@h>;x\r\n\
                f: <sip:a@h>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nSubject: x\r\nTimestamp: 5\r\nl: 0\r\n\r\n";
    let (Message::Request(request), None) = parse::message(Bytes::from(text)).unwrap() else {
        panic!("no request")
    };
    let ringing = request.respond(crate::sip::Status::RINGING, Some("t1"));
    assert_eq!(
        ringing.to_bytes(),
        "SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP a,SIP/2.0/UDP b\r\nVia:SIP/2.0/UDP c\r\nf: <sip:a@h>;tag=1\r\n\
         To: <sip:b@h>;x;tag=t1\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    );
    let trying = request.respond(crate::sip::Status::TRYING, None);
    assert!(trying.headers.contains("Timestamp"));
    assert_eq!(trying.headers.to().unwrap().tag(), None);
    let mut tagged = request.clone();
    tagged.headers.set("To", "<sip:b@h>;tag=own");
    let bye = tagged.respond(crate::sip::Status::OK, Some("t1"));
    assert_eq!(bye.headers.to().unwrap().tag(), Some("own".into()));
}

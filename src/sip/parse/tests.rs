//! Tests of parsing and printing.

use super::*;
use bytes::BytesMut;

const INVITE: &str = "INVITE sip:bob@example.org SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
    From: <sip:alice@example.org>;tag=1\r\nTo: <sip:bob@example.org>\r\n\
    Call-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 4\r\n\r\nbody";

fn read(text: &str) -> Message {
    match datagram(Bytes::copy_from_slice(text.as_bytes())) {
        Ok(Parsed::Message(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn fault(text: &str) -> String {
    match datagram(Bytes::copy_from_slice(text.as_bytes())) {
        Ok(Parsed::Faulty(_, error)) => format!("{} {}", error.status, error.reason()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn printing_gives_back_what_was_read() {
    for text in [
        INVITE.to_owned(),
        INVITE.replace("\r\n", "\n"),
        INVITE.replace("SIP/2.0\r\nVia", "sip/2.0\r\nVia"),
        INVITE.replace("Content-Length: 4\r\n", ""),
        INVITE.replace("Call-ID: 1", "i  :1  \r\n\t"),
        INVITE
            .replace("INVITE", "X-Y.z!")
            .replace("sip:bob@example.org SIP", "urn:service:sos SIP"),
        INVITE.replace("INVITE sip:bob@example.org SIP/2.0", "SIP/2.0 200 "),
        INVITE.replace("INVITE sip:bob@example.org SIP/2.0", "SIP/2.0 200"),
        INVITE.replace("INVITE sip:bob@example.org SIP/2.0", "sip/2.0 699 Ünüsual  :\t "),
    ] {
        assert_eq!(read(&text).to_bytes(), text);
    }
}

#[test]
fn a_changed_start_line_is_printed_anew() {
    let Message::Request(mut request) = read(&INVITE.replace("SIP/2.0\r\nVia", "sip/2.0\r\nVia")) else {
        panic!("no request")
    };
    request.uri = Uri::parse("sip:carol@example.org").unwrap();
    assert!(
        request
            .to_bytes()
            .starts_with(b"INVITE sip:carol@example.org SIP/2.0\r\nVia")
    );
    let text = INVITE.replace("INVITE sip:bob@example.org SIP/2.0\r\n", "SIP/2.0 200 OK\n");
    let Message::Response(mut response) = read(&text) else {
        panic!("no response")
    };
    response.reason = "Fine\r\nX: y".into();
    assert!(response.to_bytes().starts_with(b"SIP/2.0 200 Fine  X: y\r\nVia"));
}

#[test]
fn content_length_is_made_true() {
    let Message::Request(mut request) = read(INVITE) else {
        panic!("no request")
    };
    request.body = Bytes::from_static(b"longer body");
    assert!(
        request
            .to_bytes()
            .ends_with(b"Content-Length: 11\r\n\r\nlonger body")
    );
    request.headers.remove("Content-Length");
    assert!(
        request
            .to_bytes()
            .ends_with(b"CSeq: 1 INVITE\r\nContent-Length: 11\r\n\r\nlonger body")
    );
}

#[test]
fn what_follows_content_length_is_ignored() {
    let text = format!("\r\n\r\n{INVITE}{INVITE}");
    assert_eq!(read(&text).to_bytes(), INVITE);
}

#[test]
fn faults_that_can_be_answered_are_told() {
    let faults = [
        (
            "SIP/2.0\r\nVia",
            "SIP/7.0\r\nVia",
            "505 Unknown version: start line",
        ),
        (
            " sip:bob@example.org SIP",
            "  sip:bob@example.org SIP",
            "400 White space other than one SP between the words: start line",
        ),
        (
            "SIP/2.0\r\nVia",
            "SIP/2.0  \r\nVia",
            "400 White space other than one SP between the words: start line",
        ),
        (
            "sip:bob@example.org SIP",
            "<sip:bob@example.org> SIP",
            "400 White space, quote or bracket: Request-URI",
        ),
        (
            "sip:bob@example.org SIP",
            "sip:bob@example.org; lr SIP",
            "400 White space, quote or bracket: Request-URI",
        ),
        (
            "sip:bob@example.org SIP",
            "sip:bob@example.org?Route=x SIP",
            "400 Headers: Request-URI",
        ),
        (
            "Length: 4",
            "Length: 5",
            "400 Larger than the message: Content-Length",
        ),
        ("Length: 4", "Length: -4", "400 Not a number: Content-Length"),
        ("Call-ID: 1\r\n", "", "400 Missing header: Call-ID"),
        (
            "Call-ID: 1\r\n",
            "Call-ID: 1\r\nCall-ID: 1\r\n",
            "400 More than one: Call-ID",
        ),
        (
            "Call-ID: 1\r\n",
            "Call-ID 1\r\n",
            "400 Line that is not name: value: header block",
        ),
        ("Call-ID: 1", "Call-ID: \x001", "400 NUL: header block"),
        (
            "Call-ID: 1",
            "Call-ID: 1\rX: y",
            "400 CR without LF: header block",
        ),
        ("1 INVITE", "1 BYE", "400 Method differs from the request's: CSeq"),
        (
            "1 INVITE",
            "4294967296 INVITE",
            "400 Number missing or not below 2**31: CSeq",
        ),
        ("tag=1", "tag=", "400 Malformed parameter: From"),
        (
            "branch=z9hG4bK1",
            "branch=z9hG4bK",
            "400 Nothing behind the magic cookie of branch: Via",
        ),
        ("branch=z9hG4bK1", ";,;,,", "400 Malformed parameter: Via"),
        (
            "\r\n\r\nbody",
            "\r\n",
            "400 No empty line at the end: header block",
        ),
    ];
    for (from, to, expected) in faults {
        assert_eq!(fault(&INVITE.replacen(from, to, 1)), expected, "{to:?}");
    }
}

#[test]
fn what_cannot_be_answered_is_an_error() {
    for text in [
        "",
        "\r\n\r\n",
        "\0\0\0\0",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &INVITE.replace("Via: SIP", "Via: XXX"),
        &INVITE
            .replace("INVITE", "ACK")
            .replace("CSeq: 1 ACK", "CSeq: x ACK"),
        &INVITE.replace("INVITE sip:bob@example.org SIP/2.0", "SIP/2.0 4294967301 Big"),
        &INVITE
            .replace("INVITE sip:bob@example.org SIP/2.0", "SIP/2.0 200 OK")
            .replace("CSeq: 1", "CSeq: 9999999999"),
    ] {
        assert!(
            datagram(Bytes::copy_from_slice(text.as_bytes())).is_err(),
            "{text}"
        );
    }
}

#[test]
fn too_many_fields_and_too_large_blocks_are_513() {
    let many = INVITE.replace("Call-ID: 1\r\n", &"X: y\r\n".repeat(MAX_FIELDS + 1));
    assert_eq!(fault(&many), "513 Too large: header block");
    let large = INVITE.replace(
        "Call-ID: 1\r\n",
        &format!("X: {}\r\n", "y".repeat(MAX_HEADER_BLOCK)),
    );
    assert_eq!(fault(&large), "513 Too large: header block");
    assert!(datagram(Bytes::from(vec![b'A'; MAX_MESSAGE + 1])).is_err());
}

#[test]
fn what_rfc_2543_leaves_out_is_accepted() {
    read(
        &INVITE
            .replace(";branch=z9hG4bK1", "")
            .replace(";tag=1", "")
            .replace("Content-Length: 4\r\n", ""),
    );
}

fn frames(stream: &[u8], step: usize) -> (Vec<String>, Option<ParseError>) {
    let (mut framer, mut buffer, mut found) = (Framer::default(), BytesMut::new(), Vec::new());
    for chunk in stream.chunks(step) {
        buffer.extend_from_slice(chunk);
        loop {
            match framer.next(&mut buffer) {
                Ok(None) => break,
                Ok(Some(Frame::Ping)) => found.push("ping".to_owned()),
                Ok(Some(Frame::Message(parsed))) => found.push(match *parsed {
                    Parsed::Message(message) => String::from_utf8_lossy(&message.to_bytes()).into_owned(),
                    Parsed::Faulty(_, error) => error.to_string(),
                }),
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

#[test]
fn a_stream_gives_the_same_frames_however_it_is_cut() {
    let stream = format!(
        "\r\n\r\n{INVITE}\r\n{INVITE}{}\r\n\r\n",
        INVITE.replace("\r\n", "\n")
    );
    let expected = ["ping", INVITE, INVITE, &INVITE.replace("\r\n", "\n"), "ping"];
    for step in [1, 2, 3, 7, 100, stream.len()] {
        let (found, error) = frames(stream.as_bytes(), step);
        assert_eq!(found, expected, "step {step}");
        assert_eq!(error, None);
    }
}

#[test]
fn a_faulty_message_of_known_length_does_not_end_the_stream() {
    let bad = INVITE.replace("CSeq: 1 INVITE", "CSeq: 1 BYE");
    let unanswerable = INVITE.replace("Via: SIP", "Via: XXX");
    let (found, error) = frames(format!("{bad}{unanswerable}{INVITE}").as_bytes(), 50);
    assert_eq!(found, ["method differs from the request's in CSeq", INVITE]);
    assert_eq!(error, None);
}

#[test]
fn a_stream_without_a_usable_length_is_answered_once_and_lost() {
    for (from, to, expected) in [
        ("Content-Length: 4\r\n", "", "missing header in Content-Length"),
        ("Length: 4", "Length: x", "not a number in Content-Length"),
        ("Length: 4", "Length: 99999999", "too large in Content-Length"),
    ] {
        let (found, error) = frames(INVITE.replace(from, to).as_bytes(), 10);
        assert_eq!(found, [expected]);
        assert_eq!(error.map(|error| error.to_string()).as_deref(), Some(expected));
    }
}

#[test]
fn an_endless_header_block_is_cut_off() {
    let (found, error) = frames(&vec![b'a'; MAX_HEADER_BLOCK + 1], 1000);
    assert_eq!(
        (found.len(), error.map(|error| error.status)),
        (0, Some(Status::MESSAGE_TOO_LARGE))
    );
    let (_, error) = frames(&b"a: b\r\n".repeat(MAX_HEADER_BLOCK), 1000);
    assert_eq!(error.map(|error| error.status), Some(Status::MESSAGE_TOO_LARGE));
}

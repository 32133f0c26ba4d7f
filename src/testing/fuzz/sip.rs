//! Targets of the SIP core.

use crate::sip::{
    CSeq, Headers, Message, NameAddr, ReferTo, Replaces, Request, Status, Text, Uri, Via,
    auth::Challenge,
    lex,
    parse::{self, Frame, Framer, Parsed},
    subscription,
};
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;

/// Any datagram: what is accepted prints as it came and can be answered; typed fields never panic.
pub fn sip_datagram(data: &[u8]) {
    let source = SocketAddr::from(([192, 0, 2, 77], 4711));
    match parse::datagram(Bytes::copy_from_slice(data)) {
        Ok(Parsed::Message(message)) => {
            let printed = message.to_bytes();
            let start = data.iter().take_while(|&&b| matches!(b, b'\r' | b'\n')).count();
            assert!(
                data[start..].starts_with(&printed),
                "printing changed the message"
            );
            assert_eq!(
                accepted(printed),
                message,
                "printing and reading again changed it"
            );
            read_all(message.headers());
            if let Message::Request(request) = message {
                answer(request, source);
            }
        }
        Ok(Parsed::Faulty(message, error)) => {
            assert!(error.status.is_final() && error.reason().is_ascii());
            read_all(message.headers());
            let Message::Request(mut request) = message else {
                panic!("only requests are answered")
            };
            request.headers.stamp(source).expect("a faulty request has a Via");
            request.headers.via().expect("still").reply_address(source);
            let mut response = request.respond(error.status, Some("tag"));
            response.reason = error.reason();
            let start = format!("SIP/2.0 {} ", error.status);
            assert!(response.to_bytes().starts_with(start.as_bytes()));
        }
        Err(error) => assert!(!error.what.is_empty()),
    }
}

/// What we make of an accepted request is accepted too.
fn answer(mut request: Request, source: SocketAddr) {
    request
        .headers
        .stamp(source)
        .expect("an accepted request has a Via");
    request.headers.via().expect("still").reply_address(source);
    let stamped = accepted(request.to_bytes());
    assert_eq!(stamped.body(), &request.body);
    let response = request.respond(Status::OK, Some("tag"));
    let answered = accepted(response.to_bytes());
    let tag = answered.headers().to().expect("To").tag();
    assert_eq!(
        tag,
        request.headers.to().expect("To").tag().or(Some("tag".into()))
    );
    assert_eq!(answered.headers().vias(), request.headers.vias());
}

fn accepted(bytes: Bytes) -> Message {
    match parse::datagram(bytes.clone()) {
        Ok(Parsed::Message(message)) => message,
        other => panic!(
            "what we printed is not accepted: {other:?}: {:?}",
            Text::from_bytes(bytes)
        ),
    }
}

fn read_all(headers: &Headers) {
    for (name, value) in headers.iter() {
        let name = name.to_string();
        assert!(
            value.iter().all(|b| !matches!(b, b'\n')),
            "{name} is not unfolded"
        );
        headers.values(&name).for_each(drop);
        let _ = (headers.uri(&name), headers.routes(&name), headers.get(&name));
    }
    let _ = (
        headers.via(),
        headers.vias(),
        headers.from(),
        headers.to(),
        headers.cseq(),
    );
    let _ = (
        headers.call_id(),
        headers.contacts(),
        headers.max_forwards(),
        headers.content_length(),
    );
}

/// A byte stream gives the same frames however it is cut. The first byte says how.
pub fn sip_stream(data: &[u8]) {
    let Some((step, stream)) = data.split_first() else {
        return;
    };
    let whole = frames(stream, stream.len().max(1));
    assert_eq!(
        frames(stream, usize::from(*step).max(1)),
        whole,
        "cut every {step} bytes"
    );
}

fn frames(stream: &[u8], step: usize) -> Vec<String> {
    let (mut framer, mut buffer, mut found) = (Framer::default(), BytesMut::new(), Vec::new());
    for chunk in stream.chunks(step) {
        buffer.extend_from_slice(chunk);
        loop {
            match framer.next(&mut buffer) {
                Ok(None) => break,
                Ok(Some(Frame::Ping)) => found.push("ping".to_owned()),
                Ok(Some(Frame::Message(parsed))) => found.push(format!("{parsed:?}")),
                Err(error) => {
                    found.push(error.to_string());
                    return found;
                }
            }
            assert!(found.len() <= stream.len(), "more frames than bytes");
        }
    }
    found
}

/// Any text as a URI: parts lie within it, edits give URIs.
pub fn sip_uri(data: &[u8]) {
    let Ok(uri) = Uri::parse(data.to_vec()) else {
        return;
    };
    assert_eq!(uri.as_str().as_bytes(), data, "a URI is printed as it came");
    assert!(uri.equivalent(&uri.detached()) && uri.equivalent(&uri));
    for part in [
        uri.user().unwrap_or_default(),
        uri.host(),
        uri.params(),
        uri.headers(),
    ] {
        assert!(uri.as_str().contains(part));
    }
    let _ = (uri.password(), uri.user_unescaped(), uri.port(), uri.scheme());
    assert_eq!(uri.without_headers().headers(), "");
    assert_eq!(uri.without_params().params(), "");
    let edited = uri.with_param("transport", Some("tcp"));
    if edited != uri {
        assert_eq!(edited.param("transport"), Some(Some("tcp")));
        assert_eq!(edited.without_param("Transport").param("transport"), None);
    }
    assert_eq!(
        (edited.user(), edited.host(), edited.port()),
        (uri.user(), uri.host(), uri.port())
    );
    let built = Uri::sip(uri.user(), uri.host(), uri.port());
    assert!(!built.host().is_empty() && Uri::parse(built.as_text().clone()).is_ok());
}

/// Any text as the value of each typed header: what is read prints to what reads the same.
pub fn sip_headers(data: &[u8]) {
    let text = Text::from(data.to_vec());
    if let Ok(via) = Via::parse(text.clone()) {
        assert_eq!(Via::parse(via.to_text()).as_ref(), Ok(&via));
        let source = SocketAddr::from(([192, 0, 2, 77], 4711));
        // A quote that does not end swallows what follows it: such a Via is refused before anybody stamps it.
        if lex::params_are_sound(&via.params)
            && let Some(stamped) = via.stamped(source)
        {
            assert_eq!(stamped.stamped(source).unwrap_or(stamped.clone()), stamped);
            assert_eq!(stamped.reply_address(source).ip(), source.ip());
        }
        let _ = (via.branch(), via.sent_by(), via.param("x"));
    }
    if let Ok(addr) = NameAddr::parse(text.clone()) {
        let again = NameAddr::parse(addr.to_text()).expect("what we print is an address");
        assert_eq!((&again.uri, &again.params), (&addr.uri, &addr.params));
        assert_eq!(again.to_text(), addr.to_text());
        assert_eq!(addr.with_tag("t").tag(), Some("t".into()));
        let _ = (addr.tag(), addr.display_name());
    }
    if let Ok(cseq) = CSeq::parse(text.clone()) {
        assert_eq!(CSeq::parse(cseq.to_text()), Ok(cseq));
    }
    let _ = Challenge::parse(text.clone());
    transfer(&text);
    let mut headers = Headers::default();
    headers.push("Subject", text.clone());
    headers.push(crate::sip::Name::new(text), "x");
    let printed = Message::from(crate::sip::Response {
        headers,
        ..crate::sip::Response::new(Status::OK)
    })
    .to_bytes();
    let (message, fault) = parse::message(printed).expect("our own start line");
    assert_eq!(fault, None, "a value broke out of its field");
    assert!(message.headers().len() <= 3);
}

/// What a transfer reads of strangers: Refer-To, Replaces, the fragment in a NOTIFY.
fn transfer(text: &Text) {
    if let Ok(replaces) = Replaces::parse(text.clone()) {
        assert_eq!(Replaces::parse(replaces.to_text()).as_ref(), Ok(&replaces));
        let refer = ReferTo::parse("<sip:carol@example.org>").expect("an address of ours");
        let refer = refer.replacing(&replaces);
        assert_eq!(
            ReferTo::parse(refer.to_text()),
            Ok(refer),
            "escapes lost a dialog"
        );
    }
    if let Ok(refer) = ReferTo::parse(text.clone()) {
        let again = ReferTo::parse(refer.to_text()).expect("what we print is read");
        assert_eq!(
            (again.replaces, again.address.uri),
            (refer.replaces.clone(), refer.address.uri.clone())
        );
        let _ = (refer.target(), refer.method());
    }
    if let Some((status, reason)) = subscription::status_of(text) {
        let told = subscription::sipfrag(status, Some(&reason));
        assert_eq!(subscription::status_of(&told).map(|found| found.0), Some(status));
    }
}

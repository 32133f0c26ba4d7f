//! Frames by the byte, and a client that is not ours.

use super::*;
use crate::{
    call::Transmit,
    net::{Limits, Listen, Net, NetEvent, tls::Security},
    sip::routing::{Destination, NextHop, Transport},
};
use std::net::SocketAddr;
use tokio::sync::mpsc;

const REQUEST: &str = "GET /any HTTP/1.1\r\nHost: h\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Protocol: chat, sip\r\n\r\n";

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        medium @ 126..0x1_0000 => {
            out.push(0x80 | 126);
            out.extend((medium as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    out.extend(mask);
    out.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    out
}

fn open() -> WebSocket {
    let mut web = WebSocket::new();
    let mut input = BytesMut::from(REQUEST);
    let answer = web.next(&mut input, &[]);
    let Some(WebEvent::Reply(answer)) = answer else {
        panic!("{answer:?}");
    };
    let answer = String::from_utf8_lossy(&answer).into_owned();
    // The example of RFC 6455 §1.3.
    assert!(
        answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        "{answer}"
    );
    assert!(answer.contains("Sec-WebSocket-Protocol: sip\r\n"));
    assert!(input.is_empty() && web.is_open());
    web
}

fn all(web: &mut WebSocket, bytes: &[u8]) -> Vec<WebEvent> {
    let mut input = BytesMut::new();
    let mut events = Vec::new();
    for byte in bytes {
        input.extend_from_slice(&[*byte]);
        while let Some(event) = web.next(&mut input, &[]) {
            events.push(event);
        }
    }
    events
}

fn text(text: &'static str) -> WebEvent {
    WebEvent::Message(Bytes::from_static(text.as_bytes()))
}

#[test]
fn messages_come_whole_from_frames_cut_anywhere_with_control_frames_between() {
    let mut web = open();
    let mut stream = masked(0x81, b"one");
    stream.extend(masked(0x01, b"t"));
    stream.extend(masked(0x89, b"ping"));
    stream.extend(masked(0x00, b"w"));
    stream.extend(masked(0x8a, b"unasked pong"));
    stream.extend(masked(0x80, b"o"));
    stream.extend(masked(0x82, b"three"));
    let events = all(&mut web, &stream);
    assert_eq!(
        events,
        [
            text("one"),
            WebEvent::Reply(frame(10, b"ping")),
            text("two"),
            text("three")
        ]
    );
    assert!(!web.is_in_message());
    let large = vec![b'x'; MAX_MESSAGE];
    let mut input = BytesMut::from(&masked(0x81, &large)[..]);
    assert_eq!(web.next(&mut input, &[]), Some(WebEvent::Message(large.into())));
}

#[test]
fn what_breaks_the_rules_ends_it_with_the_code_that_says_why() {
    let mut unmasked = vec![0x81, 2];
    unmasked.extend(b"hi");
    let rows: [(Vec<u8>, u16); 10] = [
        (unmasked, 1002),
        (masked(0xc1, b"rsv"), 1002),
        (masked(0x80, b"of nothing"), 1002),
        ([masked(0x01, b"a"), masked(0x81, b"b")].concat(), 1002),
        (masked(0x83, b"reserved opcode"), 1002),
        (masked(0x09, b"split ping"), 1002),
        (masked(0x89, &[0; 126]), 1002),
        (masked(0x81, &[0xff, 0xfe]), 1007),
        (masked(0x81, &vec![0; MAX_MESSAGE + 1])[..14].to_vec(), 1009),
        (
            [masked(0x02, &vec![0; MAX_MESSAGE]), masked(0x80, b"x")].concat(),
            1009,
        ),
    ];
    for (stream, code) in rows {
        let mut web = open();
        let mut input = BytesMut::from(&stream[..]);
        let event = web.next(&mut input, &[]);
        let event = if event.is_none() {
            web.next(&mut input, &[])
        } else {
            event
        };
        assert_eq!(
            event,
            Some(WebEvent::Farewell(frame(8, &code.to_be_bytes()))),
            "{code}"
        );
        // Nothing is read after it.
        input.extend_from_slice(&masked(0x81, b"more"));
        assert_eq!(web.next(&mut input, &[]), None);
        assert!(!web.is_open() && input.is_empty());
    }
}

#[test]
fn only_a_request_for_sip_over_websocket_opens_one() {
    let rows = [
        ("GET /any", "POST /any", "405"),
        ("HTTP/1.1", "HTTP/1.0", "426"),
        ("Upgrade: WebSocket\r\n", "", "426"),
        ("keep-alive, Upgrade", "keep-alive", "426"),
        ("Version: 13", "Version: 8", "426"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "short", "400"),
        ("Host: h\r\n", "", "400"),
        ("chat, sip", "chat", "400"),
        ("Sec-WebSocket-Protocol: chat, sip\r\n", "", "400"),
        ("Host: h", "Host: h\r\nOrigin: https://evil.example", "403"),
        ("GET", "\u{1}GET", "400"),
    ];
    for (part, other, status) in rows {
        let mut web = WebSocket::new();
        let request = REQUEST.replacen(part, other, 1);
        assert_ne!(request, REQUEST);
        let event = web.next(
            &mut BytesMut::from(&request[..]),
            &["https://phone.example".into()],
        );
        let Some(WebEvent::Farewell(answer)) = event else {
            panic!("{other}: {event:?}");
        };
        assert!(
            answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()),
            "{other}"
        );
    }
    let page = REQUEST.replacen("Host: h", "Host: h\r\nOrigin: https://phone.example", 1);
    for origins in [["https://Phone.example".to_owned()], ["*".to_owned()]] {
        let event = WebSocket::new().next(&mut BytesMut::from(&page[..]), &origins);
        assert!(matches!(event, Some(WebEvent::Reply(_))), "{event:?}");
    }
    let endless = format!("GET / HTTP/1.1\r\nCookie: {}", "x".repeat(9_000));
    let event = WebSocket::new().next(&mut BytesMut::from(&endless[..]), &[]);
    assert!(matches!(event, Some(WebEvent::Farewell(_))), "{event:?}");
}

const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK1\r\n\
                       From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";

/// RFC 7118 §5: a browser is reached over the connection that it opened, and nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_browser_is_reached_over_its_own_connection_and_only_there() {
    let (events, mut heard) = mpsc::channel(8);
    let listen = Listen {
        transport: Transport::Ws,
        address: "127.0.0.1:0".parse().expect("an address"),
        advertised: None,
    };
    let net = Net::bind(&[listen], &[], Limits::default(), events)
        .await
        .expect("a port");
    net.secure(Security::default());
    let address: SocketAddr = net.local()[0].1;
    let (client, source) = tokio::task::spawn_blocking(move || {
        use tokio_tungstenite::tungstenite::{self, Message, client::IntoClientRequest};
        let mut request = format!("ws://{address}/").into_client_request().expect("a URI");
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", "sip".parse().expect("a value"));
        let (mut client, answer) = tungstenite::connect(request).expect("an open WebSocket");
        assert_eq!(answer.headers()["Sec-WebSocket-Protocol"], "sip");
        client.send(Message::text("no SIP")).expect("open");
        client.send(Message::text(OPTIONS)).expect("open");
        let mut source = None;
        for _ in 0..2 {
            match heard.blocking_recv().expect("the net is there") {
                NetEvent::Message(_, from, _) => source = Some(from),
                NetEvent::Garbage(_) => {}
                other => panic!("{other:?}"),
            }
        }
        client.send(Message::text("\r\n\r\n")).expect("open");
        assert_eq!(client.read().expect("a pong"), Message::text("\r\n"));
        (client, source.expect("the OPTIONS"))
    })
    .await
    .expect("no panic");
    assert_eq!(source.transport, Transport::Ws);
    let contact = crate::sip::Uri::parse("sip:b@df7jal23ls0d.invalid;transport=ws").expect("a URI");
    let hop = NextHop::to(contact);
    let targets = net
        .resolve_now(&hop, Some(&source))
        .expect("no DNS")
        .expect("a way");
    assert!(targets[0].sent_by.ends_with(&format!(":{}", address.port())));
    assert!(net.resolve(&hop, None).await.is_err());
    let request = |bytes: Bytes| Transmit {
        bytes,
        to: Destination::Target(targets[0].clone()),
    };
    net.send(request(Bytes::from_static(OPTIONS.as_bytes())));
    let mut client = client;
    let (got, client) = tokio::task::spawn_blocking(move || (client.read(), client))
        .await
        .expect("no panic");
    assert_eq!(
        got.expect("a message").into_text().expect("text").as_str(),
        OPTIONS
    );
    drop(client);
    for _ in 0..500 {
        if net.connections() == 0 {
            break;
        }
        #[expect(clippy::disallowed_methods, reason = "sockets are watched in real time")]
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // It has gone: nothing is opened towards it.
    net.send(request(Bytes::from_static(OPTIONS.as_bytes())));
    assert_eq!(net.connections(), 0);
}

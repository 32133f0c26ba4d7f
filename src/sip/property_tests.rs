//! Properties over generated messages: any legal way of writing one is read, and printed as it was written.

use super::*;
use crate::sip::parse::{Frame, Framer, Parsed, datagram};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

/// A token.
fn token() -> BoxedStrategy<String> {
    "[A-Za-z0-9.!%*_+`'~-]{1,12}".boxed()
}

fn host() -> BoxedStrategy<String> {
    prop_oneof![
        "[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\\.[a-z]{2,5}){0,2}",
        any::<[u8; 4]>().prop_map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
        any::<[u8; 16]>().prop_map(|ip| format!("[{}]", std::net::Ipv6Addr::from(ip))),
    ]
    .boxed()
}

fn host_port() -> BoxedStrategy<String> {
    (host(), proptest::option::of(any::<u16>()))
        .prop_map(|(host, port)| port.map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
        .boxed()
}

fn sip_uri() -> BoxedStrategy<String> {
    let user =
        proptest::option::of("[A-Za-z0-9_.!~*'()&=+$,;?/-]{1,10}(%[0-9A-F]{2})?(:[A-Za-z0-9&=+$,]{0,5})?");
    let params = proptest::collection::vec(
        ("[a-z-]{1,6}", proptest::option::of("[A-Za-z0-9:/&+$.-]{1,8}")),
        0..3,
    );
    (
        prop_oneof![Just("sip"), Just("sips"), Just("SIP")],
        user,
        host_port(),
        params,
    )
        .prop_map(|(scheme, user, host_port, params)| {
            let user = user.map(|user| format!("{user}@")).unwrap_or_default();
            let params: String = params
                .into_iter()
                .map(|(name, value)| match value {
                    Some(value) => format!(";{name}={value}"),
                    None => format!(";{name}"),
                })
                .collect();
            format!("{scheme}:{user}{host_port}{params}")
        })
        .boxed()
}

fn uri() -> BoxedStrategy<String> {
    prop_oneof![
        4 => sip_uri(),
        1 => "tel:\\+?[0-9.()-]{1,12}(;phone-context=[a-z.]{1,8})?",
        1 => "(urn|pigeon|h\\.323|mailto):[a-zA-Z0-9:/@?&=;.-]{1,20}",
    ]
    .boxed()
}

/// A display name: nothing, tokens, or a quoted string with escapes and bytes above ASCII.
fn display() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        "[A-Za-z0-9.!%*_+`'~-]{1,8}( [A-Za-z0-9]{1,8}){0,2}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..12).prop_map(|plain| {
            let plain: Vec<u8> = plain
                .into_iter()
                .filter(|b| !matches!(b, b'\r' | b'\n' | 0))
                .collect();
            lex::quote(&plain)
        }),
    ]
    .boxed()
}

/// White space that may stand between two pieces of a value, folding included.
fn gap() -> BoxedStrategy<&'static str> {
    prop_oneof![
        4 => Just(""), 2 => Just(" "), 1 => Just("\t "), 1 => Just("\r\n "), 1 => Just(" \r\n\t"), 1 => Just("\n "),
    ].boxed()
}

fn line_end() -> BoxedStrategy<&'static str> {
    prop_oneof![6 => Just("\r\n"), 1 => Just("\n")].boxed()
}

/// A name in one of its spellings.
fn spelling(long: &'static str, short: &'static str) -> BoxedStrategy<String> {
    prop_oneof![
        Just(long.to_owned()),
        Just(short.to_owned()),
        Just(long.to_ascii_uppercase()),
        Just(short.to_ascii_uppercase()),
    ]
    .boxed()
}

#[derive(Clone, Debug)]
struct Address {
    display: Vec<u8>,
    uri: String,
    tag: String,
    written: Vec<u8>,
}

fn address() -> BoxedStrategy<Address> {
    (display(), uri(), token(), [gap(), gap(), gap(), gap(), gap()])
        .prop_map(|(display, uri, tag, gaps)| {
            let [a, b, c, d, e] = gaps;
            let mut written = display.clone();
            written.extend(format!("{a}<{uri}>{b};{c}tag{d}={e}{tag}").into_bytes());
            Address {
                display,
                uri,
                tag,
                written,
            }
        })
        .boxed()
}

/// A message as written, and what its typed fields are.
#[derive(Clone, Debug)]
struct Sample {
    written: Vec<u8>,
    method: String,
    from: Address,
    to: Address,
    call_id: String,
    number: u32,
    via_host: String,
    branch: String,
    extra: Vec<u8>,
    body: Vec<u8>,
}

fn sample() -> BoxedStrategy<Sample> {
    let start = (
        prop_oneof![Just("INVITE".to_owned()), Just("BYE".to_owned()), token()],
        uri(),
        proptest::option::of((100_u16..700, proptest::collection::vec(0x20_u8..=255, 0..12))),
    );
    let fields = (
        address(),
        address(),
        "[A-Za-z0-9<>()/:?{}.@-]{1,20}",
        0_u32..1 << 31,
        (host_port(), token(), [gap(), gap(), gap(), gap()]),
    );
    let writing = (
        spelling("From", "f"),
        spelling("To", "t"),
        spelling("Call-ID", "i"),
        spelling("Via", "v"),
        spelling("Content-Length", "l"),
        proptest::collection::vec(
            (prop_oneof![Just(""), Just(" "), Just("\t")], gap(), line_end()),
            8,
        ),
        Just([0_usize, 1, 2, 3, 4, 5]).prop_shuffle(),
    );
    let rest = (
        proptest::collection::vec(any::<u8>(), 0..20),
        proptest::collection::vec(any::<u8>(), 0..40),
        any::<bool>(),
    );
    (start.boxed(), fields.boxed(), writing.boxed(), rest.boxed())
        .prop_map(|(start, fields, writing, rest)| {
            let ((method, uri, response), (from, to, call_id, number, (host, branch, via_gaps))) =
                (start, fields);
            let (from_name, to_name, id_name, via_name, length_name, spaces, order) = writing;
            let (extra, body, has_length) = rest;
            let extra: Vec<u8> = extra
                .into_iter()
                .filter(|b| !matches!(b, b'\r' | b'\n' | 0))
                .collect();
            let [a, b, c, d] = via_gaps;
            let via = format!("SIP{a}/{b}2.0/UDP {c}{host}{d};branch={branch}");
            let fields: [(String, Vec<u8>); 6] = [
                (from_name, from.written.clone()),
                (to_name, to.written.clone()),
                (id_name, call_id.clone().into_bytes()),
                (
                    "cSeq".to_owned(),
                    format!("{number}{} {method}", spaces[7].1).into_bytes(),
                ),
                (via_name, via.into_bytes()),
                ("X-Extra".to_owned(), extra.clone()),
            ];
            let mut written = match &response {
                Some((status, reason)) => {
                    let reason: Vec<u8> = reason.iter().copied().filter(|&b| b != 0x7f).collect();
                    [format!("SIP/2.0 {status} ").into_bytes(), reason].concat()
                }
                None => format!("{method} {uri} SIP/2.0").into_bytes(),
            };
            written.extend(spaces[6].2.bytes());
            for (index, (before, after, end)) in order.into_iter().zip(&spaces) {
                let (name, value) = &fields[index];
                written.extend(format!("{name}{before}:{after}").into_bytes());
                written.extend_from_slice(value);
                written.extend(end.bytes());
            }
            if has_length {
                written.extend(format!("{length_name}: {}\r\n", body.len()).into_bytes());
            }
            written.extend(b"\r\n");
            written.extend_from_slice(&body);
            Sample {
                written,
                method,
                from,
                to,
                call_id,
                number,
                via_host: host
                    .split_once(']')
                    .map_or(host.split(':').next().unwrap_or_default(), |(ip, _)| &ip[1..])
                    .to_owned(),
                branch,
                extra,
                body,
            }
        })
        .boxed()
}

fn read(bytes: &[u8]) -> Message {
    match datagram(Bytes::copy_from_slice(bytes)) {
        Ok(Parsed::Message(message)) => message,
        other => panic!("{other:?} of {:?}", String::from_utf8_lossy(bytes)),
    }
}

/// A value as it is read: without folding, so compared without white space.
fn squeezed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|&b| !lex::is_space(b)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn printing_gives_back_any_legal_message(sample in sample()) {
        prop_assume!(!sample.branch.eq_ignore_ascii_case("z9hG4bK"));
        let message = read(&sample.written);
        prop_assert_eq!(&message.to_bytes()[..], &sample.written[..]);
        prop_assert_eq!(&message.body()[..], &sample.body[..]);
    }

    #[test]
    fn typed_fields_are_what_was_written(sample in sample()) {
        prop_assume!(!sample.branch.eq_ignore_ascii_case("z9hG4bK"));
        let message = read(&sample.written);
        let headers = message.headers();
        for (found, written) in [(headers.from().unwrap(), &sample.from), (headers.to().unwrap(), &sample.to)] {
            prop_assert_eq!(found.uri.as_str(), &written.uri);
            prop_assert_eq!(squeezed(&found.display), squeezed(&written.display));
            prop_assert_eq!(found.tag(), Some(written.tag.as_str().into()));
        }
        let cseq = headers.cseq().unwrap();
        prop_assert_eq!((cseq.number, cseq.method.to_string()), (sample.number, sample.method));
        prop_assert_eq!(headers.call_id().unwrap().to_string(), sample.call_id);
        let via = headers.via().unwrap();
        prop_assert_eq!(via.host.to_string(), sample.via_host);
        prop_assert_eq!(via.branch(), Some(sample.branch.into()));
        let extra = headers.get("x-extra").unwrap();
        prop_assert_eq!(squeezed(&extra), squeezed(&sample.extra));
    }

    #[test]
    fn an_edit_changes_its_field_only(sample in sample(), name in token(), value in "[ -~]{0,20}") {
        prop_assume!(!sample.branch.eq_ignore_ascii_case("z9hG4bK"));
        let name = format!("X-{name}");
        let mut message = read(&sample.written);
        let before: Vec<_> = message.headers().iter().collect();
        message.headers_mut().push(name.as_str(), value.as_str());
        let after = read(&message.to_bytes());
        let mut kept: Vec<_> = after.headers().iter().collect();
        // Content-Length comes along where there was none.
        kept.retain(|(name, _)| *name != "Content-Length");
        let mut expected = before;
        expected.retain(|(name, _)| *name != "Content-Length");
        expected.push((Name::from(name.as_str()), lex::trim(value.as_bytes()).to_vec().into()));
        prop_assert_eq!(kept, expected);
        prop_assert_eq!(after.body(), message.body());
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        crate::testing::fuzz::sip_datagram(&bytes);
        crate::testing::fuzz::sip_stream(&bytes);
        crate::testing::fuzz::sip_headers(&bytes);
        crate::testing::fuzz::sip_uri(&bytes);
    }

    #[test]
    fn damaged_messages_never_panic(sample in sample(), damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = sample.written;
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        crate::testing::fuzz::sip_datagram(&bytes);
        crate::testing::fuzz::sip_stream(&bytes);
    }

    #[test]
    fn a_stream_of_messages_is_cut_where_they_end(samples in proptest::collection::vec(sample(), 1..4), step in 1_usize..200) {
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for sample in samples {
            prop_assume!(!sample.branch.eq_ignore_ascii_case("z9hG4bK"));
            let mut message = read(&sample.written);
            message.headers_mut().set("Content-Length", sample.body.len().to_string());
            let written = message.to_bytes();
            stream.extend_from_slice(&written);
            expected.push(written);
        }
        let (mut framer, mut buffer, mut found) = (Framer::default(), BytesMut::new(), Vec::new());
        for chunk in stream.chunks(step) {
            buffer.extend_from_slice(chunk);
            while let Some(frame) = framer.next(&mut buffer).unwrap() {
                match frame {
                    Frame::Message(parsed) => match *parsed {
                        Parsed::Message(message) => found.push(message.to_bytes()),
                        Parsed::Faulty(_, error) => panic!("{error}"),
                    },
                    Frame::Ping => panic!("no ping was sent"),
                }
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_uri_is_read_and_printed_as_written(text in uri()) {
        let uri = Uri::parse(text.as_str()).unwrap();
        prop_assert_eq!(uri.as_str(), &text);
        prop_assert!(uri.equivalent(&Uri::parse(text).unwrap()));
    }
}

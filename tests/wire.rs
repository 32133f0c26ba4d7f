//! The messages of `tests/wire`: one of our own for each case of RFC 4475 and RFC 5118, and some more.
//!
//! `index.json` says of each what it is and what must become of it. Here: what the parser makes of it, and that printing
//! gives back what was read. What the server answers is the business of `tests/torture.rs`, with the same index.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail there")]

use b2bua::sip::{
    Message,
    parse::{self, Parsed},
};
use bytes::Bytes;
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::PathBuf};

#[derive(Deserialize)]
struct Case {
    name: String,
    rfc: Option<u16>,
    file: String,
    kind: String,
    method: Option<String>,
    /// `message`, `faulty` or `dropped`.
    parse: String,
    /// Of the answer to a faulty one.
    status: Option<u16>,
    /// Part of the reason phrase of that answer.
    reason: Option<String>,
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/wire")
}

fn cases() -> Vec<(Case, Bytes)> {
    let index = fs::read(directory().join("index.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&index).unwrap();
    cases
        .into_iter()
        .map(|case| {
            let bytes = fs::read(directory().join(&case.file)).unwrap();
            (case, bytes.into())
        })
        .collect()
}

#[test]
fn each_message_is_read_as_the_index_says() {
    for (case, bytes) in cases() {
        let name = &case.name;
        match (case.parse.as_str(), parse::datagram(bytes)) {
            ("message", Ok(Parsed::Message(message))) => match message {
                Message::Request(request) => {
                    assert_eq!(case.kind, "request", "{name}");
                    assert_eq!(Some(request.method.to_string()), case.method, "{name}");
                }
                Message::Response(_) => assert_eq!(case.kind, "response", "{name}"),
            },
            ("faulty", Ok(Parsed::Faulty(_, error))) => {
                assert_eq!(Some(error.status.code()), case.status, "{name}: {error}");
                let reason = error.reason().to_string().to_lowercase();
                let expected = case.reason.as_deref().unwrap_or_default().to_lowercase();
                assert!(
                    !expected.is_empty() && reason.contains(&expected),
                    "{name}: {reason}"
                );
            }
            ("dropped", Err(_)) => {}
            (expected, found) => panic!("{name}: expected {expected}, found {found:?}"),
        }
    }
}

#[test]
fn printing_gives_back_each_readable_message() {
    for (case, bytes) in cases() {
        let Ok(Parsed::Message(message)) = parse::datagram(bytes.clone()) else {
            continue;
        };
        let printed = message.to_bytes();
        // Only `dblreq` has something behind its Content-Length.
        let expected = if case.name == "dblreq" {
            bytes.slice(..printed.len())
        } else {
            bytes
        };
        assert_eq!(printed, expected, "{}", case.name);
    }
}

#[test]
fn the_typed_fields_of_the_white_space_message_are_read() {
    let (_, bytes) = cases()
        .into_iter()
        .find(|(case, _)| case.name == "wsinv")
        .unwrap();
    let Ok(Parsed::Message(message)) = parse::datagram(bytes) else {
        panic!("wsinv is readable")
    };
    let headers = message.headers();
    let from = headers.from().unwrap();
    assert_eq!(from.display_name(), "Guest \"\\ Room\" 12");
    assert_eq!(from.tag(), Some("ws-1a2b".into()));
    assert_eq!(headers.to().unwrap().uri.host(), "hotel.example.org");
    assert_eq!(headers.max_forwards(), Ok(Some(42)));
    assert_eq!(headers.cseq().unwrap().number, 17);
    let vias = headers.vias().unwrap();
    let branches: Vec<_> = vias.iter().map(|via| via.branch().unwrap().to_string()).collect();
    assert_eq!(branches, ["z9hG4bK-ws-top", "z9hG4bK-ws-2", "z9hG4bK-ws-3"]);
    assert_eq!(vias[1].port, Some(5061));
    assert_eq!(headers.get("x-folded-value"), Some("first second third".into()));
    assert_eq!(headers.get("Subject"), Some("".into()));
    let contact = &headers.contacts().unwrap()[0];
    assert_eq!(contact.param("expires"), Some(Some("60".into())));
    assert_eq!(contact.param("+note").flatten().unwrap().unquoted(), "a;b,c");
}

#[test]
fn every_case_of_both_rfcs_has_its_message() {
    let mut counts = BTreeMap::new();
    for (case, _) in cases() {
        *counts.entry(case.rfc).or_insert(0) += 1;
    }
    assert_eq!(
        (counts.get(&Some(4475)), counts.get(&Some(5118))),
        (Some(&49), Some(&12))
    );
    let files = fs::read_dir(directory()).unwrap().count();
    assert_eq!(files, cases().len() + 1, "a file that the index does not name");
}

//! What of a request outside of a call crosses, and of its answer.

use crate::{
    call::signal::without_asker,
    sip::{Headers, Name, Text},
};

/// Fields that say what a request is for, or what its body is; with them go `Content-…` and `X-…`.
const OF_REQUESTS: [&str; 16] = [
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Allow-Events",
    "Date",
    "Event",
    "Expires",
    "In-Reply-To",
    "Info-Package",
    "MIME-Version",
    "Priority",
    "Reply-To",
    "SIP-If-Match",
    "Subject",
    "Subscription-State",
    "Suppress-If-Match",
];

/// Fields that say how it went.
const OF_RESPONSES: [&str; 16] = [
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Allow-Events",
    "Date",
    "Error-Info",
    "Event",
    "Expires",
    "Min-Expires",
    "MIME-Version",
    "Reason",
    "Retry-After",
    "SIP-ETag",
    "Subscription-State",
    "Unsupported",
    "Warning",
];

fn begins(name: &Name, prefix: &[u8]) -> bool {
    let start = name.as_text().get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn crosses(name: &Name, list: &[&str]) -> bool {
    let is_length = name == "Content-Length";
    list.iter().any(|known| name == *known)
        // Written short, they do not begin so.
        || name == "Content-Type"
        || name == "Content-Encoding"
        || (begins(name, b"Content-") && !is_length)
        || (begins(name, b"X-") && name != "X-Flexisip-B2BUA")
}

fn copy(from: &Headers, to: &mut Headers, list: &[&str]) {
    let mut there: Vec<Name> = to.iter().map(|(name, _)| name).collect();
    there.dedup();
    for (name, value) in from.iter() {
        if crosses(&name, list) && !there.contains(&name) {
            to.push(name, value);
        }
    }
}

/// Copies what crosses of a request, but for what is there already.
pub(super) fn of_request(from: &Headers, to: &mut Headers) {
    copy(from, to, &OF_REQUESTS);
}

/// Copies what crosses of a response.
pub(super) fn of_response(from: &Headers, to: &mut Headers) {
    copy(from, to, &OF_RESPONSES);
}

/// The same for a stranger to who answers: no words, and nothing that nobody knows.
pub(super) fn for_stranger(from: &Headers, to: &mut Headers) {
    let mut known = without_asker(from);
    for name in ["Error-Info", "Reason", "Warning"] {
        known.remove(name);
    }
    let in_words = |text: &Text| !text.as_bytes().iter().all(u8::is_ascii_digit);
    if known.get("Retry-After").is_some_and(|text| in_words(&text)) {
        known.remove("Retry-After");
    }
    of_response(&known, to);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_is_for_crosses_and_what_belongs_to_a_hop_does_not() {
        let mut from = Headers::default();
        for (name, value) in [
            ("Via", "SIP/2.0/UDP a"),
            ("Authorization", "Digest x"),
            ("c", "text/plain"),
            ("Content-Length", "3"),
            ("Content-Language", "en"),
            ("o", "presence"),
            ("X-Ours", "1"),
            ("Subject", "theirs"),
        ] {
            from.push(name, value);
        }
        let mut to = Headers::default();
        to.push("Subject", "the application's");
        of_request(&from, &mut to);
        let names: Vec<String> = to
            .iter()
            .map(|(name, value)| format!("{}: {value}", name.as_text()))
            .collect();
        assert_eq!(
            names,
            [
                "Subject: the application's",
                "c: text/plain",
                "Content-Language: en",
                "o: presence",
                "X-Ours: 1"
            ]
        );
    }
}

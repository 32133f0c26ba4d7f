//! Passwords in URIs (RFC 3261 §19.1.1), which nobody should use and no log shows.

use std::borrow::Cow;

/// What may stand before a user and a password.
const SCHEMES: [&str; 5] = ["sips:", "sip:", "https://", "http://", "ftp://"];
/// What a password becomes.
const HIDDEN: &[u8] = b"<hidden>";

/// The text with `<hidden>` for the password of every URI in it.
pub fn masked(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    // Up to where the text is in `out`, and up to where it has been looked at.
    let (mut copied, mut at) = (0, 0);
    while let Some(start) = user_info(text, at) {
        let rest = text.get(start..).unwrap_or_default();
        let length = rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len());
        // Whatever begins in between ends there as well.
        at = start + length.max(1);
        if rest.get(length) != Some(&b'@') {
            continue;
        }
        let colon = rest.iter().take(length).position(|byte| *byte == b':');
        if let Some(colon) = colon {
            out.extend_from_slice(text.get(copied..=start + colon).unwrap_or_default());
            out.extend_from_slice(HIDDEN);
            copied = start + length;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Where the next URI has its user, if it has one.
fn user_info(text: &[u8], from: usize) -> Option<usize> {
    (from..text.len()).find_map(|at| {
        let rest = text.get(at..)?;
        let begins = at == 0
            || text
                .get(at - 1)
                .is_some_and(|before| !before.is_ascii_alphanumeric());
        let is_scheme = |scheme: &&&str| {
            rest.get(..scheme.len())
                .is_some_and(|word| word.eq_ignore_ascii_case(scheme.as_bytes()))
        };
        let scheme = SCHEMES.iter().find(is_scheme).filter(|_| begins)?;
        Some(at + scheme.len())
    })
}

/// Whether a byte ends the user and the password of a URI, or cannot stand in either.
const fn ends(byte: u8) -> bool {
    matches!(byte, b'@' | b'<' | b'>' | b'"' | b'[' | b']' | b'\\') || byte.is_ascii_whitespace() || byte == 0
}

#[cfg(test)]
mod tests {
    use super::masked;
    use proptest::prelude::*;
    use std::borrow::Cow;

    #[test]
    fn passwords_are_hidden_wherever_a_uri_stands_and_all_else_is_kept() {
        for (text, shown) in [
            ("sip:bob:secret@example.org", "sip:bob:<hidden>@example.org"),
            (
                "\"Bob\" <SIPS:bob;x=1:se,cr?et/@h;p>;tag=1",
                "\"Bob\" <SIPS:bob;x=1:<hidden>@h;p>;tag=1",
            ),
            (
                "INVITE sip:a:b@c SIP/2.0, sip:d@e, sip:f:g:h@i",
                "INVITE sip:a:<hidden>@c SIP/2.0, sip:d@e, sip:f:<hidden>@i",
            ),
            ("target=sip:bob:secret@h", "target=sip:bob:<hidden>@h"),
            (
                "Call-Info: <https://u:p@h/x>",
                "Call-Info: <https://u:<hidden>@h/x>",
            ),
        ] {
            assert_eq!(String::from_utf8_lossy(&masked(text.as_bytes())), shown);
            assert_eq!(masked(shown.as_bytes()), shown.as_bytes(), "twice is once");
        }
        for text in [
            "",
            "sip:",
            "sip:bob@example.org:5060",
            "sip:192.0.2.1:5060;transport=tcp",
            "sip:[2001:db8::1]:5060",
            "<sip:h:5060>, <sip:bob@h>",
            "gossip:a:b@c",
            "Call-ID: 12:34@h",
        ] {
            assert!(
                matches!(masked(text.as_bytes()), Cow::Borrowed(same) if same == text.as_bytes()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_long_line_of_schemes_takes_no_long_time() {
        let long = "sip:".repeat(200_000);
        assert_eq!(masked(long.as_bytes()).len(), long.len());
    }

    proptest! {
        #[test]
        fn whatever_stands_there_nothing_panics_and_no_password_shows(text in "(sip:|sips:|[ab:@<> ;]|SECRET){0,20}") {
            let shown = masked(text.as_bytes()).into_owned();
            let shown = String::from_utf8(shown).unwrap();
            let leaks = regex::Regex::new(r"(?i)\bsips?:[^@<> ]*:[^@<> ]*SECRET[^@<> ]*@").unwrap();
            prop_assert!(!leaks.is_match(&shown), "{} of {}", shown, text);
        }
    }
}

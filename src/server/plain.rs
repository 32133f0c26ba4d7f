//! Words of strangers in records and logs: nothing in them may look like the end of a record, or steer a terminal.

use crate::sip::masked;
use std::fmt::{self, Write};

/// Most octets of one such word in a record: an identity may be as long as a message.
const MOST: usize = 1024;

/// Whether a character may stand as it is. Not those that end lines, steer terminals or turn the direction of writing.
fn is_plain(letter: char) -> bool {
    let turns = matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    !letter.is_control() && !turns
}

fn escape(letter: char, out: &mut impl Write) -> fmt::Result {
    match u32::from(letter) {
        code @ ..0x80 => write!(out, "\\x{code:02x}"),
        code => write!(out, "\\u{{{code:x}}}"),
    }
}

/// The text with `\xNN` and `\u{NNNN}` for what is not plain text; octets that are no UTF-8 are `\xNN` too. Cut after 1,024
/// octets, with `…` in place of the rest. Passwords in URIs do not show.
pub fn plain(text: &[u8]) -> String {
    let text = &*masked(text);
    let kept = text.get(..MOST).unwrap_or(text);
    let mut out = String::with_capacity(kept.len());
    let mut read = 0;
    for chunk in kept.utf8_chunks() {
        read += chunk.valid().len() + chunk.invalid().len();
        for letter in chunk.valid().chars() {
            if is_plain(letter) {
                out.push(letter);
            } else {
                let _ = escape(letter, &mut out);
            }
        }
        // A letter that we have cut in two is not the stranger's fault.
        let cut = read == kept.len() && text.len() > MOST;
        let half = |error: std::str::Utf8Error| error.error_len().is_none();
        if !(cut && std::str::from_utf8(chunk.invalid()).is_err_and(half)) {
            for octet in chunk.invalid() {
                let _ = write!(out, "\\x{octet:02x}");
            }
        }
    }
    if text.len() > MOST {
        out.push('…');
    }
    out
}

/// Writes lines of a log: what is not plain text is escaped, and a line that continues an entry begins with a tab, so that no
/// stranger's word passes for an entry.
pub struct Entry<W> {
    out: W,
    /// A CR was written, which is nothing before a LF.
    returned: bool,
}

impl<W: Write> Entry<W> {
    /// Of something that is one entry.
    pub const fn new(out: W) -> Self {
        Self { out, returned: false }
    }
}

impl<W: Write> Write for Entry<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            if std::mem::take(&mut self.returned) && letter != '\n' {
                escape('\r', &mut self.out)?;
            }
            match letter {
                '\n' => self.out.write_str("\n\t")?,
                '\r' => self.returned = true,
                '\t' => self.out.write_char('\t')?,
                letter if is_plain(letter) => self.out.write_char(letter)?,
                letter => escape(letter, &mut self.out)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(parts: &[String]) -> String {
        let mut out = String::new();
        let mut entry = Entry::new(&mut out);
        for part in parts {
            entry.write_str(part).expect("a string takes all");
        }
        out
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["\"Jürgen\" <sip:j@example.org>;tag=1", "東京 🎉", "a\\b"] {
            assert_eq!(plain(text.as_bytes()), text);
        }
        assert_eq!(plain(b"a\r\nb\0\xffc\x1b[2J"), "a\\x0d\\x0ab\\x00\\xffc\\x1b[2J");
        assert_eq!(plain("a\u{202e}b".as_bytes()), "a\\u{202e}b");
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let long = plain("ä".repeat(5000).as_bytes());
        assert_eq!(long.chars().count(), MOST / 2 + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn an_entry_of_several_lines_is_told_from_several_entries() {
        let parts = ["INVITE\r".to_owned(), "\nVia: x\r\n\rmore\u{1b}".to_owned()];
        assert_eq!(entry(&parts), "INVITE\n\tVia: x\n\t\\x0dmore\\x1b");
    }

    proptest! {
        /// Acceptance #29.
        #[test]
        fn acceptance_29_no_line_end_nul_or_other_control_gets_through(text in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let plain = plain(&text);
            prop_assert!(plain.chars().all(is_plain));
            prop_assert!(plain.len() <= 4 * MOST + 8);
        }

        #[test]
        fn no_line_of_an_entry_but_the_first_begins_without_a_tab(parts in proptest::collection::vec("[\\PC\\r\\n\\x00\\x1b\\u{2028}\\u{85}]{0,20}", 0..6)) {
            let entry = entry(&parts);
            prop_assert!(entry.chars().all(|letter| is_plain(letter) || letter == '\n' || letter == '\t'));
            prop_assert!(entry.split('\n').skip(1).all(|line| line.starts_with('\t')), "{entry:?}");
        }
    }
}

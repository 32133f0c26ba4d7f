//! Messages as the log may show them: without secrets.

use crate::sip::masked;
use std::fmt;

/// Fields that hold proofs of passwords.
const FIELDS: [&str; 4] = [
    "authorization",
    "proxy-authorization",
    "authentication-info",
    "proxy-authentication-info",
];
/// Attributes and lines of SDP that hold keys: SDES, MIKEY, the `k=` of old, ICE passwords.
const LINES: [&str; 3] = ["a=key-mgmt:", "k=", "a=ice-pwd:"];

/// A message whose `Display` hides passwords and keys.
pub(super) struct Redacted<'a>(pub(super) &'a [u8]);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(self.0);
        let mut hidden_field = false;
        for line in text.split_inclusive(['\r', '\n']) {
            let (content, end) = line.split_at(line.trim_end_matches(['\r', '\n']).len());
            let folded = content.starts_with([' ', '\t']);
            if folded && hidden_field {
                write!(f, " <hidden>{end}")?;
                continue;
            }
            // A lone CR or LF between lines is no line of its own.
            if !content.is_empty() {
                hidden_field = false;
            }
            let lower = content.to_ascii_lowercase();
            let name = lower.split(':').next().unwrap_or_default().trim_end();
            if FIELDS.contains(&name) {
                hidden_field = true;
                write!(f, "{}: <hidden>{end}", content.get(..name.len()).unwrap_or(name))?;
            } else if let Some(prefix) = LINES.iter().find(|prefix| lower.starts_with(**prefix)) {
                write!(f, "{prefix}<hidden>{end}")?;
            } else if let Some(at) = lower.find("inline:") {
                write!(f, "{}inline:<hidden>{end}", content.get(..at).unwrap_or_default())?;
            } else {
                f.write_str(&String::from_utf8_lossy(&masked(line.as_bytes())))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_keys_do_not_show_and_all_else_does() {
        let message = "INVITE sip:bob@example.org SIP/2.0\r\n\
            Proxy-Authorization: Digest username=\"alice\",\r\n response=\"SECRET1\"\r\n\
            AUTHORIZATION : Digest response=\"SECRET2\"\r\n\
            Contact: <sip:alice:SECRET9@192.0.2.1>\r\n\
            Subject: lunch\r\n\
            \r\n\
            v=0\r\n\
            k=clear:SECRET3\r\n\
            a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRET4|2^31 inline:SECRET5\r\n\
            a=Crypto:2 X INLINE:SECRET6\n\
            a=key-mgmt:mikey SECRET7\r\n\
            a=ice-pwd:SECRET8\r\n\
            m=audio 7078 RTP/SAVP 0\r\n";
        let shown = Redacted(message.as_bytes()).to_string();
        assert!(!shown.contains("SECRET"), "{shown}");
        for kept in [
            "INVITE sip:bob@example.org SIP/2.0\r\n",
            "Subject: lunch\r\n",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:<hidden>",
            "m=audio 7078 RTP/SAVP 0\r\n",
        ] {
            assert!(shown.contains(kept), "{kept} is gone from {shown}");
        }
        assert_eq!(shown.lines().count(), message.lines().count());
    }
}

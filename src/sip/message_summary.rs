//! What waits in a mailbox: `application/simple-message-summary` (RFC 3842 §5.2), read as far as it has to be.

use bytes::Bytes;

/// Its media type.
pub const SIMPLE_MESSAGE_SUMMARY: &str = "application/simple-message-summary";
/// The event package.
pub const MESSAGE_SUMMARY: &str = "message-summary";

/// The lines of a summary, up to the header fields of single messages after an empty line.
fn fields(body: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at_checked(colon)?;
        Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
    })
}

/// Whether new urgent messages are counted: `Voice-Message: 4/8 (1/2)` has one.
pub fn has_new_urgent(body: &[u8]) -> bool {
    let urgent = |value: &[u8]| {
        let text = String::from_utf8_lossy(value);
        let inner = text.split_once('(').map(|(_, inner)| inner.to_owned());
        let new = inner.and_then(|inner| inner.split('/').next().map(|new| new.trim().to_owned()));
        new.is_some_and(|new| {
            new.bytes().any(|digit| digit != b'0') && new.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let is_count = |name: &[u8]| {
        let end = name.len().checked_sub(b"-message".len());
        end.and_then(|end| name.get(end..))
            .is_some_and(|end| end.eq_ignore_ascii_case(b"-message"))
    };
    fields(body).any(|(name, value)| is_count(name) && urgent(value))
}

/// The `Priority` of the NOTIFY that carries a summary.
pub fn priority(body: &[u8]) -> &'static str {
    if has_new_urgent(body) {
        "urgent"
    } else {
        "non-urgent"
    }
}

/// The same of another account: `Message-Account` is replaced, or stands after the first line where it was not. All else stays.
pub fn with_account(body: &[u8], account: &str) -> Bytes {
    let is_account = |line: &[u8]| {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"message-account")
    };
    let ours = format!("Message-Account: {account}\r\n");
    let mut out = Vec::with_capacity(body.len() + ours.len());
    let mut in_head = true;
    let known = fields(body).any(|(name, _)| name.eq_ignore_ascii_case(b"message-account"));
    for (at, line) in body.split_inclusive(|byte| *byte == b'\n').enumerate() {
        in_head &= !line.trim_ascii().is_empty();
        if in_head && is_account(line) {
            out.extend_from_slice(ours.as_bytes());
        } else {
            out.extend_from_slice(line);
            if at == 0 && !known {
                if !line.ends_with(b"\n") {
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(ours.as_bytes());
            }
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_urgent_messages_are_those_before_the_slash_in_brackets() {
        for (body, urgent) in [
            (
                &b"Messages-Waiting: yes\r\nVoice-Message: 4/8 (1/2)\r\n"[..],
                true,
            ),
            (b"Messages-Waiting: yes\r\nVoice-Message: 4/8 (0/2)\r\n", false),
            (
                b"Messages-Waiting: yes\r\nFax-Message: 1/0\r\nvoice-message: 1/0 ( 10 / 0 )\r\n",
                true,
            ),
            (b"Messages-Waiting: no\r\n", false),
            (b"Messages-Waiting: yes\nVoice-Message: 1/0 (x/0)\n", false),
            (
                b"Messages-Waiting: yes\r\n\r\nVoice-Message: 4/8 (1/2)\r\n",
                false,
            ),
            (b"Message: 1/1 (1/1)", false),
            (b"", false),
            (b"\xff(\xff/", false),
        ] {
            assert_eq!(
                has_new_urgent(body),
                urgent,
                "{:?}",
                String::from_utf8_lossy(body)
            );
        }
    }

    #[test]
    fn a_summary_gets_the_account_that_it_is_for_inside() {
        for (before, after) in [
            (
                "Messages-Waiting: yes\r\nMessage-Account: sip:+331@itsp.test\r\nVoice-Message: 4/8 (1/2)\r\n\r\nTo: x\r\n",
                "Messages-Waiting: yes\r\nMessage-Account: sip:alice@in.test\r\nVoice-Message: 4/8 (1/2)\r\n\r\nTo: x\r\n",
            ),
            (
                "Messages-Waiting: no\r\nVoice-Message: 0/0\r\n",
                "Messages-Waiting: no\r\nMessage-Account: sip:alice@in.test\r\nVoice-Message: 0/0\r\n",
            ),
            (
                "Messages-Waiting: no",
                "Messages-Waiting: no\r\nMessage-Account: sip:alice@in.test\r\n",
            ),
            // Of a message, not of the mailbox.
            (
                "Messages-Waiting: no\r\n\r\nMessage-Account: x\r\n",
                "Messages-Waiting: no\r\nMessage-Account: sip:alice@in.test\r\n\r\nMessage-Account: x\r\n",
            ),
            ("", ""),
        ] {
            let made = with_account(before.as_bytes(), "sip:alice@in.test");
            assert_eq!(String::from_utf8_lossy(&made), after);
        }
    }
}

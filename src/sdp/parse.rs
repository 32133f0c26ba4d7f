//! From bytes to lines and back.
//!
//! Lenient where nothing of ours depends on it: order of lines, missing `s=` or `t=`, LF instead of CRLF, a last line
//! without end. Strict in `v=`, `o=` and `m=`, and in size.

use super::{Line, Media, Origin, Sdp};
use bytes::{BufMut, Bytes, BytesMut};

/// Longest description that is read, in octets.
pub const MAX_OCTETS: usize = 64 * 1024;
/// Most lines.
pub const MAX_LINES: usize = 1_000;
/// Most media descriptions: each costs ports.
pub const MAX_MEDIA: usize = 16;

/// Why a body is no SDP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SDP line {line}: {what}")]
pub struct ParseError {
    /// What is wrong.
    pub what: String,
    /// Line number, from 1.
    pub line: usize,
}

impl Sdp {
    /// Reads a body of type `application/sdp`.
    ///
    /// # Errors
    /// When it is too large, does not begin with `v=0`, lacks a usable `o=`, or has a line that is not `letter=value`
    /// or an `m=` that cannot be understood.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let fail = |line: usize, what: &str| ParseError {
            what: what.to_owned(),
            line,
        };
        if bytes.len() > MAX_OCTETS {
            return Err(fail(1, "description larger than 64 KiB"));
        }
        let bytes = Bytes::copy_from_slice(bytes);
        let (mut origin, mut lines, mut media) = (None, Vec::new(), Vec::<Media>::new());
        let mut number = 0;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            number += 1;
            if number > MAX_LINES {
                return Err(fail(number, "more than 1000 lines"));
            }
            let (line, after) = match rest.iter().position(|&byte| byte == b'\n') {
                Some(at) => (&rest[..at], &rest[at + 1..]),
                None => (rest, &rest[rest.len()..]),
            };
            rest = after;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                // Seen at the end of bodies; inside, the lines after it still count.
                continue;
            }
            if line.contains(&0) || line.contains(&b'\r') {
                return Err(fail(number, "NUL or CR inside a line"));
            }
            let &[kind, b'=', ref value @ ..] = line else {
                return Err(fail(number, "expected letter=value"));
            };
            if !kind.is_ascii_alphabetic() {
                return Err(fail(number, "expected a letter before ="));
            }
            if number == 1 && line != b"v=0" {
                return Err(fail(number, "expected v=0"));
            }
            match kind {
                b'v' if number == 1 => {}
                b'v' => return Err(fail(number, "a second v= line")),
                b'o' if origin.is_some() => return Err(fail(number, "a second o= line")),
                b'o' => {
                    let text = std::str::from_utf8(value).map_err(|_| fail(number, "o= is not UTF-8"))?;
                    origin = Some(Origin::parse(text).ok_or_else(|| {
                        fail(number, "expected o=user id version nettype addrtype address")
                    })?);
                }
                b'm' if media.len() == MAX_MEDIA => {
                    return Err(fail(number, "more than 16 media descriptions"));
                }
                b'm' => media.push(
                    std::str::from_utf8(value)
                        .ok()
                        .and_then(media_line)
                        .ok_or_else(|| fail(number, "expected m=media port transport formats"))?,
                ),
                _ => {
                    let line = Line {
                        kind,
                        value: bytes.slice_ref(value),
                    };
                    match media.last_mut() {
                        Some(media) => media.lines.push(line),
                        None => lines.push(line),
                    }
                }
            }
        }
        if number == 0 {
            return Err(fail(1, "empty description"));
        }
        Ok(Self {
            origin: origin.ok_or_else(|| fail(number, "no o= line"))?,
            lines,
            media,
        })
    }

    /// The body, CRLF line ends.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(1024);
        out.put_slice(b"v=0\r\no=");
        out.put_slice(self.origin.to_string().as_bytes());
        out.put_slice(b"\r\n");
        let put = |out: &mut BytesMut, lines: &[Line]| {
            for line in lines {
                out.put_u8(line.kind);
                out.put_u8(b'=');
                out.put_slice(&line.value);
                out.put_slice(b"\r\n");
            }
        };
        put(&mut out, &self.lines);
        for media in &self.media {
            let ports = media.ports.map(|n| format!("/{n}")).unwrap_or_default();
            let Media {
                kind,
                port,
                proto,
                formats,
                ..
            } = media;
            out.put_slice(format!("m={kind} {port}{ports} {proto} {formats}\r\n").as_bytes());
            put(&mut out, &media.lines);
        }
        out.freeze()
    }
}

/// `audio 49170/2 RTP/AVP 0 8`
fn media_line(value: &str) -> Option<Media> {
    let mut fields = value.splitn(4, ' ');
    let kind = fields.next().filter(|kind| !kind.is_empty())?;
    let (port, ports) = match fields.next()?.split_once('/') {
        Some((port, count)) => (port.parse().ok()?, Some(count.parse().ok()?)),
        None => (value.split(' ').nth(1)?.parse().ok()?, None),
    };
    Some(Media {
        kind: kind.to_owned(),
        port,
        ports,
        proto: fields.next().filter(|proto| !proto.is_empty())?.to_owned(),
        formats: fields.next().unwrap_or_default().trim_end().to_owned(),
        lines: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OFFER: &str = "v=0\r\no=alice 53 1 IN IP4 192.0.2.1\r\ns=Talk\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        a=rtcp-xr:rcvr-rtt=all:10000\r\nm=audio 49170 RTP/AVP 0 101\r\nb=AS:64\r\na=rtpmap:101 telephone-event/8000\r\n\
        y=of the future\r\nm=video 0 RTP/AVP 96\r\n";

    #[test]
    fn printing_what_was_parsed_gives_the_same_bytes() {
        assert_eq!(Sdp::parse(OFFER.as_bytes()).unwrap().to_bytes(), OFFER);
    }
    #[test]
    fn bare_line_feeds_and_a_missing_last_line_end_are_read() {
        let lf = OFFER.replace("\r\n", "\n");
        assert_eq!(Sdp::parse(lf.trim_end().as_bytes()).unwrap().to_bytes(), OFFER);
    }
    #[test]
    fn latin_1_in_a_line_that_is_not_ours_to_read_is_kept() {
        let body = [&b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=caf\xe9\r\nt=0 0\r\n"[..]].concat();
        assert_eq!(Sdp::parse(&body).unwrap().to_bytes(), body);
    }
    #[test]
    fn errors_name_the_line() {
        for (body, line, what) in [
            ("", 1, "empty"),
            ("v=1\r\n", 1, "v=0"),
            ("o=- 1 1 IN IP4 192.0.2.1\r\n", 1, "v=0"),
            ("v=0\r\ns=-\r\n", 2, "no o="),
            ("v=0\r\no=- 1 IN IP4 192.0.2.1\r\n", 2, "o=user"),
            ("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nrubbish\r\n", 3, "letter"),
            (
                "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 99999 RTP/AVP 0\r\n",
                3,
                "m=media",
            ),
            ("v=0\r\no=- 1 1 IN IP4 h\r\no=- 1 1 IN IP4 h\r\n", 3, "second o="),
        ] {
            let error = Sdp::parse(body.as_bytes()).unwrap_err();
            assert_eq!(
                (error.line, error.what.contains(what)),
                (line, true),
                "{body:?}: {error}"
            );
        }
    }
    #[test]
    fn counts_are_bounded() {
        let many = format!("{OFFER}{}", "m=audio 0 RTP/AVP 0\r\n".repeat(MAX_MEDIA));
        assert!(Sdp::parse(many.as_bytes()).is_err());
        let long = format!("{OFFER}{}", "a=x\r\n".repeat(MAX_LINES));
        assert!(Sdp::parse(long.as_bytes()).is_err());
        assert!(Sdp::parse(&vec![b'a'; MAX_OCTETS + 1]).is_err());
    }
    #[test]
    fn debug_shows_no_key() {
        let body = format!("{OFFER}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRET\r\nk=clear:SECRET\r\n");
        assert!(!format!("{:?}", Sdp::parse(body.as_bytes()).unwrap()).contains("SECRET"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_and_what_is_read_prints_stably(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let body = [OFFER.as_bytes(), &bytes].concat();
            if let Ok(sdp) = Sdp::parse(&body) {
                let printed = sdp.to_bytes();
                prop_assert_eq!(Sdp::parse(&printed).unwrap(), sdp);
            }
            let _ = Sdp::parse(&bytes);
        }
    }
}

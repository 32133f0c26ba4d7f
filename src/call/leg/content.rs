//! Bodies: where the session description of a message is (RFC 3261 §8.2.3, RFC 2045/2046 for multiparts).

use crate::{
    call::{Failure, Origin, failure::Kind},
    sdp::Sdp,
    sip::{Headers, Status, Text},
};

/// How deep multiparts may nest, and how many parts are looked at.
const DEPTH: usize = 3;
const PARTS: usize = 32;

/// Reads the session description of a message; `None` when it has none.
///
/// # Errors
/// 415 with `Accept` or `Accept-Encoding` for a body that must be understood and is not, 400 for SDP that cannot be read.
pub(super) fn session(headers: &Headers, body: &[u8]) -> Result<Option<Sdp>, Failure> {
    if body.is_empty() {
        return Ok(None);
    }
    let part = Part {
        content_type: headers.get("Content-Type"),
        disposition: headers.get("Content-Disposition"),
        encoding: headers.get("Content-Encoding"),
        body,
    };
    part.session(DEPTH)
}

/// Whether a body is a session description, or a multipart with one somewhere in it.
pub(super) fn describes_session(headers: &Headers, body: &[u8]) -> bool {
    const SDP: &[u8] = b"application/sdp";
    let Some(content_type) = headers.get("Content-Type") else {
        return body.starts_with(b"v=0");
    };
    let content_type = content_type.to_str().to_ascii_lowercase();
    match word(&content_type) {
        "application/sdp" => true,
        // Not taken apart: what is hidden deeper than we look would cross.
        kind if kind.starts_with("multipart/") || kind.starts_with("message/") => body
            .windows(SDP.len())
            .any(|window| window.eq_ignore_ascii_case(SDP)),
        _ => false,
    }
}

struct Part<'a> {
    content_type: Option<Text>,
    disposition: Option<Text>,
    encoding: Option<Text>,
    body: &'a [u8],
}

impl Part<'_> {
    fn session(&self, depth: usize) -> Result<Option<Sdp>, Failure> {
        let disposition = self
            .disposition
            .as_ref()
            .map(|value| value.to_str().to_ascii_lowercase());
        let optional = disposition.as_ref().is_some_and(|value| {
            params(value).any(|(name, value)| name == "handling" && value == "optional")
        });
        let is_session = disposition.as_ref().is_none_or(|value| word(value) == "session");
        if !is_session {
            return if optional {
                Ok(None)
            } else {
                Err(unsupported_type())
            };
        }
        let coded = self
            .encoding
            .as_ref()
            .map(|value| value.to_str().to_ascii_lowercase());
        if coded.is_some_and(|value| !value.is_empty() && value != "identity") {
            return if optional {
                Ok(None)
            } else {
                Err(unsupported_encoding())
            };
        }
        let content_type = self
            .content_type
            .as_ref()
            .map(|value| value.to_str().into_owned());
        match content_type
            .as_deref()
            .map(|value| word(value).to_ascii_lowercase())
            .as_deref()
        {
            // Without a type there is nothing else that it could be for.
            Some("application/sdp") | None => match Sdp::parse(self.body) {
                Ok(sdp) => Ok(Some(sdp)),
                Err(error) => {
                    Err(Failure::of(Kind::Protocol, Origin::Local).because(&ascii(&error.to_string())))
                }
            },
            Some(kind) if kind.starts_with("multipart/") && depth > 0 => {
                let boundary = content_type
                    .as_deref()
                    .and_then(|value| params(value).find(|(name, _)| name == "boundary"))
                    .map(|(_, value)| value);
                let found = boundary.and_then(|boundary| {
                    parts(self.body, boundary.as_bytes())
                        .into_iter()
                        .take(PARTS)
                        .find_map(|part| {
                            match part.session(depth - 1) {
                                // A part beside the description (ISUP, location, …) is nobody's fault.
                                Ok(None) => None,
                                Err(failure) if failure.status == Status::UNSUPPORTED_MEDIA_TYPE => None,
                                other => Some(other),
                            }
                        })
                });
                match found {
                    Some(found) => found,
                    None if optional => Ok(None),
                    None => Err(unsupported_type()),
                }
            }
            Some(_) if optional => Ok(None),
            Some(_) => Err(unsupported_type()),
        }
    }
}

fn unsupported_type() -> Failure {
    Failure::new(Status::UNSUPPORTED_MEDIA_TYPE, Origin::Local, Kind::NotAcceptable)
        .with("Accept", "application/sdp")
}

fn unsupported_encoding() -> Failure {
    Failure::new(Status::UNSUPPORTED_MEDIA_TYPE, Origin::Local, Kind::NotAcceptable)
        .with("Accept-Encoding", "identity")
}

/// What may stand in a reason phrase.
fn ascii(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .take(120)
        .collect()
}

/// The value before its parameters.
fn word(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

/// The parameters of a value: names in lower case, values without quotes.
fn params(value: &str) -> impl Iterator<Item = (String, String)> + '_ {
    value.split(';').skip(1).map(|param| {
        let (name, value) = param.split_once('=').unwrap_or((param, ""));
        (
            name.trim().to_ascii_lowercase(),
            value.trim().trim_matches('"').to_owned(),
        )
    })
}

/// The parts of a multipart body (RFC 2046 §5.1.1); a missing last delimiter is forgiven.
fn parts<'a>(body: &'a [u8], boundary: &[u8]) -> Vec<Part<'a>> {
    let mut found = Vec::new();
    let mut start = None;
    let mut at = 0;
    while at < body.len() && found.len() < PARTS {
        let rest = &body[at..];
        let line = rest.split_inclusive(|byte| *byte == b'\n').next().unwrap_or(rest);
        let text = line.trim_ascii_end();
        let after = text
            .strip_prefix(b"--")
            .and_then(|text| text.strip_prefix(boundary));
        if let Some(after) = after.filter(|after| after.is_empty() || *after == b"--") {
            if let Some(start) = start {
                found.push(part(without_line_end(&body[start..at])));
            }
            start = after.is_empty().then_some(at + line.len());
            if start.is_none() {
                break;
            }
        }
        at += line.len();
    }
    if let (Some(start), true) = (start, found.len() < PARTS) {
        found.push(part(&body[start.min(body.len())..]));
    }
    found
}

/// The line end before a delimiter belongs to the delimiter.
fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

fn part(bytes: &[u8]) -> Part<'_> {
    let mut part = Part {
        content_type: None,
        disposition: None,
        encoding: None,
        body: &[],
    };
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let line = line.trim_ascii();
        if line.is_empty() {
            part.body = bytes.get(at..).unwrap_or_default();
            break;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let value: Text = value[1..].trim_ascii().to_vec().into();
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"content-type" | b"c" => part.content_type = Some(value),
            b"content-disposition" => part.disposition = Some(value),
            b"content-encoding" | b"e" => part.encoding = Some(value),
            b"content-transfer-encoding"
                if !matches!(
                    value.to_ascii_lowercase().as_slice(),
                    b"binary" | b"8bit" | b"7bit"
                ) =>
            {
                part.encoding = Some(value);
            }
            // Content-ID, Content-Length and what else a part may say: not needed to find the description.
            _ => {}
        }
    }
    part
}

#[cfg(test)]
mod tests;

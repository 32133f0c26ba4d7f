//! From messages to bytes.

use super::{Headers, Request, Response, lex, name::Known};
use bytes::Bytes;

/// A request for the wire.
pub(super) fn request(request: &Request) -> Bytes {
    let (method, uri) = (request.method.as_bytes(), request.uri.as_text());
    let mut out = start(&request.headers, method.len() + uri.len(), request.body.len());
    match &request.headers.line {
        Some(line) if is_request_line(line, method, uri) => out.extend_from_slice(line),
        _ => {
            out.extend_from_slice(method);
            out.push(b' ');
            out.extend_from_slice(uri);
            out.extend_from_slice(b" SIP/2.0\r\n");
        }
    }
    finish(out, &request.headers, &request.body)
}

/// A response for the wire.
pub(super) fn response(response: &Response) -> Bytes {
    let mut out = start(&response.headers, response.reason.len(), response.body.len());
    let code = response.status.to_string();
    match &response.headers.line {
        Some(line) if is_status_line(line, code.as_bytes(), &response.reason) => out.extend_from_slice(line),
        _ => {
            out.extend_from_slice(b"SIP/2.0 ");
            out.extend_from_slice(code.as_bytes());
            out.push(b' ');
            // A phrase made from what a stranger sent must not end the line.
            out.extend(
                response
                    .reason
                    .iter()
                    .map(|&b| if matches!(b, b'\r' | b'\n') { b' ' } else { b }),
            );
            out.extend_from_slice(b"\r\n");
        }
    }
    finish(out, &response.headers, &response.body)
}

/// Whether a start line kept from the wire still says what the request says.
fn is_request_line(line: &[u8], method: &[u8], uri: &[u8]) -> bool {
    line.strip_prefix(method)
        .and_then(|rest| rest.strip_prefix(b" "))
        .and_then(|rest| rest.strip_prefix(uri))
        .is_some_and(|rest| rest.first() == Some(&b' '))
}

fn is_status_line(line: &[u8], code: &[u8], reason: &[u8]) -> bool {
    line.get(b"SIP/2.0 ".len()..)
        .and_then(|rest| rest.strip_prefix(code))
        .is_some_and(|rest| {
            let rest = rest.strip_prefix(b" ").unwrap_or(rest);
            let rest = rest.strip_suffix(b"\n").unwrap_or(rest);
            rest.strip_suffix(b"\r").unwrap_or(rest) == reason
        })
}

/// A buffer with room for all of it.
fn start(headers: &Headers, line: usize, body: usize) -> Vec<u8> {
    let fields: usize = headers.lines().map(|(_, line)| line.len()).sum();
    Vec::with_capacity(line + fields + body + 48)
}

fn finish(mut out: Vec<u8>, headers: &Headers, body: &[u8]) -> Bytes {
    let mut has_length = false;
    for (known, line) in headers.lines() {
        if known != Known::ContentLength {
            out.extend_from_slice(line);
        } else if says(line, body.len()) {
            has_length = true;
            out.extend_from_slice(line);
        } else if !has_length {
            has_length = true;
            let name_len = line.iter().take_while(|&&b| lex::is_token_byte(b)).count();
            out.extend_from_slice(line.get(..name_len).unwrap_or_default());
            out.extend(format!(": {}\r\n", body.len()).into_bytes());
        }
    }
    if !has_length && !headers.untouched {
        out.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
    }
    out.extend_from_slice(if headers.bare_lf { b"\n" } else { b"\r\n" });
    out.extend_from_slice(body);
    out.into()
}

/// Whether a Content-Length line says this length.
fn says(line: &[u8], length: usize) -> bool {
    let colon = line.iter().position(|&b| b == b':').unwrap_or(line.len());
    let value = lex::trim(line.get(colon + 1..).unwrap_or_default());
    lex::number(value).and_then(|value| usize::try_from(value).ok()) == Some(length)
}

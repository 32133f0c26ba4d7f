//! The request that opens a WebSocket, and its answer (RFC 6455 §4.2, RFC 7118 §4.1).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use sha1::{Digest as _, Sha1};

/// The largest request; cookies of a page may come along.
const MAX_REQUEST: usize = 8 * 1024;
/// The most header fields.
const MAX_FIELDS: usize = 64;
/// RFC 6455 §1.3
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Answers the request at the front of `input`, when it is whole: with what and after how many bytes. `Err` holds a refusal.
pub(super) fn answer(input: &[u8], origins: &[String]) -> Option<(Result<Bytes, Bytes>, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(input) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_REQUEST => {
            Some((accept(&request, origins), length))
        }
        Ok(httparse::Status::Partial) if input.len() <= MAX_REQUEST => None,
        Ok(_) => Some((Err(refusal("431 Request Header Fields Too Large", "")), 0)),
        Err(error) => {
            tracing::debug!(%error, "no request for a WebSocket");
            Some((Err(refusal("400 Bad Request", "")), 0))
        }
    }
}

fn accept(request: &httparse::Request<'_, '_>, origins: &[String]) -> Result<Bytes, Bytes> {
    let values = |name: &'static str| {
        request
            .headers
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .filter_map(|field| std::str::from_utf8(field.value).ok())
    };
    let words = |name| values(name).flat_map(|value| value.split(',')).map(str::trim);
    let has = |name, word: &str| words(name).any(|found: &str| found.eq_ignore_ascii_case(word));
    if request.method != Some("GET") {
        return Err(refusal("405 Method Not Allowed", "Allow: GET\r\n"));
    }
    if request.version != Some(1) || !has("Upgrade", "websocket") || !has("Connection", "upgrade") {
        return Err(refusal(
            "426 Upgrade Required",
            "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        ));
    }
    if !has("Sec-WebSocket-Version", "13") {
        return Err(refusal("426 Upgrade Required", "Sec-WebSocket-Version: 13\r\n"));
    }
    let key = values("Sec-WebSocket-Key")
        .next()
        .map(str::trim)
        .unwrap_or_default();
    if values("Host").next().is_none() || !STANDARD.decode(key).is_ok_and(|key| key.len() == 16) {
        return Err(refusal("400 Bad Request", ""));
    }
    if !has("Sec-WebSocket-Protocol", "sip") {
        tracing::debug!("a WebSocket without the sub-protocol sip refused");
        return Err(refusal("400 Bad Request", ""));
    }
    if let Some(origin) = values("Origin").next().map(str::trim)
        && !origins
            .iter()
            .any(|known| known == "*" || known.eq_ignore_ascii_case(origin))
    {
        tracing::warn!(
            origin,
            "a WebSocket of this page refused: websocket-origins does not name it"
        );
        return Err(refusal("403 Forbidden", ""));
    }
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
        STANDARD.encode(digest)
    )
    .into())
}

fn refusal(status: &str, fields: &str) -> Bytes {
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 0\r\n\r\n").into()
}

//! How an agent writes its messages.

use super::Agent;
use crate::sip::{Request, Status};
use bytes::Bytes;

impl Agent {
    pub(super) fn branch(&mut self) -> String {
        self.branches += 1;
        format!("z9hG4bK-{}-{}-{}", self.name, self.branches, self.dice.tag())
    }
    pub(super) fn contact(&self) -> String {
        format!("<sip:{}-device@{}>", self.name, self.address)
    }
    fn user(&self) -> &str {
        self.name.split('-').next().unwrap_or_default()
    }
    /// A request. `to` is what the response that is acknowledged says, where there is one.
    pub(super) fn write(
        &self,
        (method, cseq, uri): (&str, u32, &str),
        branch: &str,
        to: Option<&str>,
        headers: &str,
        body: &str,
    ) -> Bytes {
        let (ip, port) = (self.address.ip(), self.address.port());
        let (user, tag, call_id) = (self.user(), &self.tag, &self.call_id);
        let to = to.unwrap_or(&self.remote);
        // As the server's transport layer hands it on: `received` and `rport` filled in (RFC 3581 §4).
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:{port};rport={port};received={ip};branch={branch}\r\n\
             From: <sip:{user}@example.org>;tag={tag}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: {}\r\nMax-Forwards: 70\r\n{headers}{}",
            self.contact(),
            content(headers, body)
        )
        .into()
    }
    /// A response.
    pub(super) fn write_response(
        &self,
        request: &Request,
        status: Status,
        headers: &str,
        body: &str,
    ) -> Bytes {
        let tag = (status != Status::TRYING).then_some(self.tag.as_str());
        let contact = format!("Contact: {}\r\n{headers}", self.contact());
        response(request, status, tag, &contact, body)
    }
}

/// A response to a request, with whole lines of headers.
pub(in crate::testing) fn response(
    request: &Request,
    status: Status,
    tag: Option<&str>,
    headers: &str,
    body: &str,
) -> Bytes {
    let bytes = request.respond(status, tag).to_bytes();
    let text = String::from_utf8_lossy(&bytes);
    let kept: String = text
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with("Content-Length") && *line != "\r\n")
        .collect();
    format!("{kept}{headers}{}", content(headers, body)).into()
}

/// A body is a session description where the headers do not say otherwise.
fn content(headers: &str, body: &str) -> String {
    let kind = if body.is_empty() || headers.contains("Content-Type: ") {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!("{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

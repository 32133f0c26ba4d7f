//! SIP messages as the phones write and read them, on rsip.
//!
//! Phones send plain, well-formed messages, where rsip is right. Reading is rsip's too, with three exceptions,
//! read from the text: the start line (rsip drops custom reason phrases), `Content-Length` (rsip ignores it,
//! the phones check it) and header lines that are only echoed.

use super::Error;
use rsip::headers::{self, ToTypedHeader as _, UntypedHeader as _};
use rsip::message::{HasHeaders as _, HeadersExt as _};
use rsip::{Header, Headers, Method, SipMessage, StatusCode, Uri, Version};
use std::net::{IpAddr, SocketAddr};

/// A message that arrived, with what a phone looks at more than once.
#[derive(Debug, Clone)]
pub struct Inbound {
    /// The message.
    pub message: SipMessage,
    /// Its first line as it came.
    pub start: String,
    /// `Call-ID`.
    pub call_id: String,
    /// `CSeq`: the number and the method.
    pub cseq: (u32, Method),
    /// The tag of `From`.
    pub from_tag: Option<String>,
    /// The tag of `To`.
    pub to_tag: Option<String>,
    /// The branch of the topmost `Via`.
    pub branch: String,
}

impl Inbound {
    /// Reads a datagram.
    ///
    /// # Errors
    /// [`Error::Message`] if rsip cannot read it, if a header that each message has is missing, or if
    /// `Content-Length` disagrees with the body.
    pub fn read(datagram: &[u8]) -> Result<Self, Error> {
        let message = SipMessage::try_from(datagram).map_err(|error| fault(error.to_string()))?;
        let start = datagram.split(|&byte| byte == b'\r').next().unwrap_or_default();
        let start = String::from_utf8_lossy(start).into_owned();
        let at = |error: rsip::Error| fault(format!("{start}: {error}"));
        let cseq = message.cseq_header().and_then(|cseq| cseq.typed()).map_err(at)?;
        let from = message.from_header().and_then(|from| from.typed()).map_err(at)?;
        let to = message.to_header().and_then(|to| to.typed()).map_err(at)?;
        let branch = message
            .transaction_id()
            .map_err(at)?
            .ok_or_else(|| fault(format!("{start}: no branch")))?;
        let call_id = message.call_id_header().map_err(at)?.value().to_owned();
        let length = message.headers().iter().find_map(|header| match header {
            Header::ContentLength(length) => length.value().trim().parse::<usize>().ok(),
            _ => None,
        });
        // Over UDP it may be absent (RFC 3261 §20.14).
        let body = message.body().len();
        if let Some(length) = length.filter(|length| *length != body) {
            return Err(fault(format!(
                "{start}: Content-Length {length}, {body} bytes of body"
            )));
        }
        Ok(Self {
            call_id,
            cseq: (cseq.seq, cseq.method),
            from_tag: from.tag().map(|tag| tag.value().to_owned()),
            to_tag: to.tag().map(|tag| tag.value().to_owned()),
            branch: branch.value().to_owned(),
            message,
            start,
        })
    }

    /// Its status; none for requests.
    pub fn status(&self) -> Option<u16> {
        match &self.message {
            SipMessage::Response(response) => Some(response.status_code.code()),
            SipMessage::Request(_) => None,
        }
    }

    /// Its method; none for responses.
    pub fn method(&self) -> Option<Method> {
        match &self.message {
            SipMessage::Request(request) => Some(request.method),
            SipMessage::Response(_) => None,
        }
    }

    /// The user of the Request-URI.
    pub fn user(&self) -> Option<&str> {
        match &self.message {
            SipMessage::Request(request) => request.uri.user(),
            SipMessage::Response(_) => None,
        }
    }

    /// The body, if there is one.
    pub fn body(&self) -> Option<&[u8]> {
        Some(self.message.body().as_slice()).filter(|body| !body.is_empty())
    }

    /// The URI of `Contact`.
    pub fn contact(&self) -> Option<Uri> {
        self.message
            .contact_header()
            .ok()?
            .typed()
            .ok()
            .map(|contact| contact.uri)
    }

    /// The URIs of `Record-Route` from top to bottom.
    pub fn record_route(&self) -> Vec<Uri> {
        let mut route = Vec::new();
        for header in self.message.headers().iter() {
            if let Header::RecordRoute(line) = header
                && let Ok(typed) = line.typed()
            {
                route.extend(typed.uris().iter().map(|uri| uri.uri.clone()));
            }
        }
        route
    }
}

fn fault(what: impl Into<String>) -> Error {
    Error::Message(what.into())
}

/// Whether a datagram is a keep-alive: nothing but line ends (RFC 5626 §3.5.1), or a lone zero byte.
pub fn is_keepalive(datagram: &[u8]) -> bool {
    datagram.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

/// Where a request to `uri` goes over UDP, if its host is an IP address: phones ask no DNS.
pub fn address(uri: &Uri) -> Option<SocketAddr> {
    let host: IpAddr = uri.host_with_port.host.to_string().parse().ok()?;
    let port = uri.port().map_or(5060, |port| *port.value());
    Some(SocketAddr::new(host, port))
}

/// Reads a URI.
///
/// # Errors
/// [`Error::Message`] if rsip cannot.
pub fn uri(text: &str) -> Result<Uri, Error> {
    Uri::try_from(text).map_err(|error| fault(format!("URI {text}: {error}")))
}

/// The parts of a request that differ from one to the next.
pub struct Outline<'a> {
    /// The method.
    pub method: Method,
    /// The Request-URI.
    pub uri: &'a Uri,
    /// Our address, for `Via` and `Contact`.
    pub at: SocketAddr,
    /// Our user, for `Contact`.
    pub user: &'a str,
    /// The branch of our `Via`.
    pub branch: &'a str,
    /// The route set in the order of the headers.
    pub route: &'a [Uri],
    /// The whole value of `From`.
    pub from: &'a str,
    /// The whole value of `To`.
    pub to: &'a str,
    /// `Call-ID`.
    pub call_id: &'a str,
    /// The number of `CSeq`.
    pub cseq: u32,
    /// A session description.
    pub body: Option<&'a str>,
}

/// The methods that the phones understand.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS";
const AGENT: &str = concat!("b2bua-phone/", env!("CARGO_PKG_VERSION"));

impl Outline<'_> {
    /// The request as it goes out.
    pub fn print(&self) -> String {
        let mut headers = Headers::default();
        let via = format!("SIP/2.0/UDP {};rport;branch={}", self.at, self.branch);
        headers.push(headers::Via::new(via).into());
        headers.push(headers::MaxForwards::new("70").into());
        for uri in self.route {
            headers.push(headers::Route::new(format!("<{uri}>")).into());
        }
        headers.push(headers::From::new(self.from).into());
        headers.push(headers::To::new(self.to).into());
        headers.push(headers::CallId::new(self.call_id).into());
        headers.push(headers::CSeq::new(format!("{} {}", self.cseq, self.method)).into());
        if self.method == Method::Invite {
            headers.push(headers::Contact::new(contact(self.user, self.at)).into());
            headers.push(headers::Allow::new(ALLOW).into());
        }
        headers.push(headers::UserAgent::new(AGENT).into());
        let body = finish(&mut headers, self.body);
        rsip::Request {
            method: self.method,
            uri: self.uri.clone(),
            version: Version::V2,
            headers,
            body,
        }
        .to_string()
    }
}

fn contact(user: &str, at: SocketAddr) -> String {
    format!("<sip:{user}@{at}>")
}

fn finish(headers: &mut Headers, body: Option<&str>) -> Vec<u8> {
    let body = body.unwrap_or_default();
    if !body.is_empty() {
        headers.push(headers::ContentType::new("application/sdp").into());
    }
    headers.push(headers::ContentLength::new(body.len().to_string()).into());
    body.as_bytes().to_vec()
}

/// A response to `request`, as it goes out (RFC 3261 §8.2.6.2): `tag` is put on `To` where it has none, `contact`
/// is our user and address where the response makes or refreshes a dialog.
pub fn respond(
    request: &Inbound,
    status: (u16, &str),
    tag: Option<&str>,
    contact_at: Option<(&str, SocketAddr)>,
    body: Option<&str>,
) -> String {
    let mut headers = Headers::default();
    for header in request.message.headers().iter() {
        match header {
            Header::Via(_) | Header::From(_) | Header::CallId(_) | Header::CSeq(_) => {
                headers.push(header.clone())
            }
            // Only dialog-making responses carry the route back.
            Header::RecordRoute(_) if contact_at.is_some() => headers.push(header.clone()),
            Header::To(to) => match tag {
                Some(tag) if request.to_tag.is_none() => {
                    headers.push(headers::To::new(format!("{};tag={tag}", to.value())).into());
                }
                _ => headers.push(header.clone()),
            },
            _ => {}
        }
    }
    if let Some((user, at)) = contact_at {
        headers.push(headers::Contact::new(contact(user, at)).into());
        headers.push(headers::Allow::new(ALLOW).into());
    }
    let body = finish(&mut headers, body);
    // rsip would print its own identifier (`BusyHere`) for the codes that it knows.
    let status_code = StatusCode::Other(status.0, status.1.into());
    rsip::Response {
        status_code,
        version: Version::V2,
        headers,
        body,
    }
    .to_string()
}

/// The usual reason phrase of a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Because",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite() -> String {
        Outline {
            method: Method::Invite,
            uri: &uri("sip:bob@127.0.0.1:5070").unwrap(),
            at: "127.0.0.1:4000".parse().unwrap(),
            user: "alice",
            branch: "z9hG4bKx",
            route: &[uri("sip:127.0.0.1:9;lr").unwrap()],
            from: "<sip:alice@localhost>;tag=a",
            to: "<sip:bob@localhost>",
            call_id: "c",
            cseq: 3,
            body: Some("v=0\r\n"),
        }
        .print()
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let inbound = Inbound::read(invite().as_bytes()).unwrap();
        assert_eq!(inbound.start, "INVITE sip:bob@127.0.0.1:5070 SIP/2.0");
        assert_eq!(
            (inbound.method(), inbound.user(), inbound.status()),
            (Some(Method::Invite), Some("bob"), None)
        );
        assert_eq!(
            (inbound.call_id.as_str(), &inbound.cseq),
            ("c", &(3, Method::Invite))
        );
        assert_eq!(
            (inbound.from_tag.as_deref(), inbound.to_tag.as_deref()),
            (Some("a"), None)
        );
        assert_eq!(
            (inbound.branch.as_str(), inbound.body()),
            ("z9hG4bKx", Some(&b"v=0\r\n"[..]))
        );
        assert_eq!(
            inbound.contact().as_ref().and_then(address),
            "127.0.0.1:4000".parse().ok()
        );
    }

    #[test]
    fn a_response_echoes_the_request_and_adds_the_tag_once() {
        let request = Inbound::read(invite().as_bytes()).unwrap();
        let at = "127.0.0.1:5070".parse().unwrap();
        let text = respond(&request, (486, "Busy Here"), Some("b"), Some(("bob", at)), None);
        assert!(text.starts_with("SIP/2.0 486 Busy Here\r\n"), "{text}");
        let response = Inbound::read(text.as_bytes()).unwrap();
        assert_eq!(
            (response.status(), response.to_tag.as_deref()),
            (Some(486), Some("b"))
        );
        assert_eq!((response.branch.as_str(), response.cseq.0), ("z9hG4bKx", 3));
    }

    #[test]
    fn record_routes_are_read_from_lists_and_from_several_lines() {
        let text = invite().replace(
            "Call-ID",
            "Record-Route: <sip:10.0.0.1;lr>, <sip:10.0.0.2:5080;lr>\r\nRecord-Route: <sip:10.0.0.3;lr>\r\nCall-ID",
        );
        let route = Inbound::read(text.as_bytes()).unwrap().record_route();
        let ports: Vec<_> = route
            .iter()
            .filter_map(address)
            .map(|to| to.to_string())
            .collect();
        assert_eq!(ports, ["10.0.0.1:5060", "10.0.0.2:5080", "10.0.0.3:5060"]);
    }

    #[test]
    fn contacts_are_read_with_a_transport_and_without_a_user() {
        for contact in [
            "<sip:10.0.0.9:6067;transport=udp>",
            "<sip:x@10.0.0.9:6067;transport=UDP;lr>",
            "sip:10.0.0.9:6067",
        ] {
            let text = invite().replace("<sip:alice@127.0.0.1:4000>", contact);
            let inbound = Inbound::read(text.as_bytes()).unwrap();
            assert_eq!(
                inbound.contact().as_ref().and_then(address),
                "10.0.0.9:6067".parse().ok(),
                "{contact}"
            );
        }
    }

    #[test]
    fn keep_alives_are_told_from_messages() {
        assert!(is_keepalive(b"") && is_keepalive(b"\r\n\r\n") && is_keepalive(b"\0"));
        assert!(!is_keepalive(invite().as_bytes()));
    }

    #[test]
    fn a_wrong_content_length_or_a_missing_header_is_a_fault() {
        for (from, to) in [
            ("Content-Length: 5", "Content-Length: 6"),
            ("CSeq: 3 INVITE\r\n", ""),
            (";branch=z9hG4bKx", ""),
        ] {
            let text = invite().replace(from, to);
            assert!(Inbound::read(text.as_bytes()).is_err(), "{from} became {to}");
        }
        assert!(Inbound::read(b"").is_err());
    }
}

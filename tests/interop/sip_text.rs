//! SIP and SDP as text, for the judges only: no code of the server's is used, so that a fault of
//! its parser cannot hide itself.

use std::net::SocketAddr;

use crate::pcap::Payload;

/// One SIP message as it was on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// By TCP.
    pub(crate) tcp: bool,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) start: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Message {
    /// The messages in a datagram or a stream. What is not SIP is skipped.
    pub(crate) fn split(payload: &Payload) -> Vec<Self> {
        let mut text = String::from_utf8_lossy(&payload.bytes).into_owned();
        let mut found = Vec::new();
        while let Some((head, rest)) = text.trim_start().split_once("\r\n\r\n") {
            let mut message = Self::head(payload, head);
            if !message.start.contains("SIP/2.0") {
                break;
            }
            let announced = message.header("Content-Length").and_then(|n| n.parse().ok());
            let length = announced.unwrap_or(rest.len()).min(rest.len());
            let (body, rest) = rest.split_at_checked(length).unwrap_or((rest, ""));
            body.clone_into(&mut message.body);
            let rest = rest.to_owned();
            found.push(message);
            text = rest;
        }
        found
    }

    fn head(payload: &Payload, head: &str) -> Self {
        // Folded lines (RFC 3261 §7.3.1) become one.
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut lines = head.lines();
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (long_name(name.trim()), value.trim().to_owned()))
            .collect();
        let (tcp, from, to) = (payload.tcp, payload.from, payload.to);
        Self {
            tcp,
            from,
            to,
            start,
            headers,
            body: String::new(),
        }
    }

    /// The first header of that name.
    pub(crate) fn header<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// All headers of that name, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// Whether it is a request of that method.
    pub(crate) fn is_request(&self, method: &str) -> bool {
        self.start
            .strip_prefix(method)
            .is_some_and(|rest| rest.starts_with(' '))
    }

    /// Its status, when it is a response.
    pub(crate) fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// The method of its CSeq.
    pub(crate) fn method(&self) -> &str {
        self.header("CSeq")
            .and_then(|v| v.split_whitespace().nth(1))
            .unwrap_or_default()
    }

    /// The values of all SDP lines that begin with `prefix`.
    pub(crate) fn sdp<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.body
            .lines()
            .filter_map(move |line| line.strip_prefix(prefix))
            .map(str::trim)
    }

    /// Everything but the body, as it was said, for searching.
    pub(crate) fn head_text(&self) -> String {
        let mut text = self.start.clone();
        for (name, value) in &self.headers {
            text.push_str(&format!("\n{name}: {value}"));
        }
        text
    }
}

/// The parameter `name` of a header value.
pub(crate) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.split([';', '>', ',']).find_map(|part| {
        let (n, v) = part.trim().split_once('=')?;
        n.eq_ignore_ascii_case(name).then_some(v.trim().trim_matches('"'))
    })
}

fn long_name(name: &str) -> String {
    match name {
        "v" => "Via",
        "f" => "From",
        "t" => "To",
        "m" => "Contact",
        "i" => "Call-ID",
        "c" => "Content-Type",
        "l" => "Content-Length",
        "k" => "Supported",
        "s" => "Subject",
        other => other,
    }
    .to_owned()
}

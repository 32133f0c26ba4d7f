//! One party's end of the wire: writes any message in a dialog, remembers what is needed to write the next.

use crate::sip::{Message, Method, Request, Response, Status, Text, parse};
use bytes::Bytes;
use std::{collections::BTreeMap, net::SocketAddr};

/// A party that says what it is told to say. Everything that it writes of itself can be recognised on a wire: see `privacy`.
#[derive(Clone, Debug)]
pub struct Peer {
    /// User part of its identity: `alice`.
    pub user: String,
    /// Who it says it is, a SIP URI.
    pub identity: String,
    /// Where it is.
    pub address: SocketAddr,
    /// The server, as it sees it.
    pub server: SocketAddr,
    /// Call-ID of its dialog.
    pub call_id: String,
    /// Our tag; as UAS, of the default fork.
    pub tag: String,
    /// The server's `From` or `To` header value, with tag once known.
    pub remote: String,
    /// Request-URI of requests in the dialog.
    pub target: String,
    /// Our CSeq.
    pub cseq: u32,
    /// What came and was not looked at yet.
    pub inbox: Vec<Message>,
    /// The last request of each method that came: to answer it.
    pub requests: BTreeMap<String, Request>,
    /// The method of the last of them.
    pub last_request: Option<String>,
    /// Whether the dialog was begun by this party.
    pub is_caller: bool,
    /// Extra Via values below its own: as if a proxy had passed its requests on.
    pub proxies: Vec<String>,
    /// Record-Route values that a proxy puts into what it receives and sends.
    pub record_route: Option<String>,
    branch: u32,
    invite: Option<(u32, String, String)>,
}

/// Reads a message that the server sent.
///
/// # Panics
/// When it is none: then the server is at fault.
pub fn read(bytes: &Bytes) -> Message {
    match parse::datagram(bytes.clone()) {
        Ok(parse::Parsed::Message(message)) => message,
        other => panic!("the server sent {bytes:?}: {other:?}"),
    }
}

impl Peer {
    /// A party at an address.
    pub fn new(user: &str, address: &str, server: &str) -> Self {
        Self {
            user: user.to_owned(),
            identity: format!("sip:{user}@example.org"),
            address: address.parse().expect("a test's own address"),
            server: server.parse().expect("a test's own address"),
            call_id: format!("{user}-call-{:x}", 0xC0FFEE),
            tag: format!("{user}-tag-{:x}", 0xBEEF),
            remote: String::new(),
            target: String::new(),
            cseq: 100,
            inbox: Vec::new(),
            requests: BTreeMap::new(),
            last_request: None,
            is_caller: false,
            proxies: Vec::new(),
            record_route: None,
            branch: 0,
            invite: None,
        }
    }
    fn contact(&self) -> String {
        format!("<sip:{}-device@{}>", self.user, self.address)
    }
    fn via(&self, branch: &str) -> String {
        // As the server's transport layer hands it on: `received` and `rport` filled in (RFC 3581 §4).
        let own = format!(
            "SIP/2.0/UDP {};rport={};received={};branch={branch}",
            self.address,
            self.address.port(),
            self.address.ip()
        );
        self.proxies
            .iter()
            .cloned()
            .chain([own])
            .map(|via| format!("Via: {via}\r\n"))
            .collect()
    }
    /// A fresh branch.
    fn next_branch(&mut self) -> String {
        self.branch += 1;
        format!("z9hG4bK-{}-{}", self.user, self.branch)
    }

    /// The INVITE that begins a call to `uri`.
    pub fn invite(&mut self, uri: &str, headers: &str, body: &str) -> Bytes {
        self.is_caller = true;
        self.remote = format!("<{uri}>");
        self.target = uri.to_owned();
        self.request("INVITE", headers, body)
    }

    /// Its dialog, for whoever is to take its place by Replaces (RFC 3891).
    pub fn replaces(&self) -> String {
        let ours = self.remote.split(";tag=").nth(1).unwrap_or_default();
        format!("{};to-tag={ours};from-tag={}", self.call_id, self.tag)
    }
    /// A request in the dialog (or the one that begins it). `headers` are whole lines with CRLF.
    pub fn request(&mut self, method: &str, headers: &str, body: &str) -> Bytes {
        self.cseq += 1;
        let branch = self.next_branch();
        if method == "INVITE" {
            self.invite = Some((self.cseq, branch.clone(), self.target.clone()));
        }
        self.write(
            method,
            method,
            self.cseq,
            &branch,
            &self.target.clone(),
            headers,
            body,
        )
    }

    /// Whether it ever sent an INVITE.
    pub fn has_invited(&self) -> bool {
        self.invite.is_some()
    }
    /// The ACK for a 2xx to our last INVITE.
    pub fn ack(&mut self, body: &str) -> Bytes {
        let branch = self.next_branch();
        let cseq = self.invite.as_ref().map_or(self.cseq, |invite| invite.0);
        self.write("ACK", "ACK", cseq, &branch, &self.target.clone(), "", body)
    }
    /// The ACK for another final response to our last INVITE (RFC 3261 §17.1.1.3).
    pub fn ack_failure(&self) -> Bytes {
        let (cseq, branch, uri) = self.invite.clone().expect("an INVITE was sent");
        self.write("ACK", "ACK", cseq, &branch, &uri, "", "")
    }
    /// CANCEL of our last INVITE (RFC 3261 §9.1).
    pub fn cancel(&self, headers: &str) -> Bytes {
        let (cseq, branch, uri) = self.invite.clone().expect("an INVITE was sent");
        self.write("CANCEL", "CANCEL", cseq, &branch, &uri, headers, "")
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a request has that many parts, and only this file writes one"
    )]
    fn write(
        &self,
        method: &str,
        cseq_method: &str,
        cseq: u32,
        branch: &str,
        uri: &str,
        headers: &str,
        body: &str,
    ) -> Bytes {
        let via = self.via(branch);
        let (from, tag, to, call_id) = (&self.identity, &self.tag, &self.remote, &self.call_id);
        let contact = self.contact();
        let content = content(body);
        // To of an ACK to a failure carries the response's tag, as `remote` does by then.
        let route = match (&self.record_route, self.is_caller) {
            (Some(route), true) if method == "INVITE" && !to.contains(";tag=") => {
                format!("Record-Route: {route}\r\n")
            }
            _ => String::new(),
        };
        let max = if headers.contains("Max-Forwards") {
            ""
        } else {
            "Max-Forwards: 70\r\n"
        };
        format!(
            "{method} {uri} SIP/2.0\r\n{via}{route}From: <{from}>;tag={tag}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {cseq_method}\r\nContact: {contact}\r\n{max}{headers}{content}"
        )
        .into()
    }

    /// A response to the last request of that method, from the fork of that name (`""` is the only one, or the first).
    ///
    /// # Panics
    /// When no such request came.
    pub fn respond(&mut self, method: &str, status: u16, fork: &str, headers: &str, body: &str) -> Bytes {
        let request = self
            .requests
            .get(method)
            .unwrap_or_else(|| panic!("{}: no {method} to answer", self.user));
        self.respond_to(&request.clone(), status, fork, headers, body)
    }
    /// A response to a given request.
    pub fn respond_to(&self, request: &Request, status: u16, fork: &str, headers: &str, body: &str) -> Bytes {
        let tag = if fork.is_empty() {
            self.tag.clone()
        } else {
            format!("{}-{fork}", self.tag)
        };
        let status = Status::new(status).expect("a test's own status");
        let response = request.respond(status, (status != Status::TRYING).then_some(&tag));
        let mut text = String::from_utf8(response.to_bytes().to_vec()).expect("a test's own response");
        text.truncate(text.find("\r\n\r\n").map_or(text.len(), |end| end + 2));
        let kept: String = text
            .split_inclusive("\r\n")
            .filter(|line| !line.starts_with("Content-Length"))
            .collect();
        let contact = format!("Contact: <sip:{}-device{fork}@{}>\r\n", self.user, self.address);
        let route = match &self.record_route {
            Some(route) if !self.is_caller => format!("Record-Route: {route}\r\n"),
            _ => String::new(),
        };
        format!("{kept}{route}{contact}{headers}{}", content(body)).into()
    }

    /// Takes a message of the server: remembers tags, targets and requests.
    pub fn receive(&mut self, message: Message) {
        match &message {
            Message::Request(request) => {
                let first = self.call_id_is_new(request);
                if first {
                    self.is_caller = false;
                    self.call_id = text(&request.headers.call_id().expect("Call-ID"));
                    self.remote = text(&request.headers.get("From").expect("From"));
                }
                if request.method == Method::Invite || first {
                    self.take_contact(request.headers.get("Contact"));
                }
                if request.method != Method::Ack {
                    self.last_request = Some(request.method.to_string());
                }
                self.requests.insert(request.method.to_string(), request.clone());
            }
            Message::Response(response) => {
                let method = response.headers.cseq().expect("CSeq").method;
                let final_or_dialog = response.status != Status::TRYING;
                if method == Method::Invite && final_or_dialog && self.is_caller {
                    self.remote = text(&response.headers.get("To").expect("To"));
                }
                if method == Method::Invite && response.status.is_success() {
                    self.take_contact(response.headers.get("Contact"));
                }
            }
        }
        self.inbox.push(message);
    }
    fn call_id_is_new(&self, request: &Request) -> bool {
        request.method == Method::Invite
            && request.headers.call_id().expect("Call-ID") != self.call_id.as_str()
    }
    fn take_contact(&mut self, contact: Option<Text>) {
        if let Some(contact) = contact {
            let contact = text(&contact);
            let inner = contact.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
            self.target = inner.map_or(contact.clone(), |(uri, _)| uri.to_owned());
        }
    }
    /// The first unread message of the server that fits, taken out of the inbox with those before it.
    pub fn next(&mut self, fits: impl Fn(&Message) -> bool) -> Option<Message> {
        let at = self.inbox.iter().position(fits)?;
        let mut before: Vec<Message> = self.inbox.drain(..=at).collect();
        before.pop()
    }
    /// The first unread response with that status.
    pub fn response(&mut self, status: u16) -> Option<Response> {
        match self.next(
            |message| matches!(message, Message::Response(response) if response.status.code() == status),
        )? {
            Message::Response(response) => Some(response),
            Message::Request(_) => None,
        }
    }
    /// The first unread request of that method.
    pub fn take_request(&mut self, method: &str) -> Option<Request> {
        match self.next(
            |message| matches!(message, Message::Request(request) if request.method.to_string() == method),
        )? {
            Message::Request(request) => Some(request),
            Message::Response(_) => None,
        }
    }
}

fn text(text: &Text) -> String {
    text.to_str().into_owned()
}

fn content(body: &str) -> String {
    let kind = if body.is_empty() {
        ""
    } else if body.starts_with("SIP/2.0 ") {
        "Content-Type: message/sipfrag;version=2.0\r\n"
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!("{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

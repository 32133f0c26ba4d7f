//! Dialogs (RFC 3261 §12): what two user agents must remember to speak again, and how requests follow from it.

use super::{CSeq, Headers, Method, NameAddr, ParseError, Request, Response, Text, Uri, routing::Path};

/// One dialog, early or confirmed, from our side.
///
/// From and To are kept as they were written: a peer of RFC 2543 compares them whole.
#[derive(Clone, Debug)]
pub struct Dialog {
    /// Call-ID.
    pub call_id: Text,
    /// Our tag.
    pub local_tag: Text,
    /// The peer's tag; `None` for a peer of RFC 2543 that sends none (RFC 3261 §12.1.1).
    pub remote_tag: Option<Text>,
    /// Who we are to the peer: From or To, with our tag.
    pub local: Text,
    /// The peer's.
    /// Who the peer is: From or To, with its tag.
    pub remote: Text,
    /// Route set, in the order in which our requests take it.
    pub route_set: Vec<NameAddr>,
    /// Where the peer wants requests: its Contact.
    pub remote_target: Uri,
    /// The last number that we used.
    pub local_cseq: u32,
    /// The last number that the peer used.
    pub remote_cseq: Option<u32>,
}

/// A request of the peer whose CSeq is lower than one before: answered 500 (RFC 3261 §12.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("CSeq {got} after {seen}")]
pub struct OutOfOrder {
    /// What came.
    pub got: u32,
    /// What had come before.
    pub seen: u32,
}

impl Dialog {
    /// The dialog that our answer to `invite` opens (RFC 3261 §12.1.1).
    ///
    /// # Errors
    /// When From, To, Call-ID, CSeq, Contact or Record-Route of the INVITE cannot be used; it may have no Contact.
    pub fn uas(invite: &Request, local_tag: &str, local_cseq: u32) -> Result<Self, ParseError> {
        let headers = &invite.headers;
        let (from, to) = (headers.from()?, headers.to()?);
        Ok(Self {
            call_id: headers.call_id()?,
            local_tag: local_tag.into(),
            remote_tag: from.tag(),
            local: tagged(headers, "To", &to, local_tag),
            remote: headers.get("From").unwrap_or_default(),
            route_set: headers.routes("Record-Route")?,
            // RFC 2543 §6.13 let callers leave Contact out: they are reached where they come from.
            remote_target: contact(headers)?.unwrap_or(from.uri),
            local_cseq,
            remote_cseq: Some(headers.cseq()?.number),
        })
    }
    /// The dialog that `response` (101 to 299) to our `invite` opens (RFC 3261 §12.1.2). Without a Contact, which a 2xx must
    /// have, our requests go where the INVITE went.
    ///
    /// # Errors
    /// When a header of the response cannot be used.
    pub fn uac(invite: &Request, response: &Response) -> Result<Self, ParseError> {
        let headers = &response.headers;
        let mut route_set = headers.routes("Record-Route")?;
        route_set.reverse();
        Ok(Self {
            call_id: invite.headers.call_id()?,
            local_tag: invite.headers.from()?.tag().unwrap_or_default(),
            remote_tag: headers.to()?.tag(),
            local: invite.headers.get("From").unwrap_or_default(),
            remote: headers.get("To").unwrap_or_default(),
            route_set,
            remote_target: contact(headers)?.unwrap_or_else(|| invite.uri.clone()),
            local_cseq: invite.headers.cseq()?.number,
            remote_cseq: None,
        })
    }
    /// What all dialogs of an INVITE of ours will have in common, before any response.
    pub fn calling(invite: &Request, local_tag: &str, local_cseq: u32) -> Self {
        let headers = &invite.headers;
        Self {
            call_id: headers.get("Call-ID").unwrap_or_default(),
            local_tag: local_tag.into(),
            remote_tag: None,
            local: headers.get("From").unwrap_or_default(),
            remote: headers.get("To").unwrap_or_default(),
            route_set: Vec::new(),
            remote_target: invite.uri.clone(),
            local_cseq,
            remote_cseq: None,
        }
    }
    /// Target refresh (RFC 3261 §12.2.1.2, §12.2.2): a re-INVITE, an UPDATE or their 2xx may move the peer. Whether it did.
    pub fn refresh(&mut self, headers: &Headers) -> bool {
        match contact(headers) {
            Ok(Some(uri)) if uri != self.remote_target => {
                self.remote_target = uri;
                true
            }
            // No Contact, or none that can be used: the peer stays where it was.
            _ => false,
        }
    }
    /// A request of the peer overtook the response that would have told these: its route set and where it is
    /// (RFC 3261 §12.1.1). What cannot be used stays as it was.
    pub fn settle(&mut self, headers: &Headers) {
        if let Ok(routes) = headers.routes("Record-Route") {
            self.route_set = routes;
        }
        if let Some(from) = headers.get("From") {
            self.remote = from;
        }
        self.refresh(headers);
    }
    /// Notes the CSeq of a request of the peer. Gaps are no fault; the same number again is one (repetitions are told apart
    /// by their transaction before).
    ///
    /// # Errors
    /// When it is not higher than the last.
    pub fn receive(&mut self, number: u32) -> Result<(), OutOfOrder> {
        match self.remote_cseq {
            Some(seen) if number <= seen => Err(OutOfOrder { got: number, seen }),
            _ => {
                self.remote_cseq = Some(number);
                Ok(())
            }
        }
    }
    /// How requests are addressed now.
    pub fn path(&self) -> Path {
        Path::new(&self.route_set, &self.remote_target)
    }
    /// A request with the next CSeq; Via and Contact are still missing.
    pub fn request(&mut self, method: Method, path: &Path) -> Request {
        self.local_cseq = self.local_cseq.wrapping_add(1) & 0x7fff_ffff;
        self.numbered(method, self.local_cseq, path)
    }
    /// A request with a given CSeq: the ACK of a 2xx has that of its INVITE (RFC 3261 §13.2.2.4).
    pub fn numbered(&self, method: Method, number: u32, path: &Path) -> Request {
        let cseq = CSeq {
            number,
            method: method.clone(),
        };
        let mut request = Request::new(method, path.uri.clone());
        let headers = &mut request.headers;
        for route in &path.route {
            headers.push("Route", route.clone());
        }
        headers.push("Max-Forwards", "70");
        headers.push("From", self.local.clone());
        headers.push("To", self.remote.clone());
        headers.push("Call-ID", self.call_id.clone());
        headers.push("CSeq", cseq.to_text());
        request
    }
}

/// The first Contact; `None` where there is none.
fn contact(headers: &Headers) -> Result<Option<Uri>, ParseError> {
    Ok(headers.contacts()?.into_iter().next().map(|contact| contact.uri))
}

/// A From or To as it was written, with our tag appended.
fn tagged(headers: &Headers, name: &str, parsed: &NameAddr, tag: &str) -> Text {
    match headers.get(name) {
        // A bare addr-spec would take the tag for a URI parameter where brackets are missing: write them.
        Some(written) if written.contains(&b'<') => format_with(&written, tag),
        _ => parsed.with_tag(tag).to_text(),
    }
}

fn format_with(written: &Text, tag: &str) -> Text {
    let mut value = written.as_bytes().to_vec();
    value.extend_from_slice(b";tag=");
    value.extend_from_slice(tag.as_bytes());
    value.into()
}

#[cfg(test)]
mod tests;

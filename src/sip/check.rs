//! What a message must be for anybody to act on it (RFC 3261 §8.1.1, §8.2, §16.3; RFC 4475 for what is seen).

use super::{Headers, Method, NameAddr, ParseError, Request, Response, lex, name::Known};

/// Fields of which there is one at most.
const SINGLE: [Known; 8] = [
    Known::From,
    Known::To,
    Known::CallId,
    Known::CSeq,
    Known::MaxForwards,
    Known::ContentLength,
    Known::ContentType,
    Known::ReferTo,
];

impl Request {
    /// Whether a UAS can act on this request: the mandatory fields once each and readable, CSeq of this method, numbers
    /// in range, addresses that can be read.
    ///
    /// What RFC 2543 clients leave out (tag, branch, Max-Forwards, Contact) is not asked for, nor is anything that
    /// a UAS need not understand (Date, unknown schemes outside of the Request-URI).
    ///
    /// # Errors
    /// The first fault, with the status to answer.
    pub fn check(&self) -> Result<(), ParseError> {
        if !self.method.is_token() {
            return Err(ParseError::bad("method not a token", "start line"));
        }
        if !self.uri.headers().is_empty() {
            return Err(ParseError::bad("headers", "Request-URI"));
        }
        let cseq_method = check_common(&self.headers)?;
        if cseq_method != self.method {
            return Err(ParseError::bad("method differs from the request's", "CSeq"));
        }
        if self
            .headers
            .via()?
            .branch()
            .is_some_and(|branch| branch.eq_ignore_ascii_case(b"z9hG4bK"))
        {
            return Err(ParseError::bad(
                "nothing behind the magic cookie of branch",
                "Via",
            ));
        }
        self.headers.max_forwards()?;
        check_contacts(&self.headers, self.method == Method::Register)?;
        self.headers.routes("Record-Route")?;
        self.headers.routes("Route")?;
        if self.method == Method::Refer {
            NameAddr::parse(required(&self.headers, Known::ReferTo)?)
                .map_err(|error| error.at("Refer-To"))?;
        }
        Ok(())
    }
}

impl Response {
    /// Whether a UAC can act on this response. A faulty one is dropped (RFC 3261 §18.1.2 has no way to complain).
    ///
    /// # Errors
    /// The first fault.
    pub fn check(&self) -> Result<(), ParseError> {
        check_common(&self.headers).map(drop)
    }
}

/// What requests and responses share; the method of CSeq.
fn check_common(headers: &Headers) -> Result<Method, ParseError> {
    check_single(headers)?;
    let via = headers.via()?;
    if !lex::params_are_sound(&via.params) {
        return Err(ParseError::bad("malformed parameter", "Via"));
    }
    for (addr, place) in [(headers.from()?, "From"), (headers.to()?, "To")] {
        check_address(&addr, place)?;
    }
    headers.call_id()?;
    Ok(headers.cseq()?.method)
}

fn check_address(addr: &NameAddr, place: &'static str) -> Result<(), ParseError> {
    if !lex::params_are_sound(&addr.params) {
        return Err(ParseError::bad("malformed parameter", place));
    }
    if addr
        .param("tag")
        .is_some_and(|tag| tag.is_none_or(|tag| !lex::is_token(&tag)))
    {
        return Err(ParseError::bad("tag not a token", place));
    }
    Ok(())
}

/// Each field of [`SINGLE`] at most once.
fn check_single(headers: &Headers) -> Result<(), ParseError> {
    let mut seen = 0_u128;
    for known in headers.known() {
        // There are fewer than 128 names.
        let bit = 1_u128 << (known as u8);
        if seen & bit != 0 && SINGLE.contains(&known) {
            return Err(ParseError::bad("more than one", known.as_str()));
        }
        seen |= bit;
    }
    Ok(())
}

/// Contact values can be read; `*` stands alone, in REGISTER only (RFC 3261 §10.2.2).
fn check_contacts(headers: &Headers, star_allowed: bool) -> Result<(), ParseError> {
    for value in headers.each(Known::Contact).flat_map(lex::List::new) {
        if star_allowed && value == "*" {
            continue;
        }
        let contact = NameAddr::parse(value).map_err(|error| error.at("Contact"))?;
        if !lex::params_are_sound(&contact.params) {
            return Err(ParseError::bad("malformed parameter", "Contact"));
        }
    }
    Ok(())
}

fn required(headers: &Headers, known: Known) -> Result<super::Text, ParseError> {
    headers
        .first(known)
        .ok_or(ParseError::bad("missing header", known.as_str()))
}

//! What a message must be for anybody to act on it (RFC 3261 §8.1.1, §8.2, §16.3; RFC 4475 for what is seen).

use super::{CSeq, Headers, Method, ParseError, Request, Response, Uri, addr, lex, name::Known, via};
use std::borrow::Cow;

/// Fields of which there is one at most.
const fn is_single(known: Known) -> bool {
    matches!(
        known,
        Known::From
            | Known::To
            | Known::CallId
            | Known::CSeq
            | Known::MaxForwards
            | Known::ContentLength
            | Known::ContentType
            | Known::ReferTo
    )
}

impl Request {
    /// Whether a UAS can act on this request: the mandatory fields once each and readable, CSeq of this method, numbers
    /// in range, addresses that can be read.
    ///
    /// What RFC 2543 clients leave out (tag, branch, Max-Forwards, Contact) is not asked for, nor is anything that
    /// a UAS need not understand (Date, unknown schemes).
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
        let headers = &self.headers;
        check_common(headers, Some(&self.method))?;
        headers.max_forwards()?;
        let is_register = self.method == Method::Register;
        for known in [Known::Contact, Known::RecordRoute, Known::Route] {
            // `*` stands in a REGISTER only (RFC 3261 §10.2.2).
            check_addresses(headers, known, is_register && known == Known::Contact)?;
        }
        if self.method == Method::Refer {
            required(headers, Known::ReferTo)?;
            check_addresses(headers, Known::ReferTo, false)?;
        }
        Ok(())
    }
}

impl Response {
    /// Whether a UAC can tell whose this response is. A faulty one is dropped: there is no way to complain.
    ///
    /// Contact and Record-Route are left to the dialog: an unusable 2xx still wants its ACK and BYE.
    ///
    /// # Errors
    /// The first fault.
    pub fn check(&self) -> Result<(), ParseError> {
        check_common(&self.headers, None)
    }
}

/// What requests and responses share. `method` is that of a request, which CSeq must repeat.
fn check_common(headers: &Headers, method: Option<&Method>) -> Result<(), ParseError> {
    check_single(headers)?;
    let via = required(headers, Known::Via)?;
    let via = via::Parts::of(via::top(&via))?;
    if via.version != b"2.0" {
        return Err(ParseError::bad("protocol version not 2.0", "Via"));
    }
    if !lex::params_are_sound(via.params) {
        return Err(ParseError::bad("malformed parameter", "Via"));
    }
    if lex::param(via.params, "branch")
        .flatten()
        .is_some_and(|branch| branch.eq_ignore_ascii_case(b"z9hG4bK"))
    {
        return Err(ParseError::bad(
            "nothing behind the magic cookie of branch",
            "Via",
        ));
    }
    for known in [Known::From, Known::To] {
        check_address(&required(headers, known)?, known)?;
    }
    let call_id = required(headers, Known::CallId)?;
    if call_id.is_empty() || call_id.iter().any(|&b| lex::is_space(b)) {
        return Err(ParseError::bad("empty or with white space", "Call-ID"));
    }
    let cseq = required(headers, Known::CSeq)?;
    let (_, cseq_method) = CSeq::parts(&cseq)?;
    if method.is_some_and(|method| method.as_bytes() != cseq_method) {
        return Err(ParseError::bad("method differs from the request's", "CSeq"));
    }
    Ok(())
}

/// Each field of which there is one at most.
fn check_single(headers: &Headers) -> Result<(), ParseError> {
    let mut seen = 0_u128;
    for known in headers.known() {
        // There are fewer than 128 names.
        let bit = 1_u128 << (known as u8);
        if seen & bit != 0 && is_single(known) {
            return Err(ParseError::bad("more than one", known.as_str()));
        }
        seen |= bit;
    }
    Ok(())
}

/// All values of a list of addresses can be read.
fn check_addresses(headers: &Headers, known: Known, star_allowed: bool) -> Result<(), ParseError> {
    for field in headers.each_borrowed(known) {
        for value in lex::elements(&field) {
            if !(star_allowed && value == b"*") {
                check_address(value, known)?;
            }
        }
    }
    Ok(())
}

fn check_address(value: &[u8], known: Known) -> Result<(), ParseError> {
    let place = known.as_str();
    let addr = addr::Parts::of(value).map_err(|error| error.at(place))?;
    Uri::check(addr.uri).map_err(|error| error.at(place))?;
    if !lex::params_are_sound(addr.params) {
        return Err(ParseError::bad("malformed parameter", place));
    }
    if matches!(known, Known::From | Known::To)
        && lex::param(addr.params, "tag").is_some_and(|tag| !tag.is_some_and(lex::is_token))
    {
        return Err(ParseError::bad("tag not a token", place));
    }
    Ok(())
}

fn required(headers: &Headers, known: Known) -> Result<Cow<'_, [u8]>, ParseError> {
    headers
        .each_borrowed(known)
        .next()
        .ok_or(ParseError::bad("missing header", known.as_str()))
}

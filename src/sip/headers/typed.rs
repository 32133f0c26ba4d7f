//! The fields that every message has, read on demand.

use super::{Headers, Known, Text, lex};
use crate::sip::{CSeq, NameAddr, ParseError, Uri, Via, via};
use std::{net::SocketAddr, time::Duration};

impl Headers {
    /// The number that a field begins with: `Retry-After: 5 (busy);duration=3600` is 5. `None` where there is none.
    pub fn number(&self, name: &str) -> Option<u32> {
        let value = self.get(name)?;
        let value = value.to_str();
        let digits = value.split(|letter: char| !letter.is_ascii_digit()).next()?;
        digits.parse().ok()
    }
    /// `Retry-After` (RFC 3261 §20.33).
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.number("Retry-After")?;
        Some(Duration::from_secs(seconds.into()))
    }
    /// The topmost Via.
    ///
    /// # Errors
    /// When there is none or it cannot be read.
    pub fn via(&self) -> Result<Via, ParseError> {
        self.read(Known::Via, |whole, value| Via::within(whole, via::top(value)))
    }
    /// All Vias, top first.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn vias(&self) -> Result<Vec<Via>, ParseError> {
        self.each(Known::Via)
            .flat_map(lex::List::new)
            .map(Via::parse)
            .collect()
    }
    /// Writes `received` and `rport` into the topmost Via as [`Via::stamped`] says.
    ///
    /// # Errors
    /// When there is no Via that can be read.
    pub fn stamp(&mut self, source: SocketAddr) -> Result<(), ParseError> {
        let value = self.required(Known::Via)?;
        let top = via::top(&value);
        let old_params = via::Parts::of(top)?.params.len();
        if let Some(params) = self.via()?.stamped_params(source) {
            // Up to its parameters it stays as written.
            let before = lex::trim(top).len() - old_params;
            let before = lex::trim(top).get(..before).unwrap_or_default();
            self.replace_top(Known::Via, &[lex::trim(before), &params].concat().into());
        }
        Ok(())
    }
    /// From.
    ///
    /// # Errors
    /// When there is none or it cannot be read.
    pub fn from(&self) -> Result<NameAddr, ParseError> {
        self.read(Known::From, NameAddr::within)
            .map_err(|error| error.at("From"))
    }
    /// To.
    ///
    /// # Errors
    /// When there is none or it cannot be read.
    pub fn to(&self) -> Result<NameAddr, ParseError> {
        self.read(Known::To, NameAddr::within)
            .map_err(|error| error.at("To"))
    }
    /// CSeq.
    ///
    /// # Errors
    /// When there is none or it cannot be read.
    pub fn cseq(&self) -> Result<CSeq, ParseError> {
        self.read(Known::CSeq, CSeq::within)
    }
    /// Call-ID.
    ///
    /// # Errors
    /// When there is none, or it is empty or has white space in it.
    pub fn call_id(&self) -> Result<Text, ParseError> {
        let call_id = self.required(Known::CallId)?;
        if call_id.is_empty() || call_id.iter().any(|&b| lex::is_space(b)) {
            return Err(ParseError::bad("empty or with white space", "Call-ID"));
        }
        Ok(call_id)
    }
    /// The Contact values; `*` is an error.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn contacts(&self) -> Result<Vec<NameAddr>, ParseError> {
        self.addresses(Known::Contact, "Contact")
    }
    /// Record-Route or Route values, top first.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn routes(&self, name: &str) -> Result<Vec<NameAddr>, ParseError> {
        let known = Known::of(name.as_bytes());
        self.addresses(known, known.as_str())
    }
    /// Max-Forwards; `None` when absent.
    ///
    /// # Errors
    /// When it is no number from 0 to 255 (RFC 3261 §20.22).
    pub fn max_forwards(&self) -> Result<Option<u8>, ParseError> {
        let Some(value) = self.first(Known::MaxForwards) else {
            return Ok(None);
        };
        lex::number(&value)
            .and_then(|hops| u8::try_from(hops).ok())
            .map(Some)
            .ok_or(ParseError::bad("not a number from 0 to 255", "Max-Forwards"))
    }
    /// Content-Length; `None` when absent.
    ///
    /// # Errors
    /// When it is no number that can be a length, or there are two that differ.
    pub fn content_length(&self) -> Result<Option<usize>, ParseError> {
        let mut length = None;
        for value in self.each(Known::ContentLength) {
            let this = lex::number(&value)
                .and_then(|length| usize::try_from(length).ok())
                .ok_or(ParseError::bad("not a number", "Content-Length"))?;
            if length.is_some_and(|length| length != this) {
                return Err(ParseError::bad("two different values", "Content-Length"));
            }
            length = Some(this);
        }
        Ok(length)
    }
    /// The URI of a Route set entry or similar single `name-addr`.
    pub fn uri(&self, name: &str) -> Option<Uri> {
        self.get(name)
            .and_then(|value| NameAddr::parse(value).ok())
            .map(|addr| addr.uri)
    }

    fn read<T>(
        &self,
        known: Known,
        read: impl FnOnce(&Text, &[u8]) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        self.read_first(known, read)
            .ok_or(ParseError::bad("missing header", known.as_str()))?
    }
    fn required(&self, known: Known) -> Result<Text, ParseError> {
        self.first(known)
            .ok_or(ParseError::bad("missing header", known.as_str()))
    }
    fn addresses(&self, known: Known, place: &'static str) -> Result<Vec<NameAddr>, ParseError> {
        self.each(known)
            .flat_map(lex::List::new)
            .map(|value| NameAddr::parse(value).map_err(|error| error.at(place)))
            .collect()
    }
}

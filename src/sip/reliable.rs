//! Reliable provisional responses: RSeq and RAck (RFC 3262 §7).

use super::{CSeq, Headers, ParseError, Response, Status, Text, lex};

/// The option tag of reliable provisional responses (RFC 3262 §7.3).
pub const RELIABLE: &str = "100rel";

/// The value of RAck: which response is acknowledged, and of which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RAck {
    /// The RSeq of the response.
    pub rseq: u32,
    /// The CSeq of the response.
    pub cseq: CSeq,
}

impl RAck {
    /// Reads the header (RFC 3262 §7.2).
    ///
    /// # Errors
    /// 400: there is none, or it is not two numbers and a method.
    pub fn of(headers: &Headers) -> Result<Self, ParseError> {
        let value = headers.get("RAck").ok_or(ParseError::bad(
            "missing, expected RSeq, CSeq number, method",
            "RAck",
        ))?;
        let text = lex::trim(value.as_bytes());
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = text.split_at(digits);
        let rseq = lex::number(number)
            .filter(|rseq| *rseq > 0)
            .ok_or(ParseError::bad(
                "response number missing or not from 1 to 2**32 - 1",
                "RAck",
            ))?;
        let cseq = CSeq::parse(rest.to_vec()).map_err(|error| ParseError::bad(error.what, "RAck"))?;
        Ok(Self { rseq, cseq })
    }
    /// The value for the wire.
    pub fn to_text(&self) -> Text {
        let CSeq { number, method } = &self.cseq;
        format!("{} {number} {method}", self.rseq).into()
    }
}

/// The RSeq of a response that has to be acknowledged: provisional, above 100, with `100rel` in Require and a number from 1 on
/// (RFC 3262 §4). `None`: it is like any other.
pub fn rseq(response: &Response) -> Option<u32> {
    let is_one = response.status.is_provisional() && response.status != Status::TRYING;
    if !is_one || !names(&response.headers, "Require") {
        return None;
    }
    let value = response.headers.get("RSeq")?;
    lex::number(lex::trim(value.as_bytes())).filter(|rseq| *rseq > 0)
}

/// Whether the header (`Supported`, `Require`) names `100rel`.
pub fn names(headers: &Headers, header: &str) -> bool {
    headers
        .values(header)
        .any(|tag| tag.as_bytes().eq_ignore_ascii_case(RELIABLE.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Method;

    fn of(value: &str) -> Result<RAck, ParseError> {
        let mut headers = Headers::default();
        headers.push("RAck", value);
        RAck::of(&headers)
    }

    #[test]
    fn racks_are_read_and_written() {
        let rack = of("776656 1 INVITE").unwrap();
        assert_eq!(
            (rack.rseq, rack.cseq.number, &rack.cseq.method),
            (776_656, 1, &Method::Invite)
        );
        assert_eq!(rack.to_text().to_str(), "776656 1 INVITE");
        assert_eq!(of(" 1  2\t INVITE "), of("1 2 INVITE"));
        for value in [
            "",
            "1",
            "1 2",
            "1 INVITE",
            "0 1 INVITE",
            "1 2 INVITE x",
            "-1 2 INVITE",
            "99999999999 1 INVITE",
        ] {
            let error = of(value).unwrap_err();
            assert_eq!(error.status, Status::BAD_REQUEST, "{value}");
        }
        assert!(RAck::of(&Headers::default()).is_err());
    }

    #[test]
    fn only_a_provisional_response_that_requires_it_and_has_a_number_is_reliable() {
        let of = |code, require: &str, value: &str| {
            let mut response = Response::new(Status::new(code).unwrap());
            response.headers.push("Require", require);
            response.headers.push("RSeq", value);
            rseq(&response)
        };
        assert_eq!(of(183, "100rel", "1"), Some(1));
        assert_eq!(of(180, "timer, 100REL", " 4294967295 "), Some(u32::MAX));
        for (code, require, value) in [
            (100, "100rel", "1"),
            (200, "100rel", "1"),
            (183, "timer", "1"),
            (183, "100rel", "0"),
            (183, "100rel", "x"),
            (183, "100rel", "4294967296"),
        ] {
            assert_eq!(of(code, require, value), None, "{code} {require} {value}");
        }
    }
}

//! CSeq (RFC 3261 §20.16).

use super::{Method, ParseError, Text, lex};

/// A sequence number and the method that it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// Below 2^31.
    pub number: u32,
    /// The method.
    pub method: Method,
}

impl CSeq {
    /// Reads the value.
    ///
    /// # Errors
    /// When it is not a number below 2^31, white space and a method (RFC 3261 §8.1.1.5).
    pub fn parse(text: impl Into<Text>) -> Result<Self, ParseError> {
        let text = text.into();
        Self::within(&text, &text)
    }
    /// Reads `value`, which is a part of `text`.
    pub(super) fn within(text: &Text, value: &[u8]) -> Result<Self, ParseError> {
        let (number, method) = Self::parts(value)?;
        Ok(Self {
            number,
            method: Method::within(text, method),
        })
    }
    /// The number and the word of the method.
    pub(super) fn parts(bytes: &[u8]) -> Result<(u32, &[u8]), ParseError> {
        let bad = |what| ParseError::bad(what, "CSeq");
        let bytes = lex::trim(bytes);
        let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = bytes.split_at(digits);
        let number = lex::number(number)
            .filter(|&number| number < 1 << 31)
            .ok_or(bad("number missing or not below 2**31"))?;
        let method = lex::trim(rest);
        if method.len() == rest.len() || !lex::is_token(method) {
            return Err(bad("method missing or not a token"));
        }
        Ok((number, method))
    }
    /// The value for the wire.
    pub fn to_text(&self) -> Text {
        format!("{} {}", self.number, self.method).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_and_folding_are_read() {
        let cseq = CSeq::parse("0009\r\n  INVITE").unwrap();
        assert_eq!((cseq.number, cseq.method), (9, Method::Invite));
    }

    #[test]
    fn numbers_from_2_31_on_are_refused() {
        assert_eq!(CSeq::parse("2147483647 ACK").unwrap().number, 2_147_483_647);
        for bad in [
            "2147483648 ACK",
            "36893488147419103232 ACK",
            "-1 ACK",
            "ACK",
            "1",
            "1ACK",
            "1 A B",
            "",
        ] {
            assert!(CSeq::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_method_is_kept() {
        assert_eq!(
            &*CSeq::parse("1 RE%47IST%45R").unwrap().to_text(),
            b"1 RE%47IST%45R"
        );
    }
}

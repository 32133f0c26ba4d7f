//! Which header fields of a party an application passes on to the other.

use crate::sip::{Headers, Name};
use std::str::FromStr;

/// Names of header fields; one that ends in `*` stands for all that begin so: `Subject X-*`.
#[derive(Clone, Debug, Default)]
pub struct HeaderList {
    names: Vec<Name>,
    prefixes: Vec<String>,
}

/// What belongs to the body of a request that crosses, or to its method: crosses with it, whatever the list says.
const OF_THE_PAYLOAD: &[&str] = &[
    "Content-Type",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Info-Package",
    "Subject",
    "Refer-To",
    "Referred-By",
    "Refer-Sub",
    "Event",
    "Subscription-State",
    "Allow-Events",
];

/// What crosses from a BYE or a failure by rules of its own.
const BY_OTHER_RULES: &[&str] = &["Contact", "Reason", "Retry-After", "Warning"];

/// What belongs to one leg, or is written anew for each: it would break the other leg, or tell about this one.
const OF_ONE_LEG: &[&str] = &[
    "Accept",
    "Accept-Encoding",
    "Allow",
    "Allow-Events",
    "Answer-Mode",
    "Authentication-Info",
    "Authorization",
    "Call-ID",
    "Contact",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Type",
    "CSeq",
    "Date",
    "Expires",
    "Flow-Timer",
    "From",
    "In-Reply-To",
    "Join",
    "Max-Breadth",
    "Max-Forwards",
    "MIME-Version",
    "Min-SE",
    "Path",
    "Proxy-Authenticate",
    "Proxy-Authentication-Info",
    "Proxy-Authorization",
    "Proxy-Require",
    "RAck",
    "Record-Route",
    "Replaces",
    "Require",
    "Route",
    "RSeq",
    "Server",
    "Service-Route",
    "Session-Expires",
    "Session-ID",
    "Supported",
    "Target-Dialog",
    "Timestamp",
    "To",
    "Unsupported",
    "User-Agent",
    "Via",
    "WWW-Authenticate",
    "X-Flexisip-B2BUA",
];

/// A word that is no name of a header field that may be passed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderListError {
    /// Not an RFC 3261 token.
    #[error("{0:?} is not the name of a header field")]
    NotAName(String),
    /// A name that must not cross.
    #[error("{0} belongs to one leg and is never passed on")]
    OfOneLeg(String),
    /// `*` alone.
    #[error("* alone would pass on everything; give it a beginning, like X-*")]
    Everything,
}

impl HeaderList {
    /// Appends the fields that the list names, in the order in which they came.
    pub fn copy(&self, from: &Headers, to: &mut Headers) {
        for (name, value) in from.iter() {
            if self.names_field(&name) && !is_of_one_leg(&name) {
                to.push(name, value);
            }
        }
    }

    /// Appends all that may cross at all, known or not: a message that goes on as it came.
    pub fn copy_all(from: &Headers, to: &mut Headers) {
        for (name, value) in from.iter().filter(|(name, _)| !is_of_one_leg(name)) {
            to.push(name, value);
        }
    }

    /// Of what may cross from a request or response inside a call ([`of_message`]), what does.
    pub(super) fn sift(&self, headers: &Headers) -> Headers {
        let mut crossing = Headers::default();
        for (name, value) in headers.iter() {
            if self.names_field(&name) || is_of_the_payload(&name) {
                crossing.push(name, value);
            }
        }
        crossing
    }

    fn names_field(&self, name: &Name) -> bool {
        let begins = |prefix: &String| {
            let start = name.as_text().get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        self.names.contains(name) || self.prefixes.iter().any(begins)
    }
}

/// What may cross of a request or response inside a call. `with_payload`: its body crosses too, with what describes it.
pub(super) fn of_message(headers: &Headers, with_payload: bool) -> Headers {
    let mut crossing = Headers::default();
    for (name, value) in headers.iter() {
        let crosses = if is_of_the_payload(&name) {
            with_payload
        } else {
            !is_of_one_leg(&name)
        };
        if crosses {
            crossing.push(name, value);
        }
    }
    crossing
}

/// What may cross of a BYE or of a failure, besides what always does.
pub(super) fn of_end(headers: &Headers) -> Headers {
    let mut crossing = Headers::default();
    for (name, value) in headers.iter() {
        let apart = BY_OTHER_RULES.iter().any(|known| name == *known);
        if !apart && !is_of_one_leg(&name) && !is_of_the_payload(&name) {
            crossing.push(name, value);
        }
    }
    crossing
}

fn is_of_the_payload(name: &Name) -> bool {
    OF_THE_PAYLOAD.iter().any(|known| name == *known)
}

fn is_of_one_leg(name: &Name) -> bool {
    OF_ONE_LEG.iter().any(|known| name == *known)
}

impl FromStr for HeaderList {
    type Err = HeaderListError;
    fn from_str(text: &str) -> Result<Self, HeaderListError> {
        let mut list = Self::default();
        for word in text.split_ascii_whitespace() {
            let (start, prefix) = match word.strip_suffix('*') {
                Some("") => return Err(HeaderListError::Everything),
                Some(start) => (start, true),
                None => (word, false),
            };
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%_+`'~".contains(&byte);
            if !start.bytes().all(token) {
                return Err(HeaderListError::NotAName(word.to_owned()));
            }
            if prefix {
                list.prefixes.push(start.to_owned());
            } else if is_of_one_leg(&Name::from(start)) {
                return Err(HeaderListError::OfOneLeg(word.to_owned()));
            } else {
                list.names.push(Name::from(start));
            }
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(list: &str, fields: &[(&str, &str)]) -> Vec<String> {
        let list: HeaderList = list.parse().expect("well formed");
        let mut from = Headers::default();
        for (name, value) in fields {
            from.push(*name, *value);
        }
        let mut to = Headers::default();
        list.copy(&from, &mut to);
        let text = |(name, value): (Name, crate::sip::Text)| {
            format!("{}: {}", name.as_text().to_str(), value.to_str())
        };
        to.iter().map(text).collect()
    }

    #[test]
    fn named_fields_pass_in_their_order_and_others_do_not() {
        let fields = [
            ("Privacy", "id"),
            ("Secret", "1"),
            ("subject", "hi"),
            ("Privacy", "user"),
        ];
        assert_eq!(
            passed("Subject Privacy", &fields),
            ["Privacy: id", "subject: hi", "Privacy: user"]
        );
        assert!(passed("", &fields).is_empty());
    }

    #[test]
    fn compact_forms_are_the_same_name() {
        assert_eq!(
            passed("Subject Referred-By", &[("s", "hi"), ("b", "<sip:c@x>")]).len(),
            2
        );
    }

    #[test]
    fn a_star_stands_for_all_that_begin_so() {
        let fields = [("X-One", "1"), ("x-two", "2"), ("X", "3"), ("Y-X-", "4")];
        assert_eq!(passed("X-*", &fields), ["X-One: 1", "x-two: 2"]);
    }

    #[test]
    fn what_belongs_to_one_leg_never_passes() {
        let fields = [
            ("Call-ID", "a"),
            ("i", "b"),
            ("Contact", "<sip:c>"),
            ("X-Flexisip-B2BUA", "ignore"),
        ];
        assert!(passed("C* X-* I*", &fields).is_empty());
        for word in ["Via", "v", "call-id", "User-Agent", "Record-Route", "f"] {
            let error = word.parse::<HeaderList>().expect_err(word);
            assert_eq!(error, HeaderListError::OfOneLeg(word.into()));
        }
    }

    #[test]
    fn words_that_are_no_names_are_refused() {
        for word in ["*", "a:b", "X-*-Y", "Sübject", "a,b"] {
            assert!(word.parse::<HeaderList>().is_err(), "{word}");
        }
    }
}

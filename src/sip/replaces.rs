//! Replaces (RFC 3891): the dialog that an INVITE is to take the place of.

use super::{Headers, ParseError, Text, lex, routing::DialogKey};

/// The option tag (RFC 3891 §6).
pub const REPLACES: &str = "replaces";
/// The longest value that is read: Call-ID and tags of real phones have a tenth of it.
const MOST: usize = 1024;

/// A dialog as Replaces names it: by the tags as its receiver has them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replaces {
    /// Call-ID.
    pub call_id: Text,
    /// The tag of whoever receives the Replaces.
    pub to_tag: Text,
    /// The tag of its peer.
    pub from_tag: Text,
    /// Only while the dialog is early.
    pub early_only: bool,
}

const fn bad(what: &'static str) -> ParseError {
    ParseError::bad(what, "Replaces")
}

impl Replaces {
    /// Reads the value, strictly: what is to be ended by it must be named without doubt.
    ///
    /// # Errors
    /// When Call-ID or a tag is missing, stands there twice or is no token, or the value is longer than 1024 octets.
    pub fn parse(text: impl Into<Text>) -> Result<Self, ParseError> {
        let text = text.into().trimmed();
        if text.len() > MOST {
            return Err(bad("too long"));
        }
        let end = text.iter().position(|byte| *byte == b';').unwrap_or(text.len());
        let (call_id, params) = text.split_at(end);
        let call_id = lex::trim(call_id);
        if call_id.is_empty() || call_id.iter().any(|&byte| lex::is_space(byte) || byte == b',') {
            return Err(bad("Call-ID missing or with white space"));
        }
        if !lex::params_are_sound(params) {
            return Err(bad("parameter cannot be read"));
        }
        let tag = |name: &str| {
            let mut found =
                lex::Params::new(params).filter(|param| param.name.eq_ignore_ascii_case(name.as_bytes()));
            match (found.next(), found.next()) {
                (Some(param), None) => param.value.filter(|value| lex::is_token(value)),
                _ => None,
            }
        };
        Ok(Self {
            call_id: text.part_of(call_id),
            to_tag: text.part_of(tag("to-tag").ok_or(bad("to-tag missing, twice or no token"))?),
            from_tag: text.part_of(tag("from-tag").ok_or(bad("from-tag missing, twice or no token"))?),
            early_only: lex::param(params, "early-only").is_some(),
        })
    }
    /// Reads the header of an INVITE; `None` without one.
    ///
    /// # Errors
    /// 400 for one that cannot be read, or more than one (RFC 3891 §3).
    pub fn of(headers: &Headers) -> Result<Option<Self>, ParseError> {
        let mut all = headers.all("Replaces");
        let Some(value) = all.next() else {
            return Ok(None);
        };
        if all.next().is_some() {
            return Err(bad("more than one"));
        }
        Self::parse(value).map(Some)
    }
    /// The dialog, for whoever has one under its own tag (RFC 3891 §3: to-tag is the receiver's).
    pub fn key(&self) -> DialogKey {
        DialogKey {
            call_id: self.call_id.clone(),
            local_tag: self.to_tag.clone(),
        }
    }
    /// The value for the wire.
    pub fn to_text(&self) -> Text {
        let mut out = Vec::with_capacity(self.call_id.len() + self.to_tag.len() + self.from_tag.len() + 32);
        out.extend_from_slice(&self.call_id);
        out.extend_from_slice(b";to-tag=");
        out.extend_from_slice(&self.to_tag);
        out.extend_from_slice(b";from-tag=");
        out.extend_from_slice(&self.from_tag);
        if self.early_only {
            out.extend_from_slice(b";early-only");
        }
        out.into()
    }
    /// The same on its own, see [`Text::detached`].
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            call_id: self.call_id.detached(),
            to_tag: self.to_tag.detached(),
            from_tag: self.from_tag.detached(),
            early_only: self.early_only,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let one =
            Replaces::parse("98732@sip.example.com\r\n ;from-tag=r33th4x0r\r\n ;to-tag=ff87ff").unwrap();
        assert_eq!(&*one.call_id, b"98732@sip.example.com");
        assert_eq!(
            (&*one.to_tag, &*one.from_tag),
            (&b"ff87ff"[..], &b"r33th4x0r"[..])
        );
        assert!(!one.early_only);
        let two = Replaces::parse("12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only").unwrap();
        assert!(two.early_only);
        assert_eq!(
            &*two.to_text(),
            b"12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only"
        );
    }

    /// The first is what made Flexisip read through an empty optional.
    #[test]
    fn a_dialog_that_is_not_named_without_doubt_is_refused() {
        for value in [
            "425928@bobster.example.org",
            "",
            ";to-tag=1;from-tag=2",
            "id;to-tag=1",
            "id;from-tag=2",
            "id;to-tag;from-tag=2",
            "id;to-tag=;from-tag=2",
            "id;to-tag=1;to-tag=3;from-tag=2",
            "id;to-tag=\"1\";from-tag=2",
            "i d;to-tag=1;from-tag=2",
            "id,other;to-tag=1;from-tag=2",
            "id;to-tag=1;from-tag=2;=",
        ] {
            assert!(Replaces::parse(value).is_err(), "{value}");
        }
        assert!(Replaces::parse(format!("{};to-tag=1;from-tag=2", "i".repeat(1100))).is_err());
    }

    #[test]
    fn an_invite_may_have_one() {
        let mut headers = Headers::default();
        assert_eq!(Replaces::of(&headers), Ok(None));
        headers.push("Replaces", "a;to-tag=b;from-tag=c");
        assert!(Replaces::of(&headers).unwrap().is_some());
        headers.push("Replaces", "d;to-tag=e;from-tag=f");
        assert!(Replaces::of(&headers).is_err());
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_the_same(
            call_id in "[A-Za-z0-9.!%*_+`'~()<>:/?{}-]{1,30}(@[A-Za-z0-9.-]{1,20})?",
            to_tag in "[A-Za-z0-9.!%*_+`'~-]{1,20}",
            from_tag in "[A-Za-z0-9.!%*_+`'~-]{1,20}",
            early_only: bool,
        ) {
            let replaces = Replaces {
                call_id: call_id.into(),
                to_tag: to_tag.into(),
                from_tag: from_tag.into(),
                early_only,
            };
            prop_assert_eq!(Replaces::parse(replaces.to_text()), Ok(replaces));
        }
        #[test]
        fn any_text_is_refused_or_prints_to_the_same(text in "\\PC{0,60}") {
            if let Ok(replaces) = Replaces::parse(text) {
                prop_assert_eq!(Replaces::parse(replaces.to_text()), Ok(replaces));
            }
        }
    }
}

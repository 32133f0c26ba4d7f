//! `name-addr` / `addr-spec` with parameters: From, To, Contact, Route and kin (RFC 3261 §20.10, §25.1).

use super::{ParseError, Text, Uri, lex};

/// An address with its display name and header parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name as written, quotes included, or empty. May hold Latin-1.
    pub display: Text,
    /// The URI.
    pub uri: Uri,
    /// Header parameters as written, with the leading `;`, or empty.
    pub params: Text,
}

const fn bad(what: &'static str) -> ParseError {
    ParseError::bad(what, "address")
}

impl NameAddr {
    /// Reads one address: `"Name" <uri>;params`, `Name <uri>` or `uri;params`.
    ///
    /// Without `<>`, what follows the first `;` belongs to the header, not to the URI (RFC 3261 §20). A display name that
    /// is neither quoted nor made of tokens is taken as meant (RFC 4475 §3.1.2.15) and quoted when it is sent on; white
    /// space just inside the brackets is left out.
    ///
    /// # Errors
    /// When a quote or bracket is not closed, the URI is none, or it has `?` or `,` that only brackets would allow
    /// (RFC 3261 §20.10).
    pub fn parse(text: impl Into<Text>) -> Result<Self, ParseError> {
        let text = text.into();
        Self::within(&text, &text)
    }
    /// Reads `value`, which is a part of `text`.
    pub(super) fn within(text: &Text, value: &[u8]) -> Result<Self, ParseError> {
        let parts = Parts::of(value)?;
        Ok(Self {
            display: text.part_of(parts.display),
            uri: Uri::parse(text.part_of(parts.uri))?,
            params: text.part_of(parts.params),
        })
    }

    /// A bare URI.
    pub fn of(uri: Uri) -> Self {
        Self {
            display: Text::default(),
            uri,
            params: Text::default(),
        }
    }
    /// The `tag` parameter.
    pub fn tag(&self) -> Option<Text> {
        self.param("tag").flatten()
    }
    /// A header parameter, as written: `Some(None)` when it has no value.
    pub fn param(&self, name: &str) -> Option<Option<Text>> {
        let found = lex::param(&self.params, name)?;
        Some(found.map(|value| self.params.part_of(value)))
    }
    /// The display name for people: quotes and escapes undone.
    pub fn display_name(&self) -> Text {
        self.display.unquoted()
    }
    /// The same with no header parameters but this tag.
    #[must_use]
    pub fn with_tag(&self, tag: &str) -> Self {
        Self {
            params: format!(";tag={tag}").into(),
            ..self.clone()
        }
    }
    /// The same without header parameters.
    #[must_use]
    pub fn without_params(&self) -> Self {
        Self {
            params: Text::default(),
            ..self.clone()
        }
    }
    /// The same on its own, see [`Text::detached`].
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            display: self.display.detached(),
            uri: self.uri.detached(),
            params: self.params.detached(),
        }
    }
    /// For the wire: always with `<>`, and with a display name that the grammar allows.
    pub fn to_text(&self) -> Text {
        let uri = self.uri.as_text();
        let mut out = Vec::with_capacity(self.display.len() + uri.len() + self.params.len() + 5);
        if !self.display.is_empty() {
            if display_is_sound(&self.display) {
                out.extend_from_slice(&self.display);
            } else {
                out.extend(lex::quote(&self.display));
            }
            out.push(b' ');
        }
        out.push(b'<');
        out.extend_from_slice(uri);
        out.push(b'>');
        out.extend_from_slice(&self.params);
        out.into()
    }
}

/// The parts of an address, still within its header.
pub(super) struct Parts<'a> {
    display: &'a [u8],
    pub(super) uri: &'a [u8],
    pub(super) params: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let bytes = lex::trim(bytes);
        let quoted = match bytes {
            [b'"', ..] => lex::quoted_len(bytes).ok_or(bad("quoted string not closed"))?,
            _ => 0,
        };
        let after = bytes.get(quoted..).unwrap_or_default();
        let Some(open) = after.iter().position(|&b| b == b'<') else {
            return match quoted {
                0 => Self::of_bare(bytes),
                _ => Err(bad("no <URI> after the display name")),
            };
        };
        let (unquoted, rest) = after.split_at(open);
        if quoted > 0 && !lex::trim(unquoted).is_empty() {
            return Err(bad("text between display name and <"));
        }
        if quoted == 0 && unquoted.contains(&b'"') {
            return Err(bad("quote within the display name"));
        }
        let close = rest.iter().position(|&b| b == b'>').ok_or(bad("< without >"))?;
        let (uri, rest) = rest.split_at(close);
        let params = lex::trim(rest.get(1..).unwrap_or_default());
        if !matches!(params, [] | [b';', ..]) {
            return Err(bad("text after >"));
        }
        Ok(Self {
            display: lex::trim(bytes.get(..quoted + open).unwrap_or_default()),
            uri: lex::trim(uri.get(1..).unwrap_or_default()),
            params,
        })
    }

    /// Without brackets.
    fn of_bare(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let semicolon = bytes.iter().position(|&b| b == b';').unwrap_or(bytes.len());
        let (uri, params) = bytes.split_at(semicolon);
        let uri = lex::trim(uri);
        if uri.iter().any(|&b| matches!(b, b'?' | b',')) {
            return Err(bad("URI that needs <>"));
        }
        Ok(Self {
            display: &[],
            uri,
            params,
        })
    }
}

/// One quoted string, or tokens with white space between them; bytes above ASCII may stand in either.
fn display_is_sound(display: &[u8]) -> bool {
    match display {
        [b'"', ..] => lex::quoted_len(display) == Some(display.len()),
        _ => display
            .iter()
            .all(|&b| lex::is_token_byte(b) || matches!(b, b' ' | b'\t') || !b.is_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> NameAddr {
        NameAddr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn display_name_uri_and_parameters_are_split() {
        let addr = parse("\"Bell, \\\"A\\\"\"  <sip:a@b;x=1>;tag=abc;y");
        assert_eq!(addr.display, "\"Bell, \\\"A\\\"\"");
        assert_eq!(addr.display_name(), "Bell, \"A\"");
        assert_eq!(addr.uri.as_str(), "sip:a@b;x=1");
        assert_eq!(addr.tag(), Some("abc".into()));
        assert_eq!(addr.param("Y"), Some(None));
        assert_eq!(addr.param("x"), None);
    }

    #[test]
    fn without_brackets_parameters_belong_to_the_header() {
        let addr = parse("sip:a@b;tag=1");
        assert_eq!((addr.uri.as_str(), addr.tag()), ("sip:a@b", Some("1".into())));
        assert_eq!(addr.to_text(), "<sip:a@b>;tag=1");
        assert_eq!(parse("sip:vivekg@h ;   tag    = 19").tag(), Some("19".into()));
        assert_eq!(parse("tel:+12345;tag=2").uri.user(), Some("+12345"));
    }

    #[test]
    fn a_bracket_may_follow_the_name_at_once_and_spaces_may_stand_inside() {
        assert_eq!(parse("caller<sip:a@b>;tag=323").display, "caller");
        assert_eq!(parse("< sip:a@b >").uri.as_str(), "sip:a@b");
    }

    #[test]
    fn an_unquoted_name_is_quoted_when_sent_on() {
        assert_eq!(parse("Bell, A <sip:a@b>").to_text(), "\"Bell, A\" <sip:a@b>");
        assert_eq!(parse("A. Bell <sip:a@b>").to_text(), "A. Bell <sip:a@b>");
        assert_eq!(parse("José <sip:a@b>").to_text(), "José <sip:a@b>");
    }

    #[test]
    fn latin_1_names_are_kept_to_the_byte() {
        let text = Text::from(b"\"J\xfcrgen\" <sip:j@h>;tag=1".to_vec());
        assert_eq!(NameAddr::parse(text.clone()).unwrap().to_text(), text);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "*",
            "\"Mr. J. User <sip:a@b>",
            "\"x\"",
            "\"x\" y <sip:a@b>",
            "<sip:a@b",
            "<sip:a@b> x",
            "<>",
            "sip:user@example.com?Route=%3Csip:x%3E",
            "x\"y\" <sip:a@b>",
            "<sip:a@b>,<sip:c@d>",
        ] {
            assert!(NameAddr::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_replace_all_parameters() {
        assert_eq!(
            parse("<sip:a@b>;x=1;tag=2").with_tag("3").to_text(),
            "<sip:a@b>;tag=3"
        );
        assert_eq!(parse("<sip:a@b>;x=1").without_params().to_text(), "<sip:a@b>");
    }
}

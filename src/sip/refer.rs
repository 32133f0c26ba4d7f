//! REFER and what belongs to it: Refer-To (RFC 3515 §2.1) with a dialog to replace in its URI (RFC 5589 §7), Refer-Sub (RFC 4488).

use super::{Headers, Method, NameAddr, ParseError, Replaces, Text, Uri, lex};

/// The option tag of RFC 4488 §5.
pub const NOREFERSUB: &str = "norefersub";

/// Where a REFER points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferTo {
    /// The address as it came, with `method` and headers in its URI.
    pub address: NameAddr,
    /// The dialog whose place the new call is to take: Replaces among the headers of the URI.
    pub replaces: Option<Replaces>,
}

const fn bad(what: &'static str) -> ParseError {
    ParseError::bad(what, "Refer-To")
}

impl ReferTo {
    /// Reads the value. Without `<>` a `?` belongs to the URI all the same: some phones leave them out, and nothing else can be
    /// meant.
    ///
    /// # Errors
    /// When the address or the Replaces in it cannot be read, or there are two of them.
    pub fn parse(text: impl Into<Text>) -> Result<Self, ParseError> {
        let text = text.into().trimmed();
        let address = match NameAddr::parse(text.clone()) {
            Ok(address) => address,
            Err(error) if text.contains(&b'<') => return Err(error.at("Refer-To")),
            Err(_) => NameAddr::of(Uri::parse(text).map_err(|error| error.at("Refer-To"))?),
        };
        let mut replaces = None;
        for field in address.uri.headers().split('&') {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            if !name.eq_ignore_ascii_case("replaces") {
                continue;
            }
            let value = unescape(value).ok_or(bad("escape that is none"))?;
            if replaces.replace(Replaces::parse(value)?).is_some() {
                return Err(bad("more than one Replaces"));
            }
        }
        Ok(Self { address, replaces })
    }
    /// Reads the header of a REFER.
    ///
    /// # Errors
    /// 400 unless there is exactly one that can be read (RFC 3515 §2.4.1).
    pub fn of(headers: &Headers) -> Result<Self, ParseError> {
        let mut all = headers.all("Refer-To");
        match (all.next(), all.next()) {
            (Some(value), None) => Self::parse(value),
            (None, _) => Err(bad("missing")),
            (Some(_), Some(_)) => Err(bad("more than one")),
        }
    }
    /// Who is to be called, without what the URI has for the request to be.
    pub fn target(&self) -> Uri {
        self.address.uri.without_headers().without_param("method")
    }
    /// The method of the request to be: INVITE unless the URI names another.
    pub fn method(&self) -> Method {
        match self.address.uri.param("method").flatten() {
            Some(name) => Method::from_text(name.into()),
            None => Method::Invite,
        }
    }
    /// The same, to replace that dialog instead. The other headers of the URI stay.
    #[must_use]
    pub fn replacing(&self, replaces: &Replaces) -> Self {
        let others = self.address.uri.headers().split('&').filter(|field| {
            let name = field.split('=').next().unwrap_or_default();
            !name.is_empty() && !name.eq_ignore_ascii_case("replaces")
        });
        let fields: Vec<String> = others
            .map(str::to_owned)
            .chain([format!("Replaces={}", escape(&replaces.to_text()))])
            .collect();
        let base = self.address.uri.without_headers();
        let uri = Uri::parse(format!("{base}?{}", fields.join("&")));
        Self {
            address: NameAddr {
                uri: uri.unwrap_or(base),
                ..self.address.clone()
            },
            replaces: Some(replaces.clone()),
        }
    }
    /// The same, with another target; the headers of its URI stay.
    #[must_use]
    pub fn aimed_at(&self, target: &Uri) -> Self {
        let headers = self.address.uri.headers();
        let plain = target.without_headers();
        let uri = match headers {
            "" => Ok(plain.clone()),
            headers => Uri::parse(format!("{plain}?{headers}")),
        };
        Self {
            address: NameAddr {
                uri: uri.unwrap_or(plain),
                ..self.address.clone()
            },
            replaces: self.replaces.clone(),
        }
    }
    /// The same without what says more than where it points: no name of who is there, and of what the URI has for the request to be
    /// only the dialog that it replaces.
    #[must_use]
    pub fn bare(&self) -> Self {
        let plain = Self {
            address: NameAddr::of(self.address.uri.without_headers()),
            replaces: None,
        };
        match &self.replaces {
            Some(replaces) => plain.replacing(replaces),
            None => plain,
        }
    }
    /// The value for the wire, always with `<>`.
    pub fn to_text(&self) -> Text {
        self.address.to_text()
    }
}

/// Whether a REFER asks for no subscription: `Refer-Sub: false` (RFC 4488 §4).
pub fn wants_no_subscription(headers: &Headers) -> bool {
    headers.get("Refer-Sub").is_some_and(|value| {
        let word = value.split(|byte| *byte == b';').next().unwrap_or_default();
        lex::trim(word).eq_ignore_ascii_case(b"false")
    })
}

/// Undoes the `%HH` of a URI; `None` when one is not two hexadecimal digits.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || (bytes.next()? as char).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    Some(out)
}

/// Escapes what `hvalue` may not hold (RFC 3261 §25.1).
fn escape(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len() + 16);
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/?:+$".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_dialog_in_the_uri_is_read() {
        let refer = ReferTo::parse(
            "<sips:482n4z24kdg@chicago.example.net;gr=8594958?Replaces=090459243588173445%3Bto-tag%3D9m2n3wq%3Bfrom-tag%3D763231>",
        )
        .unwrap();
        let replaces = refer.replaces.clone().unwrap();
        assert_eq!(&*replaces.call_id, b"090459243588173445");
        assert_eq!(
            (&*replaces.to_tag, &*replaces.from_tag),
            (&b"9m2n3wq"[..], &b"763231"[..])
        );
        assert_eq!(
            refer.target().as_str(),
            "sips:482n4z24kdg@chicago.example.net;gr=8594958"
        );
    }

    #[test]
    fn bare_it_says_where_it_points_and_which_dialog_it_replaces_and_no_more() {
        let bare = |text: &str| ReferTo::parse(text).unwrap().bare().to_text().to_string();
        assert_eq!(
            bare(
                "\"Carol\" <sip:carol@example.org;x=y?Subject=s&Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc&Accept=d>;e=f"
            ),
            "<sip:carol@example.org;x=y?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>"
        );
        assert_eq!(
            bare("Carol <sip:carol@example.org?Subject=s>"),
            "<sip:carol@example.org>"
        );
    }

    #[test]
    fn a_blind_target_is_as_it_came() {
        for (value, target) in [
            ("sip:carol@example.org", "sip:carol@example.org"),
            (
                "\"Carol\" <sip:carol@example.org;transport=tcp>;x=1",
                "sip:carol@example.org;transport=tcp",
            ),
            ("<tel:+358-555-1234567>", "tel:+358-555-1234567"),
            ("<sip:c@example.org;method=INVITE>", "sip:c@example.org"),
            (
                "sip:c@example.org?Replaces=a%3bto-tag%3db%3bfrom-tag%3dc",
                "sip:c@example.org",
            ),
        ] {
            assert_eq!(ReferTo::parse(value).unwrap().target().as_str(), target);
        }
    }

    #[test]
    fn what_points_nowhere_is_refused() {
        for value in [
            "",
            "<sip:c@example.org",
            "<sip:c@example.org?Replaces=425928@bobster.example.org>",
            "<sip:c@example.org?Replaces=a%3bto-tag%3db%3bfrom-tag%3>",
            "<sip:c@example.org?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc&replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dd>",
        ] {
            assert!(ReferTo::parse(value).is_err(), "{value}");
        }
        let mut headers = Headers::default();
        assert!(ReferTo::of(&headers).is_err());
        headers.push("Refer-To", "<sip:c@example.org>");
        assert!(ReferTo::of(&headers).is_ok());
        headers.push("r", "<sip:d@example.org>");
        assert!(ReferTo::of(&headers).is_err(), "RFC 3515 §2.4.1: exactly one");
    }

    #[test]
    fn another_method_is_seen() {
        let refer = ReferTo::parse("<sip:c@example.org;method=BYE>").unwrap();
        assert_eq!(refer.method(), Method::Bye);
        assert_eq!(
            ReferTo::parse("sip:c@example.org").unwrap().method(),
            Method::Invite
        );
    }

    #[test]
    fn other_headers_of_the_uri_stay() {
        let refer =
            ReferTo::parse("<sip:c@h?Require=replaces&Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc&X-Y=1>;p")
                .unwrap();
        let other = Replaces::parse("new@id;to-tag=t;from-tag=f").unwrap();
        assert_eq!(
            refer.replacing(&other).to_text().to_str(),
            "<sip:c@h?Require=replaces&X-Y=1&Replaces=new%40id%3Bto-tag%3Dt%3Bfrom-tag%3Df>;p"
        );
        let moved = refer.aimed_at(&Uri::parse("sip:d@i;x=2").unwrap());
        assert!(
            moved
                .to_text()
                .to_str()
                .starts_with("<sip:d@i;x=2?Require=replaces&Replaces=a")
        );
    }

    #[test]
    fn only_false_wants_no_subscription() {
        let said = |value: &str| {
            let mut headers = Headers::default();
            headers.push("Refer-Sub", value);
            wants_no_subscription(&headers)
        };
        assert!(said("false") && said(" FALSE;x=y"));
        assert!(!said("true") && !said("falsehood") && !wants_no_subscription(&Headers::default()));
    }

    proptest! {
        #[test]
        fn a_dialog_survives_its_escapes(
            call_id in "[A-Za-z0-9.!%*_+`'~()<>:/?{}&=-]{1,30}(@[A-Za-z0-9.-]{1,20})?",
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
            let refer = ReferTo::parse("<sip:c@example.org;x=1>").unwrap().replacing(&replaces);
            prop_assert_eq!(ReferTo::parse(refer.to_text()), Ok(refer));
        }
        #[test]
        fn any_text_is_refused_or_prints_to_the_same(text in "<?sips?:[a-z]{0,4}@?[ -~]{0,40}>?") {
            if let Ok(refer) = ReferTo::parse(text) {
                let again = ReferTo::parse(refer.to_text()).unwrap();
                prop_assert_eq!(again.replaces, refer.replaces);
                prop_assert_eq!(again.address.uri, refer.address.uri);
            }
        }
    }
}

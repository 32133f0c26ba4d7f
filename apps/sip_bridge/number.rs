//! Telephone numbers in the forms in which they are dialled and asked for: E.164, national, with an international prefix.

use b2bua::sip::{Uri, uri::Scheme};
use std::borrow::Cow;

/// Digits up to which a number is a local service (`112`, `3900`): it belongs to no country, and is left as it is.
const LONGEST_SERVICE: usize = 6;
/// E.164 §6.2.1.
const LONGEST: usize = 15;
/// RFC 3966 §3: what may stand between digits for the eye.
const SEPARATORS: [char; 5] = ['-', '.', '(', ')', ' '];

/// How numbers are written around here, and how a provider wants them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Country code of national numbers, without `+`.
    pub(super) country: Option<String>,
    /// What national numbers begin with; empty: nothing.
    pub(super) national: String,
    /// What international numbers begin with.
    pub(super) international: String,
    /// What is dialled before a number and belongs to none: the first that fits is taken off.
    pub(super) strip: Vec<String>,
    /// How the provider wants numbers.
    pub(super) form: Form,
    /// Put before what the provider gets.
    pub(super) add: String,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            country: None,
            national: String::new(),
            international: "00".to_owned(),
            strip: Vec::new(),
            form: Form::E164,
            add: String::new(),
        }
    }
}

/// A form of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// `+33123456789`
    #[default]
    E164,
    /// `33123456789`
    Digits,
    /// `0033123456789`
    International,
    /// `0123456789`; numbers of other countries with the international prefix.
    National,
    /// E.164, and nothing added: for comparing.
    Plain,
}

/// What a user part says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dialled {
    /// A number of the world: digits with country code, without `+`.
    Number(String),
    /// Digits that no country code is known for: services, and whatever the rules do not tell.
    Local(String),
    /// No number.
    Name,
}

impl Numbers {
    /// What a URI calls.
    pub(super) fn read(&self, uri: &Uri) -> Dialled {
        let Some(user) = user(uri) else {
            return Dialled::Name;
        };
        let number = digits_of(&user);
        let context = context(uri, &user);
        self.read_dialled(&number, context.as_deref())
    }

    fn read_dialled(&self, number: &str, context: Option<&str>) -> Dialled {
        let prefix = self
            .strip
            .iter()
            .find(|prefix| number.starts_with(prefix.as_str()));
        let number = prefix.map_or(number, |prefix| &number[prefix.len()..]);
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let local = |text: &str| match text.len() {
            0..=LONGEST => Dialled::Local(text.to_owned()),
            _ => Dialled::Name,
        };
        let world = |text: String| match text.len() {
            0..=LONGEST_SERVICE => Dialled::Local(text),
            7..=LONGEST => Dialled::Number(text),
            _ => Dialled::Name,
        };
        if let Some(number) = number.strip_prefix('+') {
            return if is_digits(number) {
                world(number.to_owned())
            } else {
                Dialled::Name
            };
        }
        if !is_digits(number) {
            return Dialled::Name;
        }
        if let Some(context) = context.and_then(|context| context.strip_prefix('+'))
            && is_digits(context)
        {
            return world(format!("{context}{number}"));
        }
        if number.len() <= LONGEST_SERVICE {
            return local(number);
        }
        let international = Some(self.international.as_str()).filter(|prefix| !prefix.is_empty());
        if let Some(number) = international.and_then(|prefix| number.strip_prefix(prefix)) {
            return world(number.to_owned());
        }
        let Some(country) = &self.country else {
            return local(number);
        };
        match number.strip_prefix(self.national.as_str()) {
            Some(significant) => world(format!("{country}{significant}")),
            // Neither prefix: E.164 whose plus was lost.
            None if number.starts_with(country.as_str()) => world(number.to_owned()),
            None => local(number),
        }
    }

    /// The number of a URI in a form; where it is none, the user as it is.
    pub(super) fn write<'a>(&self, uri: &'a Uri, form: Form) -> Cow<'a, str> {
        match self.read(uri) {
            Dialled::Number(number) => Cow::Owned(match form {
                Form::E164 | Form::Plain => format!("+{number}"),
                Form::Digits => number,
                Form::International => format!("{}{number}", self.international),
                Form::National => {
                    let own = self
                        .country
                        .as_ref()
                        .and_then(|country| number.strip_prefix(country.as_str()));
                    match own {
                        Some(significant) => format!("{}{significant}", self.national),
                        None => format!("{}{number}", self.international),
                    }
                }
            }),
            Dialled::Local(number) => Cow::Owned(number),
            Dialled::Name => uri.user().unwrap_or_default().into(),
        }
    }

    /// The same of what is called, with what the provider wants before it.
    pub(super) fn write_called(&self, uri: &Uri, form: Form) -> String {
        let number = self.write(uri, form);
        if form == Form::Plain || self.read(uri) == Dialled::Name {
            number.into_owned()
        } else {
            format!("{}{number}", escaped(&self.add))
        }
    }

    /// What a URI that goes to the provider calls: [`Self::write_called`] undone.
    pub(super) fn read_written(&self, uri: &Uri) -> Dialled {
        let Some(user) = user(uri) else {
            return Dialled::Name;
        };
        let number = digits_of(&user);
        let number = number.strip_prefix(self.add.as_str()).unwrap_or(&number);
        let is_bare = number.len() > LONGEST_SERVICE && number.bytes().all(|byte| byte.is_ascii_digit());
        if self.form == Form::Digits && is_bare {
            return match number.len() {
                7..=LONGEST => Dialled::Number(number.to_owned()),
                _ => Dialled::Name,
            };
        }
        let rules = Self {
            strip: Vec::new(),
            ..self.clone()
        };
        rules.read_dialled(number, context(uri, &user).as_deref())
    }
}

/// For a user part (RFC 3261 §25.1).
fn escaped(text: &str) -> String {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(byte);
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if allowed(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

fn user(uri: &Uri) -> Option<String> {
    matches!(uri.scheme(), Scheme::Sip | Scheme::Sips | Scheme::Tel).then_some(())?;
    String::from_utf8(uri.user_unescaped()?).ok()
}

/// `phone-context` (RFC 3966 §5.1.5), of `tel:` or of the telephone number in a `sip:` URI's user part.
fn context(uri: &Uri, user: &str) -> Option<String> {
    let named = |param: &str| {
        let (name, value) = param.split_once('=')?;
        name.eq_ignore_ascii_case("phone-context")
            .then(|| value.to_owned())
    };
    user.split(';')
        .skip(1)
        .find_map(named)
        .or_else(|| uri.param("phone-context").flatten().map(ToOwned::to_owned))
}

/// A telephone-subscriber without its parameters (RFC 3261 §19.1.6) and without what is there for the eye.
fn digits_of(user: &str) -> String {
    let number = user.split(';').next().unwrap_or_default();
    number
        .chars()
        .filter(|letter| !SEPARATORS.contains(letter))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn france(form: Form) -> Numbers {
        Numbers {
            country: Some("33".into()),
            national: "0".into(),
            form,
            ..Numbers::default()
        }
    }

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn acceptance_23_every_way_to_dial_a_number_reads_the_same() {
        for text in [
            "sip:+33123456789@h",
            "sip:0033123456789@h",
            "sip:0123456789@h",
            "sip:33123456789@h",
            "sip:+33-1-23.45(67)89@h;user=phone",
            "sip:%2B33123456789@h",
            "sip:+33123456789;isub=1@h;user=phone",
            "sip:123456789;phone-context=+33@h;user=phone",
            "tel:+33-1-23-45-67-89",
            "tel:123456789;phone-context=+33",
            "tel:0123456789",
        ] {
            let read = france(Form::E164).read(&uri(text));
            assert_eq!(read, Dialled::Number("33123456789".into()), "{text}");
        }
    }

    #[test]
    fn acceptance_23_what_is_no_number_is_left_alone() {
        let rules = france(Form::E164);
        for user in [
            "alice",
            "+33abc",
            "*31*0123456789",
            "0123456789x",
            "+",
            "12345678901234567890",
            "a123456789",
        ] {
            let uri = uri(&format!("sip:{user}@h"));
            assert_eq!(rules.read(&uri), Dialled::Name, "{user}");
            assert_eq!(rules.write(&uri, Form::E164), user);
        }
        assert_eq!(rules.write(&uri("sip:h"), Form::E164), "");
        assert_eq!(rules.write(&uri("sip:112@h"), Form::E164), "112");
        assert_eq!(
            rules.read(&uri("sip:999123456@h")),
            Dialled::Local("999123456".into())
        );
    }

    #[test]
    fn every_form_is_written_and_read_back() {
        let rows = [
            (Form::E164, "+33123456789", "+4930123456"),
            (Form::Digits, "33123456789", "4930123456"),
            (Form::International, "0033123456789", "004930123456"),
            (Form::National, "0123456789", "004930123456"),
        ];
        for (form, own, foreign) in rows {
            for (add, sent) in [("", ""), ("9999#", "9999%23")] {
                let rules = Numbers {
                    add: add.into(),
                    ..france(form)
                };
                for (from, expected) in [("0123456789", own), ("004930123456", foreign)] {
                    let from = uri(&format!("sip:{from}@h"));
                    let written = rules.write_called(&from, form);
                    assert_eq!(written, format!("{sent}{expected}"), "{form:?}");
                    let sent = Uri::sip(Some(&written), "p", None);
                    assert_eq!(rules.read_written(&sent), rules.read(&from), "{form:?} {add}");
                }
            }
        }
    }

    #[test]
    fn prefixes_are_stripped_before_anything_is_read() {
        let rules = Numbers {
            strip: vec!["9".into(), "*9".into()],
            ..france(Form::E164)
        };
        assert_eq!(rules.write(&uri("sip:90123456789@h"), Form::E164), "+33123456789");
        assert_eq!(rules.write(&uri("sip:*9112@h"), Form::E164), "112");
    }

    #[test]
    fn a_country_without_a_trunk_prefix_takes_all_digits_for_its_own() {
        let spain = Numbers {
            country: Some("34".into()),
            ..Numbers::default()
        };
        assert_eq!(spain.write(&uri("sip:912345678@h"), Form::E164), "+34912345678");
        assert_eq!(spain.write(&uri("sip:0049301234@h"), Form::E164), "+49301234");
    }
}

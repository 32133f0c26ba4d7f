//! serde over one section: the struct's fields are the keys of the section's table, all of them.

use super::{
    key::{Key, Kind, Table, boolean},
    tree::Section,
};
use serde::{
    de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor, value},
    forward_to_deserialize_any,
};
use std::fmt;

/// Why a struct could not be made of a section.
#[derive(Debug)]
pub(super) struct SectionError {
    /// The key at fault, or empty.
    pub(super) key: String,
    /// What is wrong.
    pub(super) what: String,
}

impl serde::de::Error for SectionError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            key: String::new(),
            what: message.to_string(),
        }
    }
}

impl fmt::Display for SectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}

impl std::error::Error for SectionError {}

/// Makes a struct of a section; every key of the table is offered to it, with its default when it is not set.
pub(super) fn section<T: DeserializeOwned>(
    table: &Table,
    section: Option<&Section>,
) -> Result<T, SectionError> {
    T::deserialize(Keys {
        rest: table.keys.iter(),
        section,
        next: None,
    })
}

struct Keys<'a> {
    rest: std::slice::Iter<'static, Key>,
    section: Option<&'a Section>,
    next: Option<(&'static str, &'a str)>,
}

impl<'de> Deserializer<'de> for Keys<'_> {
    type Error = SectionError;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SectionError> {
        visitor.visit_map(self)
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Keys<'_> {
    type Error = SectionError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, SectionError> {
        let Some(key) = self.rest.find(|key| !matches!(key.kind, Kind::Unavailable(_))) else {
            return Ok(None);
        };
        let item = self.section.and_then(|section| section.item(key.name));
        self.next = Some((key.name, item.map_or(key.default, |item| &item.value)));
        let name = value::BorrowedStrDeserializer::<SectionError>::new(key.name);
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, SectionError> {
        let (key, text) = self
            .next
            .take()
            .ok_or_else(|| SectionError::custom("a value was asked for before its key"))?;
        seed.deserialize(Text(text)).map_err(|error| SectionError {
            key: key.to_owned(),
            what: error.what,
        })
    }
}

/// The text of one value: what it is read as, the field says.
struct Text<'a>(&'a str);

macro_rules! number {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SectionError> {
            let number = self.0.parse().map_err(|_| SectionError::custom(format!("{:?} is not a number that fits", self.0)))?;
            visitor.$visit(number)
        }
    )*};
}

impl<'de> Deserializer<'de> for Text<'_> {
    type Error = SectionError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SectionError> {
        visitor.visit_str(self.0)
    }
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SectionError> {
        visitor.visit_bool(boolean(self.0).map_err(SectionError::custom)?)
    }
    number! {
        deserialize_u8 visit_u8
        deserialize_u16 visit_u16
        deserialize_u32 visit_u32
        deserialize_u64 visit_u64
        deserialize_i64 visit_i64
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SectionError> {
        if self.0.is_empty() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, SectionError> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SectionError> {
        value::StrDeserializer::<SectionError>::new(self.0).deserialize_enum(name, variants, visitor)
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SectionError> {
        visitor.visit_seq(WordsOf(self.0.split_ascii_whitespace()))
    }
    forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct
        identifier ignored_any
    }
}

struct WordsOf<'a>(std::str::SplitAsciiWhitespace<'a>);

impl<'de> SeqAccess<'de> for WordsOf<'_> {
    type Error = SectionError;
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, SectionError> {
        self.0.next().map(|word| seed.deserialize(Text(word))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Seconds, ini};
    use serde::Deserialize;
    use std::time::Duration;

    const fn key(name: &'static str, kind: Kind, default: &'static str) -> Key {
        Key {
            name,
            kind,
            default,
            help: "",
            reload: false,
            example: "",
        }
    }
    const KEYS: &[Key] = &[
        key("some-flag", Kind::Boolean, "false"),
        key("count", Kind::Integer { min: 0, max: 9 }, "3"),
        key("wait", Kind::Seconds, "5"),
        key("mode", Kind::OneOf(&["slow-one", "fast"]), "fast"),
        key("list", Kind::Words, "a b"),
        key("maybe", Kind::Text, ""),
        key("not-here", Kind::Unavailable(&["false"]), "false"),
    ];

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        SlowOne,
        Fast,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    struct Whole {
        some_flag: bool,
        count: usize,
        wait: Seconds,
        mode: Mode,
        list: Vec<String>,
        maybe: Option<String>,
    }

    fn read<T: DeserializeOwned>(keys: &'static [Key], text: &str) -> Result<T, SectionError> {
        let table = Table {
            name: "s".into(),
            help: "",
            keys,
        };
        let (tree, _) = ini::read(text);
        section(&table, tree.section("s"))
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let whole: Whole = read(KEYS, "").expect("table and struct fit");
        let expected = Whole {
            some_flag: false,
            count: 3,
            wait: Seconds(Duration::from_secs(5)),
            mode: Mode::Fast,
            list: vec!["a".into(), "b".into()],
            maybe: None,
        };
        assert_eq!(whole, expected);
    }

    #[test]
    fn what_is_set_is_read_whatever_its_case() {
        let text = "[S]\nSome-Flag=1\ncount=9\nwait=2min\nmode=slow-one\nlist= \nmaybe=x y\n";
        let whole: Whole = read(KEYS, text).expect("well formed");
        let expected = Whole {
            some_flag: true,
            count: 9,
            wait: Seconds(Duration::from_secs(120)),
            mode: Mode::SlowOne,
            list: vec![],
            maybe: Some("x y".into()),
        };
        assert_eq!(whole, expected);
    }

    #[test]
    fn a_key_without_a_field_and_a_field_without_a_key_are_both_noticed() {
        let fewer: Result<Whole, _> = read(&KEYS[1..], "");
        assert!(fewer.expect_err("a field is missing").what.contains("some-flag"));
        const MORE: &[Key] = &[key("count", Kind::Text, "1"), key("else", Kind::Text, "")];
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct One {
            #[expect(dead_code, reason = "only its name matters here")]
            count: u32,
        }
        let more: Result<One, _> = read(MORE, "");
        assert!(more.expect_err("a key has no field").what.contains("else"));
    }

    #[test]
    fn a_value_that_does_not_fit_names_its_key() {
        let error = read::<Whole>(KEYS, "[s]\ncount=x").expect_err("not a number");
        assert_eq!(error.key, "count");
    }
}

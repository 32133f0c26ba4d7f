//! The tree that a providers file is read into: the same for JSON and TOML, tables in the order of the file.

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use std::fmt;

/// A value of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    Integer(i128),
    Number(f64),
    Text(String),
    List(Vec<Self>),
    Table(Vec<(String, Self)>),
}

impl Value {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is wrong with its syntax, and where.
    pub(super) fn read(text: &str, is_toml: bool) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        if is_toml {
            toml::from_str(text).map_err(|error| {
                let line = error
                    .span()
                    .map(|span| text.get(..span.start).unwrap_or_default());
                match line {
                    Some(before) => {
                        let line = 1 + before.matches('\n').count();
                        format!("line {line}: not TOML: {}", error.message())
                    }
                    None => format!("not TOML: {}", error.message()),
                }
            })
        } else {
            serde_json::from_str(text).map_err(|error| {
                let what = error.to_string();
                let what = what.split(" at line ").next().unwrap_or(&what);
                format!(
                    "line {}, column {}: not JSON: {what}",
                    error.line(),
                    error.column()
                )
            })
        }
    }

    /// What it is, for reports.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a truth value",
            Self::Integer(_) => "a whole number",
            Self::Number(_) => "a number with a fraction",
            Self::Text(_) => "a text",
            Self::List(_) => "an array",
            Self::Table(_) => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut table: Vec<(String, Value)> = Vec::new();
        let mut names = std::collections::HashSet::new();
        while let Some((name, value)) = entries.next_entry::<String, Value>()? {
            // JSON leaves open which of two counts: whoever wrote both did not mean that.
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("the key {name:?} stands twice")));
            }
            table.push((name, value));
        }
        Ok(Value::Table(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_toml_make_the_same_tree() {
        let json = Value::read(r#"{"a": [1, true, {"b": "c"}], "d": 1.5}"#, false).unwrap();
        let toml = Value::read("a = [1, true, {b = \"c\"}]\nd = 1.5\n", true).unwrap();
        assert_eq!(json, toml);
    }

    #[test]
    fn faults_of_syntax_have_their_line() {
        let fault = |text: &str, is_toml| Value::read(text, is_toml).unwrap_err();
        assert!(fault("{\n\"a\": 1,,\n}", false).starts_with("line 2, column 8: not JSON: "));
        assert!(fault("{\"a\": 1, \"a\": 2}", false).contains("\"a\" stands twice"));
        assert!(fault("a = 1\nb = = 2\n", true).starts_with("line 2: not TOML: "));
    }

    #[test]
    fn nesting_without_end_is_refused() {
        assert!(Value::read(&"[".repeat(100_000), false).is_err());
        let toml = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(Value::read(&toml, true).is_err());
    }
}

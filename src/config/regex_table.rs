//! Rules of the form `value regex value regex …`: the first expression that matches the whole of a text decides.

use super::types::BadValue;
use regex::bytes::{Regex, RegexBuilder};
use std::{fmt, str::FromStr};

/// Rules in their order.
///
/// The expressions are upstream's ECMAScript ones as far as an engine knows them that answers in linear time: no
/// look-ahead, no back-references. They see bytes, as upstream's do, and must match all of the text.
#[derive(Clone, Debug)]
pub struct RegexTable<T> {
    rules: Vec<(T, Regex)>,
}

impl<T> Default for RegexTable<T> {
    fn default() -> Self {
        Self { rules: Vec::new() }
    }
}

impl<T> RegexTable<T> {
    /// The value of the first rule whose expression matches all of the text.
    pub fn first_match(&self, text: &[u8]) -> Option<&T> {
        let mut rules = self.rules.iter();
        rules
            .find(|(_, regex)| regex.is_match(text))
            .map(|(value, _)| value)
    }

    /// The values, in the order of the rules.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.rules.iter().map(|(value, _)| value)
    }
}

impl<T> FromStr for RegexTable<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let words: Vec<_> = text.split_ascii_whitespace().collect();
        let mut rules = Vec::new();
        let mut wrong = Vec::new();
        for pair in words.chunks(2) {
            let value = match pair[0].parse::<T>() {
                Ok(value) => Some(value),
                Err(error) => {
                    wrong.push(error.to_string());
                    None
                }
            };
            let Some(expression) = pair.get(1) else {
                wrong.push(format!(
                    "{:?} at the end has no regular expression after it",
                    pair[0]
                ));
                continue;
            };
            match (value, compile(expression)) {
                (Some(value), Ok(regex)) => rules.push((value, regex)),
                (None, Ok(_)) => {}
                (_, Err(error)) => wrong.push(error),
            }
        }
        if wrong.is_empty() {
            Ok(Self { rules })
        } else {
            Err(BadValue(wrong.join(", and ")))
        }
    }
}

/// One expression that must match all of a text, as those of a [`RegexTable`]; it may hold spaces.
#[derive(Clone, Debug)]
pub struct Expression(Regex);

impl Expression {
    /// Whether it matches all of the text.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }
}

impl FromStr for Expression {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        compile(text).map(Self).map_err(BadValue)
    }
}

fn compile(expression: &str) -> Result<Regex, String> {
    let full = format!("^(?:{expression})$");
    let built = RegexBuilder::new(&full)
        .unicode(false)
        .size_limit(1 << 20)
        .build();
    // `a)(b` is wrong by itself but not between our brackets.
    let alone = RegexBuilder::new(expression)
        .unicode(false)
        .size_limit(1 << 20)
        .build();
    alone.and(built).map_err(|error| {
        let what = error.to_string();
        let why = if what.contains("look-around") {
            "it looks ahead or behind, which this server's engine does not do (say it with several rules: the first match wins)"
        } else if what.contains("backreference") {
            "it refers back to a group, which this server's engine does not do"
        } else if let regex::Error::CompiledTooBig(_) = error {
            "it is too big"
        } else {
            what.lines()
                .last()
                .map_or("it cannot be read", |line| line.trim_start_matches("error: "))
        };
        format!("the regular expression {expression:?} is refused: {why}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> RegexTable<String> {
        text.parse().expect("well formed")
    }

    fn refusal(text: &str) -> String {
        text.parse::<RegexTable<u32>>().expect_err("refused").to_string()
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = table("a sip:.*@one b sip:bob@.* c .*");
        let first = |text: &str| rules.first_match(text.as_bytes()).map(String::as_str);
        assert_eq!(first("sip:bob@one"), Some("a"));
        assert_eq!(first("sip:bob@two"), Some("b"));
        assert_eq!(first("tel:1"), Some("c"));
    }

    #[test]
    fn the_whole_text_must_match() {
        let rules = table("a sip:bob@x b one|two");
        for text in [
            "sip:bob@x;transport=tcp",
            " sip:bob@x",
            "SIP:bob@x",
            "onetwo",
            "one\n",
            "xtwo",
        ] {
            assert!(rules.first_match(text.as_bytes()).is_none(), "{text:?}");
        }
        assert!(rules.first_match(b"two").is_some());
    }

    #[test]
    fn expressions_see_bytes() {
        assert!(table("a sip:.@x").first_match(b"sip:\xe9@x").is_some());
        assert!(table("a sip:[^@]+@x").first_match(b"sip:\xe9\xff@x").is_some());
    }

    #[test]
    fn ecmascript_escapes_are_known() {
        let rules = table(r"a sip:\+?\d{3,}@[\w.\-]+(;.*)? b tel:\/\x41");
        assert!(rules.first_match(b"sip:+331@a-b.example;gr=urn:x").is_some());
        assert!(rules.first_match(b"tel:/A").is_some());
    }

    #[test]
    fn an_empty_table_matches_nothing() {
        assert!(table("").first_match(b"").is_none());
    }

    #[test]
    fn every_fault_of_a_table_is_named() {
        let text = refusal("x .* 1 (a 2 (?=a)b 3 (a)\\1 4 a)(b 5");
        for part in [
            "invalid digit",
            "\"(a\"",
            "looks ahead",
            "refers back",
            "\"a)(b\"",
            "\"5\" at the end",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }

    #[test]
    fn an_expression_cannot_take_all_memory() {
        assert!(refusal("1 ((a{1000}){1000}){1000}").contains("too big"));
    }
}

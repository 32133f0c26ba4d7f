//! The tables of keys: what a section may hold. They check, give defaults and print the reference.

use super::types::{Milliseconds, PortRange, Seconds};
use serde::{Deserialize, Deserializer, de::Error};
use std::{fmt, str::FromStr};

/// One key of a section, for checking, defaults, `--dump-default` and the sample.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name: lower case with `-`.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// The default, as one would write it.
    pub default: &'static str,
    /// What it does: sentences for the sample file.
    pub help: &'static str,
    /// Whether a reload takes a new value over, for new calls; otherwise it takes a restart.
    pub reload: bool,
    /// A value that one might set, or empty when the default shows enough.
    pub example: &'static str,
}

/// What a key takes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// Any text.
    Text,
    /// `true`, `false`, `1`, `0`.
    Boolean,
    /// A whole number within bounds.
    Integer {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// `n` or `n-m`, ports; 0 lets the kernel choose.
    PortRange,
    /// A duration; without unit, seconds.
    Seconds,
    /// The same, but not zero.
    PositiveSeconds,
    /// A duration that is not zero; without unit, milliseconds.
    Milliseconds,
    /// Words separated by spaces.
    Words,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Text that a type of ours reads.
    Checked {
        /// What it expects, for reports: "a SIP URI".
        expected: &'static str,
        /// Says what is wrong with a value; [`checked`] makes one of any `FromStr`.
        check: fn(&str) -> Result<(), String>,
    },
    /// A key of upstream that this build cannot honour: nothing but these values, which ask for nothing.
    Unavailable(&'static [&'static str]),
}

impl Kind {
    /// What a value of this kind looks like.
    pub fn expected(&self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Boolean => "true or false".into(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::PortRange => "0, a port n, or a range n-m of ports".into(),
            Self::Seconds => "a duration like 30, 30s, 5min or 2h (without unit: seconds)".into(),
            Self::PositiveSeconds => {
                "a duration above zero like 30, 30s, 5min or 2h (without unit: seconds)".into()
            }
            Self::Milliseconds => {
                "a duration above zero like 500, 500ms or 1s (without unit: milliseconds)".into()
            }
            Self::Words => "words separated by spaces".into(),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
            Self::Checked { expected, .. } => (*expected).into(),
            Self::Unavailable(allowed) => match allowed.first() {
                Some(word) if !word.is_empty() => (*word).into(),
                _ => "nothing: leave it out".into(),
            },
        }
    }

    /// What is wrong with a value.
    ///
    /// # Errors
    /// One sentence without the expectation, which [`Self::expected`] gives.
    pub fn check(&self, value: &str) -> Result<(), String> {
        match self {
            Self::Text | Self::Words => Ok(()),
            Self::Boolean => boolean(value).map(drop),
            Self::Integer { min, max } => match value.parse::<u64>() {
                Ok(number) if (*min..=*max).contains(&number) => Ok(()),
                Ok(_) => Err(format!("{value} is out of bounds")),
                Err(_) => Err(format!("{value:?} is not a whole number")),
            },
            Self::PortRange => checked::<PortRange>(value),
            Self::Seconds => checked::<Seconds>(value),
            Self::PositiveSeconds => match value.parse::<Seconds>() {
                Ok(duration) if duration.0.is_zero() => Err("zero cannot be used here".into()),
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
            Self::Milliseconds => match value.parse::<Milliseconds>() {
                Ok(duration) if duration.0.is_zero() => Err("zero cannot be used here".into()),
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
            Self::OneOf(words) if words.contains(&value) => Ok(()),
            Self::OneOf(_) => Err(format!("{value:?} is not known")),
            Self::Checked { check, .. } => check(value),
            Self::Unavailable(allowed) if allowed.contains(&value) => Ok(()),
            Self::Unavailable(_) => Err(format!("{value:?} is not available in this build")),
        }
    }
}

/// `true`, `false`, `1`, `0`; nothing else, as upstream.
pub(super) fn boolean(value: &str) -> Result<bool, String> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("{value:?} is neither true nor false")),
    }
}

/// A check for [`Kind::Checked`] from a type that reads itself.
///
/// # Errors
/// What the type says.
pub fn checked<T>(value: &str) -> Result<(), String>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    value.parse::<T>().map(drop).map_err(|error| error.to_string())
}

/// For fields of a section's struct: `#[serde(deserialize_with = "parsed")]` reads them by their `FromStr`.
///
/// # Errors
/// What the type says.
pub fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

/// One section that is ours.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name in the file.
    pub name: String,
    /// What it is for: a sentence for the sample.
    pub help: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

impl Table {
    /// The key of that name; case does not matter.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name.eq_ignore_ascii_case(name))
    }
}

/// All sections that are ours: what this build can be told.
#[derive(Clone, Debug)]
pub struct Schema {
    tables: Vec<Table>,
    applications: Vec<&'static str>,
}

impl Schema {
    /// Our own sections and one `[b2bua-server::NAME]` for each application: its name, what it does, its keys.
    pub fn new(applications: &[(&'static str, &'static str, &'static [Key])]) -> Self {
        let mut tables = super::tables::tables();
        tables.extend(applications.iter().map(|(name, help, keys)| Table {
            name: format!("b2bua-server::{name}"),
            help,
            keys,
        }));
        Self {
            tables,
            applications: applications.iter().map(|(name, ..)| *name).collect(),
        }
    }

    /// All sections, in the order of the sample.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The section of that name; case does not matter.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables
            .iter()
            .find(|table| table.name.eq_ignore_ascii_case(name))
    }

    /// What `application` may name.
    pub fn applications(&self) -> &[&'static str] {
        &self.applications
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_take_what_they_say_and_nothing_else() {
        let three = Kind::Integer { min: 1, max: 3 };
        let rows: &[(Kind, &[&str], &[&str])] = &[
            (
                Kind::Boolean,
                &["true", "false", "1", "0"],
                &["True", "yes", "", "2"],
            ),
            (three, &["1", "3", "02"], &["0", "4", "-1", "2x", "", "1.5"]),
            (Kind::Seconds, &["0", "30", "5min"], &["500ms", "1.5", "1 s", ""]),
            (Kind::PositiveSeconds, &["1"], &["0", "0h", "x"]),
            (Kind::Milliseconds, &["1", "1s"], &["0", "x"]),
            (
                Kind::PortRange,
                &["0", "5004", "5004-5010"],
                &["5010-5004", "70000", "a-b"],
            ),
            (Kind::OneOf(&["a", "b"]), &["a", "b"], &["A", "", "c"]),
            (Kind::Unavailable(&["false", "0"]), &["false", "0"], &["true", ""]),
        ];
        for (kind, good, bad) in rows {
            for value in *good {
                assert_eq!(kind.check(value), Ok(()), "{kind:?} {value:?}");
            }
            for value in *bad {
                assert!(kind.check(value).is_err(), "{kind:?} {value:?}");
            }
        }
    }
}

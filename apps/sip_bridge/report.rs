//! Reading values with all faults in one report: each with its path, what is wrong, and what was expected.

use super::value::Value;
use std::cell::RefCell;

/// What is wrong with a providers file, and what is worth saying about it although it is good.
#[derive(Debug, Default)]
pub(super) struct Report {
    problems: RefCell<Vec<String>>,
    remarks: RefCell<Vec<String>>,
}

impl Report {
    /// Something wrong at a path.
    pub(super) fn problem(&self, path: &str, found: &str, expected: &str) {
        self.problems.borrow_mut().push(line(path, found, expected));
    }
    /// Something odd at a path.
    pub(super) fn remark(&self, path: &str, found: &str) {
        self.remarks.borrow_mut().push(line(path, found, ""));
    }
    /// Problems, then remarks.
    pub(super) fn into_parts(self) -> (Vec<String>, Vec<String>) {
        (self.problems.into_inner(), self.remarks.into_inner())
    }
}

fn line(path: &str, found: &str, expected: &str) -> String {
    let mut text = String::new();
    if !path.is_empty() {
        text = format!("{path}: ");
    }
    text += found;
    if !expected.is_empty() {
        text += "; expected ";
        text += expected;
    }
    text
}

/// A value, where it stands, and where faults are told.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) value: &'a Value,
    pub(super) path: String,
    pub(super) report: &'a Report,
}

/// An object whose keys are known.
#[derive(Clone, Debug)]
pub(super) struct Table<'a> {
    entries: &'a [(String, Value)],
    pub(super) path: String,
    pub(super) report: &'a Report,
}

/// JSON has no comments: in every object this key is for people.
const COMMENT: &str = "comment";

/// What becomes of keys that are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Upstream ignores them, and its files hold some. What looks like a slip of the pen is refused all the same.
    Remarked,
    /// This object is ours alone.
    Refused,
}

impl<'a> Node<'a> {
    pub(super) fn problem(&self, found: &str, expected: &str) {
        self.report.problem(&self.path, found, expected);
    }
    fn wrong_kind<T>(&self, expected: &str) -> Option<T> {
        self.problem(&format!("{} stands here", self.value.kind()), expected);
        None
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        match self.value {
            Value::Text(text) => Some(text),
            _ => self.wrong_kind("a text in quotes"),
        }
    }
    /// A text that is not empty.
    pub(super) fn word(&self) -> Option<&'a str> {
        let text = self.text()?;
        if text.is_empty() {
            self.problem("it is empty", "a text");
            return None;
        }
        Some(text)
    }
    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::Boolean(value) => Some(*value),
            _ => self.wrong_kind("true or false, without quotes"),
        }
    }
    pub(super) fn integer(&self, min: u32, max: u32) -> Option<u32> {
        let expected = format!("a whole number from {min} to {max}, without quotes");
        let Value::Integer(number) = self.value else {
            return self.wrong_kind(&expected);
        };
        let within = u32::try_from(*number)
            .ok()
            .filter(|number| (min..=max).contains(number));
        if within.is_none() {
            self.problem(&format!("{number} is out of bounds"), &expected);
        }
        within
    }
    pub(super) fn list(&self) -> Option<Vec<Self>> {
        let Value::List(items) = self.value else {
            return self.wrong_kind("an array");
        };
        let item = |(index, value)| Node {
            value,
            path: format!("{}[{index}]", self.path),
            report: self.report,
        };
        Some(items.iter().enumerate().map(item).collect())
    }
    /// One of these words, and what it means.
    pub(super) fn one_of<T: Clone>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let meant = words.iter().find(|(word, _)| *word == text);
        if meant.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.problem(
                &format!("{text:?} is not known"),
                &format!("one of {}", words.join(", ")),
            );
        }
        meant.map(|(_, value)| value.clone())
    }
    /// What a reader of texts makes of it.
    pub(super) fn read<T>(
        &self,
        reader: impl FnOnce(&str) -> Result<T, String>,
        expected: &str,
    ) -> Option<T> {
        let made = reader(self.text()?);
        made.map_err(|found| self.problem(&found, expected)).ok()
    }
    /// An object with any keys.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, Self)>> {
        let Value::Table(entries) = self.value else {
            return self.wrong_kind("an object");
        };
        let entry = |(name, value): &'a (String, Value)| {
            let node = Node {
                value,
                path: join(&self.path, name),
                report: self.report,
            };
            (name.as_str(), node)
        };
        Some(entries.iter().map(entry).collect())
    }
    /// An object with these keys.
    pub(super) fn table(&self, known: &[&str], unknown: Unknown) -> Option<Table<'a>> {
        let Value::Table(entries) = self.value else {
            return self.wrong_kind("an object");
        };
        let is_known = |name: &str| name == COMMENT || known.contains(&name);
        for (name, _) in entries.iter().filter(|(name, _)| !is_known(name)) {
            let path = join(&self.path, name);
            match (nearest(name, known), unknown) {
                (Some(meant), _) => {
                    self.report
                        .problem(&path, "there is no such key", &format!("{meant}, perhaps?"));
                }
                (None, Unknown::Refused) => {
                    let known = known.join(", ");
                    self.report
                        .problem(&path, "there is no such key", &format!("one of {known}"));
                }
                (None, Unknown::Remarked) => self.report.remark(&path, "a key that means nothing here"),
            }
        }
        Some(Table {
            entries,
            path: self.path.clone(),
            report: self.report,
        })
    }
}

impl<'a> Table<'a> {
    /// A key that may be missing.
    pub(super) fn get(&self, name: &str) -> Option<Node<'a>> {
        let (_, value) = self.entries.iter().find(|(key, _)| key == name)?;
        Some(Node {
            value,
            path: join(&self.path, name),
            report: self.report,
        })
    }
    /// A key that must be there.
    pub(super) fn required(&self, name: &str) -> Option<Node<'a>> {
        let found = self.get(name);
        if found.is_none() {
            self.report
                .problem(&join(&self.path, name), "this key is missing", "");
        }
        found
    }
    /// A text that may be missing or empty, which are the same.
    pub(super) fn optional_word(&self, name: &str) -> Option<Node<'a>> {
        self.get(name)
            .filter(|node| *node.value != Value::Text(String::new()))
    }
}

fn join(path: &str, name: &str) -> String {
    let plain = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    match (path.is_empty(), plain) {
        (true, true) => name.to_owned(),
        (false, true) => format!("{path}.{name}"),
        (_, false) => format!("{path}[{name:?}]"),
    }
}

/// The known name that was probably meant.
pub(super) fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let written = written.to_ascii_lowercase();
    let alike = |name: &str| strsim::jaro_winkler(&written, &name.to_ascii_lowercase());
    known
        .iter()
        .map(|name| (alike(name), *name))
        .filter(|(likeness, _)| *likeness > 0.87)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

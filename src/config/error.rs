//! What is wrong with a configuration: every problem, in one report.

use super::tree::Place;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// One thing that is wrong, where, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None` when it is about the file as a whole.
    pub place: Option<Place>,
    /// `section/key`, or empty.
    pub key: String,
    /// What is wrong.
    pub found: String,
    /// What was expected, or empty.
    pub expected: String,
    remark: bool,
}

impl Problem {
    /// Something wrong at a place, or with the file as a whole.
    pub fn new(place: impl Into<Option<Place>>, key: &str, found: &str, expected: &str) -> Self {
        Self {
            place: place.into(),
            key: key.to_owned(),
            found: found.to_owned(),
            expected: expected.to_owned(),
            remark: false,
        }
    }

    /// The same, worth saying but no reason to refuse the file.
    #[must_use]
    pub fn as_remark(mut self) -> Self {
        self.remark = true;
        self
    }

    /// Whether the file may be used all the same.
    pub fn is_remark(&self) -> bool {
        self.remark
    }

    /// `file:line: section/key: what is wrong; expected …`.
    pub fn report(&self, path: &Path) -> String {
        let mut text = match self.place {
            Some(Place::Line(line)) => format!("{}:{line}: ", path.display()),
            Some(Place::Argument(number)) => format!("--set, number {number}: "),
            None => format!("{}: ", path.display()),
        };
        if !self.key.is_empty() {
            text += &self.key;
            text += ": ";
        }
        text += &self.found;
        if !self.expected.is_empty() {
            text += "; expected ";
            text += &self.expected;
        }
        text
    }
}

/// Why a configuration is refused: all its problems, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The file.
    pub path: PathBuf,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl ConfigErrors {
    /// Puts the problems in the order of the file.
    pub fn new(path: impl Into<PathBuf>, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.place);
        Self {
            path: path.into(),
            problems,
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self
            .problems
            .iter()
            .map(|problem| problem.report(&self.path))
            .collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

//! The accounts of a pool at one moment, and how they are found.

use super::{Form, Incoming, Line, NoLine, Numbers, Scope, Strategy, Template};
use std::collections::HashMap;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) lines: Vec<Line>,
    /// No longer of the pool, and still with calls: should they come back, these count.
    pub(super) gone: Vec<Line>,
    pub(super) by: HashMap<Template, HashMap<Vec<u8>, usize>>,
}

impl Listed {
    /// The one account that the strategy means.
    ///
    /// # Errors
    /// What was looked for in vain.
    pub(super) fn one(&self, strategy: &Strategy, call: (&Incoming, &Numbers)) -> Result<&Line, NoLine> {
        match strategy {
            Strategy::Random => Err(NoLine::NoneAvailable),
            Strategy::FindInPool { by, source } => self.find((by, source), call),
            Strategy::Account(uri) => {
                let line = self.lines.iter().find(|line| line.key() == uri);
                line.ok_or_else(|| NoLine::NotFound(uri.clone()))
            }
        }
    }

    /// The account whose `by` is the call's `source`.
    ///
    /// # Errors
    /// What was looked for in vain.
    fn find(
        &self,
        (by, source): (&Template, &Template),
        (incoming, numbers): (&Incoming, &Numbers),
    ) -> Result<&Line, NoLine> {
        let scope = Scope {
            incoming: Some(incoming),
            account: None,
            numbers,
            form: Form::Plain,
        };
        let key = source.evaluate(&scope);
        let found = self.by.get(by).and_then(|index| index.get(&key));
        let line = found.and_then(|at| self.lines.get(*at));
        line.ok_or_else(|| NoLine::NotFound(String::from_utf8_lossy(&key).into_owned()))
    }
}

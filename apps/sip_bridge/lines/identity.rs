//! Accounts for what is no call: transfers, subscriptions, news of mailboxes. They take no line.

use super::{Account, Incoming, Lines, NoLine, Numbers, Strategy};
use std::sync::Arc;

/// An account that was found.
#[derive(Clone, Debug)]
pub(in super::super) struct Found {
    pub(in super::super) account: Arc<Account>,
    /// Why it is not registered, where it must be.
    pub(in super::super) unregistered: Option<String>,
}

impl Lines {
    /// The account that the strategy chooses, whether or not it has a line free. For `Random` it is `own`, the one of the call
    /// that this is about, and else any that is registered.
    ///
    /// # Errors
    /// Why there is none.
    pub(in super::super) fn identity(
        &self,
        strategy: &Strategy,
        (incoming, numbers): (&Incoming, &Numbers),
        start: u64,
        own: Option<&str>,
    ) -> Result<Found, NoLine> {
        let listed = self.listed();
        let found = match strategy {
            Strategy::Random => {
                let own = own.and_then(|own| listed.lines.iter().find(|line| line.key() == own));
                let Ok(count @ 1..) = u64::try_from(listed.lines.len()) else {
                    return Err(NoLine::Empty);
                };
                let start = usize::try_from(start % count).unwrap_or(0);
                let circle = || {
                    let (after, before) = (listed.lines.get(start..), listed.lines.get(..start));
                    after.into_iter().chain(before).flatten()
                };
                let registered = || circle().find(|line| self.unregistered(line).is_none());
                own.or_else(registered).or_else(|| circle().next())
            }
            Strategy::FindInPool { .. } | Strategy::Account(_) => {
                Some(listed.one(strategy, (incoming, numbers))?)
            }
        };
        let line = found.ok_or(NoLine::Empty)?;
        Ok(Found {
            account: line.account.clone(),
            unregistered: self.unregistered(line),
        })
    }
}

//! Caps that all servers keep together: calls at once, and calls that begin within a second.

use super::{Gone, PATIENCE, SharedLines, Slot, key, scripts};
use std::{slice, sync::Arc, time::Instant};

/// What may be had together; `None`: as many as there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// Calls at once.
    pub calls: Option<u32>,
    /// Calls that begin within any second.
    pub per_second: Option<u32>,
}

/// The cap that does not allow a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// [`Caps::calls`].
    Calls,
    /// [`Caps::per_second`].
    PerSecond,
}

impl SharedLines {
    /// A call of what `name` names, if the calls of all servers leave room for it; both caps are looked at in one step, and one that is
    /// refused holds nothing.
    ///
    /// # Errors
    /// When Redis cannot be asked, or does not answer until [`PATIENCE`] has passed since the call came, at `since`.
    pub async fn admit(
        &self,
        name: &Arc<str>,
        caps: Caps,
        since: Instant,
    ) -> Result<Result<Slot, Full>, Gone> {
        let shared = &self.0;
        let cap = |cap: Option<u32>| cap.map_or(-1, i64::from);
        let command = |number| {
            let mut command = redis::cmd("EVAL");
            command
                .arg(scripts::ADMIT)
                .arg(2)
                .arg(key(name))
                .arg(key(&format!("seconds/{name}")))
                .arg(cap(caps.calls))
                .arg(cap(caps.per_second))
                .arg(shared.milliseconds())
                .arg(shared.member(number));
            command
        };
        let asked = shared.ask(slice::from_ref(name), command, (since + PATIENCE).into());
        let (answer, number): (u8, _) = asked.await?;
        Ok(match answer {
            0 => Ok(self.hold_as(name, number)),
            1 => Err(Full::Calls),
            _ => Err(Full::PerSecond),
        })
    }
}

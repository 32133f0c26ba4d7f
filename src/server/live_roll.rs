//! A roll that lives: by the clock, and by the network for what it looks up and sends.

use super::{Gauges, redact::Redacted};
use crate::{
    call::{Env, LookupError},
    net::Net,
    roll::{Enrolled, Roll, RollOutput, Said},
    sip::{
        Ids,
        routing::{NextHop, Target},
    },
};
use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};

/// When there is no deadline: far away.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a lookup has led to.
pub(super) struct Found(NextHop, Result<Vec<Target>, LookupError>);

/// See the module. After each call of [`Self::with`] or [`Self::found`], [`Self::poll_said`] is to be drained.
pub(super) struct LiveRoll<M: Enrolled> {
    roll: Roll<M>,
    /// What its machines send, for the log.
    method: &'static str,
    net: Net,
    gauges: Arc<Gauges>,
    ids: Ids,
    /// Who waits for the answer of which lookup: one question for all.
    lookups: HashMap<NextHop, Vec<u64>>,
    answers: mpsc::UnboundedSender<Found>,
    answered: mpsc::UnboundedReceiver<Found>,
    /// Answers that did not have to be waited for.
    at_once: Vec<(u64, Found)>,
}

impl<M: Enrolled> LiveRoll<M> {
    pub(super) fn new(
        roll: Roll<M>,
        method: &'static str,
        (net, gauges): (Net, Arc<Gauges>),
        ids: Ids,
    ) -> Self {
        let (answers, answered) = mpsc::unbounded_channel();
        Self {
            roll,
            method,
            net,
            gauges,
            ids,
            lookups: HashMap::new(),
            answers,
            answered,
            at_once: Vec::new(),
        }
    }
    /// The roll, to be looked at.
    pub(super) const fn roll(&self) -> &Roll<M> {
        &self.roll
    }
    /// When [`Roll::handle_timeout`] is to be called, or far away.
    #[expect(clippy::disallowed_methods, reason = "a roll lives by the clock")]
    pub(super) fn deadline(&self) -> Instant {
        let deadline = self.roll.poll_timeout().map(Instant::from_std);
        deadline.unwrap_or_else(|| Instant::now() + NEVER)
    }
    /// Lets the roll do something. A fault of ours costs what it was about, not everybody: `None`.
    #[expect(
        clippy::disallowed_methods,
        reason = "time enters here, once for each thing that happens"
    )]
    pub(super) fn with<T>(&mut self, act: impl FnOnce(&mut Roll<M>, &mut Env<'_>) -> T) -> Option<T> {
        let mut env = Env {
            now: std::time::Instant::now(),
            ids: &mut self.ids,
        };
        let acted = catch_unwind(AssertUnwindSafe(|| act(&mut self.roll, &mut env)));
        if acted.is_err() {
            self.gauges.faults.add();
            tracing::error!(
                method = self.method,
                "a fault of ours for an account: it goes on with the next"
            );
        }
        acted.ok()
    }
    /// Does what the roll wants done, as far as the network does it; the next of what there is to be said.
    pub(super) fn poll_said(&mut self) -> Option<Said<M>> {
        loop {
            while let Some(output) = self.roll.poll_output() {
                match output {
                    RollOutput::Lookup(number, hop) => self.look_up(number, hop),
                    RollOutput::Transmit(transmit) => {
                        tracing::trace!(to = ?transmit.to, "sent\n{}", Redacted(&transmit.bytes));
                        self.net.send(transmit);
                    }
                    RollOutput::Dead(target) => {
                        let (method, target_at) = (self.method, target.remote);
                        tracing::debug!(target = %target_at, "did not answer {method}, tried last for a while");
                        self.net.note_dead(&target);
                    }
                    RollOutput::Said(said) => return Some(said),
                }
            }
            let (number, Found(hop, found)) = self.at_once.pop()?;
            self.with(|roll, env| roll.resolved(number, &hop, found, env));
        }
    }
    /// The next answer to a lookup that had to be waited for. Cancel-safe.
    pub(super) async fn looked_up(&mut self) -> Option<Found> {
        self.answered.recv().await
    }
    /// Takes that answer to those who wait for it.
    pub(super) fn found(&mut self, Found(hop, found): Found) {
        for number in self.lookups.remove(&hop).unwrap_or_default() {
            self.with(|roll, env| roll.resolved(number, &hop, found.clone(), env));
        }
    }
    fn look_up(&mut self, number: u64, hop: NextHop) {
        if let Some(found) = self.net.resolve_now(&hop, None) {
            return self.at_once.push((number, Found(hop, found)));
        }
        let waiting = self.lookups.entry(hop.clone()).or_default();
        waiting.push(number);
        if waiting.len() == 1 {
            let (net, answers) = (self.net.clone(), self.answers.clone());
            tokio::spawn(async move {
                let found = net.resolve(&hop, None).await;
                let _ = answers.send(Found(hop, found));
            });
        }
    }
}

//! The task that asks trunks whether they are there.

use super::redact::Redacted;
use crate::{
    app::{TrunkState, Trunks},
    call::{Env, LookupError, Unsent},
    net::Net,
    qualification::{Watch, WatchOutput},
    sip::{
        Ids, Response, Text,
        routing::{NextHop, Target},
        timers::Timers,
    },
};
use std::{future::poll_fn, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// Responses that may wait; what finds no room is asked for again.
const QUEUE: usize = 1024;
/// When there is no deadline: far away.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

enum Heard {
    Response(Box<Response>),
    Undeliverable(Unsent),
    Found(NextHop, Result<Vec<Target>, LookupError>),
}

/// The way to the task.
#[derive(Clone)]
pub(super) struct Mailbox(mpsc::Sender<Heard>);

impl Mailbox {
    /// A response to an OPTIONS; `false` when there is no room for it.
    pub(super) fn response(&self, response: Response) -> bool {
        self.0.try_send(Heard::Response(Box::new(response))).is_ok()
    }
    /// An OPTIONS that could not be sent.
    pub(super) fn undeliverable(&self, unsent: Unsent) {
        // The probe's patience says the same later.
        let _ = self.0.try_send(Heard::Undeliverable(unsent));
    }
}

struct Driver {
    net: Net,
    trunks: Trunks,
    watch: Watch,
    ids: Ids,
    found: mpsc::Sender<Heard>,
}

/// Begins to watch what is ordered through `trunks`.
pub(super) fn start(
    net: Net,
    trunks: Trunks,
    user_agent: Text,
    timers: Timers,
    ids: Ids,
) -> (Mailbox, tokio::task::JoinHandle<()>) {
    let (sender, heard) = mpsc::channel(QUEUE);
    let driver = Driver {
        net,
        trunks,
        watch: Watch::new(user_agent, timers),
        ids,
        found: sender.clone(),
    };
    (Mailbox(sender), tokio::spawn(driver.run(heard)))
}

impl Driver {
    #[expect(clippy::disallowed_methods, reason = "trunks are asked by the clock")]
    async fn run(mut self, mut heard: mpsc::Receiver<Heard>) {
        let trunks = self.trunks.clone();
        loop {
            let deadline = self.watch.poll_timeout().map(Instant::from_std);
            let deadline = deadline.unwrap_or_else(|| Instant::now() + NEVER);
            tokio::select! {
                biased;
                Some(heard) = heard.recv() => self.with(|watch, env| match heard {
                    Heard::Response(response) => drop(watch.response(&response, env)),
                    Heard::Undeliverable(unsent) => watch.undeliverable(&unsent.call_id, &unsent.branch, env),
                    Heard::Found(hop, found) => watch.resolved(&hop, found, env),
                }),
                list = poll_fn(|context| trunks.poll_order(context)) => self.with(|watch, env| watch.set(list, env)),
                () = sleep_until(deadline) => {}
            }
            self.with(Watch::handle_timeout);
        }
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "time enters here, once for each thing that happens"
    )]
    fn with(&mut self, act: impl FnOnce(&mut Watch, &mut Env<'_>)) {
        let mut env = Env {
            now: std::time::Instant::now(),
            ids: &mut self.ids,
        };
        act(&mut self.watch, &mut env);
        while let Some(output) = self.watch.poll_output() {
            match output {
                WatchOutput::Lookup(hop) => self.look_up(hop),
                WatchOutput::Transmit(transmit) => {
                    tracing::trace!(to = ?transmit.to, "sent\n{}", Redacted(&transmit.bytes));
                    self.net.send(transmit);
                }
                WatchOutput::State(trunk, state) => {
                    match &state {
                        TrunkState::Up => tracing::info!(%trunk, "the trunk is up"),
                        TrunkState::Down(why) => tracing::warn!(%trunk, %why, "the trunk is down"),
                        TrunkState::Unknown => {}
                    }
                    self.trunks.publish(trunk, state);
                }
            }
        }
    }
    fn look_up(&self, hop: NextHop) {
        let (net, found) = (self.net.clone(), self.found.clone());
        tokio::spawn(async move {
            let targets = match net.resolve_now(&hop, None) {
                Some(targets) => targets,
                None => net.resolve(&hop, None).await,
            };
            let _ = found.send(Heard::Found(hop, targets)).await;
        });
    }
}

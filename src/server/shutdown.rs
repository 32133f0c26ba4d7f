//! The end of a server: no new calls, then no calls.

use super::{Census, Control, Server};
use std::{sync::PoisonError, time::Duration};
use tokio::time::{Instant, timeout, timeout_at};

/// How long parties have to answer the BYE.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How long what is left of ended calls may take when there are no calls any more.
const LEFTOVERS: Duration = Duration::from_millis(500);
/// How long registrars have to remove our bindings, counted from the beginning of the end.
const UNREGISTER: Duration = Duration::from_secs(5);

#[expect(clippy::disallowed_methods, reason = "a server that ends waits for its calls")]
impl Server {
    /// Refuses new calls with 503 from now on, waits until the last call has ended or `drain_timeout` has passed, then
    /// ends the rest with BYE and waits until they have been told. Ends at once when there are no calls.
    ///
    /// Accounts are unregistered meanwhile, and their mailboxes not subscribed to any more: calls are not to come here any more.
    pub async fn drain(&self) {
        let unregistered_by = Instant::now() + UNREGISTER;
        self.order(Control::Refuse);
        self.mailboxes.end();
        self.mailbox.end();
        let patience = *self.drain_timeout.lock().unwrap_or_else(PoisonError::into_inner);
        if timeout(patience, self.until(|census| census.calls == 0))
            .await
            .is_err()
        {
            tracing::warn!("calls are ended, their time is over");
            self.hang_up().await;
        } else {
            let _ = timeout(LEFTOVERS, self.until(|census| census.tasks == 0)).await;
        }
        self.unregistered(unregistered_by).await;
    }
    /// Ends all calls now and returns when they have been told, or after some seconds.
    pub async fn stop(&self) {
        let unregistered_by = Instant::now() + UNREGISTER;
        self.order(Control::Refuse);
        self.mailboxes.end();
        self.mailbox.end();
        self.hang_up().await;
        self.unregistered(unregistered_by).await;
    }
    async fn hang_up(&self) {
        self.order(Control::HangUpAll);
        if timeout(LAST_WORDS, self.until(|census| census.tasks == 0))
            .await
            .is_err()
        {
            tracing::warn!("not everybody answered that calls are over");
        }
    }
    async fn unregistered(&self, by: Instant) {
        if timeout_at(by, self.mailbox.ended()).await.is_err() {
            tracing::warn!("not every registrar has removed our bindings in time");
        }
        if timeout_at(by, self.mailboxes.ended()).await.is_err() {
            tracing::warn!("not every subscription to a mailbox was ended in time");
        }
    }
    async fn until(&self, done: impl Fn(&Census) -> bool) {
        // An error means that the dispatcher has gone, and the calls with it.
        let _ = self.census.clone().wait_for(done).await;
    }
}

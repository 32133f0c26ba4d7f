//! What systemd is told (sd_notify(3)): readiness, state, and that we are alive. Without systemd it does nothing.

use sd_notify::NotifyState;
use std::{
    cell::RefCell,
    collections::VecDeque,
    ffi::OsString,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

/// The way to systemd.
///
/// Nothing here waits: when systemd does not read, news of the state are kept for the next time, and what is only of
/// the moment is not said.
pub(crate) struct Notify {
    /// How often to call [`Self::alive`].
    pub(crate) interval: Duration,
    watchdog: bool,
    socket: Option<UnixDatagram>,
    owed: RefCell<VecDeque<String>>,
    status: RefCell<String>,
}

/// More than a server has to tell, should systemd never read again.
const MOST_OWED: usize = 16;

impl Notify {
    /// Takes the interval that the configuration asks for, or half of what systemd grants when that is less.
    ///
    /// # Errors
    /// When there is a `NOTIFY_SOCKET` that leads nowhere: who started us waits for news that cannot come.
    pub(crate) fn new(asked: Duration) -> Result<Self, String> {
        let granted = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        let least = Duration::from_millis(1);
        let name = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let socket = name.as_ref().map(connect).transpose();
        Ok(Self {
            interval: granted.map_or(asked, |granted| asked.min(granted)).max(least),
            watchdog: granted.is_some(),
            socket: socket.map_err(|error| format!("NOTIFY_SOCKET {name:?}: {error}"))?,
            owed: RefCell::default(),
            status: RefCell::default(),
        })
    }

    /// Calls are taken.
    pub(crate) fn ready(&self, status: &str) {
        self.news(&[NotifyState::Ready, NotifyState::Status(status)]);
        self.status.replace(status.to_owned());
    }

    /// A reload begins; [`Self::ready`] ends it.
    pub(crate) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.news(&[NotifyState::Reloading, now]),
            Err(_) => self.news(&[NotifyState::Reloading]),
        }
    }

    /// The end begins.
    pub(crate) fn stopping(&self, status: &str) {
        self.news(&[NotifyState::Stopping, NotifyState::Status(status)]);
    }

    /// We are alive, and what there is.
    pub(crate) fn alive(&self, status: &str) {
        self.moment(Vec::new(), status);
    }

    /// The end takes longer, on purpose: systemd is not to kill us within the next intervals.
    pub(crate) fn still_stopping(&self, status: &str) {
        let more = (self.interval * 10).max(Duration::from_secs(10));
        let more = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
        self.moment(vec![NotifyState::ExtendTimeoutUsec(more)], status);
    }

    /// Says what `say` says of a server that responds before the next beat. One that does not leaves the watchdog unfed, and
    /// systemd starts another.
    #[expect(clippy::disallowed_methods, reason = "the watchdog lives by the clock")]
    pub(crate) async fn beat(&self, responds: impl Future<Output = bool>, say: impl FnOnce(&Self)) {
        match tokio::time::timeout(self.interval, responds).await {
            Ok(true) => say(self),
            Ok(false) | Err(_) => tracing::error!("the dispatcher does not respond"),
        }
    }

    fn moment<'a>(&self, mut states: Vec<NotifyState<'a>>, status: &'a str) {
        if self.watchdog {
            states.push(NotifyState::Watchdog);
        }
        let known = self.status.replace(status.to_owned());
        if known != status {
            states.push(NotifyState::Status(status));
        }
        if self.pay() && !states.is_empty() {
            self.send(&text(&states));
        }
    }

    fn news(&self, states: &[NotifyState<'_>]) {
        let mut owed = self.owed.borrow_mut();
        if self.socket.is_some() && owed.len() < MOST_OWED {
            owed.push_back(text(states));
        }
        drop(owed);
        self.pay();
    }

    /// Says what could not be said before; whether nothing is left of it.
    fn pay(&self) -> bool {
        let mut owed = self.owed.borrow_mut();
        while owed.front().is_some_and(|first| self.send(first)) {
            owed.pop_front();
        }
        owed.is_empty()
    }

    /// Whether it need not be said again.
    fn send(&self, text: &str) -> bool {
        match self.socket.as_ref().map(|socket| socket.send(text.as_bytes())) {
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => false,
            Some(Err(error)) => {
                tracing::warn!("NOTIFY_SOCKET: {error}");
                true
            }
            Some(Ok(_)) | None => true,
        }
    }
}

/// A name that begins with `@` is one of Linux's abstract ones.
fn connect(name: &OsString) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(name)?,
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn text(states: &[NotifyState<'_>]) -> String {
    states.iter().map(|state| format!("{state}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    /// What systemd would hear, and the way to it with the watchdog on.
    fn pair() -> (UnixDatagram, Notify) {
        let (systemd, socket) = UnixDatagram::pair().expect("two sockets");
        systemd.set_nonblocking(true).expect("a socket of ours");
        socket.set_nonblocking(true).expect("a socket of ours");
        let notify = Notify {
            interval: Duration::from_millis(20),
            watchdog: true,
            socket: Some(socket),
            owed: RefCell::default(),
            status: RefCell::default(),
        };
        (systemd, notify)
    }

    fn heard(systemd: &UnixDatagram) -> Option<String> {
        let mut buffer = [0; 256];
        let length = systemd.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    #[tokio::test]
    async fn a_dispatcher_that_hangs_or_has_died_leaves_the_watchdog_unfed() {
        let (systemd, notify) = pair();
        let alive = |notify: &Notify| notify.alive("0 calls");
        notify.beat(ready(true), alive).await;
        assert_eq!(heard(&systemd).as_deref(), Some("WATCHDOG=1\nSTATUS=0 calls\n"));
        notify.beat(pending(), alive).await;
        assert_eq!(heard(&systemd), None, "it hangs");
        notify.beat(ready(false), alive).await;
        assert_eq!(heard(&systemd), None, "it has died");
        notify.beat(ready(true), alive).await;
        assert_eq!(heard(&systemd).as_deref(), Some("WATCHDOG=1\n"));
        // At the end as well: calls that drain are no excuse.
        let stopping = |notify: &Notify| notify.still_stopping("1 call");
        notify.beat(pending(), stopping).await;
        assert_eq!(heard(&systemd), None);
        notify.beat(ready(true), stopping).await;
        let said = heard(&systemd).expect("it drains");
        assert!(
            said.starts_with("EXTEND_TIMEOUT_USEC=") && said.contains("WATCHDOG=1"),
            "{said}"
        );
    }
}

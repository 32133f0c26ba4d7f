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

//! The drivers: tasks, sockets, clocks.

mod admission;
mod adoption;
mod call_task;
mod callers;
pub mod cdr;
pub mod digest;
mod dispatch;
mod farewell;
pub mod gauges;
mod handshakes;
mod inbox;
mod invite;
mod live_roll;
mod maps;
mod message_waiting;
mod orders;
mod overload;
mod passage;
pub mod plain;
mod qualification;
mod recent;
mod redact;
mod refusals;
mod registrations;
mod replace;
mod retained;
pub mod settings;
mod shutdown;
mod standalone;
mod tombstones;
mod watch;
mod workload;
pub mod zid_cache;

pub use cdr::Ledger;
pub use gauges::Gauges;
pub use settings::ServerSettings;
pub use workload::Workload;

use crate::{
    app::Bound,
    media::{
        dtls::Dtls,
        relay::{self, Relay, RelayConfig},
        zrtp::Zid,
    },
    net::{Limits, Net},
    sip::{Ids, routing::Transport},
};
use admission::Policy;
use cdr::{Desk, RunningCall};
use digest::Guard;
use dispatch::Dispatcher;
use maps::{Census, Maps};
use orders::Control;
use overload::Overload;
use recent::Recent;
use standalone::Answerer;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync, task::JoinHandle};
use zeroize::Zeroizing;
use zid_cache::ZidCache;

/// Messages that may wait for the dispatcher. At half of it new calls are refused, so that those that exist find room.
const QUEUE: usize = 4096;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address that cannot be listened on (named in the error).
    #[error("cannot listen: {0}")]
    Listen(io::Error),
    /// There is no memory for ZRTP's retained secrets.
    #[error("cannot keep what ZRTP retains: {0}")]
    ZidCache(zid_cache::ZidCacheError),
    /// The kernel gives no thread for media.
    #[error("cannot start the media relay: {0}")]
    Relay(io::Error),
}

/// A ZRTP identifier that nobody has.
pub fn fresh_zid(ids: &mut Ids) -> Zid {
    let mut zid = [0; 12];
    ids.fill(&mut zid);
    Zid(zid)
}

/// Whether a server takes new calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// `max-calls` are there, or it does not keep up.
    Full,
    /// It is going down.
    Stopping,
}

/// A running server. Dropping it ends it without a word to anyone; see [`Self::drain`].
pub struct Server {
    net: Net,
    relay: Arc<Relay>,
    dtls: Dtls,
    gauges: Arc<Gauges>,
    ledger: Ledger,
    control: sync::mpsc::UnboundedSender<Control>,
    census: sync::watch::Receiver<Census>,
    drain_timeout: Mutex<Duration>,
    mailbox: registrations::Mailbox,
    /// The one in force.
    app: RwLock<Option<Bound>>,
    dispatcher: JoinHandle<()>,
    registrar: JoinHandle<()>,
    watcher: JoinHandle<()>,
    mailboxes: message_waiting::Mailboxes,
    subscriber: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.dispatcher.abort();
        self.registrar.abort();
        self.watcher.abort();
        self.subscriber.abort();
    }
}

impl Server {
    /// Binds everything and begins to take calls. To be called within a tokio runtime, on whose threads it then lives.
    ///
    /// # Errors
    /// When an address cannot be bound or the media relay not be started.
    pub async fn start(settings: ServerSettings, app: Bound) -> Result<Self, StartError> {
        let relay = Relay::start(RelayConfig {
            threads: settings.relay_threads,
            audio_ports: settings.audio_ports.clone(),
            video_ports: settings.video_ports.clone(),
        });
        let relay = Arc::new(relay.map_err(StartError::Relay)?);
        let (events, incoming) = sync::mpsc::channel(QUEUE);
        let (control, orders) = sync::mpsc::unbounded_channel();
        let (census_sender, census) = sync::watch::channel(Census::default());
        let net = Net::bind(
            &settings.listen,
            &settings.name_servers,
            Limits::of_process(),
            events,
        )
        .await
        .map_err(StartError::Listen)?;
        net.secure(settings.security.clone());
        net.admit(settings.admission());
        net.keep_alive(settings.keep_alive);
        let gauges = Arc::new(Gauges::default());
        let mut ids = Ids::from_system();
        let cache = match &settings.zid_cache {
            Some(cache) => cache.clone(),
            None => {
                let fresh = fresh_zid(&mut ids);
                let cache = ZidCache::in_memory(fresh).await.map_err(StartError::ZidCache)?;
                Arc::new(cache)
            }
        };
        let dtls = Dtls::new(settings.dtls);
        let mut secret = [0; 16];
        ids.fill(&mut secret);
        let mut seal = Zeroizing::new([0; 32]);
        #[expect(clippy::disallowed_methods, reason = "from when on nonces are counted")]
        let began = Instant::now();
        ids.fill(&mut *seal);
        let profile = &settings.calls.profile;
        let (mailbox, registrar) = registrations::start(
            net.clone(),
            gauges.clone(),
            settings.registrations.clone(),
            profile.user_agent.clone(),
            profile.timers,
            ids.fork(),
        );
        let (trunks, watcher) = qualification::start(
            net.clone(),
            settings.registrations.trunks().clone(),
            profile.user_agent.clone(),
            profile.timers,
            ids.fork(),
        );
        let (mailboxes, subscriber) = message_waiting::start(
            (net.clone(), gauges.clone(), control.clone()),
            settings.registrations.clone(),
            profile.user_agent.clone(),
            profile.timers,
            ids.fork(),
        );
        let dispatcher = Dispatcher {
            net: net.clone(),
            relay: relay.clone(),
            gauges: gauges.clone(),
            desk: Desk {
                ledger: settings.ledger.clone(),
                gauges: gauges.clone(),
                clock: settings.clock.clone(),
            },
            recent: Recent::default(),
            answerer: Arc::new(Answerer::new(secret, settings.calls.profile.user_agent.clone())),
            policy: Policy::new(&settings, app.clone()),
            guard: Guard::new(seal, began),
            dtls: dtls.clone(),
            cache,
            registrations: settings.registrations.clone(),
            mailbox: mailbox.clone(),
            mailboxes: mailboxes.clone(),
            trunks,
            ids,
            control: control.clone(),
            census: census_sender,
            maps: Maps::default(),
            overload: Overload::new(Handle::current().metrics().num_workers()),
            turn: workload::Turn::new(),
        };
        Ok(Self {
            net,
            relay,
            dtls,
            gauges,
            ledger: settings.ledger,
            control,
            census,
            drain_timeout: Mutex::new(settings.drain_timeout),
            mailbox,
            app: RwLock::new(Some(app)),
            dispatcher: tokio::spawn(dispatcher.run(incoming, orders)),
            registrar,
            watcher,
            mailboxes,
            subscriber,
        })
    }
    /// Where it listens, with the ports that the kernel chose.
    pub fn local(&self) -> Vec<(Transport, SocketAddr)> {
        self.net.local()
    }
    /// New calls are made with these; running ones keep what they began with. Listening addresses, ports, threads and
    /// name servers stay as they are.
    pub fn reload(&self, settings: ServerSettings, app: Bound) {
        *self.drain_timeout.lock().unwrap_or_else(PoisonError::into_inner) = settings.drain_timeout;
        self.net.secure(settings.security.clone());
        self.net.admit(settings.admission());
        *self.app.write().unwrap_or_else(PoisonError::into_inner) = Some(app.clone());
        self.net.keep_alive(settings.keep_alive);
        self.order(Control::Reload(Policy::new(&settings, app)));
    }
    /// The calls that run, each with what it has carried so far; in the order in which they began. Those that do not say so
    /// within a second are left out.
    #[expect(clippy::disallowed_methods, reason = "a task that hangs is not waited for")]
    pub async fn calls(&self) -> Vec<RunningCall> {
        let (listing, mut told) = sync::mpsc::unbounded_channel();
        self.order(Control::List(listing));
        let mut calls = Vec::new();
        let all = async {
            while let Some(call) = told.recv().await {
                calls.push(*call);
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), all).await;
        calls.sort_by_key(|call| call.call);
        calls
    }
    /// What the application has to say of how it is.
    pub fn report(&self) -> Option<serde_json::Value> {
        let app = self.app.read().unwrap_or_else(PoisonError::into_inner).clone();
        app.and_then(|app| app.report())
    }
    /// Whether messages still find their way to calls: answered by the task that sends them there, when its turn comes.
    /// `false` when that task has died; a task that hangs never answers.
    pub async fn responds(&self) -> bool {
        self.readiness().await.is_some()
    }
    /// Whether new calls are taken, by the word of the task that takes them. `None` when that task has died; a task that
    /// hangs never answers.
    pub async fn readiness(&self) -> Option<Readiness> {
        let (answer, answered) = sync::oneshot::channel();
        self.order(Control::Ping(answer));
        answered.await.ok()
    }
    /// What the relay has open and has passed on.
    pub fn media(&self) -> relay::Gauges {
        self.relay.gauges()
    }
    /// What there is at this moment.
    pub fn gauges(&self) -> Arc<Gauges> {
        let media = self.relay.gauges();
        self.gauges.connections.set(self.net.connections());
        self.gauges.half_open.set(self.net.half_open());
        let (limited, cut) = self.net.turned_away();
        self.gauges.limited.set(limited);
        self.gauges.cut.set(cut);
        self.gauges.media_sessions.set(media.sessions);
        self.gauges.media_ports.set(media.ports);
        self.gauges.media_flows.set(media.flows);
        let dtls = self.dtls.counts();
        self.gauges.dtls_handshakes.set(dtls.open());
        self.gauges.dtls_completed.set(dtls.completed());
        self.gauges.dtls_failed.set(dtls.failed());
        self.gauges.dtls_refused.set(dtls.refused());
        let records = self.ledger.counts();
        self.gauges.cdr_waiting.set(records.waiting);
        self.gauges.cdr_written.set(records.written);
        self.gauges.cdr_failed.set(records.failed);
        self.gauges.cdr_diverted.set(records.diverted);
        self.gauges.clone()
    }
    fn order(&self, order: Control) {
        // The dispatcher ends only with the server.
        let _ = self.control.send(order);
    }
}

#[cfg(test)]
mod tests {
    mod weather;

    use super::*;

    /// A server whose dispatcher does this instead of its work.
    async fn server(dispatcher: impl Future<Output = ()> + Send + 'static) -> Server {
        let (events, _) = sync::mpsc::channel(1);
        let (control, orders) = sync::mpsc::unbounded_channel();
        let (_, census) = sync::watch::channel(Census::default());
        let relay = Relay::start(RelayConfig {
            threads: 1,
            audio_ports: 30_000..=30_001,
            video_ports: 30_000..=30_001,
        });
        let net = Net::bind(&[], &[], Limits::default(), events)
            .await
            .expect("nothing to bind");
        let (mailbox, registrar) = registrations::start(
            net.clone(),
            Arc::default(),
            crate::app::Registrations::default(),
            "test".into(),
            crate::sip::timers::Timers::default(),
            Ids::seeded(1),
        );
        let (mailboxes, subscriber) = message_waiting::start(
            (net.clone(), Arc::default(), control.clone()),
            crate::app::Registrations::default(),
            "test".into(),
            crate::sip::timers::Timers::default(),
            Ids::seeded(2),
        );
        Server {
            mailboxes,
            subscriber,
            net,
            mailbox,
            registrar,
            watcher: tokio::spawn(std::future::pending()),
            relay: Arc::new(relay.expect("threads")),
            dtls: Dtls::new(crate::media::dtls::Limits::default()),
            gauges: Arc::default(),
            ledger: Ledger::open(None).expect("a thread"),
            control,
            census,
            drain_timeout: Mutex::default(),
            app: RwLock::default(),
            dispatcher: tokio::spawn(async move {
                let _orders = orders;
                dispatcher.await;
            }),
        }
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "nothing is what is waited for")]
    async fn a_dispatcher_that_hangs_never_says_that_it_lives_and_a_dead_one_is_known() {
        let hanging = server(std::future::pending()).await;
        let answer = tokio::time::timeout(Duration::from_millis(50), hanging.responds());
        assert!(answer.await.is_err());
        let dead = server(std::future::ready(())).await;
        assert!(!dead.responds().await);
    }
}

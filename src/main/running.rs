//! A server that runs: the signals that it obeys, its reloads, and its end.

use super::{
    args::Args,
    compose,
    logging::Logging,
    notify::Notify,
    serve::{Fault, Loaded},
};
use b2bua::{
    app::{Bound, Registered, Registrations},
    config::{Config, Schema, Transports},
    control::{http::Http, socket::ControlSocket},
    net::Listen,
    server::{Ledger, Server},
};
use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

/// How often the log says how many calls are left at the end.
const REMIND: Duration = Duration::from_secs(5);

/// Those that mean something to the server.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
        })
    }

    /// SIGTERM or SIGINT.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A server from its readiness to its end.
pub(super) struct Running<'a> {
    pub(super) args: &'a Args,
    pub(super) known: &'static [Registered],
    pub(super) schema: &'a Schema,
    pub(super) notify: Notify,
    /// What listens and what the threads are is of this one, whatever was reloaded since.
    pub(super) began_with: Config,
    pub(super) logging: Logging,
    pub(super) listen: Vec<Listen>,
    pub(super) ledger: Ledger,
    pub(super) transports: Transports,
    pub(super) registrations: Registrations,
    pub(super) server: Arc<Server>,
    /// What is in force.
    pub(super) app: RefCell<Bound>,
    /// Answers until the end.
    pub(super) _http: Option<Http>,
    /// The same.
    pub(super) _control: Option<ControlSocket>,
}

impl Running<'_> {
    /// Obeys until SIGTERM or SIGINT.
    pub(super) async fn until_told_to_stop(&self, signals: &mut Signals) {
        #[expect(clippy::disallowed_methods, reason = "the watchdog lives by the clock")]
        let mut tick = tokio::time::interval(self.notify.interval);
        loop {
            tokio::select! {
                _ = tick.tick() => self.beat(Notify::alive, self.status()).await,
                _ = signals.hang_up.recv() => self.reload().await,
                _ = signals.user.recv() => info!("{}", self.server.gauges()),
                _ = signals.terminate.recv() => return,
                _ = signals.interrupt.recv() => return,
            }
        }
    }

    /// Lets the calls end, or ends them at a second signal.
    pub(super) async fn stop(&self, signals: &mut Signals) {
        info!(
            "told to stop: {}; a second signal ends them at once",
            self.status()
        );
        let mut drain = pin!(self.server.drain());
        // It has begun before it is announced: whoever hears of it finds new calls refused.
        let begun = poll_fn(|context| Poll::Ready(drain.as_mut().poll(context))).await;
        self.notify.stopping(&self.draining());
        if begun.is_ready() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "the watchdog lives by the clock")]
        let (mut tick, mut remind) = (
            tokio::time::interval(self.notify.interval),
            tokio::time::interval(REMIND),
        );
        remind.tick().await;
        loop {
            tokio::select! {
                () = &mut drain => return,
                _ = remind.tick() => info!("{} left; a second signal ends them at once", self.status()),
                () = signals.stop() => break,
                _ = tick.tick() => self.beat(Notify::still_stopping, self.draining()).await,
            }
        }
        warn!("told to stop a second time: {}", self.status());
        self.server.stop().await;
    }

    async fn beat(&self, say: impl FnOnce(&Notify, &str), status: String) {
        let responds = self.server.responds();
        self.notify.beat(responds, |notify| say(notify, &status)).await;
    }

    fn draining(&self) -> String {
        format!("draining, {} left", self.status())
    }

    pub(super) fn status(&self) -> String {
        match self.server.gauges().calls.now() {
            1 => "1 call".to_owned(),
            calls => format!("{calls} calls"),
        }
    }

    /// Takes over what can be taken over while calls run. A configuration with faults changes nothing.
    async fn reload(&self) {
        self.notify.reloading();
        match self.reloaded().await {
            Ok(()) => info!("reloaded {}", self.began_with.path().display()),
            Err(Fault::Refused(report) | Fault::Failed(report)) => {
                report.lines().for_each(|line| error!("{line}"));
                error!("not reloaded: what was in force stays in force");
            }
        }
        self.notify.ready(&self.status());
    }

    /// All that can fail comes first and changes nothing; then all is taken over.
    async fn reloaded(&self) -> Result<(), Fault> {
        let loaded = Loaded::read(self.args, self.schema)?;
        // What it orders is void until it is in force.
        let registrations = self.registrations.successor();
        let (app, odd) =
            compose::application(self.known, &loaded.config, &loaded.server, &registrations).await?;
        let (security, users, remarks) = compose::security(&loaded.config, &loaded.server, &self.transports)?;
        let records = self.ledger.prepare(compose::cdr(&loaded.server).as_ref());
        let records = records.map_err(|error| Fault::Failed(format!("b2bua-server/cdr-file: {error}")))?;
        let log = self.logging.prepare().map_err(Fault::Failed)?;
        let trusted = compose::trusted(&loaded.server).await;
        // Read again, and renewed when it is time.
        let settings = compose::settings(
            &loaded.server,
            self.listen.clone(),
            (security, users),
            trusted,
            compose::identity(&loaded.server),
            None,
            self.ledger.clone(),
        );

        records.commit();
        self.logging.turn(log, &loaded.global);
        odd.iter().for_each(|remark| warn!("{remark}"));
        loaded.config.remarks().for_each(|remark| info!("{remark}"));
        remarks.iter().for_each(|remark| warn!("b2bua-server/{remark}"));
        let before = self.app.borrow().clone();
        let app = app.take_over(Some(&before));
        self.app.replace(app.clone());
        self.server.reload(settings, app);
        for key in self.began_with.needing_restart(&loaded.config) {
            warn!("{key} has changed, which takes a restart");
        }
        Ok(())
    }
}

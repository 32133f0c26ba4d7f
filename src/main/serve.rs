//! One run of the server: from the configuration to readiness, through reloads, to the last call.

use super::{
    args::Args,
    compose,
    logging::{Choice, Logging},
    notify::Notify,
};
use b2bua::{
    app::{Bound, Registered, Registrations},
    config::{
        CONTROL_SOCKET, Config, ConfigErrors, Global, HTTP_LISTEN, Schema, Server as ServerSection,
        Transports,
    },
    control::{http::Http, socket::ControlSocket},
    net::Listen,
    server::{Ledger, Server},
};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{
    cell::RefCell,
    fmt, fs,
    future::{Future, poll_fn},
    pin::pin,
    process::ExitCode,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
};
use tracing::{error, info, warn};

/// `EX_CONFIG` of sysexits.h: systemd is told not to try again.
pub(crate) const REFUSED: u8 = 78;

/// How often the log says how many calls are left at the end.
const REMIND: Duration = Duration::from_secs(5);
/// How long a slow disk may take for the last records of calls.
const LAST_RECORDS: Duration = Duration::from_secs(5);

/// Why a run ended before its time.
enum Fault {
    /// The configuration (or the command line) is at fault: another try would be in vain.
    Refused(String),
    /// The machine is at fault: it may be better in a moment.
    Failed(String),
}

impl From<ConfigErrors> for Fault {
    fn from(errors: ConfigErrors) -> Self {
        Self::Refused(errors.to_string())
    }
}

impl Fault {
    fn failed(error: impl fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Serves until it is told to stop, or only checks the configuration.
pub(crate) fn run(args: &Args, known: &'static [Registered], schema: &Schema) -> ExitCode {
    let outcome = Loaded::read(args, schema).and_then(|loaded| {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(compose::threads(loaded.server.sip_threads))
            .enable_all()
            .build()
            .map_err(Fault::failed)?;
        if args.check {
            return runtime.block_on(check(&loaded, known));
        }
        let file = compose::cdr(&loaded.server);
        let opened = Ledger::open(file.as_ref());
        let ledger = opened.map_err(|error| Fault::Failed(format!("b2bua-server/cdr-file: {error}")))?;
        let outcome = runtime.block_on(serve(args, known, schema, loaded, ledger.clone()));
        // Calls whose tasks end with the runtime have their records too.
        runtime.shutdown_timeout(Duration::from_secs(1));
        ledger.finish(LAST_RECORDS);
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Fault::Refused(report)) => {
            eprintln!("{report}");
            ExitCode::from(REFUSED)
        }
        Err(Fault::Failed(report)) => {
            eprintln!("b2bua: {report}");
            ExitCode::FAILURE
        }
    }
}

/// A configuration with the structs that are made of it.
struct Loaded {
    config: Config,
    global: Global,
    server: ServerSection,
}

impl Loaded {
    fn read(args: &Args, schema: &Schema) -> Result<Self, Fault> {
        if args.server != "b2bua" {
            let other = &args.server;
            return Err(Fault::Refused(format!(
                "--server {other}: this program is the b2bua alone; expected b2bua"
            )));
        }
        let config = Config::load(&args.config_path(), &args.set, schema)?;
        let (global, server) = (config.global()?, config.server()?);
        Ok(Self {
            config,
            global,
            server,
        })
    }
}

async fn check(loaded: &Loaded, known: &[Registered]) -> Result<(), Fault> {
    // What it would have registered goes nowhere.
    let registrations = Registrations::default();
    let (_, odd) = compose::application(known, &loaded.config, &loaded.server, &registrations).await?;
    let (_, remarks) = compose::security(&loaded.config, &loaded.server, &loaded.server.transport)?;
    for remark in remarks {
        println!("b2bua-server/{remark}");
    }
    for remark in odd {
        println!("{remark}");
    }
    for remark in loaded.config.remarks() {
        println!("{remark}");
    }
    println!("{}: good", loaded.config.path().display());
    Ok(())
}

async fn serve(
    args: &Args,
    known: &'static [Registered],
    schema: &Schema,
    loaded: Loaded,
    ledger: Ledger,
) -> Result<(), Fault> {
    // Before anything else: a signal that arrives while we start must not kill us silently.
    let mut signals = Signals::new().map_err(Fault::failed)?;
    let choice = Choice {
        debug: args.debug,
        stdout: !args.disable_stdout,
        syslog: args.syslog,
    };
    let logging = Logging::start(&loaded.global, choice).map_err(Fault::Refused)?;
    let (version, path) = (env!("CARGO_PKG_VERSION"), loaded.config.path().display());
    info!("b2bua {version} starts with {path}");
    loaded.config.remarks().for_each(|remark| info!("{remark}"));
    let notify = Notify::new(loaded.global.watchdog_notify_interval.0).map_err(Fault::Failed)?;
    raise_open_files();
    if let Some(path) = &args.pidfile {
        let written = fs::write(path, std::process::id().to_string());
        written.unwrap_or_else(|error| error!("--pidfile: {} cannot be written: {error}", path.display()));
    }

    let registrations = Registrations::default();
    let (app, odd) = compose::application(known, &loaded.config, &loaded.server, &registrations).await?;
    odd.iter().for_each(|remark| warn!("{remark}"));
    let listen = compose::listen(&loaded.server).await.map_err(Fault::Failed)?;
    let (security, remarks) = compose::security(&loaded.config, &loaded.server, &loaded.server.transport)?;
    remarks.iter().for_each(|remark| warn!("b2bua-server/{remark}"));
    let trusted = compose::trusted(&loaded.server).await;
    let identity = compose::identity(&loaded.server);
    let zid_cache = compose::zid_cache(&loaded.server).await;
    let mut settings = compose::settings(
        &loaded.server,
        listen.clone(),
        security,
        trusted,
        identity,
        zid_cache,
        ledger.clone(),
    );
    settings.registrations = registrations.clone();
    let app = app.take_over(None);
    let server = Server::start(settings, app.clone())
        .await
        .map_err(Fault::failed)?;
    let server = Arc::new(server);
    let http = http(&loaded.server, &server).await?;
    let control = control(&loaded.server, &server)?;
    let running = Running {
        args,
        known,
        schema,
        notify,
        began_with: loaded.config,
        logging,
        listen,
        ledger,
        transports: loaded.server.transport,
        registrations,
        server,
        app: RefCell::new(app),
        _http: http,
        _control: control,
    };
    for (transport, address) in running.server.local() {
        info!("listening on {} {address}", transport.as_via());
    }
    running.notify.ready(&running.status());
    running.until_told_to_stop(&mut signals).await;
    running.stop(&mut signals).await;
    info!("b2bua {version} ends normally");
    Ok(())
}

/// The listener for HTTP. One that nobody has asked for costs no start.
async fn http(section: &ServerSection, server: &Arc<Server>) -> Result<Option<Http>, Fault> {
    let Some(address) = section.http_listen.0 else {
        return Ok(None);
    };
    match Http::start(address, server.clone()).await {
        Ok(http) => {
            info!("metrics and calls at http://{}/", http.local());
            Ok(Some(http))
        }
        Err(error) if address.to_string() == HTTP_LISTEN => {
            warn!("b2bua-server/http-listen: {address}, the default: {error}; there are no metrics");
            Ok(None)
        }
        Err(error) => Err(Fault::Failed(format!(
            "b2bua-server/http-listen: {address}: {error}"
        ))),
    }
}

/// The control socket. One that nobody has asked for costs no start.
fn control(section: &ServerSection, server: &Arc<Server>) -> Result<Option<ControlSocket>, Fault> {
    let Some(path) = &section.control_socket else {
        return Ok(None);
    };
    let shown = path.display();
    match ControlSocket::start(path, server.clone()) {
        Ok(socket) => {
            info!("commands are taken at {shown}");
            Ok(Some(socket))
        }
        Err(error) if path.as_os_str() == CONTROL_SOCKET => {
            info!("b2bua-server/control-socket: {shown}, the default: {error}; there is none");
            Ok(None)
        }
        Err(error) => Err(Fault::Failed(format!(
            "b2bua-server/control-socket: {shown}: {error}"
        ))),
    }
}

/// As many open files as the kernel allows us: a call with audio needs four sockets, one with video eight.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            warn!("the limit of open files cannot be raised: {error}");
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
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

struct Running<'a> {
    args: &'a Args,
    known: &'static [Registered],
    schema: &'a Schema,
    notify: Notify,
    /// What listens and what the threads are is of this one, whatever was reloaded since.
    began_with: Config,
    logging: Logging,
    listen: Vec<Listen>,
    ledger: Ledger,
    transports: Transports,
    registrations: Registrations,
    server: Arc<Server>,
    /// What is in force.
    app: RefCell<Bound>,
    /// Answers until the end.
    _http: Option<Http>,
    /// The same.
    _control: Option<ControlSocket>,
}

impl Running<'_> {
    async fn until_told_to_stop(&self, signals: &mut Signals) {
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

    async fn stop(&self, signals: &mut Signals) {
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

    fn status(&self) -> String {
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
        let (security, remarks) = compose::security(&loaded.config, &loaded.server, &self.transports)?;
        let records = self.ledger.prepare(compose::cdr(&loaded.server).as_ref());
        let records = records.map_err(|error| Fault::Failed(format!("b2bua-server/cdr-file: {error}")))?;
        let log = self.logging.prepare().map_err(Fault::Failed)?;
        let trusted = compose::trusted(&loaded.server).await;
        // Read again, and renewed when it is time.
        let settings = compose::settings(
            &loaded.server,
            self.listen.clone(),
            security,
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

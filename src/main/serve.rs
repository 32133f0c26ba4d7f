//! One run of the server: from the configuration to readiness.

use super::{
    args::Args,
    compose,
    logging::{Choice, Logging},
    notify::Notify,
    running::{Running, Signals},
};
use b2bua::{
    app::{Registered, Registrations},
    config::{CONTROL_SOCKET, Config, ConfigErrors, Global, HTTP_LISTEN, Schema, Server as ServerSection},
    control::{http::Http, socket::ControlSocket},
    server::{Ledger, Server},
};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{cell::RefCell, fmt, fs, process::ExitCode, sync::Arc, time::Duration};
use tokio::runtime;
use tracing::{error, info, warn};

/// `EX_CONFIG` of sysexits.h: systemd is told not to try again.
pub(crate) const REFUSED: u8 = 78;

/// How long a slow disk may take for the last records of calls.
const LAST_RECORDS: Duration = Duration::from_secs(5);

/// Why a run ended before its time.
pub(super) enum Fault {
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
pub(super) struct Loaded {
    pub(super) config: Config,
    pub(super) global: Global,
    pub(super) server: ServerSection,
}

impl Loaded {
    pub(super) fn read(args: &Args, schema: &Schema) -> Result<Self, Fault> {
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
    let (_, _, remarks) = compose::security(&loaded.config, &loaded.server, &loaded.server.transport)?;
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
    let (security, users, remarks) =
        compose::security(&loaded.config, &loaded.server, &loaded.server.transport)?;
    remarks.iter().for_each(|remark| warn!("b2bua-server/{remark}"));
    let trusted = compose::trusted(&loaded.server).await;
    let identity = compose::identity(&loaded.server);
    let zid_cache = compose::zid_cache(&loaded.server).await;
    let mut settings = compose::settings(
        &loaded.server,
        listen.clone(),
        (security, users),
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

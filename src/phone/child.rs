//! The server as a child process of the phones: started, watched, ended by SIGTERM, and never left behind.

use super::Error;
use super::procfs::Process;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// How long a server may take to end after SIGTERM: its own drain time and some more.
const PATIENCE: Duration = Duration::from_secs(15);
/// Lines of its log that are shown when something went wrong.
const TAIL: usize = 20;

/// In a setting: the directory of the server's own.
pub const DIRECTORY: &str = "{directory}";

/// The configuration that is shipped.
pub const SHIPPED: &str = include_str!("../../config/b2bua.conf");

/// A child process with a directory of its own. Dropping it kills it.
pub struct Server {
    child: Child,
    directory: PathBuf,
    /// Where its output goes.
    pub log: PathBuf,
    ended: bool,
}

impl Server {
    /// Starts this very program as a server, from the shipped configuration with `settings` (`section/key`, value)
    /// in place of what it says.
    ///
    /// # Errors
    /// [`Error::Io`] if files cannot be written or the program cannot be started.
    pub fn start(settings: &[(&str, String)], log: Option<&Path>) -> Result<Self, Error> {
        let directory = directory()?;
        let configuration = directory.join("b2bua.conf");
        let written = fs::write(&configuration, SHIPPED);
        written.map_err(|source| io(format!("writing {}", configuration.display()), source))?;
        let mut arguments = vec![OsString::from("-c"), configuration.into()];
        for (key, value) in settings {
            let value = value.replace(DIRECTORY, &directory.to_string_lossy());
            arguments.extend(["--set".into(), format!("{key}={value}").into()]);
        }
        Self::run(&arguments, directory, log)
    }

    /// Starts this very program with other arguments: what is not the server but shall be measured like it.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be started.
    pub fn start_with(arguments: &[OsString]) -> Result<Self, Error> {
        Self::run(arguments, directory()?, None)
    }

    fn run(arguments: &[OsString], directory: PathBuf, log: Option<&Path>) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(|source| io("finding this program".into(), source))?;
        let log = log.map_or_else(|| directory.join("log"), Path::to_path_buf);
        let output =
            File::create(&log).map_err(|source| io(format!("creating {}", log.display()), source))?;
        let errors = output
            .try_clone()
            .map_err(|source| io("a second handle of the log".into(), source))?;
        let mut command = Command::new(&program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        // Phones started from a service must not have their server notify the service's manager.
        command
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID");
        match command.spawn() {
            Ok(child) => Ok(Self {
                child,
                directory,
                log,
                ended: false,
            }),
            Err(source) => {
                let _ = fs::remove_dir_all(&directory);
                Err(io(format!("starting {}", program.display()), source))
            }
        }
    }

    /// The process, for its figures.
    pub fn process(&self) -> Process {
        Process::of(self.child.id())
    }

    /// The status with which it ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten();
        self.ended |= status.is_some();
        status
    }

    /// What is in a file of its directory.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.join(name)).unwrap_or_default()
    }

    /// Waits until it ends by itself.
    #[expect(clippy::disallowed_methods, reason = "a driver: it waits for another process")]
    pub fn wait(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.has_ended().is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it by SIGTERM. None if it did not end in time and had to be killed.
    #[expect(
        clippy::disallowed_methods,
        reason = "a driver: it waits for another process, which cannot be waited for with a deadline"
    )]
    pub fn stop(&mut self) -> Option<ExitStatus> {
        if let Some(pid) = self.pid() {
            // If it has ended already, its status is still to be had below.
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.has_ended() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Asks the server for its gauges (SIGUSR1), which it writes to its log as `calls=0 dialogs=0 …`. Empty if it does
    /// not within two seconds.
    #[expect(clippy::disallowed_methods, reason = "a driver: it waits for another process")]
    pub fn gauges(&self) -> BTreeMap<String, u64> {
        let lines = |text: &str| text.lines().filter(|line| line.contains(" tombstones=")).count();
        let before = lines(&self.logged());
        if let Some(pid) = self.pid() {
            // If it has ended there are none.
            let _ = kill_process(pid, Signal::USR1);
        }
        for _ in 0..100 {
            thread::sleep(Duration::from_millis(20));
            let text = self.logged();
            if lines(&text) > before {
                let line = text
                    .lines()
                    .rfind(|line| line.contains(" tombstones="))
                    .unwrap_or_default();
                let pairs = line
                    .split_ascii_whitespace()
                    .filter_map(|word| word.split_once('='));
                return pairs
                    .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
                    .collect();
            }
        }
        BTreeMap::new()
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    /// What it has logged so far.
    pub fn logged(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of its log.
    pub fn tail(&self) -> String {
        let text = self.logged();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.ended {
            // Nothing can be done if it cannot be killed; it is then not ours.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn io(what: String, source: std::io::Error) -> Error {
    Error::Io { what, source }
}

fn directory() -> Result<PathBuf, Error> {
    let random: u64 = rand::random();
    let directory = std::env::temp_dir().join(format!("b2bua-{random:016x}"));
    fs::create_dir(&directory).map_err(|source| io(format!("creating {}", directory.display()), source))?;
    Ok(directory)
}

/// An address of the loopback where nothing listens at the moment.
///
/// # Errors
/// [`Error::Io`] if there is none.
pub fn free_address() -> Result<SocketAddr, Error> {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).map_err(|source| io("a free port".into(), source))?;
    socket
        .local_addr()
        .map_err(|source| io("a free port".into(), source))
}

/// Watches for SIGTERM and SIGINT from here on: true once one has come. Without it a generator that is ended
/// would leave its server behind.
///
/// # Errors
/// [`Error::Io`] if the process cannot watch for signals.
pub fn watch_signals() -> Result<Arc<AtomicBool>, Error> {
    let failed = |source| io("watching for signals".into(), source);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(failed)?;
    let (mut terminate, mut interrupt) = {
        let _context = runtime.enter();
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        (terminate, signal(SignalKind::interrupt()).map_err(failed)?)
    };
    let come = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&come);
    let watch = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        told.store(true, Ordering::Relaxed);
    };
    thread::Builder::new()
        .name("signals".into())
        .spawn(watch)
        .map_err(failed)?;
    Ok(come)
}

/// Raises the limit of open files, ours and of what we start, as far as it goes; and says how far that was.
pub fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // If it may not be raised, it stays what it is, and is told as it is.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

//! The server under test: the real binary, configured by a file, ready when it says so.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::baresip::literal;
use crate::keep::SERVER;
use crate::netns::Side;
use crate::process::{Process, tail};
use crate::scene::Scene;

/// The port on which the server takes SIP.
pub(crate) const PORT: u16 = 5060;
/// Where its media ports are: apart from both phones', for the privacy scan.
pub(crate) const MEDIA_PORTS: &str = "30000-30999";

/// How the server is configured.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) transport: String,
    /// Where leg B goes.
    pub(crate) outbound_proxy: String,
    /// Who may place calls.
    pub(crate) trusted_hosts: String,
    /// Where it keeps what outlives it, or `none`.
    pub(crate) data: String,
    /// Further lines of `[b2bua-server]`.
    pub(crate) more: String,
    /// Lines of `[b2bua-server::trenscrypter]`.
    pub(crate) trenscrypter: String,
}

impl Config {
    /// Listens on both wires, and routes leg B to `outbound_proxy`. Leg B is as leg A.
    pub(crate) fn new(outbound_proxy: &str) -> Self {
        let transport = format!("{} {}", uri(Side::A), uri(Side::B));
        let outbound_proxy = outbound_proxy.to_owned();
        let trusted_hosts = Side::A.phone().to_string();
        Self {
            transport,
            outbound_proxy,
            trusted_hosts,
            data: "none".to_owned(),
            more: String::new(),
            trenscrypter: String::new(),
        }
    }

    /// Leg B in that mode (`none`, `sdes`), whatever leg A is.
    pub(crate) fn leg_b(mut self, mode: &str) -> Self {
        self.trenscrypter += &format!("outgoing-enc-regex={mode} sip:.*\n");
        self
    }

    /// What SDES on leg B offers.
    pub(crate) fn suites(mut self, suites: &str) -> Self {
        self.trenscrypter += &format!("outgoing-srtp-regex={suites} sip:.*\n");
        self
    }

    fn file(&self) -> String {
        format!(
            "[global]\nlog-level=trace\nlog-directory=\n\
             [b2bua-server]\napplication=trenscrypter\nenable-ice=false\ndata-directory={}\n\
             transport={}\noutbound-proxy={}\naudio-port={MEDIA_PORTS}\nvideo-port={MEDIA_PORTS}\ntrusted-hosts={}\n{}\
             [b2bua-server::trenscrypter]\n{}\n",
            self.data, self.transport, self.outbound_proxy, self.trusted_hosts, self.more, self.trenscrypter
        )
    }
}

/// The URI at which the server is reached from that wire, by UDP.
pub(crate) fn uri(side: Side) -> String {
    format!("sip:{}:{PORT}", literal(side.hub()))
}

/// A running server.
pub(crate) struct Server {
    process: Process,
    path: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Server {
    /// Starts it and waits until it says `READY=1`, as it says it to systemd.
    pub(crate) fn start(scene: &Scene, config: &Config) -> Outcome<Self> {
        Self::start_as("b2bua", scene, config)
    }

    /// The same before everything else that wants the processor: for tests that ask how long packets stay in the server, and not
    /// how long a busy machine lets it wait.
    pub(crate) fn start_promptly(scene: &Scene, config: &Config) -> Outcome<Self> {
        let file = Self::configure("b2bua", scene, config)?;
        let mut command = Command::new("nice");
        command
            .args(["-n", "-15", env!("CARGO_BIN_EXE_b2bua"), "-c"])
            .arg(file);
        Self::run("b2bua", scene, command)
    }

    /// The same under a name, where there are several.
    pub(crate) fn start_as(name: &str, scene: &Scene, config: &Config) -> Outcome<Self> {
        let file = Self::configure(name, scene, config)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_b2bua"));
        command.arg("-c").arg(&file);
        Self::run(name, scene, command)
    }

    fn configure(name: &str, scene: &Scene, config: &Config) -> Outcome<PathBuf> {
        let file = scene.dir.join(format!("{name}.conf"));
        fs::write(&file, config.file()).map_err(|e| format!("{}: {e}", file.display()))?;
        Ok(file)
    }

    /// The same with a command line of the test's own.
    pub(crate) fn run(name: &str, scene: &Scene, mut command: Command) -> Outcome<Self> {
        // Not in the test's folder: the path of a socket may have 107 bytes only.
        let path = std::env::temp_dir().join(format!("{}-{name}.notify", scene.hub));
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        command.env("NOTIFY_SOCKET", &path);
        // Its log is told from those of phones and proxies by its name.
        let mut process = Process::start_here(&format!("{SERVER}{name}"), &scene.dir, command)?;
        let (ready, said) = mpsc::channel();
        // Read to the end, as systemd does: the watchdog's beat comes every second.
        thread::spawn(move || listen(&socket, &ready));
        let ready = await_ready(&said, &mut process);
        let server = Self { process, path };
        ready?;
        Ok(server)
    }

    /// Waits until it has logged that.
    pub(crate) fn await_log(&mut self, text: &str) -> Outcome {
        self.process.await_output(text, 1, Duration::from_secs(20))
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.output()
    }

    /// Stops it as an operator does; it must end well, and must not have panicked.
    pub(crate) fn finish(mut self) -> Outcome {
        let log = self.process.output();
        if let Some(line) = log.lines().find(|line| line.contains("panicked at")) {
            return Err(format!("the server panicked: {line}"));
        }
        if let Some(code) = self.process.ended()? {
            return Err(format!(
                "the server ended by itself ({code}):\n{}",
                tail(&log, 15)
            ));
        }
        self.process.signal("TERM");
        match self.process.await_end(Duration::from_secs(20))? {
            0 => Ok(()),
            code => Err(format!(
                "the server ended with {code}:\n{}",
                tail(&self.process.output(), 15)
            )),
        }
    }
}

/// Reads the notify socket and tells of `READY=1`.
fn listen(socket: &UnixDatagram, ready: &mpsc::Sender<()>) {
    let mut buffer = [0; 4096];
    while let Ok(length) = socket.recv(&mut buffer) {
        if String::from_utf8_lossy(&buffer[..length])
            .lines()
            .any(|line| line == "READY=1")
        {
            // Nobody waits any more when the server says it again.
            let _ = ready.send(());
        }
    }
}

fn await_ready(ready: &mpsc::Receiver<()>, process: &mut Process) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if ready.recv_timeout(Duration::from_millis(100)).is_ok() {
            return Ok(());
        }
        if let Some(code) = process.ended()? {
            return Err(format!(
                "the server ended at start ({code}):\n{}",
                process.output()
            ));
        }
    }
    Err(format!(
        "the server was not ready in 20 s:\n{}",
        tail(&process.output(), 15)
    ))
}

//! The command as a process: started with a notify socket as systemd would, told to stop by signals.
#![allow(dead_code, reason = "each test that shares this uses a part of it")]

use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// The command of this build.
pub(crate) fn b2bua() -> Command {
    Command::new(env!("CARGO_BIN_EXE_b2bua"))
}

/// Where the files of this repository are.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// How long to wait for what must come; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that runs, with the socket to which it reports as to systemd. Ended when dropped.
pub(crate) struct Service {
    folder: TempDir,
    notify: UnixDatagram,
    child: Child,
}

impl Service {
    /// Starts it with this configuration (to which a place to listen is added), and waits until it is ready.
    pub(crate) fn ready(config: &str) -> Self {
        let service = Self::start(config, &["-s", "b2bua-server/transport=sip:127.0.0.1:0"]);
        service.wait_for("READY=1");
        service
    }

    /// Starts it.
    pub(crate) fn start(config: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notify");
        let notify = UnixDatagram::bind(&path).expect("a socket in a folder of our own");
        notify.set_read_timeout(Some(PATIENCE)).expect("a valid time");
        let file = folder.path().join("b2bua.conf");
        fs::write(&file, config).expect("writable");
        let output = fs::File::create(folder.path().join("output")).expect("writable");
        let child = b2bua()
            .arg("-c")
            .arg(&file)
            .args(arguments)
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "200000")
            .env_remove("WATCHDOG_PID")
            .stdout(output.try_clone().expect("a file can be shared"))
            .stderr(output)
            .stdin(Stdio::null())
            .spawn()
            .expect("the command runs");
        Self {
            folder,
            notify,
            child,
        }
    }

    /// A file in its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces its configuration.
    pub(crate) fn rewrite(&self, config: &str) {
        fs::write(self.file("b2bua.conf"), config).expect("writable");
    }

    /// What it has written so far.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.file("output")).expect("readable")
    }

    /// The port that the kernel chose for it, once it is ready.
    pub(crate) fn port(&self) -> u16 {
        let output = self.output();
        let after = output.split("listening on UDP 127.0.0.1:").nth(1);
        let port = after.and_then(|after| after.lines().next()?.trim().parse().ok());
        port.unwrap_or_else(|| panic!("no port in {output}"))
    }

    /// The next thing that it tells systemd.
    pub(crate) fn told(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.notify.recv(&mut buffer);
        let length =
            length.unwrap_or_else(|error| panic!("nothing told: {error}; it wrote:\n{}", self.output()));
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Waits until it tells systemd this line, and returns all of that message.
    pub(crate) fn wait_for(&self, line: &str) -> String {
        // The watchdog goes on meanwhile, so that silence is not what would end this.
        for _ in 0..1000 {
            let message = self.told();
            if message.lines().any(|said| said == line) {
                return message;
            }
        }
        panic!("{line} was not told; it wrote:\n{}", self.output());
    }

    /// Reads what it tells systemd from now on and forgets it: a reporting server waits while nobody reads.
    #[allow(dead_code, reason = "for the tests of calls, which share this file")]
    pub(crate) fn ignore_notifications(&self) {
        let notify = self.notify.try_clone().expect("a socket can be shared");
        let waits = notify.set_read_timeout(None);
        waits.expect("a valid time");
        std::thread::spawn(move || while notify.recv(&mut [0; 4096]).is_ok() {});
    }

    /// Takes what it has told systemd meanwhile: like systemd's, this socket holds few messages, and who tells waits.
    pub(crate) fn drain(&self) {
        self.notify.set_nonblocking(true).expect("a socket of ours");
        while self.notify.recv(&mut [0; 4096]).is_ok() {}
        self.notify.set_nonblocking(false).expect("a socket of ours");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a process of ours");
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.child.wait().expect("a child of ours")
    }

    /// Ends it the ordinary way.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.ended();
        assert!(status.success(), "{status}: {}", self.output());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.keep_log();
    }
}

impl Service {
    /// Leaves its log where `tests/scan-logs` looks for secrets, when a run of all tests wants that.
    fn keep_log(&self) {
        if let Some(folder) = std::env::var_os("B2BUA_KEEP_LOGS") {
            let name = format!("{}-{}", std::process::id(), self.child.id());
            fs::copy(self.file("output"), Path::new(&folder).join(name))
                .expect("the folder of logs is there");
        }
    }
}

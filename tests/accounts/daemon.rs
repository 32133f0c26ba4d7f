//! Servers of others.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// A server that ends when it is dropped.
pub(crate) struct Daemon {
    pub(crate) port: u16,
    pub(crate) home: TempDir,
    child: Child,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

/// One that nobody else is given meanwhile: a daemon takes it when its data are laid out, seconds later. So it is none of those that
/// the kernel hands out (from 32768), and each is tried once.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let next = || std::process::id().wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).into());
    let mut tried = (0..10_000).map(|_| 12_000 + (next() % 10_000) as u16);
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    tried.find(free).expect("a free port")
}

/// A folder that the daemon's own user may use.
fn home() -> TempDir {
    let home = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).expect("ours");
    home
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// PostgreSQL does not run as root.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    command.arg(program);
    command
}

fn done(mut command: Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Where Debian has this program of PostgreSQL, whatever its version.
fn postgres_program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed: tests/run packages");
    let programs = versions
        .filter_map(Result::ok)
        .map(|version| version.path().join("bin").join(name));
    programs.max().expect("a version of it")
}

impl Daemon {
    /// Its user and database are `postgres`, without a password.
    pub(crate) fn postgres() -> Self {
        let (home, port) = (home(), free_port());
        let data = home.path().join("data");
        let mut init = as_postgres(&postgres_program("initdb"));
        init.args(["-A", "trust", "-U", "postgres", "--no-sync", "-D"])
            .arg(&data);
        init.current_dir("/");
        done(init);
        let mut command = as_postgres(&postgres_program("postgres"));
        command
            .args(["-h", "127.0.0.1", "-F", "-p", &port.to_string(), "-k"])
            .arg(home.path())
            .arg("-D")
            .arg(&data)
            .current_dir("/");
        Self::start(command, home, port)
    }
    /// Its user is `b2bua` with the password `pw of b2bua`, its database `accounts`.
    pub(crate) fn mariadb() -> Self {
        let (home, port) = (home(), free_port());
        let data = home.path().join("data");
        let mut init = Command::new("mariadb-install-db");
        init.args([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ])
        .arg(format!("--datadir={}", data.display()));
        let user = if is_root() { "root" } else { "" };
        if !user.is_empty() {
            init.arg(format!("--user={user}"));
        }
        done(init);
        let first = home.path().join("first.sql");
        let text = "CREATE DATABASE accounts; CREATE USER 'b2bua'@'127.0.0.1' IDENTIFIED BY 'pw of b2bua'; \
            GRANT ALL ON accounts.* TO 'b2bua'@'127.0.0.1';\n";
        fs::write(&first, text.replace("; ", ";\n")).expect("writable");
        let mut command = Command::new("mariadbd");
        command
            .args([
                "--no-defaults",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--skip-log-bin",
            ])
            .arg(format!("--port={port}"))
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", home.path().join("socket").display()))
            .arg(format!("--pid-file={}", home.path().join("pid").display()))
            .arg(format!("--init-file={}", first.display()));
        if !user.is_empty() {
            command.arg(format!("--user={user}"));
        }
        Self::start(command, home, port)
    }
    /// With the password `pw` for all.
    pub(crate) fn redis() -> Self {
        Self::redis_at(free_port())
    }
    /// The same at a port that an earlier one had.
    pub(crate) fn redis_at(port: u16) -> Self {
        let home = home();
        let mut command = Command::new("redis-server");
        command
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--requirepass",
                "pw",
            ])
            .arg("--dir")
            .arg(home.path());
        Self::start(command, home, port)
    }
    fn start(mut command: Command, home: TempDir, port: u16) -> Self {
        let log = fs::File::create(home.path().join("log")).expect("writable");
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a handle"))
            .stderr(log);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut daemon = Self { port, home, child };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = daemon.child.try_wait().expect("ours");
            assert!(
                ended.is_none() && Instant::now() < end,
                "{command:?}:\n{}",
                daemon.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        daemon
    }
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }
    /// It is there and does nothing: its connections stay, and nobody answers in them.
    #[allow(dead_code, reason = "not every test that shares this freezes one")]
    pub(crate) fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }
    /// It goes on where it was.
    #[allow(dead_code, reason = "not every test that shares this freezes one")]
    pub(crate) fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }
    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a process of ours");
    }
    /// Ends it, at once and for certain.
    pub(crate) fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

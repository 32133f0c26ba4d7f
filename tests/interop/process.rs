//! A peer as a process: started in a namespace, its output in a file, ended by its id.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;

/// A running program. Dropping it ends it and its whole process group.
pub(crate) struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    output: PathBuf,
}

impl Process {
    /// Starts `program` in namespace `ns`. Standard output and error go to `dir/NAME.out`.
    pub(crate) fn start(name: &str, ns: &str, dir: &Path, command: &Command) -> Outcome<Self> {
        let mut outer = Command::new("ip");
        outer
            .args(["netns", "exec", ns])
            .arg(command.get_program())
            .args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => outer.env(key, value),
                None => outer.env_remove(key),
            };
        }
        outer.current_dir(dir);
        Self::start_here(name, dir, outer)
    }

    /// Starts a command in the namespace of the caller.
    pub(crate) fn start_here(name: &str, dir: &Path, mut command: Command) -> Outcome<Self> {
        let output = dir.join(format!("{name}.out"));
        let told = |e: std::io::Error| format!("{name}: {e}");
        let file = File::create(&output).map_err(told)?;
        command
            .stdin(Stdio::piped())
            .stdout(file.try_clone().map_err(told)?)
            .stderr(file)
            .process_group(0);
        let mut child = command.spawn().map_err(told)?;
        let stdin = child.stdin.take();
        Ok(Self {
            name: name.to_owned(),
            child,
            stdin,
            output,
        })
    }

    /// Writes one line to its standard input.
    pub(crate) fn say(&mut self, line: &str) -> Outcome {
        let stdin = self
            .stdin
            .as_mut()
            .ok_or_else(|| format!("{}: no stdin", self.name))?;
        writeln!(stdin, "{line}").map_err(|e| format!("{}: cannot say {line:?}: {e}", self.name))
    }

    /// All that it has printed so far.
    pub(crate) fn output(&self) -> String {
        fs::read(&self.output)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Waits until `text` has been printed at least `times` times.
    pub(crate) fn await_output(&mut self, text: &str, times: usize, limit: Duration) -> Outcome {
        let deadline = Instant::now() + limit;
        loop {
            if self.output().matches(text).count() >= times {
                return Ok(());
            }
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() > deadline {
                let why = ended.map_or("in time".to_owned(), |code| format!("before it ended ({code})"));
                return Err(format!(
                    "{} did not say {text:?} ({times}×) {why}; it ended with:\n{}",
                    self.name,
                    tail(&self.output(), 15)
                ));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until something in namespace `ns` listens on that port: for programs that do not say
    /// when they are ready. The kernel is asked.
    pub(crate) fn await_port(&mut self, ns: &str, port: u16) -> Outcome {
        let deadline = Instant::now() + Duration::from_secs(20);
        let end = format!(":{port}");
        loop {
            let mut ss = Command::new("ip");
            ss.args(["netns", "exec", ns, "ss", "-Htuln"]);
            let out = ss.output().map_err(|e| format!("ss: {e}"))?;
            let list = String::from_utf8_lossy(&out.stdout);
            if list.lines().any(|line| {
                line.split_whitespace()
                    .nth(4)
                    .is_some_and(|at| at.ends_with(&end))
            }) {
                return Ok(());
            }
            if self.ended()?.is_some() || Instant::now() > deadline {
                return Err(format!(
                    "{} does not listen on {port}:\n{}",
                    self.name,
                    tail(&self.output(), 15)
                ));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its exit code, if it has ended (-1: by a signal).
    pub(crate) fn ended(&mut self) -> Outcome<Option<i32>> {
        let status = self.child.try_wait().map_err(|e| format!("{}: {e}", self.name))?;
        Ok(status.map(|status| status.code().unwrap_or(-1)))
    }

    /// Waits for its end; an error when it does not end in time.
    pub(crate) fn await_end(&mut self, limit: Duration) -> Outcome<i32> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(code) = self.ended()? {
                return Ok(code);
            }
            if Instant::now() > deadline {
                return Err(format!("{} did not end in {limit:?}", self.name));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends it a signal by name (`INT`, `TERM`).
    pub(crate) fn signal(&self, signal: &str) {
        kill(signal, &self.child.id().to_string());
    }

    /// Asks it to end (`SIGINT` or `SIGTERM`), then makes it.
    pub(crate) fn stop(&mut self, signal: &str) -> Outcome {
        if self.ended()?.is_none() {
            self.signal(signal);
            self.await_end(Duration::from_secs(5))?;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group first: it may hold children even when the process itself has ended.
        kill("KILL", &format!("-{}", self.child.id()));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill(signal: &str, whom: &str) {
    let _ = Command::new("kill")
        .args([&format!("-{signal}"), "--", whom])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// The last `lines` lines.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

//! Reloads: who executes transfers changes for the calls that begin meanwhile, and nothing else does.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    path::PathBuf,
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

/// How long one mode is in force.
const SPELL: Duration = Duration::from_secs(2);

/// Changes the mode of a server until told to stop.
pub(crate) struct Modes {
    stop: Sender<()>,
    thread: thread::JoinHandle<usize>,
}

impl Modes {
    /// `settings` are those of the file, to which the mode is added.
    pub(crate) fn start(server: Pid, file: PathBuf, settings: String) -> Self {
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            let mut reloads = 0;
            while stopped.recv_timeout(SPELL) == Err(RecvTimeoutError::Timeout) {
                let mode = if reloads % 2 == 0 { "execute" } else { "relay" };
                fs::write(&file, format!("{settings}transfer-mode={mode}\n")).expect("writable");
                kill_process(server, Signal::HUP).expect("a process of ours");
                reloads += 1;
            }
            reloads
        });
        Self { stop, thread }
    }
    /// How often it was told to reload.
    pub(crate) fn finish(self) -> usize {
        drop(self.stop);
        self.thread.join().expect("it only writes")
    }
}

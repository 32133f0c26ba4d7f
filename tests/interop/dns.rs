//! dnsmasq as the name server of the hub.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::Outcome;
use crate::process::Process;
use crate::scene::Scene;

/// A running name server.
pub(crate) struct Dns {
    _process: Process,
}

impl Dns {
    /// Starts it on 127.0.0.1, with `records` in dnsmasq's words (`host-record=…`, `srv-host=…`).
    /// What is not there does not exist.
    pub(crate) fn start(scene: &Scene, records: &str) -> Outcome<Self> {
        let file = scene.dir.join("dnsmasq.conf");
        let text = format!(
            "no-resolv\nno-hosts\nno-daemon\nuser=root\nlisten-address=127.0.0.1\nbind-interfaces\n\
             log-queries\nlocal=/test/\n{records}\n"
        );
        fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut command = Command::new("dnsmasq");
        command.arg("-C").arg(&file).arg("--pid-file=");
        let mut process = Process::start_here("dnsmasq", &scene.dir, command)?;
        process.await_output("started, version", 1, Duration::from_secs(20))?;
        Ok(Self { _process: process })
    }
}

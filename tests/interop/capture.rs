//! What is on a wire: `dumpcap` writes it down, we read it after the call.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::Outcome;
use crate::keep::SEALED;
use crate::netns::Side;
use crate::pcap::{self, Payload};
use crate::process::Process;
use crate::sip_text::Message;

/// A running capture of one leg's wire.
pub(crate) struct Capture {
    process: Process,
    file: PathBuf,
}

impl Capture {
    /// Starts it on a leg's wire and waits until it captures.
    pub(crate) fn start(side: Side, dir: &Path) -> Outcome<Self> {
        Self::on(side.interface(), dir)
    }

    /// Starts it on that interface of the hub.
    pub(crate) fn on(interface: &str, dir: &Path) -> Outcome<Self> {
        Self::named(&format!("capture-{interface}"), interface, dir)
    }

    /// Starts it on a leg's wire that TLS seals: nothing secret may be readable in its file.
    pub(crate) fn sealed(side: Side, dir: &Path) -> Outcome<Self> {
        Self::named(&format!("{SEALED}{}", side.interface()), side.interface(), dir)
    }

    fn named(name: &str, interface: &str, dir: &Path) -> Outcome<Self> {
        let file = dir.join(format!("{name}.pcap"));
        let mut command = Command::new("dumpcap");
        // Port 4444 is baresip's control connection: the test's, not the phone's.
        command
            .args(["-q", "-P", "-i", interface, "-f", "not tcp port 4444", "-w"])
            .arg(&file);
        let mut process = Process::start_here(name, dir, command)?;
        process.await_output("File: ", 1, Duration::from_secs(20))?;
        Ok(Self { process, file })
    }

    /// Ends it and reads what it has seen.
    pub(crate) fn finish(mut self) -> Outcome<Wire> {
        // The kernel hands packets to dumpcap in blocks.
        thread::sleep(Duration::from_millis(400));
        self.process.stop("INT")?;
        let payloads = pcap::read(&self.file)?;
        let messages = payloads
            .iter()
            .filter(|p| p.tcp || p.bytes.windows(7).any(|w| w == b"SIP/2.0"))
            .flat_map(Message::split)
            .collect();
        Ok(Wire { payloads, messages })
    }
}

/// All that was said on one leg's wire.
#[derive(Clone)]
pub(crate) struct Wire {
    /// Datagrams and streams as they were.
    pub(crate) payloads: Vec<Payload>,
    /// The SIP among them.
    pub(crate) messages: Vec<Message>,
}

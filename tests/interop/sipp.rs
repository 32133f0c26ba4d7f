//! SIPp: one scenario as caller or callee, judged by SIPp itself.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Outcome;
use crate::baresip::literal;
use crate::netns::{Side, beside};
use crate::process::{Process, tail};
use crate::scene::Scene;

/// A running SIPp.
pub(crate) struct Sipp {
    name: String,
    process: Process,
}

/// Whose a scenario is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// Ours, in `scenarios/`.
    Ours,
    /// The test has written it, as `NAME.xml` in its folder.
    Written,
    /// SIPp's own, as it is.
    BuiltIn,
    /// SIPp's own, with each of these parts of its text replaced. One that is not there is an error.
    Adapted(&'static [Edit]),
}

/// What is cut out of a scenario of SIPp's: from there up to there, and what stands there instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edit {
    pub(crate) from: &'static str,
    pub(crate) up_to: &'static str,
    pub(crate) instead: &'static str,
}

/// How one SIPp is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) scenario: &'a str,
    pub(crate) source: Source,
    /// Everything is sent there, whoever `to` is.
    pub(crate) by: Option<SocketAddr>,
    /// Where the two halves of a third party (3PCC) speak to each other.
    pub(crate) twin: Option<SocketAddr>,
    /// Where it listens, and so in which namespace.
    pub(crate) side: Side,
    pub(crate) at: SocketAddr,
    /// To whom it speaks first; `None` for one that waits.
    pub(crate) to: Option<SocketAddr>,
    pub(crate) tcp: bool,
    /// How many calls it makes or takes before it ends.
    pub(crate) calls: u32,
}

impl<'a> Run<'a> {
    /// A caller on leg A that speaks to `to`.
    pub(crate) fn caller(scenario: &'a str, to: SocketAddr) -> Self {
        let at = SocketAddr::new(Side::A.phone(), 5072);
        Self {
            scenario,
            source: Source::Ours,
            by: None,
            twin: None,
            side: Side::A,
            at,
            to: Some(to),
            tcp: false,
            calls: 1,
        }
    }

    /// A callee on leg B.
    pub(crate) fn callee(scenario: &'a str) -> Self {
        let at = SocketAddr::new(Side::B.phone(), 5082);
        Self {
            scenario,
            source: Source::Ours,
            by: None,
            twin: None,
            side: Side::B,
            at,
            to: None,
            tcp: false,
            calls: 1,
        }
    }

    /// Starts it.
    pub(crate) fn start(self, scene: &Scene) -> Outcome<Sipp> {
        let name = format!("sipp-{}-{}", self.side.letter(), self.scenario);
        let mut command = Command::new("sipp");
        command.args(self.to.map(|to| to.to_string()));
        match self.source {
            Source::Ours => {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/scenarios");
                command
                    .arg("-sf")
                    .arg(folder.join(format!("{}.xml", self.scenario)));
            }
            Source::Written => {
                let file = scene.dir.join(format!("{}.xml", self.scenario));
                command.arg("-sf").arg(file);
            }
            Source::BuiltIn => drop(command.args(["-sn", self.scenario])),
            Source::Adapted(edits) => {
                let file = scene.dir.join(format!("{}.xml", self.scenario));
                let text = adapted(self.scenario, edits)?;
                std::fs::write(&file, text).map_err(|e| e.to_string())?;
                command.arg("-sf").arg(file);
            }
        }
        if let Some(by) = self.by {
            command.args(["-rsa", &by.to_string()]);
        }
        if let Some(twin) = self.twin {
            command.args(["-3pcc", &twin.to_string()]);
        }
        command.args(["-i", &bare(self.at.ip()), "-p", &self.at.port().to_string()]);
        let media = if self.side == Side::A { 23_000 } else { 24_000 };
        // Several of one side do not share ports.
        let media = media + 100 * (self.at.port() % 10);
        command.args(["-mi", &bare(self.at.ip()), "-mp", &media.to_string()]);
        command.args([
            "-t",
            if self.tcp { "t1" } else { "u1" },
            "-m",
            &self.calls.to_string(),
        ]);
        command.args([
            "-s",
            "bob",
            "-nostdin",
            "-trace_err",
            "-trace_msg",
            "-timeout",
            "60s",
            "-timeout_error",
        ]);
        if self.scenario.ends_with("_ack") {
            // Repeated 200s are what it waits for, not what it silently absorbs.
            command.arg("-nr");
        }
        let ns = beside(&scene.hub, self.side);
        let mut process = Process::start(&name, &ns, &scene.dir, &command)?;
        if self.to.is_none() {
            process.await_port(&ns, self.at.port())?;
        }
        Ok(Sipp { name, process })
    }
}

impl Sipp {
    /// Waits until it has done its calls; an error when one of them went otherwise.
    pub(crate) fn finish(mut self, limit: Duration) -> Outcome {
        match self.process.await_end(limit)? {
            0 => Ok(()),
            code => Err(format!(
                "{} ended with {code}:\n{}",
                self.name,
                tail(&self.process.output(), 40)
            )),
        }
    }
}

fn bare(ip: IpAddr) -> String {
    if ip.is_ipv6() { literal(ip) } else { ip.to_string() }
}

/// A scenario of SIPp's own, as it prints it, with changes.
fn adapted(name: &str, edits: &[Edit]) -> Outcome<String> {
    let printed = Command::new("sipp").args(["-sd", name]).output();
    let mut text = String::from_utf8_lossy(&printed.map_err(|e| format!("sipp: {e}"))?.stdout).into_owned();
    for Edit { from, up_to, instead } in edits {
        let start = text.find(from).ok_or_else(|| format!("{name} has no {from:?}"))?;
        let end = text[start..]
            .find(up_to)
            .ok_or_else(|| format!("{name} has no {up_to:?}"))?
            + start;
        text.replace_range(start..end, instead);
    }
    Ok(text)
}

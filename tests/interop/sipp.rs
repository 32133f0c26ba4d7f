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

/// How one SIPp is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) scenario: &'a str,
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
            side: Side::B,
            at,
            to: None,
            tcp: false,
            calls: 1,
        }
    }

    /// Starts it.
    pub(crate) fn start(self, scene: &Scene) -> Outcome<Sipp> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/interop/scenarios")
            .join(format!("{}.xml", self.scenario));
        let name = format!("sipp-{}-{}", self.side.letter(), self.scenario);
        let mut command = Command::new("sipp");
        command.args(self.to.map(|to| to.to_string()));
        command.arg("-sf").arg(&file);
        command.args(["-i", &bare(self.at.ip()), "-p", &self.at.port().to_string()]);
        command.args([
            "-mi",
            &bare(self.at.ip()),
            "-mp",
            if self.side == Side::A { "23000" } else { "24000" },
        ]);
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

//! Where one test takes place: its namespaces and its folder, seen from inside.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::capture::{Capture, Wire};
use crate::netns::Side;
use crate::phone::{Make, Setup};

/// One test's place.
pub(crate) struct Scene {
    pub(crate) hub: String,
    pub(crate) dir: PathBuf,
}

impl Scene {
    /// The scene inside the namespace `hub`.
    pub(crate) fn new(hub: &str, dir: &Path) -> Self {
        Self {
            hub: hub.to_owned(),
            dir: dir.to_owned(),
        }
    }

    /// The caller's phone.
    pub(crate) fn caller(&self, make: Make) -> Setup {
        Setup::new(make, Side::A, &self.hub, &self.dir)
    }

    /// The callee's phone.
    pub(crate) fn callee(&self, make: Make) -> Setup {
        Setup::new(make, Side::B, &self.hub, &self.dir)
    }

    /// Gives the hub another address, on its loopback: reached from both sides.
    pub(crate) fn add_address(&self, ip: IpAddr) -> Outcome {
        let out = Command::new("ip")
            .args(["addr", "add", &ip.to_string(), "dev", "lo"])
            .output()
            .map_err(|e| format!("ip: {e}"))?;
        if out.status.success() {
            return Ok(());
        }
        Err(format!(
            "ip addr add {ip}: {}",
            String::from_utf8_lossy(&out.stderr).trim()
        ))
    }

    /// Starts to capture both legs' wires.
    pub(crate) fn capture(&self) -> Outcome<Captures> {
        Ok(Captures {
            a: Capture::start(Side::A, &self.dir)?,
            b: Capture::start(Side::B, &self.dir)?,
        })
    }
}

/// Both captures, running.
pub(crate) struct Captures {
    a: Capture,
    b: Capture,
}

impl Captures {
    /// Ends them and reads leg A's wire and leg B's.
    pub(crate) fn finish(self) -> Outcome<(Wire, Wire)> {
        Ok((self.a.finish()?, self.b.finish()?))
    }
}

//! Where one test takes place: its namespaces and its folder, seen from inside.

use std::path::{Path, PathBuf};

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

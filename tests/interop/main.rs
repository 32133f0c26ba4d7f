//! Real phones, proxies and a name server against the real server, headless, each test in network
//! namespaces of its own. Needs root and the Debian packages that `tests/run` installs; a peer that
//! is not there is a failure.
//!
//! `cargo test --test interop -- [NAME…] [--jobs N] [--repeat N] [--list]`: NAME is any part of a
//! test's name. A test that fails leaves its captures and the logs of its peers behind and says
//! where.
#![expect(clippy::disallowed_methods, reason = "real peers live in real time")]

mod announced;
mod authority;
mod baresip;
mod capture;
mod carriers;
mod converse;
mod daemon;
mod digits;
mod direct;
mod dns;
mod early;
mod executed;
mod fallback;
mod handed;
mod hold;
mod itsp;
mod judge;
mod kamailio;
mod keep;
mod linphone;
#[path = "../loopback/machine.rs"]
mod machine;
mod messages;
mod multihomed;
mod netns;
mod pairs;
#[path = "../loopback/party.rs"]
mod party;
mod password;
mod pcap;
mod phone;
mod picture;
mod privacy;
mod process;
mod rtcp;
mod rtp;
mod runner;
mod scene;
mod secrets;
mod server;
#[path = "../shim/mod.rs"]
mod shim;
mod shipped;
mod sip_text;
mod sipp;
mod sipp_calls;
mod through;
mod timers;
mod tls;
mod tone;
mod transfer;
mod trunk;
mod video;
mod weather;

use std::process::ExitCode;
use std::time::Duration;

/// What a step of a test comes to; the error says what was expected and what was seen.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// One test.
pub(crate) struct Test {
    /// A sentence of behaviour.
    pub(crate) name: &'static str,
    pub(crate) body: fn(&scene::Scene) -> Outcome,
    /// After this it is ended, with all its peers.
    pub(crate) limit: Duration,
}

impl Test {
    /// A test of ordinary length.
    pub(crate) const fn new(name: &'static str, body: fn(&scene::Scene) -> Outcome) -> Self {
        Self {
            name,
            body,
            limit: Duration::from_secs(180),
        }
    }
}

fn main() -> ExitCode {
    let tests: Vec<&Test> = [
        direct::TESTS,
        through::TESTS,
        secrets::TESTS,
        weather::TESTS,
        fallback::TESTS,
        pairs::TESTS,
        video::TESTS,
        transfer::TESTS,
        executed::TESTS,
        hold::TESTS,
        early::TESTS,
        digits::TESTS,
        messages::TESTS,
        tls::TESTS,
        password::TESTS,
        trunk::TESTS,
        handed::TESTS,
        carriers::TESTS,
        timers::TESTS,
        sipp_calls::TESTS,
        multihomed::TESTS,
        shipped::TESTS,
    ]
    .into_iter()
    .flatten()
    .collect();
    runner::run(&tests)
}

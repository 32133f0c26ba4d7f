//! The rig: whole calls on virtual time, for our tests and for those of application authors (feature `testing`).
//!
//! A [`Sim`] holds one [`Call`](crate::call::Call), the application's answers, a clock, two wires with a delay and a relay that only
//! writes down what it is told. Its parties are [`Phone`]s, which behave, [`Agent`]s, which
//! have the transactions of RFC 3261 too and live in any [`Weather`], or [`Peer`]s, which say what a test wants. After every
//! message the sim looks for what must never be on a wire: see [`privacy`].

pub mod agent;
pub mod cache;
pub mod carrier;
pub mod fuzz;
pub mod handshakes;
pub mod legs;
pub mod notifier;
pub mod peer;
pub mod phone;
pub mod privacy;
pub mod registrar;
pub mod relay;
pub mod scene;
pub mod script;
pub mod sim;
pub mod stage;
pub mod verdicts;
pub mod weather;

pub use agent::{Act, Agent, Change, Outcome};
pub use cache::FakeCache;
pub use carrier::Carrier;
pub use handshakes::FakeHandshakes;
pub use notifier::{Notifier, Subscribed};
pub use peer::Peer;
pub use phone::{Hold, Phone};
pub use registrar::Registrar;
pub use relay::FakeRelay;
pub use scene::Scene;
pub use script::Script;
pub use sim::{Sim, Switchboard, Who, ZID, settings};
pub use stage::{Callee, Fork, Greeting, Say, Stage};
pub use verdicts::Verdicts;
pub use weather::Weather;

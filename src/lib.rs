//! b2bua: a SIP back-to-back user agent server.
//!
//! A B2BUA stands between two parties of a call with one SIP session towards each: *leg A* towards the
//! caller, *leg B* towards the callee. Five concepts carry the whole crate:
//!
//! - a [`call::Leg`] is one SIP session: a machine without socket, clock or task;
//! - a [`call::Signal`] is what one leg says and the other is told;
//! - a [`call::Call`] is two legs and what joins them;
//! - an [`app::Application`] is asked where a call goes and answers with a value;
//! - a flow ([`media::relay`]) carries the packets of one stream in one direction: open, edit, seal.
//!
//! Imports point one way: `server` and `control` drive; `net` and `media::relay` do I/O; `call` and
//! `registration` decide; `sip` and `sdp` are pure and know nothing of each other. `phone` stands aside and uses none of them.

pub mod accounts;
pub mod app;
pub mod call;
pub mod config;
pub mod control;
pub mod media;
pub mod message_waiting;
pub mod net;
pub mod phone;
pub mod qualification;
pub mod registration;
pub mod roll;
pub mod sdp;
pub mod server;
pub mod sip;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

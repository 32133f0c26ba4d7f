//! SIP messages and the machines that belong to one of them: RFC 3261 and its kin, without sockets or clocks.
//!
//! Lossless: what is not understood is kept and printed as it came. Typed headers are read on demand.

pub mod addr;
pub mod auth;
mod check;
pub mod cseq;
pub mod dialog;
pub mod headers;
pub mod ids;
pub(crate) mod lex;
pub mod message;
pub mod message_summary;
pub mod name;
#[cfg(test)]
mod oracle_tests;
pub mod parse;
pub mod print;
#[cfg(test)]
mod property_tests;
pub mod refer;
pub mod reliable;
pub mod replaces;
pub mod routing;
pub mod session;
pub mod status;
pub mod subscription;
pub mod text;
pub mod timers;
pub mod transaction;
pub mod uri;
pub mod via;

pub use addr::NameAddr;
pub use cseq::CSeq;
pub use headers::Headers;
pub use ids::Ids;
pub use message::{Message, Method, Request, Response};
pub use name::Name;
pub use parse::ParseError;
pub use refer::ReferTo;
pub use replaces::Replaces;
pub use status::Status;
pub use text::Text;
pub use uri::{Uri, masked};
pub use via::Via;

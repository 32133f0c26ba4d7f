//! SIP messages and the machines that belong to one of them: RFC 3261 and its kin, without sockets or clocks.
//!
//! Lossless: what is not understood is kept and printed as it came. Typed headers are read on demand.

pub mod addr;
pub mod auth;
pub mod cseq;
pub mod dialog;
pub mod headers;
pub mod ids;
pub mod message;
pub mod parse;
pub mod print;
pub mod routing;
pub mod text;
pub mod timers;
pub mod transaction;
pub mod uri;
pub mod via;

pub use addr::NameAddr;
pub use cseq::CSeq;
pub use headers::{Headers, Name};
pub use ids::Ids;
pub use message::{Message, Method, Request, Response, Status};
pub use parse::ParseError;
pub use text::Text;
pub use uri::Uri;
pub use via::Via;

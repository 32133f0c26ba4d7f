//! Session descriptions (RFC 8866) and the offer/answer rewriting of a B2BUA (RFC 3264). Pure.
//!
//! A description is kept line by line: what is not understood stays where it was, to the byte, Latin-1 included.
//! The few attributes that belong to one leg (keys, addresses, ports) have types here; the rest crosses the bridge
//! untouched, see [`forward()`].

mod answering;
pub mod compare;
pub mod crypto;
pub mod direction;
pub mod fingerprint;
pub mod format;
pub mod forward;
pub mod model;
pub mod parse;
pub mod profile;
mod renumber;
pub mod restrict;
pub mod setup;

pub use compare::{crosses_alike, same_session};
pub use crypto::Crypto;
pub use direction::Direction;
pub use fingerprint::Fingerprint;
pub use format::{Encoding, Format};
pub use forward::{Plan, StreamPlan, forward};
pub use model::{Line, Media, Origin, Sdp};
pub use parse::ParseError;
pub use profile::{Protection, Transport};
pub use restrict::{Codec, Codecs};
pub use setup::{Setup, TlsId};

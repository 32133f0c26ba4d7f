//! Registrations of ours at other people's registrars (RFC 3261 §10.2): a machine for each account, and a book of them
//! ([`crate::roll`]). Without sockets or clocks; `server::registrations` drives it.

pub(crate) mod answers;
pub(crate) mod backoff;
pub mod book;
pub(crate) mod granted;
mod machine;
pub(crate) mod operation;
pub mod plan;
pub(crate) mod request;
#[cfg(test)]
mod tests;

pub use crate::roll::{AccountKey, Changes};
pub use book::{Book, BookOutput, View};
pub use machine::{Binding, Name, Output, Registration};
pub use plan::{RegistrationPlan, RegistrationStatus};

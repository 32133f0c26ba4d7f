//! Registrations of ours at other people's registrars (RFC 3261 §10.2): a machine for each account, and a book of them
//! ([`crate::roll`]). Without sockets or clocks; `server::registrations` drives it.

pub mod book;
mod granted;
mod machine;
pub mod plan;
mod request;
#[cfg(test)]
mod tests;

pub use crate::roll::{AccountKey, Changes};
pub use book::{Book, BookOutput, View};
pub use machine::{Binding, Name, Output, Registration};
pub use plan::{RegistrationPlan, RegistrationStatus};

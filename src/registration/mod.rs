//! Registrations of ours at other people's registrars (RFC 3261 §10.2): a machine for each account, and a book of them that lets
//! no more than the set rate through. Without sockets or clocks; `server::registrations` drives it.

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
pub(crate) mod turns;

pub use book::{Book, BookOutput, Changes, View};
pub use machine::{Binding, Output, Registration};
pub use plan::{AccountKey, RegistrationPlan, RegistrationStatus};

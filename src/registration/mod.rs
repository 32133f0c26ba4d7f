//! Registrations of ours at other people's registrars (RFC 3261 §10.2): a machine for each account, and a book of them that lets
//! no more than the set rate through. Without sockets or clocks; `server::registrations` drives it.

mod answers;
mod backoff;
pub mod book;
mod granted;
mod machine;
mod operation;
pub mod plan;
mod request;
#[cfg(test)]
mod tests;
mod turns;

pub use book::{Book, BookOutput, Changes, View};
pub use machine::{Binding, Output, Registration};
pub use plan::{AccountKey, RegistrationPlan, RegistrationStatus};

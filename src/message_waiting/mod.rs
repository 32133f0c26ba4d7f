//! Subscriptions of ours to the mailboxes of accounts at their providers (RFC 3842, RFC 6665): a machine for each account, and a
//! book of them ([`crate::roll`]). Without sockets or clocks; `server::message_waiting` drives it.
//!
//! An account subscribes once it is registered, or at once where it need not be. What its mailbox tells is answered here, and handed
//! on as news.

pub mod book;
mod dialog;
mod machine;
mod notice;
pub mod plan;

pub use book::{MailboxBook, MailboxBookOutput};
pub use machine::{MailboxOutput, MailboxSubscription};
pub use plan::{MailboxPlan, MailboxStatus};

#[cfg(test)]
mod tests;

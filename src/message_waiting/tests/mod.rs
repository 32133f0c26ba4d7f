//! Subscriptions on virtual time, with a notifier in every mood.

mod accounts;
mod happy;
mod orders;
mod rig;
mod weather;

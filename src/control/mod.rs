//! What operators and their systems see of a running server: metrics, health, calls. Read only: nothing here changes a call.

pub mod accounts;
pub mod calls;
pub mod http;
mod metrics;
pub mod socket;
mod styled;

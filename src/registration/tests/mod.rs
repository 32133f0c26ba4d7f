//! Registrations on virtual time, against registrars that behave and that do not.

mod accounts;
mod digest;
mod happy;
mod own;
mod rig;
mod weather;

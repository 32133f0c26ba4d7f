//! The command's configuration as an operator meets it: the real binary, real files, a real notify socket.

mod config {
    pub(crate) mod process;
    mod reports;
    mod service;
}

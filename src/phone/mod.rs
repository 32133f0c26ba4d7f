//! Built-in phones on rsip, sdp-rs, webrtc-srtp and webrtc-dtls: code that is not ours judges what is.
//!
//! Nothing of `sip`, `sdp`, `call` or `media` is used here, so that a fault of ours cannot cancel itself out; but for ZRTP,
//! of which there is no other in Rust.

pub mod audio;
pub mod child;
pub mod crypto;
pub mod demo;
pub mod dtls;
pub mod handset;
pub mod load;
pub mod message;
pub mod procfs;
pub mod session;
pub mod stream;
pub mod tone;
pub mod ua;
pub mod zrtp;

/// What can go wrong with a phone, or with what is said to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A session description that is not what was expected.
    #[error("session description: {0}")]
    Session(String),
    /// A SIP message that is not what was expected.
    #[error("SIP message: {0}")]
    Message(String),
    /// A socket or file failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// How it failed.
        source: std::io::Error,
    },
}

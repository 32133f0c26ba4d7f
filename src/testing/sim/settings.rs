//! What a [`Sim`](super::Sim) runs with unless a test says otherwise.

use crate::{
    call::{
        bridge::CallSettings,
        leg::{Profile, Reliability, SessionTimers},
    },
    sip::timers::Timers,
};
use std::{sync::Arc, time::Duration};

/// The settings of a sim unless a test changes them.
pub fn settings() -> CallSettings {
    CallSettings {
        profile: Arc::new(Profile {
            user_agent: "B2BUA/test".into(),
            timers: Timers::default(),
            sessions: SessionTimers::default(),
            reliable: Reliability::default(),
        }),
        max_duration: None,
        no_rtp: Some(Duration::from_secs(30)),
        rtp_keepalive: None,
        media_addresses: Vec::new(),
        suites: Vec::new(),
        fingerprint: Some(certificate()),
        transfer: crate::call::TransferMode::default(),
        codecs: crate::sdp::Codecs::default(),
        follow_redirects: false,
    }
}

/// The fingerprint of the server's certificate.
fn certificate() -> crate::sdp::Fingerprint {
    let octets = vec!["5E"; 32];
    format!("sha-256 {}", octets.join(":"))
        .parse()
        .expect("a test's own fingerprint")
}

//! What the server lends to applications.

use crate::sip::Uri;

/// What an application may use of the server. Grows with the applications (DNS, databases, registrations).
#[derive(Clone, Debug)]
pub struct Services {
    /// `[b2bua-server] outbound-proxy`.
    pub outbound_proxy: Option<Uri>,
    /// `[b2bua-server] nat-latching`.
    pub latching: crate::call::NatLatching,
}

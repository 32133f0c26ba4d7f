//! The applications of this binary. Each sees only what any author outside of this repository sees: `b2bua::app`.

pub(crate) mod sip_bridge;
pub(crate) mod trenscrypter;

use b2bua::app::Registered;

/// All of them. A new one is one file, one `mod` and one line here.
pub(crate) const ALL: &[Registered] = &[
    Registered::of::<trenscrypter::Trenscrypter>(),
    Registered::of::<sip_bridge::SipBridge>(),
];

//! What the tests ask of a phone, whoever made it.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::Outcome;
use crate::baresip::{Baresip, literal};
use crate::linphone::Linphone;
use crate::netns::Side;
use crate::tone::{self, Sound};

/// Whose phone it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    Linphone,
    Baresip,
}

/// How a phone keys its media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Not at all.
    None,
    Sdes,
    Dtls,
    /// Linphone only: Debian's baresip is built without.
    Zrtp,
}

impl Keys {
    /// The server's word for it.
    pub(crate) const fn mode(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sdes => "sdes",
            Self::Dtls => "dtls-srtp",
            Self::Zrtp => "zrtp",
        }
    }
}

/// How a phone is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) make: Make,
    pub(crate) side: Side,
    /// The hub's namespace, and the folder of this test.
    pub(crate) hub: String,
    pub(crate) dir: PathBuf,
    /// It offers that and takes nothing else, but that without encryption it takes what it is offered.
    pub(crate) keys: Keys,
    /// The suites that it offers, where that can be set (Linphone); empty: its own choice.
    pub(crate) suites: &'static str,
    /// By what alone it agrees on keys in ZRTP, in the phone's words (Linphone); empty: its own choice.
    pub(crate) key_agreement: &'static str,
    /// It offers every codec that it has (Linphone); else PCMU and PCMA, which the wire's judge decodes.
    pub(crate) every_codec: bool,
    /// The tone that it plays, in hertz; 0 is silence.
    pub(crate) tone: f64,
    /// It answers calls by itself.
    pub(crate) answers: bool,
    /// Where it sends all requests; `None`: to the target itself.
    pub(crate) proxy: Option<String>,
    pub(crate) ipv6: bool,
    /// Before it is told to answer, it lets itself be heard (baresip, as it is told to; Linphone by itself).
    pub(crate) early: bool,
    /// It knows the events of RFC 4733 (Linphone).
    pub(crate) events: bool,
    /// It says and takes SIP by TLS; the folder of its certificates.
    pub(crate) tls: Option<PathBuf>,
    /// By TLS it shows a certificate (Linphone).
    pub(crate) certified: bool,
    /// What it answers where it is asked for a password: the realm, and the password.
    pub(crate) password: Option<(&'static str, &'static str)>,
    /// Further lines of `[sip]` in Linphone's settings.
    pub(crate) more: String,
    /// The third phone of a transfer: carol, who lives beside the one of her side.
    pub(crate) third: bool,
}

impl Setup {
    /// A plain phone on that side, playing that side's tone. The callee answers.
    pub(crate) fn new(make: Make, side: Side, hub: &str, dir: &std::path::Path) -> Self {
        Self {
            make,
            side,
            hub: hub.to_owned(),
            dir: dir.to_owned(),
            keys: Keys::None,
            suites: "",
            key_agreement: "",
            every_codec: false,
            tone: if side == Side::A {
                tone::CALLER
            } else {
                tone::CALLEE
            },
            answers: side == Side::B,
            proxy: None,
            ipv6: false,
            early: false,
            events: true,
            tls: None,
            certified: true,
            password: None,
            more: String::new(),
            third: false,
        }
    }

    /// The same as carol, with a tone of her own.
    pub(crate) fn carol(mut self) -> Self {
        self.third = true;
        self.tone = tone::STRANGE;
        self
    }

    /// What tells its files from the others'.
    pub(crate) fn letter(&self) -> &'static str {
        if self.third { "c" } else { self.side.letter() }
    }

    /// The same with SDES.
    pub(crate) fn encrypted(self) -> Self {
        self.keyed(Keys::Sdes)
    }

    /// The same keyed like that.
    pub(crate) fn keyed(mut self, keys: Keys) -> Self {
        self.keys = keys;
        self
    }

    /// The same with all its requests going to that proxy.
    pub(crate) fn through(mut self, proxy: &str) -> Self {
        self.proxy = Some(proxy.to_owned());
        self
    }

    /// The user's own address. Not a host of the rig: what a user is called passes through a
    /// B2BUA, where the user is does not.
    pub(crate) fn identity(&self) -> &'static str {
        if self.third {
            "sip:carol@example.net"
        } else if self.side == Side::A {
            "sip:alice@example.org"
        } else {
            "sip:bob@example.net"
        }
    }

    pub(crate) fn ip(&self) -> IpAddr {
        if self.ipv6 {
            self.side.phone6()
        } else {
            self.side.phone()
        }
    }

    /// The ports tell the legs apart on the wire, for the privacy scan.
    pub(crate) fn sip_port(&self) -> u16 {
        match (self.side, self.third) {
            (Side::A, false) => 5072,
            (Side::A, true) => 5062,
            (Side::B, false) => 5082,
            (Side::B, true) => 5092,
        }
    }

    pub(crate) fn media_port(&self) -> u16 {
        match (self.side, self.third) {
            (Side::A, false) => 21000,
            (Side::A, true) => 24000,
            (Side::B, false) => 22000,
            (Side::B, true) => 23000,
        }
    }

    /// The URI at which the phone itself takes calls.
    pub(crate) fn direct_uri(&self) -> String {
        let user = match (self.side, self.third) {
            (_, true) => "carol",
            (Side::A, false) => "alice",
            (Side::B, false) => "bob",
        };
        format!("sip:{user}@{}:{}", literal(self.ip()), self.sip_port())
    }

    /// Starts the phone.
    pub(crate) fn start(&self) -> Outcome<Box<dyn Phone>> {
        Ok(match self.make {
            Make::Linphone => Box::new(Linphone::start(self)?),
            Make::Baresip => Box::new(Baresip::start(self)?),
        })
    }
}

/// A running phone. Every wait in it is bounded.
pub(crate) trait Phone {
    fn name(&self) -> &'static str;
    /// Calls `target`.
    fn dial(&mut self, target: &str) -> Outcome;
    /// Waits until the call is answered; an error when it fails instead.
    fn await_call(&mut self) -> Outcome;
    /// Puts the other end on hold and waits until that is agreed.
    fn hold(&mut self) -> Outcome;
    /// Takes the call back and waits until that is agreed.
    fn resume(&mut self) -> Outcome;
    fn hang_up(&mut self) -> Outcome;
    /// Waits until the call is over.
    fn await_end(&mut self) -> Outcome;
    /// All that it has recorded of the other end. After the call.
    fn heard(&mut self) -> Outcome<Sound>;
    /// Whether it records on after a re-INVITE.
    fn records_on(&self) -> bool;
    /// Seconds of audio that it has decoded so far, where it says so.
    fn decoded(&mut self) -> Outcome<Option<f64>>;
}

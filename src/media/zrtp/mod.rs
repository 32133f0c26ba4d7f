//! ZRTP (RFC 6189): keys that two endpoints agree on in the media path. Without socket, clock and task, and without
//! anything of this server but [`Suite`](super::Suite) and [`SrtpKey`]: it could be a crate of its own.
//!
//! An [`Association`] is one endpoint's talk with one peer: a leg. Each media stream of it has its own exchange. The first
//! agrees on a key by Diffie-Hellman and shows a Short Authentication String; those that follow derive theirs from it
//! (Multistream, §4.4.3).
//!
//! ```text
//! add_stream ─► Send Hello …            handle_packet(stream, datagram)
//!              Lookup(peer)     ──────► handle_retained(peer, what is stored)
//!              Send Commit, DHPart, Confirm …
//!              Keys, Secured, Store      then SRTP
//! ```
//!
//! After any `add_…`, `handle_…`, `set_…`: drain [`Association::poll_output`] to `None`, then wait for input or
//! [`Association::poll_timeout`]. What the caller owes: each [`Output::Lookup`] is answered by
//! [`Association::handle_retained`]; packets come only from where the peer may be, and not faster than a person could talk.
//!
//! **What a stranger can do.** Nothing before Hello proves who sent it: up to four different ones are kept until a message of
//! the hash chain (§9) tells which is real, or `a=zrtp-hash` tells at once. After that, what does not fit the chain is dropped.
//! Error messages and the like carry no proof: they end an exchange only if the real peer stays silent for two seconds.
//! GoClear is never granted; Preshared mode, PBX enrolment and relayed SAS are not offered.
//!
//! **Not here.** The hybrid agreements of some Linphone builds (`KYB1`, `K255` with Kyber or HQC): they are made of Kyber as it was
//! before FIPS 203, which no maintained crate has, and spread messages over several packets. Such a Linphone has X255 as well.

mod algorithm;
mod association;
mod cache;
mod chain;
mod cipher;
mod dh;
mod digest;
mod handshake;
mod kdf;
mod message;
mod negotiation;
mod packet;
mod sas;
mod signalled;
mod stream;
mod timer;
mod words;

pub use algorithm::{Algorithm, AuthTag, Choice, Cipher, Code, Hash, KeyAgreement, SasType};
pub use association::{Association, MAX_STREAMS};
pub use cache::{Lifetime, Retained, Secret, Update};
pub use message::{
    Commit, Confirm, ConfirmContent, DhPart, ErrorCode, Flags, Hello, Malformed, Message, Mode,
};
pub use packet::{MAX_PACKET, Packet};
pub use signalled::HelloHash;

use super::SrtpKey;
use std::time::Instant;

/// An endpoint's identifier, the same in all its sessions (RFC 6189 §4.9): 96 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Zid(pub [u8; 12]);

impl std::fmt::Debug for Zid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Zid({})", hex::encode(self.0))
    }
}

/// A media stream, by the number that the caller gave it: its m-line's position. The lowest does Diffie-Hellman first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamIndex(pub usize);

/// What an association may know of the outside. Never stored.
pub struct Env<'a> {
    /// The time.
    pub now: Instant,
    /// Fills with unpredictable bytes: everything secret comes from here.
    pub random: &'a mut dyn FnMut(&mut [u8]),
}

impl Env<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.random)(&mut bytes);
        bytes
    }
}

/// How an endpoint behaves. The lists are what it allows, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the software, cut to 16 octets.
    pub client: String,
    /// Hashes.
    pub hashes: Vec<Hash>,
    /// Ciphers.
    pub ciphers: Vec<Cipher>,
    /// SRTP authentication tags.
    pub auth_tags: Vec<AuthTag>,
    /// Key agreements; without `Mult` each stream does its own.
    pub key_agreements: Vec<KeyAgreement>,
    /// SAS renderings.
    pub sas_types: Vec<SasType>,
    /// Never be the initiator (flag P).
    pub passive: bool,
    /// Tell the peer that keys may be disclosed (flag D, §11): for servers that record or must hand out keys.
    pub disclosure: bool,
    /// The signalling with this peer cannot be changed on its way (TLS straight to it): then an `a=zrtp-hash` that fits
    /// lets new secrets replace retained ones that do not match (§4.6.1.1). Otherwise they wait for
    /// [`Association::set_verified`].
    pub signalling_protected: bool,
    /// For how long we allow the retained secret to be kept (§4.9).
    pub lifetime: Lifetime,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            client: concat!("b2bua ", env!("CARGO_PKG_VERSION")).into(),
            hashes: vec![Hash::S256, Hash::S384],
            ciphers: vec![Cipher::Aes1, Cipher::Aes3],
            auth_tags: vec![AuthTag::Hs80, AuthTag::Hs32],
            // Not DH2k: where it is offered the rule of §4.1.2 may choose it, and 2048 bits are the weakest here.
            key_agreements: vec![
                KeyAgreement::X255,
                KeyAgreement::Ec25,
                KeyAgreement::X448,
                KeyAgreement::Dh3k,
                KeyAgreement::Ec38,
                KeyAgreement::Mult,
            ],
            sas_types: vec![SasType::B32, SasType::B256],
            passive: false,
            disclosure: false,
            signalling_protected: false,
            lifetime: Lifetime::Forever,
        }
    }
}

/// What an association asks for, or tells.
#[derive(Debug)]
pub enum Output {
    /// Send this datagram on the stream's RTP path.
    Send(StreamIndex, Vec<u8>),
    /// Look up what is retained of this peer; answer with [`Association::handle_retained`].
    Lookup(Zid),
    /// From now on packets of the peer may be opened with this. Comes before its first SRTP packet can.
    ReceiveKey(StreamIndex, SrtpKey),
    /// From now on packets to the peer are sealed with this.
    SendKey(StreamIndex, SrtpKey),
    /// The stream is secured. After both keys.
    Secured(StreamIndex, Box<Secured>),
    /// Keep this.
    Store(Update),
    /// Nobody answered the Hellos (§6: 20 of them, in 4 seconds). If a Hello comes later, the exchange begins after all.
    Unanswered(StreamIndex),
    /// A secured stream saw the Hello of another exchange: the peer began anew, or somebody else is there. Nothing was
    /// changed; whoever knows from signalling that it is right makes a new association. Told once.
    OtherHello(StreamIndex),
    /// The stream's exchange failed, for good. If keys were given they must not be used any more.
    Failed(StreamIndex, Failure),
}

/// A secured stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// What was agreed on.
    pub choice: Choice,
    /// Whether we were the initiator.
    pub initiator: bool,
    /// Who it is.
    pub peer: Peer,
    /// The Short Authentication String; a stream in Multistream mode has none of its own.
    pub sas: Option<Sas>,
}

/// What the peer told of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its identifier.
    pub zid: Zid,
    /// Its software; unprintable octets are replaced.
    pub client: String,
    /// It says that it is a man in the middle, such as a PBX (flag M).
    pub mitm: bool,
    /// It may disclose its keys (flag D).
    pub disclosure: bool,
    /// Its Hello is the one that `a=zrtp-hash` announced.
    pub signalled: bool,
}

/// The string that both users compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sas {
    /// As it is shown: four characters, or two words with a colon between.
    pub text: String,
    /// Both sides say that it was verified in an earlier session, and the secrets since then match.
    pub verified: bool,
    /// Secrets were retained of this peer, and it has none of them (§4.3.2): a man in the middle, or its cache was lost.
    pub cache_mismatch: bool,
}

/// Why a stream has no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// We ended it, and told the peer why.
    #[error("ZRTP failed: {}", .0.text())]
    Local(ErrorCode),
    /// The peer ended it.
    #[error("the peer reported a ZRTP error: {}", .0.text())]
    Remote(ErrorCode),
    /// The Hello on a secured stream is not the one of `a=zrtp-hash`, which came later.
    #[error("the peer's Hello is not the one that its a=zrtp-hash announced")]
    Hash,
}

//! The two transforms on octets: counter mode with HMAC-SHA1 (RFC 3711 §4, RFC 6188) and GCM (RFC 7714). They know keys
//! and indices; which index is right is decided by their callers.

use super::KeyError;
use crate::media::{
    SrtpKey, Suite,
    packet::{MAX_MKI, Packet, RTCP_HEADER, RtpHeader, word32},
};
use counter::{Cipher, CounterMode};
use galois::Galois;
use zeroize::{Zeroize, Zeroizing};

mod counter;
mod galois;
#[cfg(test)]
mod vectors;

/// The bit that says that an SRTCP packet is encrypted (RFC 3711 §3.4).
const ENCRYPTED: u32 = 1 << 31;

/// The session keys of one master key.
pub(super) struct Transform {
    keys: Keys,
    mki: Box<[u8]>,
}

enum Keys {
    Counter {
        rtp: Box<CounterMode>,
        rtcp: Box<CounterMode>,
    },
    Galois {
        rtp: Box<Galois>,
        rtcp: Box<Galois>,
    },
}

/// Key derivation labels (RFC 3711 §4.3.1).
struct Labels {
    encryption: u8,
    authentication: u8,
    salt: u8,
}

const RTP: Labels = Labels {
    encryption: 0,
    authentication: 1,
    salt: 2,
};
const RTCP: Labels = Labels {
    encryption: 3,
    authentication: 4,
    salt: 5,
};

impl Transform {
    /// Derives the session keys (RFC 3711 §4.3, rate 0).
    pub(super) fn new(key: &SrtpKey) -> Result<Self, KeyError> {
        let suite = key.suite;
        if key.master.len() != suite.master_length() {
            return Err(KeyError::Length {
                suite,
                found: key.master.len(),
            });
        }
        let mki = key.mki.clone().unwrap_or_default();
        if mki.len() > MAX_MKI || (mki.is_empty() && key.mki.is_some()) {
            return Err(KeyError::Mki(mki.len()));
        }
        let master = Master::new(suite, &key.master);
        let keys = match suite {
            Suite::AesCm128HmacSha1_80
            | Suite::AesCm128HmacSha1_32
            | Suite::AesCm256HmacSha1_80
            | Suite::AesCm256HmacSha1_32 => Keys::Counter {
                rtp: Box::new(CounterMode::derive(&master, &RTP, suite.rtp_tag_length())),
                rtcp: Box::new(CounterMode::derive(&master, &RTCP, suite.rtcp_tag_length())),
            },
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => Keys::Galois {
                rtp: Box::new(Galois::derive(&master, &RTP)),
                rtcp: Box::new(Galois::derive(&master, &RTCP)),
            },
        };
        Ok(Self {
            keys,
            mki: mki.into_boxed_slice(),
        })
    }

    /// Octets that sealing adds to an RTP packet.
    #[inline]
    pub(super) const fn rtp_overhead(&self) -> usize {
        self.mki.len()
            + match self.keys {
                Keys::Counter { ref rtp, .. } => rtp.tag_length(),
                Keys::Galois { .. } => Galois::TAG,
            }
    }

    /// Octets that sealing adds to an RTCP packet.
    const fn rtcp_overhead(&self) -> usize {
        4 + self.mki.len()
            + match self.keys {
                Keys::Counter { ref rtcp, .. } => rtcp.tag_length(),
                Keys::Galois { .. } => Galois::TAG,
            }
    }

    /// Whether a failed attempt to open leaves the packet in pieces.
    pub(super) const fn spoils(&self) -> bool {
        matches!(self.keys, Keys::Galois { .. })
    }

    /// Whether the octets before `behind` octets from the end are our master key identifier.
    ///
    /// Most keys have none, and comparing nothing is dear: glibc's `memcmp` then reads at no address at all under an empty
    /// mask, which takes the processor longer than the HMAC.
    #[inline]
    fn names_us(&self, packet: &Packet, behind: usize) -> bool {
        let found = || {
            let end = packet.len().checked_sub(behind)?;
            packet.bytes().get(end.checked_sub(self.mki.len())?..end)
        };
        self.mki.is_empty() || found().is_some_and(|found| *found == *self.mki)
    }

    /// Seals an RTP packet. `false`: no room behind it.
    #[inline]
    pub(super) fn seal_rtp(&self, packet: &mut Packet, header: &RtpHeader, index: u64) -> bool {
        match &self.keys {
            Keys::Counter { rtp, .. } => rtp.seal_rtp(packet, header, index, &self.mki),
            Keys::Galois { rtp, .. } => rtp.seal_rtp(packet, header, index, &self.mki),
        }
    }

    /// Opens an RTP packet that is at least as long as header and overhead, under this index. The length of the plain
    /// packet, or `None` when it is not authentic.
    #[inline]
    pub(super) fn open_rtp(&self, packet: &mut Packet, header: &RtpHeader, index: u64) -> Option<usize> {
        match &self.keys {
            Keys::Counter { rtp, .. } => self
                .names_us(packet, rtp.tag_length())
                .then(|| rtp.open_rtp(packet, header, index, &self.mki))?,
            Keys::Galois { rtp, .. } => self
                .names_us(packet, 0)
                .then(|| rtp.open_rtp(packet, header, index, &self.mki))?,
        }
    }

    /// Seals an RTCP packet that is at least a header long. `false`: no room behind it.
    pub(super) fn seal_rtcp(&self, packet: &mut Packet, ssrc: u32, index: u32) -> bool {
        match &self.keys {
            Keys::Counter { rtcp, .. } => rtcp.seal_rtcp(packet, ssrc, index, &self.mki),
            Keys::Galois { rtcp, .. } => rtcp.seal_rtcp(packet, ssrc, index, &self.mki),
        }
    }

    /// The index that an SRTCP packet carries, and whether it says that it is encrypted. `None`: too short.
    pub(super) fn rtcp_index(&self, octets: &[u8]) -> Option<(u32, bool)> {
        let plain = octets.len().checked_sub(self.rtcp_overhead())?;
        if plain < RTCP_HEADER {
            return None;
        }
        let at = match self.keys {
            Keys::Counter { .. } => plain,
            Keys::Galois { .. } => plain + Galois::TAG,
        };
        let word = word32(octets, at)?;
        Some((word & !ENCRYPTED, word & ENCRYPTED != 0))
    }

    /// Opens an SRTCP packet of which [`Self::rtcp_index`] has read the index, and which is encrypted. The length of the
    /// plain packet, or `None` when it is not authentic.
    pub(super) fn open_rtcp(&self, packet: &mut Packet, ssrc: u32, index: u32) -> Option<usize> {
        let plain = packet.len().checked_sub(self.rtcp_overhead())?;
        match &self.keys {
            Keys::Counter { rtcp, .. } => self
                .names_us(packet, rtcp.tag_length())
                .then(|| rtcp.open_rtcp(packet, plain, ssrc, index, &self.mki))?,
            Keys::Galois { rtcp, .. } => self
                .names_us(packet, 0)
                .then(|| rtcp.open_rtcp(packet, plain, ssrc, index))?,
        }?;
        Some(plain)
    }
}

/// A master key as the source of session keys.
struct Master {
    cipher: Cipher,
    key_length: usize,
    salt: Zeroizing<[u8; 14]>,
}

impl Master {
    fn new(suite: Suite, master: &[u8]) -> Self {
        let (key, short) = master.split_at(suite.key_length());
        // GCM's salt has 12 octets and stands left in the 14 of the derivation (RFC 7714 §11).
        let mut salt = Zeroizing::new([0; 14]);
        salt[..short.len()].copy_from_slice(short);
        Self {
            cipher: Cipher::new(key),
            key_length: suite.key_length(),
            salt,
        }
    }

    /// AES-CM as pseudo-random function (RFC 3711 §4.3.3; with a 256-bit key RFC 6188 §3).
    fn derive(&self, label: u8, key: &mut [u8]) {
        let mut counter = [0; 16];
        counter[..14].copy_from_slice(&*self.salt);
        counter[7] ^= label;
        key.fill(0);
        self.cipher.apply(counter, key);
        counter.zeroize();
    }

    fn cipher_key(&self, label: u8) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(vec![0; self.key_length]);
        self.derive(label, &mut key);
        key
    }
}

//! The two transforms on octets: counter mode with HMAC-SHA1 (RFC 3711 §4, RFC 6188) and GCM (RFC 7714). They know keys
//! and indices; which index is right is decided by their callers.

use super::{KeyError, hmac::HmacSha1};
use crate::media::{
    SrtpKey, Suite,
    packet::{MAX_MKI, Packet, RTCP_HEADER, RtpHeader, word32},
};
use aes::{Aes128Enc, Aes256Enc, cipher::KeyInit};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ctr::{
    CtrCore,
    cipher::{InnerIvInit, StreamCipherCore},
    flavors::Ctr128BE,
};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

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
        rtp_tag: usize,
        rtcp_tag: usize,
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
                rtp: Box::new(CounterMode::derive(&master, &RTP)),
                rtcp: Box::new(CounterMode::derive(&master, &RTCP)),
                rtp_tag: suite.rtp_tag_length(),
                rtcp_tag: suite.rtcp_tag_length(),
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
                Keys::Counter { rtp_tag, .. } => rtp_tag,
                Keys::Galois { .. } => Galois::TAG,
            }
    }

    /// Octets that sealing adds to an RTCP packet.
    const fn rtcp_overhead(&self) -> usize {
        4 + self.mki.len()
            + match self.keys {
                Keys::Counter { rtcp_tag, .. } => rtcp_tag,
                Keys::Galois { .. } => Galois::TAG,
            }
    }

    /// Whether a failed attempt to open leaves the packet in pieces.
    pub(super) const fn spoils(&self) -> bool {
        matches!(self.keys, Keys::Galois { .. })
    }

    /// Whether this is our master key identifier; it has its length.
    ///
    /// Most keys have none, and comparing nothing is dear: glibc's `memcmp` then reads at no address at all under an empty
    /// mask, which takes the processor longer than the HMAC.
    #[inline]
    fn is_ours(&self, mki: &[u8]) -> bool {
        self.mki.is_empty() || *mki == *self.mki
    }

    /// Seals an RTP packet. `false`: no room behind it.
    #[inline]
    pub(super) fn seal_rtp(&self, packet: &mut Packet, header: &RtpHeader, index: u64) -> bool {
        match &self.keys {
            Keys::Counter { rtp, rtp_tag, .. } => {
                rtp.apply(header.ssrc, index, &mut packet.bytes_mut()[header.length..]);
                let tag = rtp.hmac.tag(packet.bytes(), rollover(index));
                packet.append(&self.mki) && packet.append(&tag[..*rtp_tag])
            }
            Keys::Galois { rtp, .. } => {
                let nonce = rtp.rtp_nonce(header.ssrc, index);
                let (head, payload) = packet.bytes_mut().split_at_mut(header.length);
                rtp.key
                    .seal_in_place_separate_tag(nonce, Aad::from(head), payload)
                    .is_ok_and(|tag| packet.append(tag.as_ref()) && packet.append(&self.mki))
            }
        }
    }

    /// Opens an RTP packet that is at least as long as header and overhead, under this index. The length of the plain
    /// packet, or `None` when it is not authentic.
    #[inline]
    pub(super) fn open_rtp(&self, octets: &mut [u8], header: &RtpHeader, index: u64) -> Option<usize> {
        match &self.keys {
            Keys::Counter { rtp, rtp_tag, .. } => {
                let end = octets.len().checked_sub(self.mki.len() + rtp_tag)?;
                let (message, trailer) = octets.split_at_mut_checked(end)?;
                let (mki, tag) = trailer.split_at(self.mki.len());
                let expected = rtp.hmac.tag(message, rollover(index));
                if !self.is_ours(mki) || !is_same_tag(&expected, tag) {
                    return None;
                }
                rtp.apply(header.ssrc, index, message.get_mut(header.length..)?);
                Some(end)
            }
            Keys::Galois { rtp, .. } => {
                let end = octets.len().checked_sub(self.mki.len())?;
                let (sealed, mki) = octets.split_at_mut_checked(end)?;
                if !self.is_ours(mki) {
                    return None;
                }
                let (head, payload) = sealed.split_at_mut_checked(header.length)?;
                let nonce = rtp.rtp_nonce(header.ssrc, index);
                rtp.key.open_in_place(nonce, Aad::from(head), payload).ok()?;
                end.checked_sub(Galois::TAG)
            }
        }
    }

    /// Seals an RTCP packet that is at least a header long. `false`: no room behind it.
    pub(super) fn seal_rtcp(&self, packet: &mut Packet, ssrc: u32, index: u32) -> bool {
        let word = (ENCRYPTED | index).to_be_bytes();
        let Some((head, payload)) = packet.bytes_mut().split_at_mut_checked(RTCP_HEADER) else {
            return false;
        };
        match &self.keys {
            Keys::Counter { rtcp, rtcp_tag, .. } => {
                rtcp.apply(ssrc, u64::from(index), payload);
                if !packet.append(&word) {
                    return false;
                }
                let tag = rtcp.hmac.tag(packet.bytes(), []);
                packet.append(&self.mki) && packet.append(&tag[..*rtcp_tag])
            }
            Keys::Galois { rtcp, .. } => {
                let nonce = rtcp.rtcp_nonce(ssrc, index);
                let aad = Galois::rtcp_associated(head, word);
                rtcp.key
                    .seal_in_place_separate_tag(nonce, Aad::from(aad), payload)
                    .is_ok_and(|tag| {
                        packet.append(tag.as_ref()) && packet.append(&word) && packet.append(&self.mki)
                    })
            }
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
    pub(super) fn open_rtcp(&self, octets: &mut [u8], ssrc: u32, index: u32) -> Option<usize> {
        let plain = octets.len().checked_sub(self.rtcp_overhead())?;
        match &self.keys {
            Keys::Counter { rtcp, .. } => {
                let (message, trailer) = octets.split_at_mut_checked(plain + 4)?;
                let (mki, tag) = trailer.split_at_checked(self.mki.len())?;
                let expected = rtcp.hmac.tag(message, []);
                if !self.is_ours(mki) || !is_same_tag(&expected, tag) {
                    return None;
                }
                rtcp.apply(ssrc, u64::from(index), message.get_mut(RTCP_HEADER..plain)?);
            }
            Keys::Galois { rtcp, .. } => {
                let (sealed, trailer) = octets.split_at_mut_checked(plain + Galois::TAG)?;
                let (word, mki) = trailer.split_first_chunk::<4>()?;
                if !self.is_ours(mki) {
                    return None;
                }
                let (head, payload) = sealed.split_at_mut_checked(RTCP_HEADER)?;
                let aad = Galois::rtcp_associated(head, *word);
                let nonce = rtcp.rtcp_nonce(ssrc, index);
                rtcp.key.open_in_place(nonce, Aad::from(aad), payload).ok()?;
            }
        }
        Some(plain)
    }
}

/// Whether `tag` is what `expected` begins with, in a time that does not depend on where they differ. Numbers are compared,
/// because octet by octet takes a tenth of the time that the whole packet takes.
#[inline]
fn is_same_tag(expected: &[u8; 20], tag: &[u8]) -> bool {
    let difference = match (*expected, tag) {
        ([a @ .., _, _, _, _, _, _, _, _, _, _], &[b0, b1, b2, b3, b4, b5, b6, b7, b8, b9]) => {
            let [a0, a1, a2, a3, a4, a5, a6, a7, a8, a9] = a;
            (u64::from_ne_bytes([a0, a1, a2, a3, a4, a5, a6, a7])
                ^ u64::from_ne_bytes([b0, b1, b2, b3, b4, b5, b6, b7]))
                | u64::from(u16::from_ne_bytes([a8, a9]) ^ u16::from_ne_bytes([b8, b9]))
        }
        ([a0, a1, a2, a3, ..], &[b0, b1, b2, b3]) => {
            u64::from(u32::from_ne_bytes([a0, a1, a2, a3]) ^ u32::from_ne_bytes([b0, b1, b2, b3]))
        }
        _ => return false,
    };
    bool::from(difference.ct_eq(&0))
}

/// The rollover counter of an index, as it is authenticated.
#[inline]
fn rollover(index: u64) -> [u8; 4] {
    let [_, _, roc @ .., _, _] = index.to_be_bytes();
    roc
}

/// AES as a keystream.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives in a box of its own, and one more step to it would cost each packet"
)]
enum Cipher {
    Aes128(Aes128Enc),
    Aes256(Aes256Enc),
}

impl Cipher {
    /// Takes 16 or 32 octets; [`Transform::new`] has checked the master key's length, session keys are as long.
    fn new(key: &[u8]) -> Self {
        match Aes128Enc::new_from_slice(key) {
            Ok(cipher) => Self::Aes128(cipher),
            Err(_) => Self::Aes256(
                Aes256Enc::new_from_slice(key).expect("a suite's key has 16 or 32 octets, checked on entry"),
            ),
        }
    }

    /// Adds the keystream that begins with this counter.
    #[inline]
    fn apply(&self, counter: [u8; 16], octets: &mut [u8]) {
        // It fails after 2^128 blocks only.
        let _ = match self {
            Self::Aes128(cipher) => CtrCore::<_, Ctr128BE>::inner_iv_init(cipher, &counter.into())
                .try_apply_keystream_partial(octets.into()),
            Self::Aes256(cipher) => CtrCore::<_, Ctr128BE>::inner_iv_init(cipher, &counter.into())
                .try_apply_keystream_partial(octets.into()),
        };
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

/// AES-CM and HMAC-SHA1.
struct CounterMode {
    cipher: Cipher,
    /// Where it stands in the counter: its two lowest octets are the block's number.
    salt: u128,
    hmac: HmacSha1,
}

impl CounterMode {
    fn derive(master: &Master, labels: &Labels) -> Self {
        let mut salt = [0; 16];
        master.derive(labels.salt, &mut salt[..14]);
        let mut authentication = Zeroizing::new([0; 20]);
        master.derive(labels.authentication, &mut *authentication);
        Self {
            cipher: Cipher::new(&master.cipher_key(labels.encryption)),
            salt: u128::from_be_bytes(salt),
            hmac: HmacSha1::new(&authentication),
        }
    }

    /// Encrypts or decrypts (RFC 3711 §4.1.1).
    #[inline]
    fn apply(&self, ssrc: u32, index: u64, octets: &mut [u8]) {
        let counter = self.salt ^ u128::from(ssrc) << 64 ^ u128::from(index) << 16;
        self.cipher.apply(counter.to_be_bytes(), octets);
    }
}

impl Drop for CounterMode {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}

/// AES-GCM. The library wipes its key.
struct Galois {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl Galois {
    const TAG: usize = 16;

    fn derive(master: &Master, labels: &Labels) -> Self {
        let mut salt = [0; 12];
        master.derive(labels.salt, &mut salt);
        let algorithm = if master.key_length == 16 {
            &AES_128_GCM
        } else {
            &AES_256_GCM
        };
        let key = UnboundKey::new(algorithm, &master.cipher_key(labels.encryption))
            .expect("the key is as long as the algorithm's");
        Self {
            key: LessSafeKey::new(key),
            salt,
        }
    }

    /// RFC 7714 §8.1: 16 zero bits, SSRC, rollover counter, sequence number.
    #[inline]
    fn rtp_nonce(&self, ssrc: u32, index: u64) -> Nonce {
        self.nonce(u128::from(ssrc) << 48 | u128::from(index))
    }

    /// RFC 7714 §9.1: 16 zero bits, SSRC, 16 zero bits, a zero bit, SRTCP index.
    fn rtcp_nonce(&self, ssrc: u32, index: u32) -> Nonce {
        self.nonce(u128::from(ssrc) << 48 | u128::from(index))
    }

    #[inline]
    fn nonce(&self, numbers: u128) -> Nonce {
        let [_, _, _, _, mut nonce @ ..] = numbers.to_be_bytes();
        nonce
            .iter_mut()
            .zip(&self.salt)
            .for_each(|(octet, salt)| *octet ^= salt);
        Nonce::assume_unique_for_key(nonce)
    }

    /// What is authenticated of an encrypted SRTCP packet besides its ciphertext (RFC 7714 §9.2).
    fn rtcp_associated(head: &[u8], word: [u8; 4]) -> [u8; RTCP_HEADER + 4] {
        let mut aad = [0; RTCP_HEADER + 4];
        aad[..RTCP_HEADER].copy_from_slice(head);
        aad[RTCP_HEADER..].copy_from_slice(&word);
        aad
    }
}

impl Drop for Galois {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}

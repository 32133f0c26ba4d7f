//! AES in counter mode with HMAC-SHA1 (RFC 3711 §4, RFC 6188).

use super::{ENCRYPTED, Labels, Master};
use crate::media::{
    packet::{Packet, RTCP_HEADER, RtpHeader},
    srtp::hmac::HmacSha1,
};
use aes::{Aes128Enc, Aes256Enc, cipher::KeyInit};
use ctr::{
    CtrCore,
    cipher::{InnerIvInit, StreamCipherCore},
    flavors::Ctr128BE,
};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// The session keys of RTP or of RTCP.
pub(super) struct CounterMode {
    cipher: Cipher,
    /// Where it stands in the counter: its two lowest octets are the block's number.
    salt: u128,
    hmac: HmacSha1,
    /// Octets of the tag.
    tag: usize,
}

impl CounterMode {
    /// Derives them. Of the HMAC, `tag` octets are sent: 4 or 10.
    pub(super) fn derive(master: &Master, labels: &Labels, tag: usize) -> Self {
        let mut salt = [0; 16];
        master.derive(labels.salt, &mut salt[..14]);
        let mut authentication = Zeroizing::new([0; 20]);
        master.derive(labels.authentication, &mut *authentication);
        let cipher = Cipher::new(&master.cipher_key(labels.encryption));
        Self::new(cipher, salt, &authentication, tag)
    }

    /// `salt` ends with two octets of 0.
    pub(super) fn new(cipher: Cipher, salt: [u8; 16], authentication: &[u8; 20], tag: usize) -> Self {
        Self {
            cipher,
            salt: u128::from_be_bytes(salt),
            hmac: HmacSha1::new(authentication),
            tag,
        }
    }

    /// Octets of the tag.
    #[inline]
    pub(super) const fn tag_length(&self) -> usize {
        self.tag
    }

    /// Seals an RTP packet. `false`: no room behind it.
    #[inline]
    pub(super) fn seal_rtp(&self, packet: &mut Packet, header: &RtpHeader, index: u64, mki: &[u8]) -> bool {
        self.apply(header.ssrc, index, &mut packet.bytes_mut()[header.length..]);
        self.append_tag(packet, rollover(index), mki)
    }

    /// Opens an RTP packet that ends with this master key identifier and a tag. The length of the plain packet, or `None`
    /// when it is not authentic; then it is as it was.
    #[inline]
    pub(super) fn open_rtp(
        &self,
        packet: &mut Packet,
        header: &RtpHeader,
        index: u64,
        mki: &[u8],
    ) -> Option<usize> {
        let end = packet.len().checked_sub(mki.len() + self.tag)?;
        if !self.is_authentic(packet, end, rollover(index), mki) {
            return None;
        }
        let payload = packet.bytes_mut().get_mut(header.length..end)?;
        self.apply(header.ssrc, index, payload);
        Some(end)
    }

    /// Seals an RTCP packet that is at least a header long. `false`: no room behind it.
    pub(super) fn seal_rtcp(&self, packet: &mut Packet, ssrc: u32, index: u32, mki: &[u8]) -> bool {
        let Some(payload) = packet.bytes_mut().get_mut(RTCP_HEADER..) else {
            return false;
        };
        self.apply(ssrc, u64::from(index), payload);
        packet.append(&(ENCRYPTED | index).to_be_bytes()) && self.append_tag(packet, [], mki)
    }

    /// Opens an RTCP packet that ends with its index, this master key identifier and a tag; `plain` is its length without
    /// them. `None` when it is not authentic.
    pub(super) fn open_rtcp(
        &self,
        packet: &mut Packet,
        plain: usize,
        ssrc: u32,
        index: u32,
        mki: &[u8],
    ) -> Option<()> {
        if !self.is_authentic(packet, plain + 4, [], mki) {
            return None;
        }
        let payload = packet.bytes_mut().get_mut(RTCP_HEADER..plain)?;
        self.apply(ssrc, u64::from(index), payload);
        Some(())
    }

    /// Encrypts or decrypts (RFC 3711 §4.1.1).
    #[inline]
    pub(super) fn apply(&self, ssrc: u32, index: u64, octets: &mut [u8]) {
        let counter = self.salt ^ u128::from(ssrc) << 64 ^ u128::from(index) << 16;
        self.cipher.apply(counter.to_be_bytes(), octets);
    }

    #[inline]
    fn append_tag<const SUFFIX: usize>(&self, packet: &mut Packet, suffix: [u8; SUFFIX], mki: &[u8]) -> bool {
        let length = packet.len();
        let Some(tag) = self.hmac.tag(packet.room_mut(), length, suffix) else {
            return false;
        };
        packet.append(mki) && packet.append(&tag[..self.tag])
    }

    /// Whether the tag that stands behind `end` octets and the master key identifier is theirs, in a time that does not
    /// depend on where it differs.
    ///
    /// The HMAC writes over what stands behind them; if they are not authentic it is put back, for another index may be
    /// tried.
    #[inline]
    fn is_authentic<const SUFFIX: usize>(
        &self,
        packet: &mut Packet,
        end: usize,
        suffix: [u8; SUFFIX],
        mki: &[u8],
    ) -> bool {
        let room = packet.room_mut();
        let place = end + mki.len();
        // Sixteen octets are read and compared as one number: octet by octet takes a tenth of the time that the whole
        // packet takes.
        let Some(&found) = room.get(place..).and_then(|behind| behind.first_chunk::<16>()) else {
            return false;
        };
        let Some([expected @ .., _, _, _, _]) = self.hmac.tag(room, end, suffix) else {
            return false;
        };
        let ours = (1 << (8 * self.tag)) - 1;
        let difference: u128 = (u128::from_le_bytes(found) ^ u128::from_le_bytes(expected)) & ours;
        if bool::from(difference.ct_eq(&0)) {
            return true;
        }
        room[end..place].copy_from_slice(mki);
        room[place..place + found.len()].copy_from_slice(&found);
        false
    }
}

impl Drop for CounterMode {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
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
pub(super) enum Cipher {
    Aes128(Aes128Enc),
    Aes256(Aes256Enc),
}

impl Cipher {
    /// Takes 16 or 32 octets; [`super::Transform::new`] has checked the master key's length, session keys are as long.
    pub(super) fn new(key: &[u8]) -> Self {
        match Aes128Enc::new_from_slice(key) {
            Ok(cipher) => Self::Aes128(cipher),
            Err(_) => Self::Aes256(
                Aes256Enc::new_from_slice(key).expect("a suite's key has 16 or 32 octets, checked on entry"),
            ),
        }
    }

    /// Adds the keystream that begins with this counter.
    #[inline]
    pub(super) fn apply(&self, counter: [u8; 16], octets: &mut [u8]) {
        // It fails after 2^128 blocks only.
        let _ = match self {
            Self::Aes128(cipher) => CtrCore::<_, Ctr128BE>::inner_iv_init(cipher, &counter.into())
                .try_apply_keystream_partial(octets.into()),
            Self::Aes256(cipher) => CtrCore::<_, Ctr128BE>::inner_iv_init(cipher, &counter.into())
                .try_apply_keystream_partial(octets.into()),
        };
    }
}

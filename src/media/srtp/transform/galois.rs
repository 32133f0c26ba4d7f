//! AES-GCM (RFC 7714).

use super::{ENCRYPTED, Labels, Master};
use crate::media::packet::{Packet, RTCP_HEADER, RtpHeader};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

/// The session keys of RTP or of RTCP. The library wipes its key.
pub(super) struct Galois {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl Galois {
    /// Octets of the tag.
    pub(super) const TAG: usize = 16;

    /// Derives them.
    pub(super) fn derive(master: &Master, labels: &Labels) -> Self {
        let mut salt = [0; 12];
        master.derive(labels.salt, &mut salt);
        Self::new(&master.cipher_key(labels.encryption), salt)
    }

    /// `key` has 16 or 32 octets.
    pub(super) fn new(key: &[u8], salt: [u8; 12]) -> Self {
        let algorithm = if key.len() == 16 {
            &AES_128_GCM
        } else {
            &AES_256_GCM
        };
        let key = UnboundKey::new(algorithm, key).expect("the key is as long as the algorithm's");
        Self {
            key: LessSafeKey::new(key),
            salt,
        }
    }

    /// Seals an RTP packet. `false`: no room behind it.
    #[inline]
    pub(super) fn seal_rtp(&self, packet: &mut Packet, header: &RtpHeader, index: u64, mki: &[u8]) -> bool {
        let nonce = self.rtp_nonce(header.ssrc, index);
        let (head, payload) = packet.bytes_mut().split_at_mut(header.length);
        self.key
            .seal_in_place_separate_tag(nonce, Aad::from(head), payload)
            .is_ok_and(|tag| packet.append(tag.as_ref()) && packet.append(mki))
    }

    /// Opens an RTP packet that ends with this master key identifier. The length of the plain packet, or `None` when it is
    /// not authentic; then its octets are of no use.
    #[inline]
    pub(super) fn open_rtp(
        &self,
        packet: &mut Packet,
        header: &RtpHeader,
        index: u64,
        mki: &[u8],
    ) -> Option<usize> {
        let end = packet.len().checked_sub(mki.len())?;
        let (head, payload) = packet
            .bytes_mut()
            .get_mut(..end)?
            .split_at_mut_checked(header.length)?;
        let nonce = self.rtp_nonce(header.ssrc, index);
        self.key.open_in_place(nonce, Aad::from(head), payload).ok()?;
        end.checked_sub(Self::TAG)
    }

    /// Seals an RTCP packet that is at least a header long. `false`: no room behind it.
    pub(super) fn seal_rtcp(&self, packet: &mut Packet, ssrc: u32, index: u32, mki: &[u8]) -> bool {
        let word = (ENCRYPTED | index).to_be_bytes();
        let Some((head, payload)) = packet.bytes_mut().split_at_mut_checked(RTCP_HEADER) else {
            return false;
        };
        let nonce = self.rtcp_nonce(ssrc, index);
        let aad = Self::rtcp_associated(head, word);
        self.key
            .seal_in_place_separate_tag(nonce, Aad::from(aad), payload)
            .is_ok_and(|tag| packet.append(tag.as_ref()) && packet.append(&word) && packet.append(mki))
    }

    /// Opens an RTCP packet; `plain` is its length without tag, index and master key identifier. `None` when it is not
    /// authentic.
    pub(super) fn open_rtcp(&self, packet: &mut Packet, plain: usize, ssrc: u32, index: u32) -> Option<()> {
        let (sealed, trailer) = packet.bytes_mut().split_at_mut_checked(plain + Self::TAG)?;
        let (word, _) = trailer.split_first_chunk::<4>()?;
        let (head, payload) = sealed.split_at_mut_checked(RTCP_HEADER)?;
        let aad = Self::rtcp_associated(head, *word);
        let nonce = self.rtcp_nonce(ssrc, index);
        self.key.open_in_place(nonce, Aad::from(aad), payload).ok()?;
        Some(())
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

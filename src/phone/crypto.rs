//! SRTP as the phones speak it: webrtc-srtp with keys from SDES (RFC 4568) or DTLS (RFC 5764).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rand::Rng;
use std::fmt;
use webrtc_srtp::context::Context;
use webrtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use webrtc_srtp::protection_profile::ProtectionProfile;

/// The suites that webrtc-srtp knows, by their names in `a=crypto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80` (RFC 4568).
    AesCm128Sha1_80,
    /// `AES_CM_128_HMAC_SHA1_32` (RFC 4568).
    AesCm128Sha1_32,
    /// `AES_256_CM_HMAC_SHA1_80` (RFC 6188).
    AesCm256Sha1_80,
    /// `AES_256_CM_HMAC_SHA1_32` (RFC 6188).
    AesCm256Sha1_32,
    /// `AEAD_AES_128_GCM` (RFC 7714).
    AesGcm128,
    /// `AEAD_AES_256_GCM` (RFC 7714).
    AesGcm256,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::AesCm128Sha1_80,
        Self::AesCm128Sha1_32,
        Self::AesCm256Sha1_80,
        Self::AesCm256Sha1_32,
        Self::AesGcm128,
        Self::AesGcm256,
    ];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::AesCm128Sha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128Sha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm256Sha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm256Sha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AesGcm128 => "AEAD_AES_128_GCM",
            Self::AesGcm256 => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// Bytes of its master key and of its salt.
    pub fn lengths(self) -> (usize, usize) {
        (self.profile().key_len(), self.profile().salt_len())
    }

    fn profile(self) -> ProtectionProfile {
        match self {
            Self::AesCm128Sha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Self::AesCm128Sha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
            Self::AesCm256Sha1_80 => ProtectionProfile::Aes256CmHmacSha1_80,
            Self::AesCm256Sha1_32 => ProtectionProfile::Aes256CmHmacSha1_32,
            Self::AesGcm128 => ProtectionProfile::AeadAes128Gcm,
            Self::AesGcm256 => ProtectionProfile::AeadAes256Gcm,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A master key and salt with their suite and the tag of their `a=crypto` line.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// The tag, by which an answer names the line of the offer that it takes.
    pub tag: u32,
    /// The suite.
    pub suite: Suite,
    master: Vec<u8>,
}

impl Key {
    /// A fresh key.
    pub fn random(tag: u32, suite: Suite, random: &mut impl Rng) -> Self {
        let mut master = vec![0; suite.profile().key_len() + suite.profile().salt_len()];
        random.fill_bytes(&mut master);
        Self { tag, suite, master }
    }

    /// One that comes out of a handshake: no line tells it, so its tag means nothing.
    pub fn exported(suite: Suite, master: Vec<u8>) -> Self {
        let tag = 0;
        Self { tag, suite, master }
    }

    /// Reads the value of an `a=crypto` line. None if the suite is not one of ours, or if the key is not plain
    /// `inline:` with the length of its suite.
    pub fn read(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next()?.parse().ok()?;
        let suite = Suite::named(words.next()?)?;
        let inline = words.next()?.strip_prefix("inline:")?;
        // A lifetime may follow; an MKI may not, since webrtc-srtp knows none.
        let mut parts = inline.split('|');
        let master = STANDARD.decode(parts.next()?).ok()?;
        let plain = parts.all(|part| !part.contains(':'));
        let length = suite.profile().key_len() + suite.profile().salt_len();
        (plain && master.len() == length).then_some(Self { tag, suite, master })
    }

    /// The value of its `a=crypto` line.
    pub fn line(&self) -> String {
        format!(
            "{} {} inline:{}",
            self.tag,
            self.suite,
            STANDARD.encode(&self.master)
        )
    }

    fn context(&self) -> Context {
        let profile = self.suite.profile();
        let (key, salt) = self.master.split_at(profile.key_len());
        // The windows are wider than the server's own, so that what it lets through is ours to see and count.
        Context::new(
            key,
            salt,
            profile,
            Some(srtp_replay_protection(1_024)),
            Some(srtcp_replay_protection(64)),
        )
        .expect("`Key` is only made with the lengths of its suite")
    }
}

/// Shows the suite and never the key.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {})", self.tag, self.suite)
    }
}

/// What a packet goes through on its way out: nothing, or protection under our key.
pub struct Protect(Option<Context>);

impl Protect {
    /// With `key`, or in clear.
    pub fn new(key: Option<&Key>) -> Self {
        Self(key.map(Key::context))
    }

    /// The RTP packet as it goes out. None when webrtc-srtp refuses it, which only an exhausted key does.
    pub fn rtp(&mut self, packet: &[u8]) -> Option<Bytes> {
        match &mut self.0 {
            None => Some(Bytes::copy_from_slice(packet)),
            Some(context) => context.encrypt_rtp(packet).ok(),
        }
    }

    /// The RTCP packet as it goes out.
    pub fn rtcp(&mut self, packet: &[u8]) -> Option<Bytes> {
        match &mut self.0 {
            None => Some(Bytes::copy_from_slice(packet)),
            Some(context) => context.encrypt_rtcp(packet).ok(),
        }
    }
}

/// What a packet goes through on its way in.
pub struct Unprotect {
    context: Option<Context>,
    /// Bytes of the shortest SRTCP packet of the suite.
    shortest_rtcp: usize,
    /// Where an SRTCP packet says that it is encrypted, in bytes from its end.
    flag_rtcp: usize,
}

/// Why a protected packet was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// Its index was seen before.
    Replayed,
    /// It does not authenticate under the key, or is no packet at all.
    Unreadable,
}

impl Unprotect {
    /// With the sender's `key`, or in clear.
    pub fn new(key: Option<&Key>) -> Self {
        let (tag, flag_rtcp) = match key.map(|key| key.suite) {
            // RFC 7714 §9.2: the word with flag and index comes last.
            Some(Suite::AesGcm128 | Suite::AesGcm256) => (16, 4),
            // RFC 4568 §6.2: SRTCP has the long tag also where RTP has the short one.
            _ => (10, 14),
        };
        Self {
            context: key.map(Key::context),
            shortest_rtcp: 8 + tag + 4,
            flag_rtcp,
        }
    }

    /// Whether packets must be protected.
    pub fn is_keyed(&self) -> bool {
        self.context.is_some()
    }

    /// The clear RTP packet.
    ///
    /// # Errors
    /// [`Sealed`] if it was seen before or does not authenticate.
    pub fn rtp(&mut self, packet: &[u8]) -> Result<Bytes, Sealed> {
        match &mut self.context {
            None => Ok(Bytes::copy_from_slice(packet)),
            Some(context) => context.decrypt_rtp(packet).map_err(|error| match error {
                webrtc_srtp::Error::SrtpSsrcDuplicated(..) => Sealed::Replayed,
                _ => Sealed::Unreadable,
            }),
        }
    }

    /// The clear RTCP packet. Two kinds are turned away before webrtc-srtp 0.17 sees them: short ones, on which
    /// it panics, and those that say that they are not encrypted, of which it checks no tag.
    ///
    /// # Errors
    /// [`Sealed`] if it was seen before or does not authenticate.
    pub fn rtcp(&mut self, packet: &[u8]) -> Result<Bytes, Sealed> {
        match &mut self.context {
            None => Ok(Bytes::copy_from_slice(packet)),
            Some(_) if packet.len() < self.shortest_rtcp => Err(Sealed::Unreadable),
            Some(_) if packet[packet.len() - self.flag_rtcp] & 0x80 == 0 => Err(Sealed::Unreadable),
            Some(context) => context.decrypt_rtcp(packet).map_err(|error| match error {
                webrtc_srtp::Error::SrtcpSsrcDuplicated(..) => Sealed::Replayed,
                _ => Sealed::Unreadable,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    #[test]
    fn each_suite_opens_what_it_protected_and_only_under_its_key() {
        let mut random = StdRng::seed_from_u64(1);
        for suite in Suite::ALL {
            let key = Key::random(1, suite, &mut random);
            let read = Key::read(&key.line()).unwrap();
            assert!(read == key, "{suite}");
            let packet: Vec<u8> = [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9]
                .into_iter()
                .chain(0..160)
                .collect();
            let sealed = Protect::new(Some(&key)).rtp(&packet).unwrap();
            assert_ne!(&sealed[..packet.len()], &packet[..]);
            let mut open = Unprotect::new(Some(&read));
            assert_eq!(open.rtp(&sealed).unwrap(), packet);
            assert_eq!(open.rtp(&sealed), Err(Sealed::Replayed), "{suite}");
            let other = Key::random(1, suite, &mut random);
            assert_eq!(
                Unprotect::new(Some(&other)).rtp(&sealed),
                Err(Sealed::Unreadable),
                "{suite}"
            );
            assert_eq!(
                Unprotect::new(Some(&key)).rtp(&packet),
                Err(Sealed::Unreadable),
                "{suite}: clear was taken"
            );
        }
    }

    #[test]
    fn a_key_never_shows_in_debug_output() {
        let key = Key::random(1, Suite::AesGcm128, &mut StdRng::seed_from_u64(2));
        assert_eq!(format!("{key:?}"), "Key(1 AEAD_AES_128_GCM)");
    }

    #[test]
    fn short_rtcp_does_not_panic() {
        let key = Key::random(1, Suite::AesCm128Sha1_80, &mut StdRng::seed_from_u64(3));
        for length in 0..40 {
            let mut packet = vec![0; length];
            if length > 3 {
                packet[..4].copy_from_slice(&[0x80, 201, 0, 1]);
            }
            assert_eq!(Unprotect::new(Some(&key)).rtcp(&packet), Err(Sealed::Unreadable));
        }
    }
}

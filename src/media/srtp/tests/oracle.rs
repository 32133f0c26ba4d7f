//! webrtc-srtp as an oracle: RTP must agree octet for octet both ways, SRTCP must be opened by the other.
//!
//! Not compared, because webrtc-srtp 0.17 is wrong there: SRTCP of 4 to 13 octets (it panics before authentication),
//! SRTCP that says that it is not encrypted (taken without a check), state of forged SSRCs (kept without bound),
//! re-keying (its rollover counter cannot be set), MKIs (it has none). Its SRTCP index begins at 1, ours at 0 as
//! RFC 3711 §3.4 says, so sealed SRTCP is not compared by octets.

use super::{SSRC, contexts, key, open, open_rtcp, rtcp, rtp, seal, seal_rtcp};
use crate::media::{SrtpKey, Suite};
use webrtc_srtp::{context::Context, protection_profile::ProtectionProfile};

fn oracle(key: &SrtpKey) -> Context {
    let profile = match key.suite {
        Suite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Suite::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Suite::AesCm256HmacSha1_80 => ProtectionProfile::Aes256CmHmacSha1_80,
        Suite::AesCm256HmacSha1_32 => ProtectionProfile::Aes256CmHmacSha1_32,
        Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Suite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    };
    let (master, salt) = key.master.split_at(key.suite.key_length());
    Context::new(master, salt, profile, None, None).unwrap()
}

/// With CSRCs, an extension, and payloads of every length around the block sizes.
fn shaped(index: u64) -> Vec<u8> {
    let mut bytes = rtp(SSRC, index);
    bytes.truncate(12);
    if index % 3 == 1 {
        bytes[0] |= 2;
        bytes.extend([1, 2, 3, 4, 5, 6, 7, 8]);
    }
    if index % 5 == 2 {
        bytes[0] |= 0x10;
        bytes.extend([0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
    }
    bytes.extend((0..index % 300 + 1).map(|octet| octet as u8));
    bytes
}

#[test]
fn rtp_agrees_octet_for_octet_over_a_wrap() {
    for suite in Suite::ALL {
        let key = key(suite, 7);
        let (mut out, mut context) = contexts(&key);
        let (mut their_out, mut their_context) = (oracle(&key), oracle(&key));
        for index in (0xfc00..0x1_0400).chain(0x1_5000..0x1_5200) {
            let plain = shaped(index);
            let ours = seal(&mut out, &plain);
            let theirs = their_out.encrypt_rtp(&plain).unwrap();
            assert_eq!(ours, theirs, "{suite} {index:x}");
            assert_eq!(
                their_context.decrypt_rtp(&ours).unwrap(),
                plain,
                "{suite} {index:x}"
            );
            assert_eq!(open(&mut context, &theirs), Ok(plain), "{suite} {index:x}");
        }
    }
}

#[test]
fn late_packets_over_a_wrap_are_opened_like_theirs() {
    for suite in Suite::ALL {
        let key = key(suite, 7);
        let (_, mut context) = contexts(&key);
        let (mut their_out, mut their_context) = (oracle(&key), oracle(&key));
        let mut sealed: Vec<_> = (0xff00..0x1_0100)
            .map(|index| (shaped(index), their_out.encrypt_rtp(&shaped(index)).unwrap()))
            .collect();
        // Blocks of eleven, each backwards.
        for block in sealed.chunks_mut(11) {
            block.reverse();
        }
        for (plain, sealed) in sealed {
            assert_eq!(their_context.decrypt_rtp(&sealed).unwrap(), plain, "{suite}");
            assert_eq!(open(&mut context, &sealed), Ok(plain), "{suite}");
        }
    }
}

#[test]
fn srtcp_is_opened_by_the_other() {
    for suite in Suite::ALL {
        let key = key(suite, 7);
        let (mut out, mut context) = contexts(&key);
        let (mut their_out, mut their_context) = (oracle(&key), oracle(&key));
        for count in 0..200 {
            let plain = rtcp(SSRC, count);
            let sealed = seal_rtcp(&mut out, &plain);
            assert_eq!(their_context.decrypt_rtcp(&sealed).unwrap(), plain, "{suite}");
            let sealed = their_out.encrypt_rtcp(&plain).unwrap();
            assert_eq!(open_rtcp(&mut context, &sealed), Ok(plain), "{suite}");
        }
    }
}

//! Acceptance #1: new keys, kept keys, peers that begin again at rollover counter 0 and peers that go on.

use super::{SSRC, contexts, key, open, open_rtcp, rtcp, rtp, seal, seal_rtcp};
use crate::media::{
    Suite,
    packet::{Discard, Packet},
    srtp::{SrtpIn, SrtpOut},
};

/// A receiver that has heard a stream up to `highest`, and what it heard last.
fn heard(suite: Suite, highest: u64) -> (SrtpOut, SrtpIn) {
    let (mut out, mut context) = contexts(&key(suite, 1));
    out.resume(SSRC, highest - 2, 9);
    // The receiver gets there by wraps of its own.
    for index in (0..highest).step_by(30_000).chain([highest - 1, highest]) {
        let mut from = SrtpOut::new(&key(suite, 1)).unwrap();
        if index > 0 {
            from.resume(SSRC, index - 1, 0);
        }
        open(&mut context, &seal(&mut from, &rtp(SSRC, index))).unwrap();
    }
    out.resume(SSRC, highest, 9);
    (out, context)
}

fn accepted(context: &mut SrtpIn, sealed: &[u8]) -> Result<bool, Discard> {
    let mut packet = Packet::new();
    packet.fill(sealed);
    context.open_rtp(&mut packet).map(|accepted| accepted.restarted)
}

#[test]
fn under_a_new_key_both_kinds_of_peers_are_heard_from_their_first_packet() {
    for suite in Suite::ALL {
        for highest in [40u64, 0xfff0, 0x1_0005, 0x1_fff8, 0x3_1234] {
            let (_, old) = heard(suite, highest);
            // On over the next wrap, over none, and with a gap.
            for next in [highest + 1, highest + 20, highest + 3000] {
                for goes_on in [true, false] {
                    let mut peer = SrtpOut::new(&key(suite, 2)).unwrap();
                    if goes_on {
                        peer.resume(SSRC, next - 1, 9);
                    }
                    let mut context = SrtpIn::new(&key(suite, 2)).unwrap();
                    context.follow(&old);
                    for step in 0..100 {
                        let plain = rtp(SSRC, next + step);
                        let sealed = seal(&mut peer, &plain);
                        assert_eq!(
                            open(&mut context, &sealed),
                            Ok(plain),
                            "{suite} {highest:x} {next:x} {goes_on} {step}"
                        );
                        assert_eq!(open(&mut context, &sealed), Err(Discard::Replay));
                    }
                }
            }
        }
    }
}

#[test]
fn a_peer_that_began_again_is_told_of() {
    let suite = Suite::AesCm128HmacSha1_80;
    let (_, old) = heard(suite, 0x2_0100);
    for (goes_on, restarted) in [(true, false), (false, true)] {
        let mut peer = SrtpOut::new(&key(suite, 2)).unwrap();
        if goes_on {
            peer.resume(SSRC, 0x2_0100, 9);
        }
        let mut context = SrtpIn::new(&key(suite, 2)).unwrap();
        context.follow(&old);
        assert_eq!(
            accepted(&mut context, &seal(&mut peer, &rtp(SSRC, 0x2_0101))),
            Ok(restarted)
        );
        assert_eq!(
            accepted(&mut context, &seal(&mut peer, &rtp(SSRC, 0x2_0102))),
            Ok(false)
        );
    }
}

#[test]
fn under_a_kept_key_both_kinds_of_peers_are_heard_after_signalling_was_renewed() {
    for suite in Suite::ALL {
        for goes_on in [true, false] {
            let (mut peer, mut context) = heard(suite, 0x2_8000);
            context.renew();
            if !goes_on {
                peer = SrtpOut::new(&key(suite, 1)).unwrap();
            }
            let sealed = seal(&mut peer, &rtp(SSRC, 0x2_8001));
            assert_eq!(accepted(&mut context, &sealed), Ok(!goes_on), "{suite}");
            // On over the wrap.
            for index in (0x2_8002..0x2_8040)
                .chain(0x2_f000..0x2_f010)
                .chain(0x2_fff0..0x3_0040)
            {
                let plain = rtp(SSRC, index);
                let sealed = seal(&mut peer, &plain);
                assert_eq!(
                    open(&mut context, &sealed),
                    Ok(plain),
                    "{suite} {index:x} {goes_on}"
                );
            }
        }
    }
}

#[test]
fn without_renewed_signalling_a_restart_is_not_believed() {
    let (_, mut context) = heard(Suite::AesCm128HmacSha1_80, 0x1_0100);
    let mut peer = SrtpOut::new(&key(Suite::AesCm128HmacSha1_80, 1)).unwrap();
    assert_eq!(
        open(&mut context, &seal(&mut peer, &rtp(SSRC, 0x1_0101))),
        Err(Discard::Auth)
    );
}

/// S3 across a restart: everything that was ever recorded of the first life stays refused in the second.
#[test]
fn nothing_recorded_before_a_restart_is_taken_after_it() {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm] {
        let (mut out, mut context) = contexts(&key(suite, 1));
        let recorded: Vec<_> = (0..0x1_8000u64)
            .map(|index| {
                let sealed = seal(&mut out, &rtp(SSRC, index));
                assert!(open(&mut context, &sealed).is_ok());
                sealed
            })
            .step_by(97)
            .collect();
        context.renew();
        for sealed in &recorded {
            assert!(open(&mut context, sealed).is_err(), "while a restart is possible");
        }
        let mut peer = SrtpOut::new(&key(suite, 1)).unwrap();
        for index in 0x1_8000..0x1_8100 {
            assert!(open(&mut context, &seal(&mut peer, &rtp(SSRC, index))).is_ok());
            for sealed in recorded.iter().skip(index as usize % 50).step_by(50) {
                assert!(open(&mut context, sealed).is_err(), "after the restart");
            }
        }
    }
}

#[test]
fn srtcp_goes_on_under_a_new_key() {
    let suite = Suite::AesCm256HmacSha1_80;
    let (_, old) = heard(suite, 0x1_0100);
    let mut context = SrtpIn::new(&key(suite, 2)).unwrap();
    context.follow(&old);
    let mut peer = SrtpOut::new(&key(suite, 2)).unwrap();
    assert_eq!(
        open_rtcp(&mut context, &seal_rtcp(&mut peer, &rtcp(SSRC, 1))),
        Ok(rtcp(SSRC, 1))
    );
    assert_eq!(
        accepted(&mut context, &seal(&mut peer, &rtp(SSRC, 0x1_0101))),
        Ok(true)
    );
}

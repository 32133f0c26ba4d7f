//! Key frames, asked for through real sockets by a relay thread of its own.

use super::rig::{Crypto, Rig, key, quiet, rtp};
use crate::{
    call::Side,
    media::{KeyFrameRequest, MediaCommand, Protection, StreamKind, Suite, packet::word32},
};
use std::net::Ipv4Addr;

const CLEAR: Protection = Protection::Clear;

/// Alice, whose leg is keyed, shows herself; Bob has no keys yet, and then he has.
#[test]
fn a_receiver_that_is_keyed_late_gets_a_picture_from_its_beginning() {
    let local = Ipv4Addr::LOCALHOST.into();
    let rig = Rig::open_on(local, local, StreamKind::Video);
    let suite = Suite::AesCm128HmacSha1_80;
    let mut crypto = Crypto::new(&key(suite, 1), &key(suite, 2));
    let mut a = rig
        .a
        .connect(Protection::Srtp(key(suite, 1)), Protection::Srtp(key(suite, 2)));
    a.key_frames = Some(KeyFrameRequest::Pli);
    rig.connect(a);
    rig.connect(rig.b.connect(CLEAR, Protection::Blocked));
    rig.a.send(&crypto.seal(&rtp(7, 1)));
    rig.handled(1);
    rig.connect(rig.b.connect(CLEAR, CLEAR));
    for _ in 0..3 {
        let asked = crypto.open_rtcp(&rig.a.receive_rtcp());
        assert_eq!(asked[36..40], [0x81, 206, 0, 2]);
        assert_eq!(word32(&asked, 44), Some(7));
    }
    assert!(quiet(&rig.a.rtcp) && quiet(&rig.b.rtcp));
    // What she shows then, he sees.
    let picture = rtp(7, 2);
    rig.a.send(&crypto.seal(&picture));
    assert_eq!(rig.b.receive(), picture);
    rig.session.send(MediaCommand::Close);
    assert_eq!(rig.a.side, Side::A);
}

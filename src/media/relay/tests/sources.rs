//! S4, S5 and acceptance #31: where packets may come from, and where they are sent.

use super::rig::{Rig, discarded, eventually, key, quiet, rtp, sender_report, socket};
use crate::media::{MediaCommand, Protection, Suite, relay::Discard};
use std::net::{IpAddr, Ipv4Addr};

const CLEAR: Protection = Protection::Clear;
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

/// S4 on a clear leg, with 3,000 packets before, during and after the first genuine one.
#[test]
fn a_clear_leg_takes_nothing_from_elsewhere() {
    let rig = Rig::open();
    let strangers = [socket(ELSEWHERE), socket(Ipv4Addr::LOCALHOST.into())];
    let mut handled = 0;
    let mut inject = |rig: &Rig| {
        for number in 0..500 {
            for stranger in &strangers {
                stranger.send_to(&rtp(66, number), rig.a.relay_rtp).unwrap();
                stranger.send_to(&sender_report(66, 1), rig.a.relay_rtcp).unwrap();
                handled += 2;
            }
            if number % 50 == 0 {
                rig.handled(handled);
            }
        }
        rig.handled(handled);
        handled += 1;
    };
    rig.connect(rig.a.connect(CLEAR, CLEAR));
    rig.connect(rig.b.connect(CLEAR, CLEAR));
    inject(&rig);
    rig.a.send(&rtp(1, 1));
    assert_eq!(rig.b.receive(), rtp(1, 1), "nothing before it");
    inject(&rig);
    rig.a.send(&rtp(1, 2));
    assert_eq!(rig.b.receive(), rtp(1, 2));
    rig.b.send(&rtp(2, 1));
    assert_eq!(rig.a.receive(), rtp(2, 1));
    assert!(strangers.iter().all(quiet), "and nothing is sent there");
    let [a, _] = rig.close();
    assert_eq!((a.received, discarded(&a, Discard::WrongPeer)), (2, 4000));
}

/// S4 on a keyed leg: forged ones from elsewhere neither pass nor move the peer.
#[test]
fn a_keyed_leg_takes_nothing_unauthenticated_from_elsewhere() {
    let (rig, mut phone) = Rig::keyed(Suite::AeadAes128Gcm);
    let stranger = socket(ELSEWHERE);
    rig.a.send(&phone.seal(&rtp(1, 0)));
    assert_eq!(rig.b.receive(), rtp(1, 0));
    let recorded = phone.seal(&rtp(1, 1));
    rig.a.send(&recorded);
    assert_eq!(rig.b.receive(), rtp(1, 1));
    for number in 0..1000u16 {
        let mut forged = rtp(1, number);
        forged.extend([7; 16]);
        stranger.send_to(&forged, rig.a.relay_rtp).unwrap();
        stranger.send_to(&recorded, rig.a.relay_rtp).unwrap();
        if number % 50 == 0 {
            rig.handled(2 + 2 * u64::from(number));
        }
    }
    rig.handled(2002);
    rig.b.send(&rtp(2, 1));
    assert_eq!(
        phone.open(&rig.a.receive()),
        rtp(2, 1),
        "still sent to the genuine peer"
    );
    rig.a.send(&phone.seal(&rtp(1, 2)));
    assert_eq!(rig.b.receive(), rtp(1, 2));
    assert!(quiet(&stranger));
}

/// S5: one authenticated packet from a new address is enough, in both directions, and late ones of the old address do
/// not lead back.
#[test]
fn a_keyed_peer_that_moved_is_followed() {
    let (rig, mut phone) = Rig::keyed(Suite::AesCm128HmacSha1_80);
    rig.a.send(&phone.seal(&rtp(1, 1)));
    assert_eq!(rig.b.receive(), rtp(1, 1));
    let late = phone.seal(&rtp(1, 2));
    let (rtp_socket, rtcp_socket) = (socket(ELSEWHERE), socket(ELSEWHERE));
    rtp_socket
        .send_to(&phone.seal(&rtp(1, 3)), rig.a.relay_rtp)
        .unwrap();
    assert_eq!(rig.b.receive(), rtp(1, 3));
    rig.a.send(&late);
    assert_eq!(rig.b.receive(), rtp(1, 2), "late, but genuine");
    rig.b.send(&rtp(2, 1));
    let mut bytes = [0; 2048];
    let length = rtp_socket.recv(&mut bytes).unwrap();
    assert_eq!(phone.open(&bytes[..length]), rtp(2, 1));
    assert!(quiet(&rig.a.rtp), "nothing goes to the old address");
    rtcp_socket
        .send_to(&phone.seal_rtcp(&sender_report(1, 1)), rig.a.relay_rtcp)
        .unwrap();
    assert_eq!(rig.b.receive_rtcp(), sender_report(1, 1));
    rig.b.send_rtcp(&sender_report(2, 1));
    let length = rtcp_socket.recv(&mut bytes).unwrap();
    assert_eq!(phone.open_rtcp(&bytes[..length]), sender_report(2, 1));
}

/// Acceptance #31: behind NAT the phone is where its SIP came from, on whatever port.
#[test]
fn acceptance_31_a_phone_behind_nat_is_found_at_its_sip_address_and_nowhere_else() {
    let rig = Rig::open();
    let mut a = rig.a.connect(CLEAR, CLEAR);
    a.remote.rtp = Some("192.0.2.77:4000".parse().unwrap());
    a.remote.rtcp = Some("192.0.2.77:4001".parse().unwrap());
    a.remote.also_from = vec![Ipv4Addr::LOCALHOST.into()];
    rig.connect(a.clone());
    rig.connect(rig.b.connect(CLEAR, CLEAR));
    let stranger = socket(ELSEWHERE);
    stranger.send_to(&rtp(66, 1), rig.a.relay_rtp).unwrap();
    rig.a.send(&rtp(1, 1));
    assert_eq!(rig.b.receive(), rtp(1, 1));
    let neighbour = socket(Ipv4Addr::LOCALHOST.into());
    neighbour.send_to(&rtp(67, 1), rig.a.relay_rtp).unwrap();
    rig.handled(3);
    rig.b.send(&rtp(2, 1));
    assert_eq!(rig.a.receive(), rtp(2, 1), "sent to where it really is");
    // The same again, as a session refresh brings it: the latch stays, and stays closed.
    rig.connect(a);
    neighbour.send_to(&rtp(67, 2), rig.a.relay_rtp).unwrap();
    rig.a.send(&rtp(1, 2));
    assert_eq!(rig.b.receive(), rtp(1, 2));
    rig.b.send(&rtp(2, 2));
    assert_eq!(rig.a.receive(), rtp(2, 2));
    let [a, _] = rig.close();
    assert_eq!(discarded(&a, Discard::WrongPeer), 3);
}

#[test]
fn nat_latching_any_takes_the_first_address_only() {
    let rig = Rig::open();
    let mut a = rig.a.connect(CLEAR, CLEAR);
    a.remote.rtp = Some("192.0.2.77:4000".parse().unwrap());
    a.remote.latch_any = true;
    rig.connect(a);
    rig.connect(rig.b.connect(CLEAR, CLEAR));
    let first = socket(ELSEWHERE);
    first.send_to(&rtp(1, 1), rig.a.relay_rtp).unwrap();
    assert_eq!(rig.b.receive(), rtp(1, 1));
    rig.a.send(&rtp(9, 1));
    first.send_to(&rtp(1, 2), rig.a.relay_rtp).unwrap();
    assert_eq!(rig.b.receive(), rtp(1, 2), "not the second one's");
    rig.b.send(&rtp(2, 1));
    assert_eq!(first.recv(&mut [0; 2048]).unwrap(), 172);
}

/// A new address and new keys: the device before is refused from then on.
#[test]
fn after_a_move_by_signalling_the_old_device_is_refused() {
    let (rig, mut phone) = Rig::keyed(Suite::AesCm128HmacSha1_80);
    rig.a.send(&phone.seal(&rtp(1, 1)));
    assert_eq!(rig.b.receive(), rtp(1, 1));
    let device = socket(ELSEWHERE);
    let new = key(Suite::AesCm128HmacSha1_80, 5);
    let mut a = rig
        .a
        .connect(Protection::Srtp(new.clone()), Protection::Srtp(new.clone()));
    a.remote.rtp = Some(device.local_addr().unwrap());
    rig.connect(a);
    rig.a.send(&phone.seal(&rtp(1, 2)));
    rig.handled(2);
    let mut second = super::rig::Crypto::new(&new, &new);
    device.send_to(&second.seal(&rtp(5, 1)), rig.a.relay_rtp).unwrap();
    assert_eq!(rig.b.receive(), rtp(5, 1), "not the old one's");
    rig.b.send(&rtp(2, 1));
    let mut bytes = [0; 2048];
    let length = device.recv(&mut bytes).unwrap();
    assert_eq!(second.open(&bytes[..length]), rtp(2, 1));
    assert!(quiet(&rig.a.rtp));
    rig.session.send(MediaCommand::Close);
    eventually(|| rig.relay.gauges().sockets == 0);
}

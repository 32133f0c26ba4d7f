use super::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

fn phone(port: u16, security: Security) -> Local {
    let codecs = vec![Codec::Pcmu, Codec::Pcma];
    Local::new(
        SocketAddr::new([127, 0, 0, 1].into(), port),
        codecs,
        security,
        &mut StdRng::seed_from_u64(port.into()),
    )
}

fn sdes() -> Security {
    Security::Sdes(vec![Suite::AesGcm128, Suite::AesCm128Sha1_80])
}

#[test]
fn offer_and_answer_in_clear_agree_on_the_first_codec() {
    let mut random = StdRng::seed_from_u64(0);
    let (mut alice, mut bob) = (phone(4_000, Security::Clear), phone(5_000, Security::Clear));
    let offer = Described::read(alice.offer(Direction::SendRecv, &mut random).as_bytes()).unwrap();
    assert_eq!(
        (offer.rtp.port(), offer.rtcp.port(), offer.secure, offer.events),
        (4_000, 4_001, false, Some(101))
    );
    let (answer, bobs) = bob.answer(&offer, &mut random).unwrap();
    let alices = alice
        .accept(&Described::read(answer.as_bytes()).unwrap())
        .unwrap();
    assert_eq!((alices.codec, bobs.codec), (Codec::Pcmu, Codec::Pcmu));
    assert_eq!((alices.remote.rtp.port(), alices.ours), (5_000, None));
}

#[test]
fn with_sdes_each_side_knows_both_keys_and_keeps_them_over_a_hold() {
    let mut random = StdRng::seed_from_u64(0);
    let (mut alice, mut bob) = (phone(4_000, sdes()), phone(5_000, sdes()));
    let mut keys = Vec::new();
    for direction in [Direction::SendRecv, Direction::SendOnly, Direction::Inactive] {
        let offer = Described::read(alice.offer(direction, &mut random).as_bytes()).unwrap();
        assert_eq!(offer.direction, direction);
        let (answer, bobs) = bob.answer(&offer, &mut random).unwrap();
        let answer = Described::read(answer.as_bytes()).unwrap();
        assert_eq!(answer.direction, direction.answered());
        let alices = alice.accept(&answer).unwrap();
        assert!(alices.ours == bobs.theirs && alices.theirs == bobs.ours && alices.ours != alices.theirs);
        keys.push((alices.ours, alices.theirs));
    }
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn clear_and_encrypted_phones_do_not_agree_without_somebody_between() {
    let mut random = StdRng::seed_from_u64(0);
    let secure = Described::read(
        phone(1, sdes())
            .offer(Direction::SendRecv, &mut random)
            .as_bytes(),
    )
    .unwrap();
    let clear = Described::read(
        phone(1, Security::Clear)
            .offer(Direction::SendRecv, &mut random)
            .as_bytes(),
    )
    .unwrap();
    assert!(phone(2, Security::Clear).answer(&secure, &mut random).is_err());
    assert!(phone(2, sdes()).answer(&clear, &mut random).is_err());
    let other = Security::Sdes(vec![Suite::AesCm256Sha1_80]);
    assert!(phone(2, other).answer(&secure, &mut random).is_err());
}

#[test]
fn an_answer_with_a_tag_that_was_not_offered_is_refused() {
    let mut random = StdRng::seed_from_u64(0);
    let (mut alice, mut bob) = (phone(4_000, sdes()), phone(5_000, sdes()));
    let offer = Described::read(alice.offer(Direction::SendRecv, &mut random).as_bytes()).unwrap();
    let (answer, _) = bob.answer(&offer, &mut random).unwrap();
    let forged = Described::read(answer.replace("a=crypto:1", "a=crypto:9").as_bytes()).unwrap();
    assert!(alice.accept(&forged).is_err());
}

#[test]
fn what_is_no_audio_session_is_refused_with_the_reason() {
    let mut random = StdRng::seed_from_u64(0);
    let good = phone(4_000, Security::Clear).offer(Direction::SendRecv, &mut random);
    for (from, to, part) in [
        ("m=audio 4000", "m=audio 0", "refused"),
        ("m=audio", "m=video", "audio"),
        ("RTP/AVP", "TCP/RTP/AVP", "profile"),
        ("RTP/AVP", "UDP/TLS/RTP/SAVP", "fingerprint"),
        ("RTP/AVP", "RTP/SAVP", "key"),
        ("c=IN IP4 127.0.0.1\r\n", "", "c="),
    ] {
        let error = Described::read(good.replace(from, to).as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{to}: {error}");
    }
}

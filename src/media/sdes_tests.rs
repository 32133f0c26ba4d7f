use super::*;

fn ids() -> Ids {
    Ids::seeded(4)
}
fn texts(lines: &[Crypto]) -> Vec<String> {
    lines.iter().map(Crypto::to_string).collect()
}
fn strs(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.iter().map(String::as_str)
}
/// Offers from one end, answers at the other: the lines that crossed.
fn exchange(offerer: &mut Sdes, answerer: &mut Sdes, ids: &mut Ids) -> (Vec<String>, String) {
    let offer = texts(&offerer.offer(ids));
    let answer = answerer.answer(strs(&offer), ids).unwrap().to_string();
    offerer.take_answer([answer.as_str()].into_iter()).unwrap();
    (offer, answer)
}

#[test]
fn both_ends_have_each_others_keys() {
    let (mut a, mut b, mut ids) = (Sdes::new(&[]), Sdes::new(&[]), ids());
    exchange(&mut a, &mut b, &mut ids);
    let (a, b) = (a.agreed().unwrap(), b.agreed().unwrap());
    assert_eq!((&a.send, &a.receive), (&b.receive, &b.send));
    assert_eq!(a.send.suite, DEFAULT_SUITES[0]);
    assert_ne!(a.send.master, a.receive.master);
}

#[test]
fn the_offer_has_a_line_for_each_suite_and_each_spelling() {
    let offer = Sdes::new(&[]).offer(&mut ids());
    let named: Vec<_> = offer.iter().map(|line| (line.tag, line.suite.as_str())).collect();
    assert_eq!(
        named,
        [
            (1, "AEAD_AES_128_GCM"),
            (2, "AES_CM_128_HMAC_SHA1_80"),
            (3, "AEAD_AES_256_GCM"),
            (4, "AES_256_CM_HMAC_SHA1_80"),
            (8, "AES_CM_256_HMAC_SHA1_80"),
        ]
    );
    for line in &offer {
        let suite: Suite = line.suite.parse().unwrap();
        assert_eq!(line.key.len(), suite.master_length());
    }
}

#[test]
fn the_answer_takes_the_peers_first_that_is_allowed_in_its_spelling_and_with_its_tag() {
    let mut ids = ids();
    let key = |suite: Suite| {
        "A".repeat(suite.master_length().div_ceil(3) * 4 - (3 - suite.master_length() % 3) % 3)
    };
    let offer = [
        format!("7 F8_128_HMAC_SHA1_80 inline:{}", key(Suite::AesCm128HmacSha1_80)),
        format!(
            "8 AES_CM_256_HMAC_SHA1_80 inline:{}",
            key(Suite::AesCm256HmacSha1_80)
        ),
        format!(
            "9 AES_CM_128_HMAC_SHA1_80 inline:{}",
            key(Suite::AesCm128HmacSha1_80)
        ),
    ];
    let answer = Sdes::new(&[]).answer(strs(&offer), &mut ids).unwrap();
    assert_eq!(
        (answer.tag, answer.suite.as_str()),
        (8, "AES_CM_256_HMAC_SHA1_80")
    );
    let only = Sdes::new(&[Suite::AesCm128HmacSha1_80])
        .answer(strs(&offer), &mut ids)
        .unwrap();
    assert_eq!(only.tag, 9);
    assert_eq!(
        Sdes::new(&[Suite::AeadAes256Gcm]).answer(strs(&offer), &mut ids),
        Err(SdesError::NoCommonSuite)
    );
}

#[test]
fn a_key_of_the_wrong_length_or_none_at_all_keys_nothing() {
    let mut ids = ids();
    let short = ["1 AES_CM_128_HMAC_SHA1_80 inline:AAAA".to_owned()];
    assert_eq!(
        Sdes::new(&[]).answer(strs(&short), &mut ids),
        Err(SdesError::NoCrypto)
    );
    let mut offerer = Sdes::new(&[]);
    offerer.offer(&mut ids);
    assert_eq!(offerer.take_answer(std::iter::empty()), Err(SdesError::NoCrypto));
    assert_eq!(offerer.take_answer(strs(&short)), Err(SdesError::NoCrypto));
    assert_eq!(offerer.agreed(), None);
}

/// Linphone begins its stream anew, with a gap, when the key in use stands under another tag than before.
#[test]
fn our_offer_has_the_suite_in_use_under_the_tag_and_in_the_spelling_that_were_agreed_on() {
    let mut ids = ids();
    let told = |offer: &[Crypto]| -> Vec<(u32, String)> {
        offer.iter().map(|line| (line.tag, line.suite.clone())).collect()
    };
    // A caller's own numbers and its own spelling; ours would be 4 and 8.
    for (tag, name) in [(1, "AES_CM_256_HMAC_SHA1_80"), (2, "AES_256_CM_HMAC_SHA1_80")] {
        let offer = [format!("{tag} {name} inline:{}", "A".repeat(62))];
        let mut ours = Sdes::new(&[]);
        let answer = ours.answer(strs(&offer), &mut ids).unwrap();
        let next = ours.offer(&mut ids);
        assert_eq!(next[0], answer);
        let tags: std::collections::BTreeSet<u32> = next.iter().map(|line| line.tag).collect();
        assert_eq!(tags.len(), 3, "each its own: {:?}", told(&next));
        assert_eq!(next.len(), 3, "the other spelling and the common suite beside it");
        assert_eq!(ours.offer(&mut ids), next, "the same in each offer");
    }
    // And what a callee chose of ours, even if it answers with a tag of its own.
    let mut ours = Sdes::new(&[]);
    let offer = ours.offer(&mut ids);
    let answer = format!("1 {} inline:{}", offer[3].suite, "A".repeat(62));
    ours.take_answer([answer.as_str()].into_iter()).unwrap();
    let next = ours.offer(&mut ids);
    assert_eq!(next[0], offer[3]);
    let answer = format!("{} {} inline:{}", offer[3].tag, offer[3].suite, "A".repeat(62));
    ours.take_answer([answer.as_str()].into_iter()).unwrap();
    assert_eq!(ours.offer(&mut ids), next);
}

/// Acceptance #1: whatever the peer does with its key, ours stays, and with it the counter that the peer has of it.
#[test]
fn our_key_outlives_the_peers() {
    let (mut ours, mut peer, mut ids) = (Sdes::new(&[]), Sdes::new(&[]), ids());
    exchange(&mut peer, &mut ours, &mut ids);
    let before = ours.agreed().unwrap().clone();
    let mut rekeyed = Sdes::new(&[]);
    exchange(&mut rekeyed, &mut ours, &mut ids);
    let after = ours.agreed().unwrap();
    assert_eq!(after.send, before.send);
    assert_ne!(after.receive, before.receive);
    // And our own next offer repeats it, with the one that everybody has beside it, and no more.
    let offer = ours.offer(&mut ids);
    assert_eq!(offer.len(), 2);
    assert_eq!(
        (&offer[0].suite[..], &offer[0].key),
        (before.send.suite.name(), &before.send.master)
    );
}

#[test]
fn the_suite_in_use_stays_when_it_is_offered_again_in_another_place() {
    let (mut ours, mut ids) = (Sdes::new(&[]), ids());
    let mut peer = Sdes::new(&[Suite::AesCm128HmacSha1_80]);
    exchange(&mut peer, &mut ours, &mut ids);
    let before = ours.agreed().unwrap().send.clone();
    let mut reordered = Sdes::new(&[Suite::AeadAes256Gcm, Suite::AesCm128HmacSha1_80]);
    exchange(&mut reordered, &mut ours, &mut ids);
    assert_eq!(ours.agreed().unwrap().send, before);
}

#[test]
fn a_suite_that_is_left_loses_its_key_for_good() {
    let (mut ours, mut ids) = (Sdes::new(&[]), ids());
    let first = Suite::AesCm128HmacSha1_80;
    exchange(&mut Sdes::new(&[first]), &mut ours, &mut ids);
    let before = ours.agreed().unwrap().send.clone();
    exchange(&mut Sdes::new(&[Suite::AeadAes256Gcm]), &mut ours, &mut ids);
    exchange(&mut Sdes::new(&[first]), &mut ours, &mut ids);
    let after = &ours.agreed().unwrap().send;
    assert_eq!(after.suite, before.suite);
    assert_ne!(after.master, before.master);
}

#[test]
fn another_party_gets_another_key() {
    let (mut ours, mut ids) = (Sdes::new(&[]), ids());
    exchange(&mut Sdes::new(&[]), &mut ours, &mut ids);
    let before = ours.agreed().unwrap().send.clone();
    ours.renew();
    exchange(&mut Sdes::new(&[]), &mut ours, &mut ids);
    assert_ne!(ours.agreed().unwrap().send.master, before.master);
}

#[test]
fn a_wrong_tag_in_an_answer_is_forgiven() {
    let (mut ours, mut ids) = (Sdes::new(&[]), ids());
    let offer = texts(&ours.offer(&mut ids));
    let mut answer = Sdes::new(&[Suite::AesCm256HmacSha1_80])
        .answer(strs(&offer), &mut ids)
        .unwrap();
    answer.tag = 1;
    ours.take_answer([answer.to_string().as_str()].into_iter())
        .unwrap();
    assert_eq!(ours.agreed().unwrap().send.suite, Suite::AesCm256HmacSha1_80);
}

#[test]
fn an_offer_to_a_known_peer_is_short_and_still_fits_who_takes_its_place() {
    let mut ids = ids();
    for suite in ACCEPTED_SUITES {
        let (mut ours, mut peer) = (Sdes::new(&ACCEPTED_SUITES), Sdes::new(&[suite]));
        exchange(&mut peer, &mut ours, &mut ids);
        let offer = texts(&ours.offer(&mut ids));
        assert!(offer[0].contains(suite.name()), "{offer:?}");
        assert!(offer.iter().map(String::len).sum::<usize>() < 300, "{offer:?}");
        let mut other = Sdes::new(&[COMMON]);
        ours.renew();
        assert_eq!(exchange(&mut ours, &mut other, &mut ids).0.len(), offer.len());
    }
    // Where a rule allows one suite, nothing else is offered.
    let strict = [Suite::AeadAes256Gcm];
    let (mut ours, mut peer) = (Sdes::new(&strict), Sdes::new(&strict));
    exchange(&mut ours, &mut peer, &mut ids);
    assert_eq!(ours.offer(&mut ids).len(), 1);
}

#[test]
fn what_a_peer_was_allowed_once_it_may_keep() {
    let (mut ours, mut ids) = (Sdes::new(&ACCEPTED_SUITES), ids());
    let mut peer = Sdes::new(&[Suite::AesCm128HmacSha1_32]);
    exchange(&mut peer, &mut ours, &mut ids);
    let before = ours.agreed().unwrap().clone();
    ours.allow(&[]);
    exchange(&mut peer, &mut ours, &mut ids);
    exchange(&mut ours, &mut peer, &mut ids);
    assert_eq!(ours.agreed(), Some(&before));
    let mut stranger = Sdes::new(&[Suite::AesCm256HmacSha1_32]);
    let offer = texts(&stranger.offer(&mut ids));
    assert_eq!(ours.answer(strs(&offer), &mut ids), Err(SdesError::NoCommonSuite));
}

use super::super::super::{
    AuthTag, Cipher, Failure, Hash, KeyAgreement, SasType, Settings,
    algorithm::Algorithm,
    message::{ErrorCode, Message},
    packet::Packet,
};
use super::rig::{AUDIO, Net, STRANGER};
use std::time::Duration;

fn both(settings: &Settings) -> [Settings; 2] {
    [settings.clone(), settings.clone()]
}

#[test]
fn two_endpoints_agree_with_every_algorithm() {
    let mut seed = 0;
    for key_agreement in KeyAgreement::KNOWN
        .iter()
        .filter(|known| **known != KeyAgreement::Mult)
    {
        for hash in Hash::KNOWN {
            for cipher in Cipher::KNOWN {
                for auth_tag in AuthTag::KNOWN {
                    for sas in SasType::KNOWN {
                        // The groups of big numbers are slow in a test's build: with one tag and rendering.
                        let slow = matches!(key_agreement, KeyAgreement::Dh2k | KeyAgreement::Dh3k);
                        if slow && (*auth_tag == AuthTag::Hs32 || *sas == SasType::B256) {
                            continue;
                        }
                        seed += 1;
                        let settings = Settings {
                            hashes: vec![*hash],
                            ciphers: vec![*cipher],
                            auth_tags: vec![*auth_tag],
                            key_agreements: vec![*key_agreement],
                            sas_types: vec![*sas],
                            ..Settings::default()
                        };
                        let mut net = Net::pair(seed, both(&settings));
                        net.run();
                        net.assert_secured(AUDIO);
                        let choice = net.ends[0].secured[&AUDIO].choice;
                        assert_eq!((choice.hash, choice.cipher), (*hash, *cipher));
                        assert_eq!((choice.key_agreement, choice.sas), (*key_agreement, *sas));
                        assert_eq!(choice.auth_tag, *auth_tag);
                    }
                }
            }
        }
    }
}

#[test]
fn it_takes_three_round_trips_and_few_packets() {
    let mut net = Net::pair(1, both(&Settings::default()));
    net.run();
    net.assert_secured(AUDIO);
    // Hello and HelloACK both ways, two Commits that cross, DHPart1, DHPart2, Confirm1, Confirm2, Conf2ACK.
    assert_eq!(net.sent, 4 + 2 + 5);
}

#[test]
fn of_two_commits_that_cross_the_greater_one_stands() {
    let mut initiators = [0, 0];
    for seed in 0..40 {
        let mut net = Net::pair(seed, both(&Settings::default()));
        net.run();
        net.assert_secured(AUDIO);
        let first = usize::from(net.ends[1].secured[&AUDIO].initiator);
        initiators[first] += 1;
    }
    assert!(initiators.iter().all(|count| *count > 5), "{initiators:?}");
}

#[test]
fn a_passive_endpoint_is_always_the_responder() {
    let passive = Settings {
        passive: true,
        ..Settings::default()
    };
    for seed in 0..4 {
        let mut net = Net::pair(seed, [passive.clone(), Settings::default()]);
        net.run();
        net.assert_secured(AUDIO);
        assert!(!net.ends[0].secured[&AUDIO].initiator);
    }
    // Two of them wait for each other, and not for ever.
    let mut net = Net::pair(1, both(&passive));
    net.run();
    let failure = Some(&Failure::Local(ErrorCode::TIMEOUT));
    assert!(net.ends.iter().any(|end| end.failed.get(&AUDIO) == failure));
    assert!(net.ends.iter().all(|end| end.failed.contains_key(&AUDIO)));
}

#[test]
fn nothing_in_common_is_told_to_both() {
    let only = |cipher| Settings {
        ciphers: vec![cipher],
        ..Settings::default()
    };
    let mut net = Net::pair(1, [only(Cipher::Aes3), only(Cipher::Aes1)]);
    net.run();
    // The one with AES-256 sees that the other lacks it; that one counts on AES-128, which everyone has to have.
    let failed = [0, 1].map(|end: usize| net.ends[end].failed[&AUDIO]);
    assert!(failed.contains(&Failure::Local(ErrorCode::CIPHER)), "{failed:?}");
    assert!(
        net.ends
            .iter()
            .all(|end| end.send.is_empty() && end.receive.is_empty())
    );
}

#[test]
fn who_hears_nothing_says_so_after_twenty_hellos_and_goes_on_when_the_peer_comes() {
    let mut net = Net::pair(3, both(&Settings::default()));
    let start = net.start;
    net.tap = Some(Box::new(move |flight| {
        // The second endpoint hears nothing for six seconds: it is not there yet.
        let late = flight.due < start + Duration::from_secs(6);
        if late { Vec::new() } else { vec![flight] }
    }));
    net.flights.clear();
    net.run_for(Duration::from_millis(3_900));
    assert!(net.ends.iter().all(|end| end.unanswered.is_empty()));
    net.run_for(Duration::from_millis(200));
    assert!(net.ends.iter().all(|end| end.unanswered == [AUDIO]));
    assert_eq!(net.sent, 42);
    net.run_for(Duration::from_secs(4));
    assert_eq!(net.sent, 42, "the RFC's twenty, and no more");
    // It begins now, and the other one answers.
    net.act(1, |association, env| {
        association.add_stream(AUDIO, 7, env);
        association.start(AUDIO, env);
    });
    net.run();
    net.assert_secured(AUDIO);
}

#[test]
fn the_peer_is_named_and_its_disclosure_told() {
    let discloses = Settings {
        disclosure: true,
        client: "recorder\0\u{1b}[31m and more".into(),
        ..Settings::default()
    };
    let mut net = Net::pair(1, [discloses, Settings::default()]);
    net.run();
    net.assert_secured(AUDIO);
    let peer = &net.ends[1].secured[&AUDIO].peer;
    assert!(peer.disclosure && !peer.mitm && !peer.signalled);
    assert_eq!(peer.client, "recorder");
    let peer = &net.ends[0].secured[&AUDIO].peer;
    assert!(!peer.disclosure);
    assert!(peer.client.starts_with("b2bua "), "{}", peer.client);
}

#[test]
fn media_says_what_a_lost_conf2ack_would_have() {
    let mut net = Net::pair(5, both(&Settings::default()));
    net.tap = Some(Box::new(|flight| {
        let message = Packet::parse(&flight.bytes).map(|packet| Message::parse(packet.message));
        let lost = matches!(message, Ok(Ok(Message::Conf2Ack)));
        if lost { Vec::new() } else { vec![flight] }
    }));
    net.run_for(Duration::from_secs(1));
    let initiator = usize::from(net.ends[0].secured.contains_key(&AUDIO));
    let end = &net.ends[initiator];
    assert!(end.receive.contains_key(&AUDIO) && !end.send.contains_key(&AUDIO));
    net.act(initiator, |association, env| association.handle_media(AUDIO, env));
    net.assert_secured(AUDIO);
    net.run();
}

#[test]
fn a_ping_is_answered_at_any_time() {
    let mut net = Net::pair(1, both(&Settings::default()));
    net.run();
    let ping = Message::Ping { endpoint: [5; 8] }.encode();
    net.slip_in(0, &ping);
    let answer = net.flights.pop().unwrap().bytes;
    assert_eq!(
        Message::parse(Packet::parse(&answer).unwrap().message),
        Ok(Message::PingAck {
            endpoint: [1; 8],
            asker: [5; 8],
            ssrc: STRANGER
        })
    );
}

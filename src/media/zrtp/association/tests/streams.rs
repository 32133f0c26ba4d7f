use super::super::super::{KeyAgreement, Settings, StreamIndex};
use super::super::MAX_STREAMS;
use super::rig::{AUDIO, Net, VIDEO, Weather};

fn both(settings: &Settings) -> [Settings; 2] {
    [settings.clone(), settings.clone()]
}

#[test]
fn the_second_stream_takes_its_keys_from_the_first() {
    for seed in 0..20 {
        let mut net = Net::pair(seed, both(&Settings::default()));
        net.weather.delay = (1, 60);
        net.add(VIDEO);
        net.run();
        net.assert_secured(AUDIO);
        net.assert_secured(VIDEO);
        for end in &net.ends {
            assert_eq!(end.secured[&VIDEO].choice.key_agreement, KeyAgreement::Mult);
            assert!(end.secured[&AUDIO].sas.is_some() && end.secured[&VIDEO].sas.is_none());
            assert_ne!(end.send[&AUDIO], end.send[&VIDEO]);
            assert_eq!(end.updates.len(), 1, "only the first changes what is retained");
        }
    }
}

#[test]
fn a_stream_that_comes_later_takes_its_keys_from_the_first_even_when_that_is_gone() {
    let mut net = Net::pair(1, both(&Settings::default()));
    net.run();
    for end in [0, 1] {
        net.act(end, |association, env| association.remove_stream(AUDIO, env));
    }
    net.add(VIDEO);
    net.run();
    net.assert_secured(VIDEO);
    assert!(net.ends[0].secured[&VIDEO].sas.is_none());
}

#[test]
fn without_multistream_each_stream_agrees_for_itself_one_after_the_other() {
    let settings = Settings {
        key_agreements: vec![KeyAgreement::X255],
        ..Settings::default()
    };
    for seed in 0..20 {
        let mut net = Net::pair(seed, [settings.clone(), Settings::default()]);
        net.add(VIDEO);
        net.run();
        net.assert_secured(AUDIO);
        net.assert_secured(VIDEO);
        let [one, two] = &net.ends;
        assert!(one.secured[&VIDEO].sas.is_some());
        // The second found what the first had retained.
        assert!(!one.secured[&VIDEO].sas.as_ref().unwrap().cache_mismatch);
        assert_eq!(one.updates.len(), 2);
        assert_eq!(one.store.values().next(), two.store.values().next());
    }
}

#[test]
fn the_second_goes_ahead_when_nobody_answers_the_first() {
    for seed in 0..10 {
        let mut net = Net::pair(seed, both(&Settings::default()));
        net.tap = Some(Box::new(|flight| {
            if flight.stream == AUDIO {
                Vec::new()
            } else {
                vec![flight]
            }
        }));
        net.flights.clear();
        net.add(VIDEO);
        net.run();
        net.assert_secured(VIDEO);
        assert!(net.ends.iter().all(|end| end.unanswered == [AUDIO]));
    }
}

#[test]
fn many_streams_in_bad_weather_are_all_secured() {
    let settings = Settings {
        key_agreements: vec![KeyAgreement::X255, KeyAgreement::Mult],
        ..Settings::default()
    };
    for seed in 0..20 {
        let mut net = Net::pair(seed, both(&settings));
        net.weather = Weather {
            loss: 0.1,
            duplication: 0.1,
            delay: (1, 100),
        };
        for index in 1..6 {
            net.add(StreamIndex(index));
        }
        net.run();
        for index in 0..6 {
            net.assert_secured(StreamIndex(index));
        }
    }
}

#[test]
fn there_are_not_more_streams_than_allowed() {
    let mut net = Net::pair(1, both(&Settings::default()));
    net.act(0, |association, env| {
        for index in 1..MAX_STREAMS {
            assert!(association.add_stream(StreamIndex(index), 1, env).is_some());
        }
        assert!(association.add_stream(StreamIndex(MAX_STREAMS), 1, env).is_none());
        assert!(
            association.add_stream(StreamIndex(3), 1, env).is_some(),
            "instead of one"
        );
        // What nobody added is nobody's.
        association.handle_packet(StreamIndex(99), b"", env);
        association.start(StreamIndex(99), env);
        association.handle_media(StreamIndex(99), env);
        association.remove_stream(StreamIndex(99), env);
    });
}

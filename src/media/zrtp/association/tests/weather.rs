use super::super::super::{KeyAgreement, Settings};
use super::rig::{AUDIO, Net, VIDEO, Weather};

fn fast() -> Settings {
    Settings {
        key_agreements: vec![KeyAgreement::X255, KeyAgreement::Mult],
        ..Settings::default()
    }
}

/// acceptance #8: 20 % loss, duplication and reordering both ways, on audio and video.
#[test]
fn every_exchange_in_bad_weather_completes_or_ends_by_the_timers() {
    let (mut secured, mut decided) = (0, 0);
    let rounds = 300;
    for seed in 0..rounds {
        let mut net = Net::pair(seed, [fast(), fast()]);
        net.weather = Weather {
            loss: 0.2,
            duplication: 0.1,
            delay: (1, 120),
        };
        net.add(VIDEO);
        net.run();
        let both = [AUDIO, VIDEO].map(|stream| {
            net.assert_nothing_between(stream);
            net.assert_decided(stream)
        });
        decided += 2;
        secured += u32::from(both == [true; 2]);
    }
    assert_eq!(decided, 2 * rounds);
    // An initiator has eleven tries for each message: 1 - 0.36^11 for a round trip.
    assert!(secured >= rounds as u32 - 2, "{secured} of {rounds}");
}

/// The worst that the timers may have to end: nothing hangs, nobody has keys that the other lacks for long.
#[test]
fn nearly_nothing_arrives_and_still_both_decide() {
    let mut secured = 0;
    for seed in 0..200 {
        let mut net = Net::pair(seed, [fast(), fast()]);
        net.weather = Weather {
            loss: 0.7,
            duplication: 0.2,
            delay: (1, 400),
        };
        net.run();
        let [one, two] = &net.ends;
        for end in [one, two] {
            let silent = end.unanswered.contains(&AUDIO);
            assert!(
                end.secured.contains_key(&AUDIO) || end.failed.contains_key(&AUDIO) || silent,
                "seed {seed}"
            );
        }
        if one.secured.contains_key(&AUDIO) && two.secured.contains_key(&AUDIO) {
            net.assert_secured(AUDIO);
            secured += 1;
        }
    }
    assert!(secured > 20, "{secured}");
}

#[test]
fn a_slow_way_is_no_obstacle() {
    for seed in 0..10 {
        let mut net = Net::pair(seed, [fast(), fast()]);
        net.weather = Weather {
            loss: 0.0,
            duplication: 0.0,
            delay: (900, 1_100),
        };
        net.run();
        net.assert_secured(AUDIO);
    }
}

use super::super::super::{Lifetime, Retained, Secured, Settings, Update, Zid};
use super::rig::{AUDIO, Net};
use std::collections::BTreeMap;

type Stores = [BTreeMap<Zid, Retained>; 2];

const ONE: Zid = Zid([1; 12]);
const TWO: Zid = Zid([2; 12]);

/// One session with what is stored; the stores after it.
fn session(
    seed: u64,
    stores: Stores,
    settings: [Settings; 2],
    act: impl FnOnce(&mut Net),
) -> ([Secured; 2], Stores) {
    let mut net = Net::with_stores(seed, settings, stores);
    net.run();
    net.assert_secured(AUDIO);
    act(&mut net);
    let [one, two] = net.ends;
    let secured = [one.secured[&AUDIO].clone(), two.secured[&AUDIO].clone()];
    (secured, [one.store, two.store])
}

fn plain() -> [Settings; 2] {
    [Settings::default(), Settings::default()]
}

fn mismatch(secured: &[Secured; 2]) -> [bool; 2] {
    [0, 1].map(|end: usize| secured[end].sas.as_ref().unwrap().cache_mismatch)
}

fn verified(secured: &[Secured; 2]) -> [bool; 2] {
    [0, 1].map(|end: usize| secured[end].sas.as_ref().unwrap().verified)
}

#[test]
fn secrets_go_from_session_to_session() {
    let mut stores = Stores::default();
    let mut seen = Vec::new();
    for seed in 0..5 {
        let (secured, next) = session(seed, stores, plain(), |_| {});
        assert_eq!(mismatch(&secured), [false, false]);
        stores = next;
        let (kept, other) = (&stores[0][&TWO], &stores[1][&ONE]);
        assert_eq!(kept, other, "both retain the same");
        assert_eq!(kept.rs2, seen.last().cloned(), "the one before is kept too");
        let rs1 = kept.rs1.clone();
        assert!(!seen.contains(rs1.as_ref().unwrap()));
        seen.extend(rs1);
    }
}

#[test]
fn who_lost_its_cache_is_told_apart_and_not_believed() {
    let (_, stores) = session(1, Stores::default(), plain(), |_| {});
    let [kept, _] = stores;
    let before = kept[&TWO].clone();
    let (secured, [kept, new]) = session(2, [kept, BTreeMap::new()], plain(), |_| {});
    assert_eq!(mismatch(&secured), [true, false]);
    // §4.6.1.1: what was retained stays until the user has compared; the one that had nothing begins anew.
    assert_eq!(kept[&TWO], before);
    assert!(new[&ONE].rs1.is_some());
    // Which the one with the old secret sees again, and the other now as well.
    let (secured, _) = session(3, [kept, new], plain(), |_| {});
    assert_eq!(mismatch(&secured), [true, true]);
}

#[test]
fn after_a_mismatch_the_users_word_makes_the_new_secret_count() {
    let (_, [kept, _]) = session(1, Stores::default(), plain(), |_| {});
    let (_, stores) = session(2, [kept, BTreeMap::new()], plain(), |net| {
        assert!(net.ends[0].updates.is_empty());
        net.act(0, |association, _| association.set_verified(true));
    });
    assert_eq!(stores[0][&TWO].rs1, stores[1][&ONE].rs1);
    assert!(stores[0][&TWO].verified);
    let (secured, _) = session(3, stores, plain(), |_| {});
    assert_eq!(mismatch(&secured), [false, false]);
}

#[test]
fn after_a_mismatch_protected_signalling_makes_the_new_secret_count() {
    let (_, [kept, _]) = session(1, Stores::default(), plain(), |_| {});
    let protected = Settings {
        signalling_protected: true,
        ..Settings::default()
    };
    for announced in [false, true] {
        let settings = [protected.clone(), Settings::default()];
        let mut net = Net::with_stores(2, settings, [kept.clone(), BTreeMap::new()]);
        if announced {
            let hash = net.ends[1].association.hash(AUDIO).unwrap();
            net.act(0, |association, env| association.set_peer_hash(AUDIO, hash, env));
        }
        net.run();
        net.assert_secured(AUDIO);
        assert!(net.ends[0].secured[&AUDIO].sas.as_ref().unwrap().cache_mismatch);
        assert_eq!(net.ends[0].secured[&AUDIO].peer.signalled, announced);
        let same = net.ends[0].store[&TWO].rs1 == net.ends[1].store[&ONE].rs1;
        assert_eq!(same, announced);
    }
}

#[test]
fn verified_means_by_both_and_ends_with_a_mismatch() {
    let (secured, stores) = session(1, Stores::default(), plain(), |net| {
        net.act(0, |association, _| association.set_verified(true));
    });
    assert_eq!(verified(&secured), [false, false]);
    // Only one user has compared.
    let (secured, stores) = session(2, stores, plain(), |net| {
        net.act(1, |association, _| association.set_verified(true));
    });
    assert_eq!(verified(&secured), [false, false]);
    let (secured, [kept, _]) = session(3, stores, plain(), |_| {});
    assert_eq!(verified(&secured), [true, true]);
    let (secured, [kept, _]) = session(4, [kept, BTreeMap::new()], plain(), |net| {
        let taken_back = Update::Verified {
            peer: TWO,
            verified: false,
        };
        assert_eq!(net.ends[0].updates, [taken_back]);
    });
    assert_eq!(verified(&secured), [false, false]);
    assert!(!kept[&TWO].verified);
}

#[test]
fn after_a_lost_conf2ack_the_secret_before_still_counts() {
    let (_, mut stores) = session(1, Stores::default(), plain(), |_| {});
    // As if the responder had stored and the initiator not.
    let old = stores[0].clone();
    let (_, [_, ahead]) = session(2, stores, plain(), |_| {});
    stores = [old, ahead];
    let (secured, stores) = session(3, stores, plain(), |_| {});
    assert_eq!(mismatch(&secured), [false, false]);
    assert_eq!(stores[0][&TWO].rs2, stores[1][&ONE].rs2);
    let (secured, _) = session(4, stores, plain(), |_| {});
    assert_eq!(mismatch(&secured), [false, false]);
}

#[test]
fn the_shorter_lifetime_of_both_is_kept_and_none_forgets() {
    let lasting = |lifetime| Settings {
        lifetime,
        ..Settings::default()
    };
    let rows = [
        (Lifetime::Forever, Lifetime::Forever, Lifetime::Forever),
        (Lifetime::Forever, Lifetime::Seconds(60), Lifetime::Seconds(60)),
        (
            Lifetime::Seconds(30),
            Lifetime::Seconds(60),
            Lifetime::Seconds(30),
        ),
    ];
    for (one, two, expected) in rows {
        session(1, Stores::default(), [lasting(one), lasting(two)], |net| {
            for end in &net.ends {
                let [Update::Secrets { lifetime, .. }] = &end.updates[..] else {
                    panic!("{:?}", end.updates);
                };
                assert_eq!(*lifetime, expected);
            }
        });
    }
    let (_, stores) = session(1, Stores::default(), plain(), |_| {});
    let settings = [lasting(Lifetime::Forever), lasting(Lifetime::Seconds(0))];
    let (_, stores) = session(2, stores, settings, |_| {});
    assert!(stores.iter().all(BTreeMap::is_empty));
}

#[test]
fn a_slow_store_delays_and_a_dead_one_ends() {
    for (delay, secured) in [(800, true), (20_000, false)] {
        let mut net = Net::pair(4, plain());
        net.ends[0].answers = false;
        net.run_for(std::time::Duration::from_millis(delay));
        assert_eq!(net.ends[0].lookups, [TWO]);
        assert!(net.ends[0].secured.is_empty());
        net.answer(0, TWO);
        net.run();
        assert_eq!(net.assert_decided(AUDIO), secured, "{delay}");
    }
}

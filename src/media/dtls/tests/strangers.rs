//! What comes between: garbage, strays, floods. The relay lets it through only from the peer's own address.

use super::rig::{FAIR, Rig, setup};
use crate::{
    media::dtls::{DtlsError, MAX_DATAGRAM, Role, record::clear_record},
    sip::Ids,
};
use std::time::Duration;

/// One of each kind of thing that is not of this handshake.
fn garbage(ids: &mut Ids) -> Vec<u8> {
    let noise = |ids: &mut Ids, length: u64| -> Vec<u8> {
        let length = ids.below(length);
        (0..length).map(|_| ids.below(256) as u8).collect()
    };
    let body = noise(ids, 300);
    match ids.below(9) {
        0 => noise(ids, 100),
        1 => clear_record(22, ids.below(1 << 47), &body),
        2 => clear_record(23, ids.below(5), &body),
        3 => clear_record(20, ids.below(5), &body),
        4 => clear_record(21, 0, &[1, 90]),
        5 => {
            let mut record = clear_record(22, ids.below(3), &body);
            record[4] = ids.below(3) as u8;
            record
        }
        6 => {
            let mut record = clear_record(21, ids.below(3), &body);
            record[4] = 1;
            record
        }
        7 => vec![0; MAX_DATAGRAM + 1],
        _ => {
            // A handshake header that lies.
            let mut body = vec![
                ids.below(25) as u8,
                0,
                ids.below(80) as u8,
                0,
                0,
                ids.below(40) as u8,
            ];
            body.extend([0, 0, ids.below(3) as u8, 0, 0, ids.below(100) as u8]);
            body.extend(noise(ids, 100));
            clear_record(22, 0, &body)
        }
    }
}

#[tokio::test(start_paused = true)]
async fn garbage_does_not_disturb_a_handshake() {
    let mut completed = 0;
    for seed in 0..100 {
        let mut ids = Ids::seeded(seed);
        let mut rig = Rig::new(Some(setup(Role::Client)), Some(setup(Role::Server)), FAIR, seed);
        for _ in 0..60 {
            // Not as handshake messages that the peer could have sent: those are taken for its own.
            let datagram = garbage(&mut ids);
            if datagram.first() != Some(&22) {
                rig.client.as_ref().unwrap().receive(&datagram);
                rig.server.as_ref().unwrap().receive(&datagram);
            }
            rig.pass(Duration::from_millis(1)).await;
        }
        rig.run(Duration::ZERO).await;
        rig.agreed();
        completed += 1;
    }
    assert_eq!(completed, 100);
}

#[tokio::test(start_paused = true)]
async fn whatever_comes_a_handshake_ends() {
    for seed in 0..100 {
        let mut ids = Ids::seeded(1000 + seed);
        let mut rig = Rig::new(Some(setup(Role::Client)), Some(setup(Role::Server)), FAIR, seed);
        for _ in 0..100 {
            let datagram = garbage(&mut ids);
            rig.client.as_ref().unwrap().receive(&datagram);
            rig.server.as_ref().unwrap().receive(&datagram);
            rig.pass(Duration::from_millis(1)).await;
        }
        rig.run(Duration::ZERO).await;
        assert_eq!(rig.dtls.counts().faults(), 0, "seed {seed}");
        assert_eq!(rig.dtls.counts().open(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_hello_that_strays_to_the_client_changes_nothing() {
    let mut other = Rig::new(Some(setup(Role::Client)), None, FAIR, 1);
    other.pass(Duration::from_millis(1)).await;
    let (_, hello) = other.sent.remove(0);
    let mut rig = Rig::fair(setup(Role::Client), setup(Role::Server));
    for _ in 0..20 {
        rig.client.as_ref().unwrap().receive(&hello);
        rig.pass(Duration::from_millis(3)).await;
    }
    rig.run(Duration::ZERO).await;
    rig.agreed();
}

#[tokio::test(start_paused = true)]
async fn a_flood_ends_the_handshake_that_it_is_sent_to() {
    let mut rig = Rig::new(None, Some(setup(Role::Server)), FAIR, 1);
    let server = rig.server.as_ref().unwrap();
    let mut message = vec![1, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0xff];
    message.resize(12 + 0xfff, 0);
    let part = clear_record(22, 0, &message[..4000]);
    for _ in 0..200 {
        server.receive(&part);
        tokio::task::yield_now().await;
    }
    rig.run(Duration::ZERO).await;
    assert_eq!(rig.results.server, Some(Err(DtlsError::Flood)));
}

#[tokio::test(start_paused = true)]
async fn an_alert_before_the_handshake_is_about_nothing() {
    let mut rig = Rig::new(None, Some(setup(Role::Server)), FAIR, 1);
    rig.server
        .as_ref()
        .unwrap()
        .receive(&clear_record(21, 0, &[2, 40]));
    rig.pass(Duration::from_secs(1)).await;
    assert_eq!(rig.results.server, None, "it still waits");
    assert_eq!(rig.dtls.counts().open(), 1);
}

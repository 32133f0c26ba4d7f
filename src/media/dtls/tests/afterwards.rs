//! When the handshake is over.

use super::rig::{Rig, now, setup};
use crate::media::dtls::{Role, record::clear_record};
use std::time::Duration;

/// The datagrams that one side has sent, in order.
fn sent(rig: &Rig, by: Role) -> Vec<Vec<u8>> {
    let of = |(role, datagram): &(Role, Vec<u8>)| (*role == by).then(|| datagram.clone());
    rig.sent.iter().filter_map(of).collect()
}

#[tokio::test(start_paused = true)]
async fn the_server_sends_its_last_flight_again_to_a_client_that_lost_it() {
    let mut rig = Rig::fair(setup(Role::Client), setup(Role::Server));
    // Up to the last flight, which is lost.
    while rig.results.server.is_none() {
        rig.pass(Duration::from_millis(1)).await;
    }
    rig.lose_all();
    assert!(rig.results.client.is_none());
    let begun = now();
    rig.run(Duration::ZERO).await;
    rig.agreed();
    let took = now() - begun;
    assert!(
        took < Duration::from_millis(600),
        "one retransmission of the client: {took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_flight_is_not_repeated_without_end_or_for_anything_else() {
    let mut rig = Rig::fair(setup(Role::Client), setup(Role::Server));
    rig.run(Duration::from_secs(1)).await;
    let before = sent(&rig, Role::Server).len();
    let server = rig.server.as_ref().unwrap();
    let hello = sent(&rig, Role::Client)[0].clone();
    server.receive(&hello);
    server.receive(&clear_record(21, 9, &[2, 40]));
    server.receive(&clear_record(23, 9, &[0; 100]));
    server.receive(&[]);
    rig.pass(Duration::from_secs(1)).await;
    assert_eq!(sent(&rig, Role::Server).len(), before);
    let last = sent(&rig, Role::Client).pop().unwrap();
    for _ in 0..1000 {
        rig.server.as_ref().unwrap().receive(&last);
    }
    rig.pass(Duration::from_secs(1)).await;
    let repeated = sent(&rig, Role::Server).len() - before;
    assert!((1..=64).contains(&repeated), "{repeated}");
    let client = sent(&rig, Role::Client).len();
    rig.client.as_ref().unwrap().receive(&last);
    rig.pass(Duration::from_secs(1)).await;
    assert_eq!(sent(&rig, Role::Client).len(), client, "the client has none");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_association_is_said_once_and_sealed() {
    for role in [Role::Client, Role::Server] {
        let mut rig = Rig::fair(setup(Role::Client), setup(Role::Server));
        rig.run(Duration::from_secs(1)).await;
        let before = sent(&rig, role).len();
        match role {
            Role::Client => rig.client.take(),
            Role::Server => rig.server.take(),
        }
        .unwrap()
        .close();
        rig.pass(Duration::from_secs(1)).await;
        let after = sent(&rig, role);
        assert_eq!(after.len(), before + 1);
        let alert = after.last().unwrap();
        assert_eq!(alert[..5], [21, 0xfe, 0xfd, 0, 1], "an alert in epoch 1");
        assert_eq!(alert.len(), 13 + 8 + 2 + 16, "one record, sealed");
    }
}

#[tokio::test(start_paused = true)]
async fn an_association_that_is_closed_early_says_nothing() {
    let mut rig = Rig::fair(setup(Role::Client), setup(Role::Server));
    rig.pass(Duration::from_millis(25)).await;
    let before = sent(&rig, Role::Client).len();
    rig.client.take().unwrap().close();
    rig.pass(Duration::from_secs(1)).await;
    assert_eq!(sent(&rig, Role::Client).len(), before);
}

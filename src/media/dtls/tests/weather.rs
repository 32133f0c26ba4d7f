//! A path that loses, doubles and reorders.

use super::rig::{Rig, Weather, setup};
use crate::media::dtls::Role;
use std::time::Duration;

const AWFUL: Weather = Weather {
    lost: 20,
    doubled: 10,
    delay: Duration::from_millis(20),
    jitter: Duration::from_millis(80),
};

async fn through(weather: Weather, seed: u64) -> Rig {
    let mut client = setup(Role::Client);
    client.deadline = Duration::from_secs(60);
    let mut server = setup(Role::Server);
    server.deadline = Duration::from_secs(60);
    let mut rig = Rig::new(Some(client), Some(server), weather, seed);
    rig.run(Duration::ZERO).await;
    rig
}

#[tokio::test(start_paused = true)]
async fn every_handshake_completes_under_loss_doubling_and_reordering() {
    for seed in 0..200 {
        let rig = through(AWFUL, seed).await;
        assert!(
            matches!(
                (&rig.results.client, &rig.results.server),
                (Some(Ok(_)), Some(Ok(_)))
            ),
            "seed {seed}: {:?}",
            rig.results
        );
        rig.agreed();
    }
}

/// Handshakes have a number of flights in which a loss costs one interval; never may they cost all of the time.
#[tokio::test(start_paused = true)]
async fn reordering_alone_costs_few_retransmissions() {
    let reordered = Weather {
        lost: 0,
        doubled: 0,
        ..AWFUL
    };
    for seed in 0..50 {
        let begun = super::rig::now();
        let rig = through(reordered, seed).await;
        rig.agreed();
        let took = super::rig::now() - begun;
        assert!(took < Duration::from_secs(5), "seed {seed}: {took:?}");
    }
}

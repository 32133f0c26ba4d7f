//! When nothing goes wrong.

use super::rig::{Rig, setup};
use crate::media::{
    Suite,
    dtls::{Role, SUITES},
};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn both_sides_have_the_same_keys() {
    let mut rig = Rig::fair(setup(Role::Client), setup(Role::Server));
    rig.run(Duration::ZERO).await;
    let keys = rig.agreed();
    assert_eq!(keys.send.suite, Suite::AeadAes128Gcm);
    assert_eq!(keys.send.master.len(), 28);
    assert_eq!(rig.dtls.counts().completed(), 2);
    assert_eq!(rig.dtls.counts().open(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_suite_can_be_negotiated() {
    for suite in SUITES {
        let mut client = setup(Role::Client);
        client.suites = vec![suite];
        let mut rig = Rig::fair(client, setup(Role::Server));
        rig.run(Duration::ZERO).await;
        assert_eq!(rig.agreed().send.suite, suite);
        assert_eq!(rig.agreed().send.master.len(), suite.master_length());
    }
}

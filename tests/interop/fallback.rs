//! `encryption-fallback` with phones that cannot do what they are called with.

use std::thread;
use std::time::Duration;

use crate::converse::{Timeline, dial, finish, talk};
use crate::judge;
use crate::phone::{Keys, Make};
use crate::scene::Scene;
use crate::server::Server;
use crate::through::{CALLEE, Call};
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    Test::new(
        "fallback::from_dtls_to_sdes_with_a_linphone_that_refuses",
        |scene| {
            let call = Call::new(scene, Make::Linphone, Make::Linphone).keyed(Keys::None, Keys::Sdes);
            falls_back(
                scene,
                call,
                "dtls-srtp",
                "zrtp sdes none",
                "none sdes",
                Duration::ZERO,
            )
        },
    ),
    Test::new(
        "fallback::from_zrtp_to_none_with_a_baresip_that_has_none",
        |scene| {
            let call = Call::new(scene, Make::Linphone, Make::Baresip);
            // The Hellos of RFC 6189 §6 go on for 4 s.
            falls_back(scene, call, "zrtp", "none", "none none", Duration::from_secs(5))
        },
    ),
];

/// The callee is called as the rule says and gets what the setting allows; both hear each other, and the log says how it ended.
fn falls_back(scene: &Scene, mut call: Call, rule: &str, list: &str, legs: &str, wait: Duration) -> Outcome {
    call.config.trenscrypter = format!("outgoing-enc-regex={rule} sip:.*\nencryption-fallback={list}\n");
    let server = Server::start(scene, &call.config)?;
    let (mut b, mut a) = (call.b.start()?, call.a.start()?);
    let mut timeline = Timeline::default();
    dial(&mut *a, &mut *b, CALLEE)?;
    thread::sleep(wait);
    talk(&mut timeline);
    a.hang_up()?;
    finish(&mut *a, &mut *b)?;
    judge::by_ear(&mut *a, &mut *b, &timeline)?;
    let log = server.log();
    let line = log
        .lines()
        .rev()
        .find(|line| line.contains("encryption_a="))
        .unwrap_or_default();
    let found = ["encryption_a=", "encryption_b="].map(|name| {
        let rest = line.split(name).nth(1).unwrap_or_default();
        rest.split_whitespace().next().unwrap_or_default().to_owned()
    });
    if found.join(" ") != legs {
        return Err(format!("the legs are {found:?}, expected {legs}: {line}"));
    }
    if !log.lines().any(|line| line.contains(" WARN ")) {
        return Err("the log does not warn of it".to_owned());
    }
    server.finish()
}

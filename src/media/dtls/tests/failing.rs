//! When there must be no keys, and why.

use super::rig::{CLIENT, Edit, FAIR, Rig, SERVER, now, setup};
use crate::{
    media::{
        Suite,
        dtls::{Busy, Dtls, DtlsError, Limits, Role, identity::fingerprint, record::Record},
    },
    sdp::{Fingerprint, fingerprint::HashFunction},
};
use std::{sync::Arc, time::Duration};

fn of(identity: &crate::media::dtls::Identity, hash: HashFunction) -> Fingerprint {
    fingerprint(hash, &identity.certificate().certificate[0])
}

fn wrong(hash: HashFunction) -> Fingerprint {
    let value = vec![0xab; hash.length()];
    Fingerprint { hash, value }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_was_not_announced_gives_no_keys_to_either_side() {
    for role in [Role::Client, Role::Server] {
        let (mut client, mut server) = (setup(Role::Client), setup(Role::Server));
        let (deceived, identity) = match role {
            Role::Client => (&mut client, &SERVER),
            Role::Server => (&mut server, &CLIENT),
        };
        deceived.fingerprints = vec![wrong(HashFunction::Sha256)];
        let mut rig = Rig::fair(client, server);
        rig.run(Duration::ZERO).await;
        let (deceived, other) = match role {
            Role::Client => (rig.results.client, rig.results.server),
            Role::Server => (rig.results.server, rig.results.client),
        };
        assert_eq!(
            deceived,
            Some(Err(DtlsError::Fingerprint {
                expected: vec![wrong(HashFunction::Sha256)],
                found: of(identity, HashFunction::Sha256),
            }))
        );
        assert_eq!(other, Some(Err(DtlsError::Alert(42))), "bad_certificate");
        assert_eq!(rig.dtls.counts().mismatched(), 1);
        assert_eq!(rig.dtls.counts().failed(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn any_line_of_the_strongest_hash_may_match_and_no_weaker_one_counts() {
    use HashFunction::{Sha1, Sha256, Sha384, Sha512};
    let right = |hash| of(&SERVER, hash);
    for (lines, good) in [
        (vec![right(Sha1)], true),
        (vec![right(Sha384)], true),
        (vec![right(Sha512), wrong(Sha1)], true),
        (vec![wrong(Sha256), right(Sha256), wrong(Sha256)], true),
        (vec![right(Sha1), wrong(Sha256)], false),
        (vec![right(Sha256), wrong(Sha512)], false),
    ] {
        let mut client = setup(Role::Client);
        client.fingerprints = lines.clone();
        let mut rig = Rig::fair(client, setup(Role::Server));
        rig.run(Duration::ZERO).await;
        let result = rig.results.client.unwrap();
        assert_eq!(result.is_ok(), good, "{lines:?}");
        assert_eq!(
            matches!(result, Err(DtlsError::Fingerprint { .. })),
            !good,
            "{lines:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_fingerprint_or_a_suite_nothing_begins() {
    let mut client = setup(Role::Client);
    client.fingerprints.clear();
    let mut rig = Rig::new(Some(client), None, FAIR, 1);
    rig.run(Duration::from_secs(30)).await;
    assert_eq!(rig.results.client, Some(Err(DtlsError::NoFingerprint)));
    assert!(rig.sent.is_empty());
    let mut client = setup(Role::Client);
    client.suites = vec![Suite::AesCm256HmacSha1_80];
    let mut rig = Rig::new(Some(client), None, FAIR, 1);
    rig.run(Duration::ZERO).await;
    assert_eq!(rig.results.client, Some(Err(DtlsError::NoSuite)));
    assert!(rig.sent.is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_common_profile_there_are_no_keys() {
    let (mut client, mut server) = (setup(Role::Client), setup(Role::Server));
    client.suites = vec![Suite::AeadAes256Gcm];
    server.suites = vec![Suite::AesCm128HmacSha1_80];
    let mut rig = Rig::fair(client, server);
    rig.run(Duration::ZERO).await;
    assert_eq!(rig.results.server, Some(Err(DtlsError::NoProfile)));
    assert_eq!(
        rig.results.client,
        Some(Err(DtlsError::Alert(71))),
        "insufficient_security"
    );
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_handshake_without_a_peer() {
    for (role, text) in [
        (Role::Client, "never answered"),
        (Role::Server, "never sent a ClientHello"),
    ] {
        let begun = now();
        let alone = Some(setup(role));
        let mut rig = match role {
            Role::Client => Rig::new(alone, None, FAIR, 1),
            Role::Server => Rig::new(None, alone, FAIR, 1),
        };
        rig.run(Duration::ZERO).await;
        assert_eq!((now() - begun).as_secs(), 20);
        let error = rig.results.client.or(rig.results.server).unwrap().unwrap_err();
        assert!(
            matches!(error, DtlsError::Timeout { heard: false, .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(rig.dtls.counts().timed_out(), 1);
        assert_eq!(rig.dtls.counts().open(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_is_said_to_have_stopped() {
    let mut rig = Rig::fair(setup(Role::Client), setup(Role::Server));
    rig.pass(Duration::from_millis(35)).await;
    rig.client = None;
    rig.run(Duration::ZERO).await;
    let error = rig.results.server.unwrap().unwrap_err();
    assert!(
        matches!(error, DtlsError::Timeout { heard: true, .. }),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_it_ends_a_handshake_at_once() {
    let mut rig = Rig::new(Some(setup(Role::Client)), None, FAIR, 1);
    rig.pass(Duration::from_millis(100)).await;
    assert_eq!(rig.dtls.counts().open(), 1);
    let sent = rig.sent.len();
    rig.client = None;
    rig.pass(Duration::from_secs(10)).await;
    assert_eq!(rig.dtls.counts().open(), 0);
    assert_eq!(rig.sent.len(), sent, "nothing is sent any more");
    assert_eq!(rig.results.client, None);
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limits_handshakes_are_refused_or_wait_their_turn() {
    let dtls = Dtls::new(Limits {
        most: 2,
        at_once: 1,
        per_second: 0,
    });
    let (said, mut events) = tokio::sync::mpsc::unbounded_channel();
    let sink: crate::media::dtls::Sink = Arc::new(move |event| drop(said.send(event)));
    let first = dtls.begin(setup(Role::Client), sink.clone()).unwrap();
    let mut hasty = setup(Role::Client);
    hasty.deadline = Duration::from_secs(10);
    let second = dtls.begin(hasty, sink.clone()).unwrap();
    assert_eq!(
        dtls.begin(setup(Role::Client), sink.clone()).unwrap_err(),
        Busy(2)
    );
    let mut errors = Vec::new();
    while errors.len() < 2 {
        if let Some(crate::media::dtls::Event::Failed(error)) = events.recv().await {
            errors.push(error);
        }
    }
    assert!(
        matches!(errors.as_slice(), [DtlsError::Busy(_), DtlsError::Timeout { .. }]),
        "the second had no turn: {errors:?}"
    );
    drop((first, second));
    assert!(dtls.begin(setup(Role::Client), sink).is_ok());
    assert_eq!(dtls.counts().refused(), 1);
}

/// The message that a record in the clear begins.
fn kind(record: &Record<'_>) -> Option<u8> {
    record.fragments().next().map(|fragment| fragment.kind)
}

/// See `handshake::config` on why this carries the weight of Finished.
#[tokio::test(start_paused = true)]
async fn a_server_has_no_keys_before_the_client_has_signed_what_both_have_seen() {
    const CLIENT_HELLO: u8 = 1;
    const CERTIFICATE_VERIFY: u8 = 15;
    const CLIENT_KEY_EXCHANGE: u8 = 16;
    let edits: [(&str, Edit); 4] = [
        ("no CertificateVerify", |record| {
            if kind(record) == Some(CERTIFICATE_VERIFY) {
                Vec::new()
            } else {
                record.whole.to_vec()
            }
        }),
        ("another CertificateVerify", |record| {
            spoiled(record, CERTIFICATE_VERIFY)
        }),
        ("another key share", |record| spoiled(record, CLIENT_KEY_EXCHANGE)),
        ("another ClientHello", |record| spoiled(record, CLIENT_HELLO)),
    ];
    for (what, edit) in edits {
        let mut rig = Rig::fair(setup(Role::Client), setup(Role::Server));
        rig.edit = Some(edit);
        rig.run(Duration::from_secs(30)).await;
        assert!(
            matches!(rig.results.server, Some(Err(_))),
            "{what}: {:?}",
            rig.results
        );
        assert!(
            matches!(rig.results.client, Some(Err(_))),
            "{what}: {:?}",
            rig.results
        );
        assert_eq!(rig.dtls.counts().completed(), 0);
    }
    let mut rig = Rig::fair(setup(Role::Client), setup(Role::Server));
    rig.edit = Some(|record| record.whole.to_vec());
    rig.run(Duration::ZERO).await;
    rig.agreed();
}

/// With its last octet changed, where it is that message.
fn spoiled(record: &Record<'_>, which: u8) -> Vec<u8> {
    let mut whole = record.whole.to_vec();
    if kind(record) == Some(which)
        && let Some(last) = whole.last_mut()
    {
        *last ^= 1;
    }
    whole
}

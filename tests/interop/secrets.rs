//! What ZRTP retains from call to call, at both ends: kept over restarts, lost at one end, and replaced by others.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::converse::{Timeline, dial, finish, talk};
use crate::judge;
use crate::netns::Side;
use crate::phone::{Keys, Make};
use crate::scene::Scene;
use crate::server::Server;
use crate::through::{CALLEE, Call};
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    Test::new(
        "call::zrtp_remembers_a_phone_over_restarts_and_notices_other_secrets",
        |scene| remembered(scene, Side::A),
    ),
    Test {
        name: "call::zrtp_goes_on_with_a_caller_after_either_end_has_lost_its_secrets",
        body: |scene| forgotten(scene, Side::A),
        limit: Duration::from_secs(240),
    },
    Test {
        name: "call::zrtp_goes_on_with_a_callee_after_either_end_has_lost_its_secrets",
        body: |scene| forgotten(scene, Side::B),
        limit: Duration::from_secs(240),
    },
];

fn told(e: io::Error) -> String {
    format!("what is kept: {e}")
}

/// One call with a server that was started anew; one leg is ZRTP, the other plain. Both ends show the same string, and the server
/// notices other secrets or does not.
fn call(scene: &Scene, turn: &str, zrtp: Side, mismatch: bool) -> Outcome {
    let (a, b) = match zrtp {
        Side::A => (Keys::Zrtp, Keys::None),
        Side::B => (Keys::None, Keys::Zrtp),
    };
    let mut call = Call::new(scene, Make::Linphone, Make::Linphone).keyed(a, b);
    call.config.data = scene.dir.join("data").display().to_string();
    let server = Server::start_as(&format!("b2bua-{turn}"), scene, &call.config)?;
    let log = scene.dir.join(format!("linphone-{}/log", zrtp.letter()));
    // It begins its log anew with each start; that of the last call must not stand for this one's.
    if log.exists() {
        fs::remove_file(&log).map_err(told)?;
    }
    let (mut b, mut a) = (call.b.start()?, call.a.start()?);
    let mut timeline = Timeline::default();
    dial(&mut *a, &mut *b, CALLEE)?;
    thread::sleep(Duration::from_secs(2));
    talk(&mut timeline);
    a.hang_up()?;
    finish(&mut *a, &mut *b)?;
    judge::by_ear(&mut *a, &mut *b, &timeline)?;
    let sas = agreed(&server.log(), mismatch).map_err(|e| format!("the {turn} call: {e}"))?;
    let seen = fs::read_to_string(&log).unwrap_or_default();
    if !seen.contains(&format!("SAS is {sas} ")) {
        return Err(format!(
            "the {turn} call: Linphone shows another string than {sas:?}"
        ));
    }
    server.finish()
}

/// The string that the server has logged; whether it noticed other secrets is as expected.
pub(crate) fn agreed(log: &str, mismatch: bool) -> Outcome<String> {
    let line = log
        .lines()
        .find(|line| line.contains(" sas="))
        .unwrap_or_default();
    if !line.contains(&format!("mismatch={mismatch}")) {
        return Err(format!("{line:?}, expected mismatch={mismatch}"));
    }
    let sas = line
        .split(" sas=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    sas.map(str::to_owned)
        .ok_or_else(|| format!("no string in {line:?}"))
}

/// Calls of one phone: the server knows it again. For the last one it is given back what it retained of the first, which the phone
/// has long replaced: that must be noticed.
fn remembered(scene: &Scene, zrtp: Side) -> Outcome {
    let (data, first) = (scene.dir.join("data"), scene.dir.join("data-of-the-first"));
    call(scene, "first", zrtp, false)?;
    copy(&data, &first).map_err(told)?;
    call(scene, "second", zrtp, false)?;
    call(scene, "third", zrtp, false)?;
    fs::remove_dir_all(&data)
        .and_then(|()| copy(&first, &data))
        .map_err(told)?;
    call(scene, "last", zrtp, true)
}

/// First the phone loses what it retained, and with it who it was; then the server does. Each time they are strangers to each
/// other, which is no mismatch, and from the next call on they know each other again.
fn forgotten(scene: &Scene, zrtp: Side) -> Outcome {
    call(scene, "first", zrtp, false)?;
    let home = scene.dir.join(format!("linphone-{}", zrtp.letter()));
    call(scene, "second", zrtp, false)?;
    for kept in [".local/share/linphone/zrtp-secrets.db", ".linphone-zidcache"] {
        fs::remove_file(home.join(kept)).map_err(|e| format!("{kept}: {e}"))?;
    }
    call(scene, "phone-forgot", zrtp, false)?;
    call(scene, "phone-again", zrtp, false)?;
    fs::remove_dir_all(scene.dir.join("data")).map_err(told)?;
    call(scene, "server-forgot", zrtp, false)?;
    call(scene, "server-again", zrtp, false)
}

/// Copies the files of a directory, with their modes.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        fs::copy(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}

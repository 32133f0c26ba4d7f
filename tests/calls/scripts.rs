//! Plays all call scripts.

use super::apps;
use b2bua::{
    app::{Registrations, Services, SystemClock},
    call::NatLatching,
    config::{Config, Schema},
    testing::{Script, Verdicts},
};
use std::{
    future::Future,
    path::Path,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// `direct WORD`, or an application of the binary with the lines of its section.
pub(crate) fn make(name: &str, settings: &[String]) -> Result<Verdicts, String> {
    if name == "direct" {
        let word = settings.last().map_or("as-caller", String::as_str);
        let policy = Verdicts::policy(word).ok_or_else(|| format!("{word:?} is no encryption"))?;
        return Ok(Verdicts::direct(policy));
    }
    let app = apps::ALL
        .iter()
        .find(|app| app.name == name)
        .ok_or_else(|| format!("no application {name}"))?;
    let text = format!("[{}]\n{}\n", app.section(), settings.join("\n"));
    let schema = Schema::new(&[(app.name, app.help, app.keys)]);
    let config =
        Config::read(Path::new("script.conf"), &text, &[], &schema).map_err(|errors| errors.to_string())?;
    let services = Services {
        outbound_proxy: None,
        latching: NatLatching::Signalled,
        clock: Arc::new(SystemClock),
        directory: Path::new("").to_owned(),
        registrations: Registrations::default(),
        redis: None,
        own_connections: None,
        remarks: b2bua::app::Remarks::default(),
    };
    let mut context = Context::from_waker(Waker::noop());
    match pin!(app.build(&config, &services)).poll(&mut context) {
        Poll::Ready(Ok(built)) => Ok(Verdicts::App(built.take_over(None).begin())),
        Poll::Ready(Err(errors)) => Err(errors.to_string()),
        Poll::Pending => Err("the application is not built at once".to_owned()),
    }
}

#[test]
fn every_script_plays_as_it_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/calls");
    let mut broken = Vec::new();
    let mut played = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "call") {
            continue;
        }
        played += 1;
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // A panic of the rig (a leak, a timer left) belongs to its script.
        let result = std::panic::catch_unwind(|| {
            Script::load(&path).and_then(|script| script.run(&make).map_err(|broken| broken.to_string()))
        });
        match result {
            Ok(Ok(())) => {}
            Ok(Err(what)) => broken.push(what),
            Err(_) => broken.push(format!("{name}: panicked, see above")),
        }
    }
    assert!(
        played >= 30,
        "only {played} scripts found in {}",
        folder.display()
    );
    assert!(
        broken.is_empty(),
        "{} of {played} scripts broke:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

/// Every way in which a transfer can cross a trunk, done by the far end and by the server.
#[test]
fn acceptance_27_each_transfer_between_inside_and_outside_has_its_script() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/calls");
    let sides = ["inside", "outside"];
    for mode in ["", "execute-"] {
        for kind in ["blind", "attended"] {
            for (by, to) in sides.iter().flat_map(|by| sides.iter().map(move |to| (by, to))) {
                let name = format!("sip-bridge-{mode}{kind}-{by}-to-{to}.call");
                let script = std::fs::read_to_string(folder.join(&name))
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
                // By the server, nobody outside is called for somebody outside.
                let wanted = if (mode, *by, *to) == ("execute-", "outside", "outside") {
                    ["media both\n", ":488\n"]
                } else {
                    [":603 ", ":200\n"]
                };
                assert!(wanted.iter().all(|word| script.contains(word)), "{name}");
            }
        }
    }
}

#[test]
fn a_script_that_expects_what_does_not_come_breaks_at_that_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.call");
    std::fs::create_dir(folder.path().join("sdp")).unwrap();
    let body = "v=0\no={user} 1 1 IN IP4 {ip}\ns=-\nc=IN IP4 {ip}\nt=0 0\nm=audio {port} RTP/AVP 0\n";
    std::fs::write(folder.path().join("sdp/avp.sdp"), body).unwrap();
    for (script, complaint) in [
        (
            "a > INVITE sip:bob@example.org sdp avp\nb < BYE\ndone\n",
            "wrong.call:2: expected BYE, got INVITE",
        ),
        (
            "a > INVITE sip:bob@example.org sdp avp\nb < INVITE sdp ~ \"RTP/SAVP\"\ndone\n",
            "wrong.call:2: sdp ~",
        ),
        (
            "a > INVITE sip:bob@example.org sdp avp\nb < INVITE header Subject ~ x\ndone\n",
            "wrong.call:2: header Subject",
        ),
        (
            "a > INVITE sip:bob@example.org sdp avp\nmedia both\ndone\n",
            "wrong.call:2: media flows: none",
        ),
        (
            "a > INVITE sip:bob@example.org sdp avp\n",
            "wrong.call:1: expected `done`",
        ),
        (
            "a > INVITE sip:bob@example.org sdp avp\nwhat is this\n",
            "wrong.call:2: not understood",
        ),
    ] {
        std::fs::write(&path, script).unwrap();
        let broken = Script::load(&path).unwrap().run(&make).unwrap_err().to_string();
        assert!(broken.starts_with(complaint), "{script}: {broken}");
    }
}

/// Flexisip's own tests of its framework; what is decided otherwise says so in its script. `tests/interop/README.md` has the phones'
/// beside them.
const FLEXISIPS: [&str; 22] = [
    "basicCallWithEarlyMedia",
    "basicCallDeclined",
    "basicCallOnHoldThenResume,",
    "basicCallOnHoldThenResume<audio+video>",
    "basicCallOnHoldThenResume<video>",
    "usesAORButNotContact",
    "userAgentHeader",
    "videoRejectedByCallee",
    "pauseWithAudioInactive",
    "answerToPauseWithAudioInactive",
    "terminateCallPausedOnBothSides<PAUSER>",
    "terminateCallPausedOnBothSides<PAUSEE>",
    "resumeCallPausedOnBothSides<PAUSER, inactive answers Off>",
    "resumeCallPausedOnBothSides<PAUSER, inactive answers On>",
    "resumeCallPausedOnBothSides<PAUSEE, inactive answers Off>",
    "resumeCallPausedOnBothSides<PAUSEE, inactive answers On>",
    "unknownMediaAttrAreFilteredOutOnReinvites",
    "forcedAudioCodec",
    "blindCallTransferSuccessful",
    "blindCallTransferDeclined",
    "attendedCallTransferSuccessful.",
    "attendedCallTransferDeclined",
];

#[test]
fn each_test_of_flexisips_framework_has_its_script() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/calls");
    let titles: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "call"))
        .map(|path| {
            std::fs::read_to_string(path)
                .unwrap()
                .lines()
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    for name in FLEXISIPS {
        assert!(
            titles.iter().any(|title| title.contains(name)),
            "no script for {name}"
        );
    }
}

//! `b2bua demo`: the first thing that anybody sees of this project.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail there")]

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_b2bua"))
        .arg("demo")
        .args(["--talk", "1"])
        .args(arguments)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    format!("{out}{err}")
}

#[test]
fn the_demo_hears_in_every_call_what_was_said() {
    let output = demo(&[]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "INVITE, SDES",
        "INVITE, DTLS",
        "INVITE, ZRTP",
        "of leg A: the same",
        "of leg B: the same",
        "INVITE, plain",
        "183 Session Progress",
        "486",
        "CANCEL",
        "sendonly",
        "exit status 0",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}

// The negative controls: a demo that cannot fail shows nothing.

#[test]
fn the_demo_fails_when_the_callee_says_something_else() {
    let output = demo(&["--spoil", "tone"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
}

#[test]
fn the_demo_fails_when_the_callee_says_nothing() {
    let output = demo(&["--spoil", "silence"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
}

#[test]
fn the_demo_fails_when_the_server_does_not_say_its_string() {
    // Below that level it says nothing of a call.
    let output = demo(&["--set", "global/log-level=error"]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "the server says nothing of leg A",
        "the server says nothing of leg B",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}

#[test]
fn the_demo_fails_when_the_server_does_not_start() {
    let output = demo(&["--set", "b2bua-server/max-calls=none"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("max-calls"), "{}", text(&output));
}

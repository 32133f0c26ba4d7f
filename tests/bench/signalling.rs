//! What a call costs in signalling, as a multiple of the bare datagrams: `cargo bench --bench signalling`.
//!
//! The server and a program that only passes the same datagrams on are measured in turn, under the same phones.
//! Twice: with sessions that have no stream, which is signalling alone, and with sessions whose stream has ports in
//! the relay and no packets. Ends with 1 if signalling alone is beyond the gate, or if any of its calls fails.
//! Arguments replace the usual ones of `b2bua load`.

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`, which is for harnesses.
    let given = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let given: Vec<String> = given.collect();
    if !given.is_empty() {
        return measure(&given);
    }
    let usual = |media: &str| {
        let words = [
            "--hold", "0", "--calls", "10000", "--rate", "500", "--media", media,
        ];
        words.map(String::from)
    };
    let alone = measure(&usual("signalling"));
    // Told, and not held to the gate: opening and closing four sockets a call is no signalling.
    measure(&usual("none"));
    alone
}

fn measure(arguments: &[String]) -> ExitCode {
    let status = Command::new(env!("CARGO_BIN_EXE_b2bua"))
        .args(["load", "--spawn", "--baseline"])
        .args(arguments)
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("b2bua load: {error}");
            ExitCode::FAILURE
        }
    }
}

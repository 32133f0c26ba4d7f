//! What a call costs in signalling, as a multiple of the bare datagrams: `cargo bench --bench signalling`.
//!
//! The server and a program that only passes the same datagrams on are measured in turn, under the same phones.
//! Ends with 1 if the ratio is beyond the gate or if any call fails. Arguments replace
//! the usual ones of `b2bua load`.

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`, which is for harnesses.
    let given: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let status = Command::new(env!("CARGO_BIN_EXE_b2bua"))
        .args([
            "load",
            "--spawn",
            "--baseline",
            "--hold",
            "0",
            "--calls",
            "10000",
            "--rate",
            "500",
        ])
        .args(given)
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

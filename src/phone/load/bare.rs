//! What signalling costs at the least: a program that only receives and sends the same datagrams.
//!
//! The phones call each other through it: what comes from the callees goes to the callers, anything else to the
//! callees, unread. That is the fourteen datagrams of a call through the server, in the same order, at the same
//! times and of nearly the same sizes.

use super::{Options, fixed, with, with_server};
use crate::phone::Error;
use crate::phone::child::{Server, free_address};
use serde::Serialize;
use std::ffi::OsString;
use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;

/// A call through the server may cost this many times the bare datagrams; less is the aim.
const GATE: f64 = 8.0;
const AIM: f64 = 4.0;

/// Is that program, until it is ended by a signal.
pub(super) fn run(at: SocketAddr, callees: SocketAddr) -> ExitCode {
    let socket = match UdpSocket::bind(at) {
        Ok(socket) => socket,
        Err(error) => {
            eprintln!("{at}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut buffer = [0; 4_096];
    let mut callers = at;
    loop {
        // ICMP errors for what was sent before come up here; they are nobody's.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let to = if from == callees {
            callers
        } else {
            callers = from;
            callees
        };
        let _ = socket.send_to(&buffer[..length], to);
    }
}

#[derive(Serialize)]
struct Comparison {
    media: String,
    calls: u32,
    rate: f64,
    /// CPU per call, in microseconds, round by round.
    server_us: Vec<f64>,
    bare_us: Vec<f64>,
    /// The ratio of the medians, and of each round.
    ratio: f64,
    ratios: Vec<f64>,
    gate: f64,
    aim: f64,
    /// The server's median time from INVITE to 180, in milliseconds: the lowest and highest of the rounds.
    to_ringing_p50_ms: (f64, f64),
    passed: bool,
}

/// Measures the server and the bare program in turn.
pub(super) fn compare(options: &Options) -> Result<ExitCode, Error> {
    let (mut server, mut bare, mut ringing) = (Vec::new(), Vec::new(), Vec::new());
    let mut passed = true;
    for round in 1..=options.rounds {
        eprintln!("round {round}: the server");
        let summary = with_server(options)?;
        passed &= summary.passed;
        if !summary.passed {
            eprintln!(
                "{}",
                serde_json::to_string_pretty(&summary).expect("a summary is plain data")
            );
        }
        ringing.push(summary.to_ringing_ms.p50);
        server.extend(summary.server.map(|cost| cost.cpu_us_per_call));
        eprintln!("round {round}: the bare datagrams");
        let summary = with_bare(options)?;
        passed &= summary.passed;
        bare.extend(summary.server.map(|cost| cost.cpu_us_per_call));
    }
    let ratio = median(&server) / median(&bare);
    let comparison = Comparison {
        media: format!("{:?}", options.media),
        calls: options.calls,
        rate: options.rate,
        ratio,
        ratios: server
            .iter()
            .zip(&bare)
            .map(|(server, bare)| server / bare)
            .collect(),
        server_us: server,
        bare_us: bare,
        gate: GATE,
        aim: AIM,
        to_ringing_p50_ms: (
            ringing.iter().copied().fold(f64::INFINITY, f64::min),
            ringing.iter().copied().fold(0.0, f64::max),
        ),
        passed: passed && ratio <= GATE,
    };
    println!(
        "{}",
        serde_json::to_string_pretty(&comparison).expect("a comparison is plain data")
    );
    Ok(if comparison.passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn with_bare(options: &Options) -> Result<super::Summary, Error> {
    let at = free_address()?;
    let options = Options {
        callee: fixed(options.callee)?,
        server: Some(at),
        ..options.clone()
    };
    let arguments = [
        "load",
        "--bare",
        &at.to_string(),
        "--callee",
        &options.callee.to_string(),
    ]
    .map(OsString::from);
    let mut child = Server::start_with(&arguments)?;
    let summary = with(&options, Some(child.process()), Some(&mut child));
    // It knows no signals: SIGTERM ends it as it is.
    child.stop();
    summary
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

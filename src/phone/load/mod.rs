//! `b2bua load`: the built-in phones in thousands.
//!
//! One thread signals for all calls, one speaks and listens for all of them; each packet is compared byte for
//! byte. A progress line a second goes to standard error, one JSON object to standard output.
//!
//! Ciphering by the judge happens while it measures: it costs the judge's process, and never the server's, whose
//! CPU time alone is read.

mod bare;
mod drive;
mod engine;
mod gauges;
mod media;
mod options;
mod plan;
mod report;

pub use options::Options;
pub use plan::{Media, Mix};

use super::Error;
use super::child::{DIRECTORY, Server, free_address};
use drive::with;
use report::Summary;
use std::net::SocketAddr;
use std::process::ExitCode;

/// The file of the server's call detail records.
const RECORDS: &str = "cdr.jsonl";

/// After so many seconds the last transaction is over (RFC 3261 §17: 64 × T1, and some), and nothing may be left.
const REST: f64 = 35.0;
/// The server's gauges that then read zero.
const LEVELS: [&str; 9] = [
    "calls",
    "dialogs",
    "transactions",
    "tombstones",
    "tasks",
    "media-sessions",
    "media-ports",
    "media-flows",
    "dtls-handshakes",
];

/// Runs it. The exit status is 0 if all calls went as planned and each packet arrived as it was sent, 1 if not,
/// and 3 if the generator itself lost something, so that the figures say nothing.
pub fn run(options: &Options) -> ExitCode {
    if let Some(at) = options.bare {
        return bare::run(at, options.callee);
    }
    let done = if options.baseline {
        bare::compare(options)
    } else {
        single(options)
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("b2bua load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn single(options: &Options) -> Result<ExitCode, Error> {
    let summary = if options.spawn {
        with_server(options)?
    } else {
        with(options, None, None)?
    };
    let text = serde_json::to_string_pretty(&summary).expect("a summary is plain data");
    println!("{text}");
    Ok(if summary.passed {
        ExitCode::SUCCESS
    } else if summary.void {
        ExitCode::from(3)
    } else {
        ExitCode::FAILURE
    })
}

/// Starts a server, puts the load on it and ends it.
fn with_server(options: &Options) -> Result<Summary, Error> {
    let at = free_address()?;
    let options = Options {
        callee: fixed(options.callee)?,
        server: Some(at),
        ..options.clone()
    };
    let trenscrypter = "b2bua-server::trenscrypter/outgoing-enc-regex";
    let mut settings = vec![
        ("b2bua-server/data-directory", "none".to_owned()),
        ("b2bua-server/transport", format!("sip:{at};transport=udp")),
        (
            "b2bua-server/outbound-proxy",
            format!("sip:{};transport=udp", options.callee),
        ),
        ("b2bua-server/max-calls", options.calls.max(1).to_string()),
        ("b2bua-server/unanswered-timeout", "4".into()),
        ("b2bua-server/http-listen", String::new()),
        ("b2bua-server/control-socket", String::new()),
        ("b2bua-server/cdr-file", format!("{DIRECTORY}/{RECORDS}")),
        (trenscrypter, "none sip:plain-.* sdes sip:sdes-.*".into()),
    ];
    if !options.media.flows() {
        // There is no media whose absence would mean anything.
        settings.push(("b2bua-server/no-rtp-timeout", "86400".into()));
    }
    if options.drain_after.is_some() {
        // Longer than any call: none is to be ended.
        settings.push(("b2bua-server/drain-timeout", "1h".into()));
    }
    for setting in &options.settings {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        settings.push((key, value.to_owned()));
    }
    let mut server = Server::start(&settings, options.server_log.as_deref())?;
    let result = with(&options, Some(server.process()), Some(&mut server));
    let gauges = if options.drain_after.is_some() {
        // With its last call it has ended.
        server.wait();
        std::collections::BTreeMap::new()
    } else {
        server.gauges()
    };
    let status = server.stop();
    let mut summary = result.inspect_err(|_| eprintln!("{}", server.tail()))?;
    orders_and_records(&mut summary, &server);
    if options.settle >= REST {
        let left = LEVELS.into_iter().filter(|name| gauges.get(*name) != Some(&0));
        let left: Vec<String> = left
            .map(|name| format!("{name}={:?}", gauges.get(name)))
            .collect();
        if !left.is_empty() {
            summary.faults.push(format!(
                "after the calls the server still has {}",
                left.join(", ")
            ));
            summary.passed = false;
        }
    }
    summary.gauges = gauges;
    if !status.is_some_and(|status| status.success()) {
        eprintln!("{}", server.tail());
        summary.faults.push(match status {
            Some(status) => format!("after SIGTERM the server ended with {status}"),
            None => "the server did not end after SIGTERM".into(),
        });
        summary.passed = false;
    }
    Ok(summary)
}

/// Sees that the server did what it was told, and that each call has its record: exactly one.
fn orders_and_records(summary: &mut Summary, server: &Server) {
    let log = server.logged();
    let done = log.lines().filter(|line| line.contains(" reloaded ")).count();
    let mut faults = Vec::new();
    if done != summary.reloads as usize {
        faults.push(format!(
            "told to reload {} times, the server did {done} times",
            summary.reloads
        ));
    }
    let ended_by_it = log
        .lines()
        .filter(|line| line.contains("their time is over"))
        .count();
    if summary.drained && (ended_by_it > 0 || !log.contains("told to stop")) {
        faults.push("the server did not wait for its calls".to_owned());
    }
    let records = server.read(RECORDS);
    let mut calls: Vec<_> = records
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .map(|record| record["a"]["call_id"].to_string())
        .collect();
    summary.records = calls.len();
    calls.sort_unstable();
    calls.dedup();
    let (attempted, records) = (summary.attempted as usize, records.lines().count());
    if calls.len() != attempted || records != attempted {
        let calls = calls.len();
        faults.push(format!(
            "{attempted} calls have {records} records, of {calls} calls"
        ));
    }
    summary.passed &= faults.is_empty();
    summary.faults.extend(faults);
}

/// An address whose port is known before it is bound.
fn fixed(address: SocketAddr) -> Result<SocketAddr, Error> {
    if address.port() == 0 {
        free_address()
    } else {
        Ok(address)
    }
}

//! `b2bua calls`: the calls of a running server, for a person.

use serde_json::Value;
use std::{
    fmt::Write as _,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Octets of an answer: far more than a million calls' worth would not help a person.
const LARGEST: u64 = 256 << 20;

/// Asks a server for what it answers at that path: `/calls`, `/accounts`.
///
/// # Errors
/// Why there is no answer, in a sentence.
pub fn fetch(address: SocketAddr, path: &str) -> Result<Value, String> {
    let asked =
        ask(address, path).map_err(|error| format!("no server answers at http://{address}: {error}"))?;
    let text = String::from_utf8_lossy(&asked);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        return Err(format!(
            "the server at http://{address} says {status}: {}",
            body.trim_end()
        ));
    }
    serde_json::from_str(body)
        .map_err(|error| format!("what answers at http://{address} is no b2bua: {error}"))
}

fn ask(address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the answer ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LARGEST).read_to_end(&mut answer)?;
    Ok(answer)
}

pub(super) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or("-")
}

/// The address in a From, To or the like: what a person looks for.
fn uri(field: &str) -> &str {
    let inner = field.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or_else(|| field.split(';').next().unwrap_or(field), |(uri, _)| uri)
}

fn seconds(value: &Value) -> String {
    let all = value.as_f64().unwrap_or_default() as u64;
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// Rows with their cells below each other.
pub(super) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A table of calls: who, where they are and since when, how each leg is keyed, what it says, and packets from each side.
pub fn table(calls: &Value) -> String {
    let calls = calls.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rows = vec![
        [
            "CALL",
            "STATE",
            "FOR",
            "FROM",
            "TO",
            "LEG A",
            "LEG B",
            "PACKETS A/B",
            "SAS",
        ]
        .map(str::to_owned),
    ];
    for call in calls {
        let leg = |leg: &str| {
            let encryption = text(call, &format!("/{leg}/encryption"));
            let codec = call
                .pointer(&format!("/streams/0/{leg}/codec"))
                .and_then(Value::as_str);
            codec.map_or_else(|| encryption.to_owned(), |codec| format!("{encryption} {codec}"))
        };
        let packets = |leg: &str| -> u64 {
            let streams = call["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
            streams
                .iter()
                .filter_map(|stream| stream[leg]["received"].as_u64())
                .sum()
        };
        let strings = ["/a/sas/text", "/b/sas/text"].map(|path| text(call, path));
        rows.push([
            call["call"].to_string(),
            text(call, "/state").to_owned(),
            seconds(&call["seconds"]),
            uri(text(call, "/a/from")).to_owned(),
            uri(text(call, "/a/to")).to_owned(),
            leg("a"),
            leg("b"),
            format!("{}/{}", packets("a"), packets("b")),
            strings.join(" "),
        ]);
    }
    let mut out = columns(&rows);
    let _ = match calls.len() {
        1 => writeln!(out, "1 call"),
        many => writeln!(out, "{many} calls"),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_who_and_how_and_since_when() {
        let calls = serde_json::json!([{
            "call": 17, "state": "up", "seconds": 3725.4,
            "a": {"from": "\"Al\" <sip:alice@example.org>;tag=1", "to": "<sip:bob@example.org>",
                  "encryption": "zrtp", "sas": {"text": "abcd"}},
            "b": {"encryption": "none"},
            "streams": [{"a": {"codec": "opus/48000/2", "received": 100}, "b": {"codec": "pcmu/8000", "received": 7}},
                        {"a": {"received": 11}, "b": {"received": 0}}],
        }, {"call": 18, "state": "routing", "seconds": 0.1, "a": {"from": "sip:carol@example.org;tag=2", "to": "tel:1"},
            "b": null, "streams": []}]);
        let table = table(&calls);
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[1],
            [
                "17",
                "up",
                "1:02:05",
                "sip:alice@example.org",
                "sip:bob@example.org",
                "zrtp",
                "opus/48000/2",
                "none",
                "pcmu/8000",
                "111/7",
                "abcd",
                "-"
            ]
        );
        assert_eq!(
            lines[2],
            [
                "18",
                "routing",
                "0:00",
                "sip:carol@example.org",
                "tel:1",
                "-",
                "-",
                "0/0",
                "-",
                "-"
            ]
        );
        assert_eq!(lines[3], ["2", "calls"]);
    }
}

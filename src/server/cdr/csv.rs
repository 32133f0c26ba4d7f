//! A record as a line of CSV (RFC 4180), for who has no reader of JSON: the call, both legs, and its first voice.

use super::{Cdr, LegRecord, SideRecord};

type Column = (&'static str, fn(&Cdr) -> String);

fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn b(record: &Cdr, of: fn(&LegRecord) -> &str) -> String {
    record.b.as_ref().map(of).unwrap_or_default().to_owned()
}

/// The sides of the first audio stream.
fn voice<T: ToString>(record: &Cdr, a: bool, of: fn(&SideRecord) -> Option<T>) -> String {
    let stream = record.streams.iter().find(|stream| stream.kind == "audio");
    text(stream.and_then(|stream| of(if a { &stream.a } else { &stream.b })))
}

/// The columns, in their order. New ones come last.
const COLUMNS: &[Column] = &[
    ("call", |record| text(record.call)),
    ("began", |record| record.began.clone()),
    ("ringing", |record| text(record.ringing.as_ref())),
    ("answered", |record| text(record.answered.as_ref())),
    ("ended", |record| record.ended.clone()),
    ("seconds", |record| record.seconds.to_string()),
    ("post_dial_delay_ms", |record| text(record.post_dial_delay_ms)),
    ("status", |record| record.status.to_string()),
    ("ended_by", |record| record.ended_by.to_owned()),
    ("why", |record| record.why.to_owned()),
    ("q850", |record| text(record.q850)),
    ("reasons", |record| record.reasons.join(" | ")),
    ("application", |record| record.application.to_owned()),
    ("source", |record| record.source.clone()),
    ("a_from", |record| record.a.from.clone()),
    ("a_to", |record| record.a.to.clone()),
    ("a_uri", |record| record.a.uri.clone()),
    ("a_call_id", |record| record.a.call_id.clone()),
    ("a_encryption", |record| text(record.a.encryption.as_ref())),
    ("a_sas", |record| text(record.a.sas.as_ref().map(|sas| &sas.text))),
    ("b_from", |record| b(record, |leg| &leg.from)),
    ("b_to", |record| b(record, |leg| &leg.to)),
    ("b_uri", |record| b(record, |leg| &leg.uri)),
    ("b_call_id", |record| b(record, |leg| &leg.call_id)),
    ("b_encryption", |record| {
        b(record, |leg| leg.encryption.as_deref().unwrap_or_default())
    }),
    ("b_sas", |record| {
        b(record, |leg| leg.sas.as_ref().map_or("", |sas| &sas.text))
    }),
    ("attempts", |record| {
        let attempt = |attempt: &super::AttemptRecord| format!("{} {}", attempt.target, text(attempt.status));
        let all: Vec<_> = record.attempts.iter().map(attempt).collect();
        all.join(" | ")
    }),
    ("transfers", |record| {
        let transfer = |transfer: &super::TransferRecord| {
            format!("{} {} {}", transfer.by, transfer.target, text(transfer.status))
        };
        let all: Vec<_> = record.transfers.iter().map(transfer).collect();
        all.join(" | ")
    }),
    ("streams", |record| record.streams.len().to_string()),
    ("a_codec", |record| voice(record, true, |side| side.codec.clone())),
    ("a_received", |record| {
        voice(record, true, |side| Some(side.received))
    }),
    ("a_sent", |record| voice(record, true, |side| Some(side.sent))),
    ("a_lost", |record| voice(record, true, |side| Some(side.lost))),
    ("a_jitter_ms", |record| {
        voice(record, true, |side| Some(side.jitter_ms))
    }),
    ("a_mos", |record| voice(record, true, |side| side.mos)),
    ("b_codec", |record| {
        voice(record, false, |side| side.codec.clone())
    }),
    ("b_received", |record| {
        voice(record, false, |side| Some(side.received))
    }),
    ("b_sent", |record| voice(record, false, |side| Some(side.sent))),
    ("b_lost", |record| voice(record, false, |side| Some(side.lost))),
    ("b_jitter_ms", |record| {
        voice(record, false, |side| Some(side.jitter_ms))
    }),
    ("b_mos", |record| voice(record, false, |side| side.mos)),
    ("user", |record| text(record.user.as_ref())),
];

/// The first line of a file.
pub(super) fn header() -> String {
    let names: Vec<_> = COLUMNS.iter().map(|(name, _)| *name).collect();
    names.join(",")
}

/// The line of a record, without its end.
pub(super) fn line(record: &Cdr) -> String {
    let fields: Vec<_> = COLUMNS.iter().map(|(_, value)| quoted(value(record))).collect();
    fields.join(",")
}

/// RFC 4180 §2: commas and quotes are quoted. Line ends cannot be here: records are plain text.
fn quoted(field: String) -> String {
    if field.contains([',', '"', '\r', '\n']) || field.starts_with(' ') || field.ends_with(' ') {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

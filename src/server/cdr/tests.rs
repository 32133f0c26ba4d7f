use super::*;
use crate::{
    app::WallClock,
    call::{Cause, Failure, Party, event::StreamTerms},
    media::{StreamId, StreamStats},
    server::Gauges,
    sip::Status,
};
use proptest::prelude::*;
use std::{fs, path::Path, sync::Arc, time::Duration};

#[derive(Debug)]
struct Clock;

impl WallClock for Clock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_266_868_003)
    }
}

fn party(from: &str) -> Party {
    Party {
        call_id: "c".into(),
        from: from.into(),
        to: "<sip:bob@example.org>".into(),
        uri: "sip:bob@example.org".into(),
    }
}

#[expect(clippy::disallowed_methods, reason = "any time will do")]
fn answered() -> Summary {
    let began = Instant::now();
    let stats = |side, lost| StreamStats {
        side,
        stream: StreamId(0),
        received: 1000 - lost,
        sent: 990,
        octets: 160_000,
        lost,
        jitter: Duration::from_micros(1500),
        highest_jitter: Duration::from_micros(2500),
        discarded: vec![("auth", 2)],
    };
    let mut summary = Summary::of_refused(
        party("\"Al, ice\" <sip:alice@example.org>;tag=1"),
        began,
        began,
        Failure::of(Kind::Internal, Origin::Local),
    );
    summary.failure = None;
    summary.status = Status::OK;
    summary.b = Some(party("<sip:alice@example.org>;tag=2"));
    summary.ringing = Some(began + Duration::from_millis(120));
    summary.answered = Some(began + Duration::from_secs(2));
    summary.ended = began + Duration::from_secs(22);
    summary.cause = Some(Cause {
        reasons: vec!["Q.850;cause=16;text=\"Normal\"".into()],
        ..Cause::bye(Origin::LegB)
    });
    summary.encryption = (Some(Encryption::Zrtp), Some(Encryption::None));
    summary.sas.0 = Some(Sas {
        text: "abcd".into(),
        verified: true,
        mismatch: false,
    });
    summary.attempts = vec![event::Attempt {
        target: "sip:bob@example.org".into(),
        failed: None,
    }];
    summary.transfers = vec![Transfer {
        by: Side::A,
        to: "sip:carol@example.org".into(),
        status: Status::new(486),
    }];
    summary.streams = vec![Some(StreamTerms {
        kind: "audio".into(),
        codecs: (Some("opus/48000/2".into()), Some("pcmu/8000".into())),
    })];
    summary.media = vec![stats(Side::A, 0), stats(Side::B, 50)];
    summary
}

fn record(summary: &Summary) -> Cdr {
    Cdr::of(
        summary,
        Some(7),
        Clock.now(),
        "trenscrypter",
        "UDP 192.0.2.1:5060".into(),
    )
}

#[test]
fn a_record_says_what_happened_in_both_formats() {
    let mut record = record(&answered());
    record.user = Some("alice".into());
    let json = serde_json::to_value(&record).expect("it is text and numbers");
    for (path, expected) in [
        ("/call", serde_json::json!(7)),
        ("/began", "2026-11-21T13:14:28.003Z".into()),
        ("/ringing", "2026-11-21T13:14:28.123Z".into()),
        ("/answered", "2026-11-21T13:14:30.003Z".into()),
        ("/ended", "2026-11-21T13:14:50.003Z".into()),
        ("/seconds", 20.0.into()),
        ("/post_dial_delay_ms", 120.0.into()),
        ("/status", 200.into()),
        ("/ended_by", "leg_b".into()),
        ("/why", "bye".into()),
        ("/q850", 16.into()),
        ("/source", "UDP 192.0.2.1:5060".into()),
        ("/user", "alice".into()),
        ("/a/encryption", "zrtp".into()),
        ("/a/sas/text", "abcd".into()),
        ("/b/call_id", "c".into()),
        ("/attempts/0/target", "sip:bob@example.org".into()),
        ("/transfers/0/by", "leg_a".into()),
        ("/transfers/0/target", "sip:carol@example.org".into()),
        ("/transfers/0/status", 486.into()),
        ("/streams/0/a/codec", "opus/48000/2".into()),
        ("/streams/0/b/lost", 50.into()),
        ("/streams/0/b/jitter_ms", 1.5.into()),
        ("/streams/0/b/mos", 3.9.into()),
        ("/streams/0/b/discarded/auth", 2.into()),
    ] {
        assert_eq!(json.pointer(path), Some(&expected), "{path} in {json:#}");
    }
    let (header, line) = (csv::header(), csv::line(&record));
    assert!(
        line.contains(",\"\"\"Al, ice\"\" <sip:alice@example.org>;tag=1\","),
        "{line}"
    );
    let quoted = line.matches("Al, ice").count();
    assert_eq!(
        header.matches(',').count(),
        line.matches(',').count() - quoted,
        "{line}"
    );
    assert!(line.ends_with(",pcmu/8000,950,990,50,1.5,3.9,alice"), "{line}");
}

#[test]
fn an_unanswered_call_is_told_by_its_failure() {
    let mut summary = answered();
    summary.answered = None;
    summary.cause = None;
    summary.status = Status::BUSY_HERE;
    summary.failure = Some(Failure::new(Status::BUSY_HERE, Origin::LegB, Kind::Rejected));
    let record = record(&summary);
    assert_eq!(
        (record.ended_by, record.why, record.status),
        ("leg_b", "rejected", 486)
    );
    assert_eq!((record.q850, record.seconds), (Some(17), 0.0));
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).expect("readable");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("each line is an object"))
        .collect()
}

fn file(path: &Path) -> CdrFile {
    CdrFile {
        path: path.to_owned(),
        format: CdrFormat::Json,
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn records_come_in_order_and_a_rotation_loses_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cdr");
    let ledger = Ledger::open(Some(&file(&path))).expect("writable");
    let mut posted = record(&answered());
    let mut all = Vec::new();
    for round in 0..5 {
        for number in 0..200 {
            posted.call = Some(round * 200 + number);
            ledger.post(posted.clone());
        }
        // What logrotate does: the file that is open is another one until we are told.
        let rotated = folder.path().join(format!("cdr.{round}"));
        fs::rename(&path, &rotated).expect("it is there");
        all.push(rotated);
        ledger.turn(Some(&file(&path))).expect("writable");
    }
    ledger.finish(PATIENCE);
    all.push(path);
    let numbers: Vec<_> = all
        .iter()
        .flat_map(|path| lines(path))
        .map(|line| line["call"].as_u64().expect("a number"))
        .collect();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    assert_eq!((ledger.counts().written, ledger.counts().waiting), (1000, 0));
}

#[test]
fn a_full_disk_is_counted_and_what_waited_is_written_when_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder");
    // Takes nothing, for ever.
    let ledger = Ledger::open(Some(&file(Path::new("/dev/full")))).expect("Linux has it");
    for _ in 0..100 {
        ledger.post(record(&answered()));
    }
    #[expect(clippy::disallowed_methods, reason = "another thread is waited for")]
    while ledger.counts().failed == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!((ledger.counts().written, ledger.counts().waiting), (0, 100));
    let path = folder.path().join("cdr");
    ledger.turn(Some(&file(&path))).expect("writable");
    ledger.finish(PATIENCE);
    assert_eq!(lines(&path).len(), 100);
    assert_eq!(ledger.counts().diverted, 0);
}

#[test]
fn a_file_that_cannot_be_opened_leaves_the_old_one_in_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cdr");
    let ledger = Ledger::open(Some(&file(&path))).expect("writable");
    let error = ledger.turn(Some(&file(folder.path()))).expect_err("a folder");
    assert!(error.to_string().contains("cannot be opened"), "{error}");
    ledger.post(record(&answered()));
    ledger.finish(PATIENCE);
    assert_eq!(lines(&path).len(), 1);
}

#[test]
fn who_opens_a_file_leaves_it_alone_until_its_writer_takes_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cdr.jsonl");
    fs::write(&path, "{\"call\":1}\n{\"ca").expect("writable");
    let read = || fs::read_to_string(&path).expect("readable");
    let ledger = Ledger::open(None).expect("no file");
    let turn = ledger.prepare(Some(&file(&path))).expect("it is there");
    assert_eq!(
        read(),
        "{\"call\":1}\n{\"ca",
        "what looks like half a record may be on its way"
    );
    turn.commit();
    ledger.finish(Duration::from_secs(5));
    assert_eq!(read(), "{\"call\":1}\n{\"ca\n", "now nothing is on its way");
}

fn desk(path: &Path) -> Desk {
    Desk {
        ledger: Ledger::open(Some(&file(path))).expect("writable"),
        gauges: Arc::new(Gauges::default()),
        clock: Arc::new(Clock),
    }
}

fn opened(desk: &Desk) -> Receipt {
    use crate::sip::{Message, parse, routing};
    let text = "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n\
        To: <sip:b@h>\r\nCall-ID: lost\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    let Ok((Message::Request(invite), _)) = parse::message(text.into()) else {
        unreachable!("it is a request")
    };
    let source = routing::Source {
        transport: routing::Transport::Udp,
        local: ([192, 0, 2, 2], 5060).into(),
        remote: ([192, 0, 2, 1], 5060).into(),
        flow: routing::FlowId(0),
    };
    desk.open(Some(1), "app", &invite, source)
}

#[tokio::test]
async fn each_call_has_one_record_however_it_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cdr");
    let desk = desk(&path);
    let mut twice = opened(&desk);
    let ended = CallEvent::Ended(Box::new(answered()));
    twice.note(&CallEvent::Answered);
    twice.note(&ended);
    twice.note(&ended);
    twice.refuse(Failure::of(Kind::Internal, Origin::Local));
    drop(twice);
    // Its task has died.
    drop(opened(&desk));
    desk.ledger.finish(PATIENCE);
    let lines = lines(&path);
    let brief: Vec<_> = lines
        .iter()
        .map(|line| (line["status"].clone(), line["why"].clone()))
        .collect();
    assert_eq!(
        brief,
        [(200.into(), "bye".into()), (500.into(), "internal".into())]
    );
    assert_eq!(lines[1]["a"]["call_id"], "lost");
    let standing: usize = desk
        .gauges
        .standing
        .iter()
        .map(crate::server::gauges::Level::now)
        .sum();
    assert_eq!(standing, 0);
    assert_eq!(desk.gauges.failures.list(), [((500, "local", "internal"), 1)]);
    assert_eq!(desk.gauges.ends.list(), [((0, "leg_b", "bye"), 1)]);
    assert_eq!(desk.gauges.post_dial_delay.read().0.iter().sum::<u64>(), 1);
}

/// A clock that somebody sets while calls run.
#[derive(Debug, Default)]
struct Jumping(std::sync::atomic::AtomicI64);

impl WallClock for Jumping {
    fn now(&self) -> SystemTime {
        let off = self.0.load(std::sync::atomic::Ordering::Relaxed);
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_262_400);
        let jump = Duration::from_secs(off.unsigned_abs());
        if off < 0 { noon - jump } else { noon + jump }
    }
}

/// Goal R8: the machine's clock jumps by an hour while a call runs.
#[tokio::test]
async fn a_clock_that_jumps_makes_no_call_longer_or_shorter() {
    for jump in [3_600, -3_600] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cdr");
        let clock = Arc::new(Jumping::default());
        let desk = Desk {
            clock: clock.clone(),
            ..desk(&path)
        };
        let mut before = opened(&desk);
        clock.0.store(jump, std::sync::atomic::Ordering::Relaxed);
        let mut after = opened(&desk);
        for receipt in [&mut before, &mut after] {
            receipt.note(&CallEvent::Answered);
            receipt.note(&CallEvent::Ended(Box::new(answered())));
        }
        drop((before, after));
        desk.ledger.finish(PATIENCE);
        let lines = lines(&path);
        let times: Vec<_> = lines
            .iter()
            .map(|line| {
                [&line["began"], &line["answered"], &line["ended"]].map(|it| it.as_str().unwrap_or(""))
            })
            .collect();
        let hour = if jump > 0 { "13" } else { "11" };
        let of = |hour: &str| ["00", "02", "22"].map(|second| format!("2026-11-21T{hour}:00:{second}.000Z"));
        assert_eq!(times, [of("12"), of(hour)]);
        assert!(lines.iter().all(|line| line["seconds"] == 20.0), "{lines:#?}");
    }
}

use crate::call::CallEvent;

proptest! {
    /// Acceptance #29: whatever stands in a message, a record is one line of plain text, in both formats.
    #[test]
    fn acceptance_29_a_record_is_one_line_whatever_strangers_write(words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 6)) {
        let text = |index: usize| crate::sip::Text::from_bytes(words[index].clone().into());
        let mut summary = answered();
        summary.a = Party { call_id: text(0), from: text(1), to: text(2), uri: text(3) };
        summary.b = Some(Party { call_id: text(3), from: text(2), to: text(1), uri: text(0) });
        summary.attempts[0].target = text(4);
        summary.transfers[0].to = text(4);
        summary.cause = Some(Cause { reasons: vec![text(5)], ..Cause::bye(Origin::LegA) });
        let kind = String::from_utf8_lossy(&words[4]).into_owned();
        summary.streams = vec![Some(StreamTerms { kind: kind.clone(), codecs: (Some(kind.clone()), Some(kind)) })];
        let record = record(&summary);
        let json = serde_json::to_string(&record).expect("text");
        for line in [csv::line(&record), json] {
            prop_assert!(line.chars().all(|letter| !letter.is_control()), "{line:?}");
        }
    }
}

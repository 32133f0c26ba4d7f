//! Parsing an INVITE with typed Via, From, To and CSeq, beside rsip in the same run.
//!
//! `cargo bench --bench sip`. Ends with 1 if we are not at least 4 times faster, both measured in turn.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use b2bua::sip::{Message, parse};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group};
use rsip::{
    SipMessage,
    headers::ToTypedHeader,
    message::HeadersExt,
    typed::{CSeq, From as TypedFrom, To as TypedTo, Via},
};
use std::{
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};

const INVITE: &str = "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP proxy.atlanta.example.com:5060;branch=z9hG4bK2d4790.1;received=192.0.2.111\r\n\
    Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74bf9;received=192.0.2.101\r\n\
    Max-Forwards: 69\r\n\
    Record-Route: <sip:proxy.atlanta.example.com;lr>\r\n\
    From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n\
    To: Bob <sip:bob@biloxi.example.com>\r\n\
    Call-ID: 3848276298220188511@atlanta.example.com\r\n\
    CSeq: 2 INVITE\r\n\
    Contact: <sip:alice@client.atlanta.example.com;transport=udp>\r\n\
    User-Agent: Softphone/4.2\r\n\
    Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, UPDATE\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 190\r\n\
    \r\n\
    v=0\r\n\
    o=alice 2890844526 2890844526 IN IP4 client.atlanta.example.com\r\n\
    s=-\r\n\
    c=IN IP4 192.0.2.101\r\n\
    t=0 0\r\n\
    m=audio 49172 RTP/AVP 0 101\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\n";

/// Parsing and the typed fields. The copy is part of it: a receiver's message keeps bytes of its own.
fn ours(bytes: &[u8]) -> Message {
    let datagram = Bytes::copy_from_slice(black_box(bytes));
    let (message, fault) = parse::message(datagram).expect("a message");
    assert!(fault.is_none());
    let headers = message.headers();
    black_box((
        headers.via().expect("Via"),
        headers.from().expect("From"),
        headers.to().expect("To"),
        headers.cseq().expect("CSeq"),
    ));
    message
}

/// The same with rsip.
fn theirs(bytes: &[u8]) -> SipMessage {
    let message = SipMessage::try_from(black_box(bytes)).expect("a message");
    let via: Via = message.via_header().expect("Via").typed().expect("Via");
    let from: TypedFrom = message.from_header().expect("From").typed().expect("From");
    let to: TypedTo = message.to_header().expect("To").typed().expect("To");
    let cseq: CSeq = message.cseq_header().expect("CSeq").typed().expect("CSeq");
    black_box((via, from, to, cseq));
    message
}

fn parse_invite(criterion: &mut Criterion) {
    let bytes = INVITE.as_bytes();
    let mut group = criterion.benchmark_group("invite with typed via, from, to, cseq");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("ours", |bencher| bencher.iter(|| ours(bytes)));
    group.bench_function("rsip", |bencher| bencher.iter(|| theirs(bytes)));
    group.finish();
    // What the server does with each datagram: every field that it will use is judged.
    criterion.bench_function("invite with all checks/ours", |bencher| {
        bencher.iter(|| parse::datagram(Bytes::copy_from_slice(black_box(bytes))).expect("a message"));
    });
}

fn print_invite(criterion: &mut Criterion) {
    let (message, _) = parse::message(Bytes::from_static(INVITE.as_bytes())).expect("a message");
    let theirs = SipMessage::try_from(INVITE).expect("a message");
    let mut group = criterion.benchmark_group("print the invite");
    group.bench_function("ours", |bencher| bencher.iter(|| black_box(&message).to_bytes()));
    group.bench_function("rsip", |bencher| {
        bencher.iter(|| Vec::<u8>::from(black_box(&theirs).clone()));
    });
    group.finish();
}

criterion_group!(benches, parse_invite, print_invite);
/// The gate.
const TIMES_FASTER: f64 = 4.0;

/// Rounds of both in turn, so that a busy machine slows both; the median of each round's ratio.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn ratio() -> f64 {
    const ROUNDS: usize = 15;
    const TIMES: u32 = 4_000;
    let time = |work: &dyn Fn()| -> Duration {
        let start = Instant::now();
        (0..TIMES).for_each(|_| work());
        start.elapsed() / TIMES
    };
    let mut rounds: Vec<(f64, Duration, Duration)> = (0..ROUNDS)
        .map(|_| {
            let ours = time(&|| drop(black_box(ours(INVITE.as_bytes()))));
            let theirs = time(&|| drop(black_box(theirs(INVITE.as_bytes()))));
            (theirs.as_secs_f64() / ours.as_secs_f64(), ours, theirs)
        })
        .collect();
    rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (ratio, ours, theirs) = rounds[ROUNDS / 2];
    println!("typed INVITE: ours {ours:?}, rsip {theirs:?}: {ratio:.1} times faster (gate: {TIMES_FASTER})");
    ratio
}

fn main() -> ExitCode {
    // `cargo test --benches` only wants to see that it runs.
    let measured = std::env::args().any(|argument| argument == "--bench");
    benches();
    Criterion::default().configure_from_args().final_summary();
    if measured && ratio() < TIMES_FASTER {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

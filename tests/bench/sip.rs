//! Parsing an INVITE with typed Via, From, To and CSeq, beside rsip in the same run.
//!
//! `cargo bench --bench sip`; what counts is the ratio of `ours` to `rsip` (gate: at least 4 times faster).

#![allow(missing_docs, reason = "criterion's macros make public items")]

use b2bua::sip::parse;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rsip::{
    headers::ToTypedHeader,
    message::HeadersExt,
    typed::{CSeq, From as TypedFrom, To as TypedTo, Via},
};
use std::hint::black_box;

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

fn parse_invite(criterion: &mut Criterion) {
    let bytes = Bytes::from_static(INVITE.as_bytes());
    let mut group = criterion.benchmark_group("invite with typed via, from, to, cseq");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("ours", |bencher| {
        bencher.iter(|| {
            // As a receiver has it: bytes of its own, which the message keeps.
            let datagram = Bytes::copy_from_slice(black_box(&bytes));
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
        });
    });
    group.bench_function("ours, checked", |bencher| {
        bencher.iter(|| parse::datagram(Bytes::copy_from_slice(black_box(&bytes))).expect("a message"));
    });
    group.bench_function("rsip", |bencher| {
        bencher.iter(|| {
            let message = rsip::SipMessage::try_from(black_box(&bytes[..])).expect("a message");
            let via: Via = message.via_header().expect("Via").typed().expect("Via");
            let from: TypedFrom = message.from_header().expect("From").typed().expect("From");
            let to: TypedTo = message.to_header().expect("To").typed().expect("To");
            let cseq: CSeq = message.cseq_header().expect("CSeq").typed().expect("CSeq");
            black_box((via, from, to, cseq));
            message
        });
    });
    group.finish();
}

fn print_invite(criterion: &mut Criterion) {
    let (message, _) = parse::message(Bytes::from_static(INVITE.as_bytes())).expect("a message");
    let theirs = rsip::SipMessage::try_from(INVITE).expect("a message");
    let mut group = criterion.benchmark_group("print the invite");
    group.bench_function("ours", |bencher| bencher.iter(|| black_box(&message).to_bytes()));
    group.bench_function("rsip", |bencher| {
        bencher.iter(|| Vec::<u8>::from(black_box(&theirs).clone()));
    });
    group.finish();
}

criterion_group!(benches, parse_invite, print_invite);
criterion_main!(benches);

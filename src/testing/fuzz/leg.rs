//! Any operations on two legs in any weather: no panic, and an end that leaves nothing.

use crate::testing::{Weather, legs::Legs};
use crate::{
    call::{
        Body, Cause, Failure, Origin, Reliability, Side, Signal,
        failure::Kind,
        leg::{Profile, SessionTimers},
        signal::Payload,
    },
    sdp::Sdp,
    sip::{Headers, Method, Status, timers::Timers},
};
use std::{sync::Arc, time::Duration};

fn sdp(port: u8) -> Sdp {
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    );
    Sdp::parse(text.as_bytes()).expect("a literal description")
}

fn signal(kind: u8, value: u8) -> Signal {
    let status = Status::new(100 + u16::from(value) * 2).unwrap_or(Status::OK);
    let body = match value % 3 {
        0 => Body::None,
        1 => Body::Offer(sdp(value)),
        _ => Body::Answer(sdp(value)),
    };
    let payload = Payload {
        method: if value.is_multiple_of(2) {
            Method::Info
        } else {
            Method::Message
        },
        headers: Headers::default(),
        body: bytes::Bytes::copy_from_slice(&[value]),
        number: 0,
        cseq: 0,
    };
    match kind % 12 {
        0 => Signal::Ring,
        1 => Signal::Progress { status, body },
        2 => Signal::Answer(body),
        3 | 4 => Signal::Offer((!value.is_multiple_of(3)).then(|| sdp(value))),
        5 | 6 => Signal::Accept(sdp(value)),
        7 => Signal::Refuse(Failure::new(status, Origin::LegB, Kind::Rejected)),
        8 => Signal::Withdraw,
        9 => Signal::Request(payload),
        10 => Signal::Response(status, payload),
        _ => match value % 8 {
            0 => Signal::Fail(Failure::new(status, Origin::LegB, Kind::Rejected)),
            1 => Signal::Hangup(Cause::of(Kind::Cancelled, Origin::LegA)),
            2 => Signal::Hangup(Cause::bye(Origin::LegB)),
            _ => Signal::Ring,
        },
    }
}

fn weather_of(byte: u8) -> Weather {
    Weather {
        loss: u64::from(byte % 4) * 10,
        repeat: u64::from(byte / 4 % 4) * 10,
        late: u64::from(byte / 16 % 4) * 20,
    }
}

/// Reads operations from bytes and carries them out: three bytes each (what, value, time): signals to either leg, and messages that somebody changed. At the end both are hung up.
///
/// # Panics
/// When a leg says something that it may not say, or does not come to an end.
pub fn leg_operations(bytes: &[u8]) {
    let mut bytes = bytes.iter().copied();
    let mut next = || bytes.next();
    let (Some(seed), Some(weather), Some(offer)) = (next(), next(), next()) else {
        return;
    };
    let body = if offer.is_multiple_of(4) {
        Body::None
    } else {
        Body::Offer(sdp(offer))
    };
    let profile = Arc::new(Profile {
        user_agent: "legs".into(),
        timers: Timers::default(),
        sessions: SessionTimers::default(),
        reliable: match weather / 64 {
            0 => Reliability::Off,
            1 => Reliability::Required,
            _ => Reliability::Supported,
        },
    });
    let mut legs = Legs::between(
        body,
        weather_of(weather),
        u64::from(seed),
        [profile.clone(), profile],
    );
    let mut last_words = [false; 2];
    let mut steps = 0;
    while let (Some(what), Some(value), Some(time)) = (next(), next(), next()) {
        steps += 1;
        if steps > 200 {
            break;
        }
        let side = if what & 0x80 == 0 { Side::A } else { Side::B };
        if what & 0x40 == 0 {
            let signal = signal(what & 0x3f, value);
            let last = matches!(signal, Signal::Fail(_) | Signal::Hangup(_));
            legs.tell(side, signal);
            check_words(&mut legs, &mut last_words);
            last_words[usize::from(side == Side::B)] |= last && (side == Side::B || legs.callee.is_some());
        } else {
            legs.tamper(what, value, time);
        }
        let time = match time % 8 {
            0 => u64::from(time) * 200,
            1..=4 => u64::from(time),
            _ => 0,
        };
        legs.run(Duration::from_millis(time));
        check_words(&mut legs, &mut last_words);
    }
    legs.deaf = true;
    for side in [Side::A, Side::B] {
        legs.tell(side, Signal::Hangup(Cause::bye(Origin::Local)));
    }
    let took = legs.run_dry();
    check_words(&mut legs, &mut last_words);
    assert!(took < Duration::from_secs(200), "the end took {took:?}");
    assert_eq!(legs.deadline(), None, "a timer is left");
    assert!(legs.closed.1, "the caller is not closed");
    assert!(legs.callee.is_none() || legs.closed.0, "the callee is not closed");
}

/// After it said or heard `Fail` or `Hangup` a leg says nothing more.
fn check_words(legs: &mut Legs, last_words: &mut [bool; 2]) {
    for (side, signal) in legs.heard() {
        let said = &mut last_words[usize::from(side == Side::B)];
        assert!(!*said, "{side:?} says {signal:?} after its last words");
        *said = matches!(signal, Signal::Fail(_) | Signal::Hangup(_));
    }
}

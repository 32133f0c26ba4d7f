//! Digits: as events in the media (RFC 4733) and by INFO, passed on as they are where both phones speak alike, and said in the
//! other's way where they do not.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use crate::announced::announced;
use crate::capture::Wire;
use crate::converse::finish;
use crate::judge::{AES_128, Leg};
use crate::linphone::Linphone;
use crate::netns::Side;
use crate::phone::{Make, Phone as _};
use crate::scene::Scene;
use crate::server::{self, Config, Server};
use crate::through::CALLEE;
use crate::{Outcome, Test, privacy, rtp};

pub(crate) const TESTS: &[Test] = &[
    Test::new("digits::in_the_media_both_ways", |s| {
        digits(s, Way::Media, Way::Media)
    }),
    Test::new("digits::by_info_both_ways", |s| digits(s, Way::Info, Way::Info)),
    Test::new("digits::in_the_media_to_one_who_wants_info_and_back", |s| {
        digits(s, Way::Media, Way::Info)
    }),
];

/// How a phone says digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Media,
    /// And it knows no events.
    Info,
}

/// What each of them dials, one after the other; a repetition counts twice.
const BY_CALLER: &str = "5809";
const BY_CALLEE: &str = "*7#3";

fn digits(scene: &Scene, a_way: Way, b_way: Way) -> Outcome {
    let mut a = scene.caller(Make::Linphone).through(&server::uri(Side::A));
    let mut b = scene
        .callee(Make::Linphone)
        .through(&server::uri(Side::B))
        .encrypted();
    for (phone, way) in [(&mut a, a_way), (&mut b, b_way)] {
        phone.events = way == Way::Media;
        phone.more = match way {
            Way::Media => "use_info=0\nuse_rfc2833=1\n",
            Way::Info => "use_info=1\nuse_rfc2833=0\n",
        }
        .to_owned();
    }
    let config = Config::new(&format!("sip:{}:{}", b.ip(), b.sip_port())).leg_b("sdes");
    let captures = scene.capture()?;
    let server = Server::start(scene, &config)?;
    let (mut b, mut a) = (Linphone::start(&b)?, Linphone::start(&a)?);
    a.dial(CALLEE)?;
    a.await_call()?;
    b.await_call()?;
    thread::sleep(Duration::from_millis(500));
    for (digits, from, to) in [(BY_CALLER, 0, 1), (BY_CALLEE, 1, 0)] {
        for digit in digits.chars() {
            let phones = [&mut a, &mut b];
            let [one, other] = phones;
            let (speaker, listener) = if (from, to) == (0, 1) {
                (one, other)
            } else {
                (other, one)
            };
            speaker.say(&digit.to_string())?;
            listener
                .await_said(&format!("Receiving tone {digit} from"), 1)
                .map_err(|e| format!("digit {digit}: {e}"))?;
            thread::sleep(Duration::from_millis(200));
        }
    }
    thread::sleep(Duration::from_millis(300));
    for (phone, digits) in [(&a, BY_CALLEE), (&b, BY_CALLER)] {
        let heard = phone.tones();
        if heard != digits {
            return Err(format!("{:?} heard, {digits:?} dialled", heard));
        }
    }
    a.hang_up()?;
    finish(&mut a, &mut b)?;
    let (wire_a, wire_b) = captures.finish()?;
    for (leg, way, wire) in [
        (Leg::plain(Side::A), a_way, &wire_a),
        (Leg::keyed(Side::B, AES_128), b_way, &wire_b),
    ] {
        let (said, heard) = match leg.side {
            Side::A => (BY_CALLER, BY_CALLEE),
            Side::B => (BY_CALLEE, BY_CALLER),
        };
        let told = |e: String| format!("leg {:?}: {e}", leg.side);
        on_the_wire(wire, leg, way, [said, heard]).map_err(told)?;
    }
    privacy::scan(&wire_a, &wire_b, &[])?;
    server.finish()
}

/// Each digit is there once, in both directions, in the way of that phone, and in no other way.
fn on_the_wire(wire: &Wire, leg: Leg, way: Way, digits: [&str; 2]) -> Outcome {
    let infos = [true, false].map(|from_phone| {
        let all = wire
            .messages
            .iter()
            .filter(|m| m.is_request("INFO") && (m.from.ip() == leg.phone) == from_phone);
        let signals = all.filter_map(|m| {
            let line = m.body.lines().find_map(|line| line.strip_prefix("Signal="))?;
            line.trim().chars().next()
        });
        signals.collect::<String>()
    });
    let events = events(wire, leg)?;
    let (present, absent) = match way {
        Way::Media => (&events, &infos),
        Way::Info => (&infos, &events),
    };
    if present[..] == digits && absent.iter().all(String::is_empty) {
        return Ok(());
    }
    Err(format!(
        "{digits:?} by {way:?} expected, on the wire: INFO {infos:?}, events {events:?}"
    ))
}

/// The events of RFC 4733, from the phone and to it: one for each timestamp.
fn events(wire: &Wire, leg: Leg) -> Outcome<[String; 2]> {
    let announced = announced(&wire.messages);
    let numbers: BTreeSet<u8> = wire
        .messages
        .iter()
        .flat_map(|m| m.sdp("a=rtpmap:"))
        .filter_map(|map| map.split_once(" telephone-event/8000")?.0.parse().ok())
        .collect();
    let (out, back) = rtp::packets(wire, &announced, leg.phone);
    let mut found = [String::new(), String::new()];
    for (packets, found) in [out, back].into_iter().zip(&mut found) {
        let packets = match leg.suite {
            Some(suite) => rtp::opened("digits", packets, &announced, suite)?,
            None => packets,
        };
        let mut seen = BTreeSet::new();
        for packet in packets {
            let bytes = &packet.bytes;
            let (Some(kind), Some(stamp), Some(event)) = (bytes.get(1), bytes.get(4..8), bytes.get(12))
            else {
                continue;
            };
            if numbers.contains(&(kind & 0x7f)) && seen.insert(stamp.to_vec()) {
                found.push("0123456789*#ABCD".chars().nth(usize::from(*event)).unwrap_or('?'));
            }
        }
    }
    Ok(found)
}

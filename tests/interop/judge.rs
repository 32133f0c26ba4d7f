//! What must be true of a conversation, by ear and on both wires.

use std::net::IpAddr;

use crate::Outcome;
use crate::capture::Wire;
use crate::converse::Timeline;
use crate::netns::Side;
use crate::phone::{Keys, Phone};
use crate::rtp::{self, Stream};
use crate::tone::{CALLEE, CALLER};

/// What one leg must look like.
#[derive(Clone, Copy)]
pub(crate) struct Leg {
    pub(crate) side: Side,
    pub(crate) phone: IpAddr,
    /// The suite that it is keyed with; `None`: plain.
    pub(crate) suite: Option<&'static str>,
    /// It is keyed by what the wire does not show; its profile.
    pub(crate) hidden: Option<&'static str>,
}

impl Leg {
    /// A plain leg.
    pub(crate) fn plain(side: Side) -> Self {
        Self {
            side,
            phone: side.phone(),
            suite: None,
            hidden: None,
        }
    }

    /// A leg keyed by SDES.
    pub(crate) fn keyed(side: Side, suite: &'static str) -> Self {
        Self {
            side,
            phone: side.phone(),
            suite: Some(suite),
            hidden: None,
        }
    }
}

impl Leg {
    /// A leg keyed like that; SDES with the suite that phones choose when they may.
    pub(crate) fn of(side: Side, keys: Keys) -> Self {
        let hidden = match keys {
            Keys::None => return Self::plain(side),
            Keys::Sdes => return Self::keyed(side, AES_128),
            Keys::Dtls => "UDP/TLS/RTP/SAVP",
            Keys::Zrtp => "RTP/AVP",
        };
        Self {
            hidden: Some(hidden),
            ..Self::plain(side)
        }
    }
}

/// AES-128 in counter mode with an 80-bit tag: what phones choose when they may.
pub(crate) const AES_128: &str = "AES_CM_128_HMAC_SHA1_80";

/// The share of a talk in which the tone must be there. Phones on a machine that has more to do than
/// it can stutter a little; that the server loses nothing of what they say is counted in packets.
pub(crate) const SPOKEN: f64 = 0.7;

/// The same for the ear, behind the phone's jitter buffer and recorder, which stutter more.
const HEARD: f64 = 0.5;

/// The ear: what each phone has recorded of the other.
pub(crate) fn by_ear(a: &mut dyn Phone, b: &mut dyn Phone, timeline: &Timeline) -> Outcome {
    one_ear(a, "caller", CALLEE, timeline)?;
    one_ear(b, "callee", CALLER, timeline)
}

fn one_ear(listener: &mut dyn Phone, who: &str, tone: f64, timeline: &Timeline) -> Outcome {
    let sound = listener.heard()?;
    let who = format!("the {who}'s {}", listener.name());
    let talks = timeline
        .talks
        .iter()
        .take(if listener.records_on() { usize::MAX } else { 1 });
    let least: f64 = talks.map(|span| (span.to - span.from) * HEARD).sum();
    sound.must_be(&who, tone, least)?;
    if listener.records_on() {
        let end = format!("{who}, at the end");
        sound.last(1.5).must_be(&end, tone, 1.5 * HEARD)?;
    }
    Ok(())
}

/// Both legs' wires, and that what was said on one was passed on to the other without loss.
pub(crate) fn by_wires(wires: [&Wire; 2], legs: [Leg; 2], timeline: &Timeline) -> Outcome {
    let [(out_a, back_a), (out_b, back_b)] = [
        by_wire(wires[0], legs[0], timeline)?,
        by_wire(wires[1], legs[1], timeline)?,
    ];
    for span in &timeline.talks {
        for (said, passed_on) in [(&out_a, &back_b), (&out_b, &back_a)] {
            let missing = said.missing(*span, passed_on);
            if missing > 0 {
                return Err(format!(
                    "of {} packets in {:.2}..{:.2}, {missing} were not passed on",
                    said.count(*span),
                    span.from,
                    span.to
                ));
            }
        }
    }
    Ok(())
}

/// One leg's wire: keyed or plain as it should be, the right tones in both directions whenever both
/// talk, and nothing for the one who holds. Returns what came from the phone and what went to it.
pub(crate) fn by_wire(wire: &Wire, leg: Leg, timeline: &Timeline) -> Outcome<(Stream, Stream)> {
    let heard = match leg.hidden {
        None => rtp::listen(wire, leg.phone, leg.suite),
        Some(profile) => rtp::overhear(wire, leg.phone, profile),
    };
    let (out, back) = heard.map_err(|e| format!("leg {:?}: {e}", leg.side))?;
    let (own, other) = if leg.side == Side::A {
        (CALLER, CALLEE)
    } else {
        (CALLEE, CALLER)
    };
    for span in &timeline.talks {
        if leg.hidden.is_some() {
            out.must_flow(*span, SPOKEN)?;
            back.must_flow(*span, SPOKEN)?;
            continue;
        }
        out.must_be(own, *span, SPOKEN)?;
        back.must_be(other, *span, SPOKEN)?;
    }
    for (holder, span) in &timeline.holds {
        if *holder == leg.side {
            back.must_be_still(*span)?;
        }
    }
    Ok((out, back))
}

//! Whole calls: any order of what parties, relay, application and clock can say.

mod places;
mod words;

use self::{
    places::{answer, begin, take_over},
    words::*,
};
use crate::{
    call::{
        Cause, Command, Designation, Encryption, EncryptionPolicy, Input, LookupError, Origin, Rescue, Side,
        TransferMode, Verdict, bridge::CallSettings, failure::Kind,
    },
    media::{
        Component, MediaEvent, StreamId,
        zrtp::{Hello, Message, Packet, Zid},
    },
    sip::{NameAddr, Replaces, reliable},
    testing::{Sim, Verdicts, Who, peer::read, settings},
};
use std::time::Duration;

/// Most things that happen in one call.
const MAX_STEPS: usize = 60;

fn pick<T: Copy>(table: &[T], byte: u8) -> T {
    table[usize::from(byte) % table.len()]
}

/// Every byte is a decision; when they are used up both sides hang up, and then nothing may be left.
pub fn call(data: &[u8]) {
    play(data, settings());
}

/// The same where the server executes transfers: in a call that is up, of which the callee has referred the caller to somebody
/// or has not yet, or that rings. Somebody else may call for a place in it.
pub fn executed_transfer(data: &[u8]) {
    let execute = CallSettings {
        transfer: TransferMode::Execute,
        ..settings()
    };
    play(data, execute);
}

/// The call as it was at its end; `None` where nobody called.
fn play(data: &[u8], settings: CallSettings) -> Option<Sim> {
    let executes = settings.transfer == TransferMode::Execute;
    let mut bytes = data.iter().copied();
    let mut next = move || bytes.next();
    let mode = next()?;
    let policy = match mode % 3 {
        0 => EncryptionPolicy::AsCaller,
        1 if mode & 64 != 0 => EncryptionPolicy::Only(Encryption::Zrtp),
        1 => EncryptionPolicy::Only(Encryption::None),
        _ if mode & 64 != 0 => EncryptionPolicy::Only(Encryption::DtlsSrtp),
        _ => EncryptionPolicy::Only(Encryption::Sdes),
    };
    let verdicts = Verdicts::routes(move |invite| {
        let mut routes = vec![
            Verdicts::outgoing(invite, policy),
            Verdicts::outgoing(invite, policy),
        ];
        routes[0].media.clear_without_zrtp = mode & 128 != 0;
        routes[0].limits.no_answer = (mode & 4 != 0).then_some(Duration::from_secs(20));
        routes
    });
    let mut sim = Sim::with(verdicts, settings, 1);
    sim.think = Duration::from_millis(u64::from(mode >> 5));
    sim.relay.free = if mode & 8 != 0 { 5 } else { 1_000 };
    sim.trusted = mode & 16 != 0;
    if mode & 8 != 0 {
        let known = Replaces::parse("far@away;to-tag=1;from-tag=2").expect("a dialog of ours");
        let found = Designation {
            peer: Replaces::parse("near@here;to-tag=3;from-tag=4").expect("a dialog of ours"),
            address: NameAddr::parse("<sip:dave@example.org>").expect("an address of ours"),
            adoptable: false,
        };
        sim.designations.insert(known, found);
    }
    let mut invited = executes;
    if executes {
        begin(&mut sim);
        match (mode >> 3) % 4 {
            3 => {}
            2 => answer(&mut sim),
            _ => {
                answer(&mut sim);
                request(&mut sim, Who::B, "REFER", 0);
                sim.run(Duration::from_secs(1));
            }
        }
    }
    for _ in 0..MAX_STEPS {
        let Some(step) = next() else { break };
        let mut byte = || next().unwrap_or(0);
        if !invited {
            let body = body(&sim, Who::A, byte());
            let headers = match step % 8 {
                7 => REPLACES,
                wish => pick(&RELIABLE, wish),
            };
            let invite = sim.a.invite("sip:bob@example.org", headers, &body);
            sim.send(Side::A, invite);
            invited = true;
        }
        let side = if step & 1 == 0 { Side::A } else { Side::B };
        let who = if executes && step & 128 != 0 {
            Who::C
        } else {
            side.into()
        };
        match (step >> 1) % 8 {
            0 | 1 => respond(&mut sim, who, byte(), byte(), byte()),
            2 => request(&mut sim, who, pick(&METHODS, byte()), byte()),
            3 | 4 => sim.run(Duration::from_millis(pick(&PAUSES, byte()))),
            5 => again(&mut sim, byte()),
            6 => outside(&mut sim, side, byte(), executes),
            _ => request(&mut sim, who, "INVITE", byte()),
        }
    }
    if !invited {
        return None;
    }
    sim.run(Duration::from_millis(5));
    for method in ["CANCEL", "BYE"] {
        request(&mut sim, Who::A, method, 0);
    }
    if sim.b.requests.contains_key("INVITE") {
        request(&mut sim, Who::B, "BYE", 0);
    }
    sim.run(Duration::from_millis(50));
    sim.command(Command::Hangup(Cause::of(Kind::Shutdown, Origin::Local)));
    // Nobody answers any more: all timers of RFC 3261 pass.
    sim.run(Duration::from_secs(400));
    sim.assert_done();
    Some(sim)
}

fn body(sim: &Sim, side: Who, byte: u8) -> String {
    let (peer, port, key) = match side {
        Who::C => (&sim.c, 50_000, "CCCCsecretofcarolxxxxxxxxxxxxxxxxxxxxxxx"),
        Who::A => (&sim.a, 30_000, "AAAAsecretofalicexxxxxxxxxxxxxxxxxxxxxxx"),
        Who::B => (&sim.b, 40_000, "BBBBsecretofbobbyxxxxxxxxxxxxxxxxxxxxxxx"),
    };
    // Odd ones have no body at all, now and then.
    if byte % 17 == 16 {
        return String::new();
    }
    let (ip, version) = (peer.address.ip(), byte >> 4);
    let media = pick(&MEDIA, byte)
        .replace("{port}", &(port + u32::from(byte >> 6) * 2).to_string())
        .replace("{key}", key)
        .replace("{fingerprint}", FINGERPRINT)
        .replace("{n}", &(96 + byte / 16).to_string())
        .replace("{n+1}", &(97 + byte / 16).to_string());
    let user = &peer.user;
    format!("v=0\r\no={user}-login 77 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n{media}")
}

fn request(sim: &mut Sim, side: Who, method: &str, byte: u8) {
    let body = match method {
        "INVITE" | "UPDATE" | "ACK" => body(sim, side, byte),
        "PRACK" if byte & 1 == 0 => body(sim, side, byte),
        "NOTIFY" if byte & 3 != 3 => format!("SIP/2.0 {} x\r\n", pick(&STATUSES, byte)),
        _ => String::new(),
    };
    let headers = match method {
        "REFER" => pick(&REFERS, byte),
        "NOTIFY" => pick(&NOTIFIES, byte),
        "PRACK" => &rack(sim, side, byte),
        _ => "",
    };
    let peer = sim.party(side);
    // Other parties have a dialog only once they were invited or have called, and an INVITE to acknowledge only once they sent one.
    if side != Who::A && !peer.requests.contains_key("INVITE") && !peer.has_invited() {
        return;
    }
    let bytes = match method {
        "ACK" | "CANCEL" if !peer.has_invited() => return,
        "ACK" if byte & 1 == 0 => peer.ack_failure(),
        "ACK" => peer.ack(&body),
        "CANCEL" => peer.cancel(""),
        method => peer.request(method, headers, &body),
    };
    sim.send(side, bytes);
}

fn respond(sim: &mut Sim, side: Who, which: u8, status: u8, what: u8) {
    let status = pick(&STATUSES, status);
    let body = if what & 1 == 0 {
        body(sim, side, what)
    } else {
        String::new()
    };
    let numbers = sim.wire.len() as u32 / 4;
    let peer = sim.party(side);
    let methods: Vec<String> = peer
        .requests
        .keys()
        .filter(|method| *method != "ACK")
        .cloned()
        .collect();
    if methods.is_empty() {
        return;
    }
    let method = methods[usize::from(which) % methods.len()].clone();
    let fork = pick(&["", "x", "y"], which >> 4);
    let headers = match what & 6 {
        // Numbers that mostly go up by one or by more, and now and then back.
        2 => format!(
            "Require: 100rel\r\nRSeq: {}\r\nAllow: UPDATE\r\n",
            u32::from(what >> 6) + numbers
        ),
        4 => "Require: 100rel\r\nRSeq: 1\r\nAllow: UPDATE\r\n".to_owned(),
        _ => String::new(),
    };
    let bytes = peer.respond(&method, status, fork, &headers, &body);
    sim.send(side, bytes);
}

/// RAck for the last reliable response that a party was sent, or for none.
fn rack(sim: &Sim, side: Who, byte: u8) -> String {
    let to_it = sim.wire.iter().rev().filter(|entry| entry.1 == side && !entry.2);
    let last = to_it
        .filter_map(|entry| match read(&entry.3) {
            crate::sip::Message::Response(response) => Some((reliable::rseq(&response)?, response)),
            crate::sip::Message::Request(_) => None,
        })
        .next();
    match last {
        Some((rseq, response)) if byte % 8 != 7 => {
            let number = response.headers.cseq().map_or(1, |cseq| cseq.number);
            format!("RAck: {rseq} {number} INVITE\r\n")
        }
        _ => "RAck: 1 101 INVITE\r\n".to_owned(),
    }
}

/// Something is received once more.
fn again(sim: &mut Sim, byte: u8) {
    let inwards: Vec<_> = sim
        .wire
        .iter()
        .filter(|entry| entry.2)
        .map(|entry| (entry.1, entry.3.clone()))
        .collect();
    if let Some((side, bytes)) = inwards.get(usize::from(byte) % inwards.len().max(1)) {
        sim.send(*side, bytes.clone());
    }
}

fn outside(sim: &mut Sim, side: Side, byte: u8, executes: bool) {
    let stream = StreamId(usize::from(byte >> 4));
    let input = match byte % 8 {
        0 if byte & 8 != 0 => Input::Media(MediaEvent::Control {
            side,
            stream: StreamId(usize::from(byte >> 6)),
            component: Component::Rtp,
            from: sim.target(side).remote,
            bytes: zrtp(byte >> 4),
        }),
        0 => Input::Media(MediaEvent::Silent { side, stream }),
        1 if byte & 8 != 0 => Input::Media(MediaEvent::Authenticated { side, stream }),
        1 => Input::Media(MediaEvent::OpenFailed {
            side,
            stream,
            reason: "fuzz".to_owned(),
        }),
        2 if sim.wire.iter().any(|entry| entry.1 == side && !entry.2) => return sim.undeliverable(side, ""),
        2 => return,
        // Lookups are answered in their order: one more answer would send one party's messages to another.
        3 | 4 if executes => return take_over(sim, side, byte),
        3 => Input::Targets(side, Err(LookupError::NotFound("fuzz.example".to_owned()))),
        4 => Input::Targets(side, Ok(vec![sim.target(side)])),
        // One that nobody waits for; those that somebody waits for come in their time.
        5 if sim.is_asked() => return,
        5 => Input::Verdict(Verdict::Rescue(Rescue::Relay)),
        6 => Input::Command(Command::Hangup(Cause::bye(Origin::Local))),
        7 if byte & 8 != 0 => Input::Media(MediaEvent::Control {
            side,
            stream,
            component: Component::Rtp,
            from: sim.target(side).remote,
            bytes: hello(byte),
        }),
        _ => Input::Media(MediaEvent::Opened {
            side,
            stream,
            rtp: sim.target(side).remote,
            rtcp: sim.target(side).remote,
        }),
    };
    sim.feed(input);
}

/// A ClientHello, as far as a call looks at it.
fn hello(byte: u8) -> Vec<u8> {
    let mut bytes = vec![22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 1, 0, 60];
    bytes.extend([1, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 48, 254, 253]);
    bytes.extend([byte; 46]);
    bytes
}

/// What another device of ZRTP says: the Hello that it begins with, or a word that belongs later.
fn zrtp(which: u8) -> Vec<u8> {
    let message = match which & 3 {
        0 => Message::HelloAck,
        1 => Message::Conf2Ack,
        _ => Message::Hello(Hello {
            version: *b"1.10",
            client: [b' '; 16],
            h3: [which; 32],
            zid: Zid([which; 12]),
            signature_capable: false,
            mitm: false,
            passive: false,
            hashes: Vec::new(),
            ciphers: Vec::new(),
            auth_tags: Vec::new(),
            key_agreements: Vec::new(),
            sas_types: Vec::new(),
            mac: [0; 8],
        }),
    };
    let message = message.encode();
    let (sequence, ssrc) = (1, 1);
    Packet {
        sequence,
        ssrc,
        message: &message,
    }
    .encode()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::CallEvent;

    /// The seeds reach what they are named for.
    #[test]
    fn a_call_that_rings_is_picked_up() {
        let execute = CallSettings {
            transfer: TransferMode::Execute,
            ..settings()
        };
        let seeds = [
            &include_bytes!("../../../tests/fuzz/corpus/executed_transfer/pickup")[..],
            include_bytes!("../../../tests/fuzz/corpus/executed_transfer/pickup_early_media"),
        ];
        for seed in seeds {
            let sim = play(seed, execute.clone()).unwrap();
            let became = sim.events.iter().filter_map(|event| match event {
                CallEvent::Transferred { status, .. } => Some(status.code()),
                _ => None,
            });
            assert_eq!(became.collect::<Vec<_>>(), [200], "{}", sim.ladder());
            assert!(sim.ladder().contains("-> b CANCEL "), "{}", sim.ladder());
        }
    }
}

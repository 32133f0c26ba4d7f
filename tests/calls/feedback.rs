//! RTCP feedback between legs that speak it and legs that do not (RFC 4585).

use super::formats::{answered, asked, pause, sim};
use b2bua::{call::Side, sdp::Sdp, testing::Sim};

fn video(user: &str, version: u32, profile: &str, more: &str) -> String {
    let (host, port) = match user {
        "alice" => ("192.0.2.10", 30_000),
        _ => ("192.0.2.200", 40_000),
    };
    format!(
        "v=0\r\no={user}-login 77 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\nm=video {} {profile} 96\r\na=rtpmap:96 VP8/90000\r\n{more}",
        port + 2
    )
}

const LINES: &str = "a=rtcp-fb:* nack pli\r\na=rtcp-fb:96 ccm fir\r\na=rtcp-rsize\r\n";

/// Profile of the video, and whether it has attributes of feedback.
fn terms(sdp: &Sdp) -> (String, bool) {
    let media = &sdp.media[1];
    let lines = media.attribute("rtcp-fb").is_some();
    assert_eq!(lines, media.attribute("rtcp-rsize").is_some());
    (media.proto.clone(), lines)
}

/// One offer and its answer: what the other is offered, what the offerer is answered.
fn exchange(sim: &mut Sim, from: Side, offer: &str, answer: &str) -> [(String, bool); 2] {
    let invite = match from {
        Side::A if !sim.a.is_caller => sim.a.invite("sip:bob@example.org", "", offer),
        side => sim.peer(side).request("INVITE", "", offer),
    };
    sim.send(from, invite);
    pause(sim);
    let offered = terms(&asked(sim.peer(from.other()).take_request("INVITE").unwrap()));
    let response = sim.peer(from.other()).respond("INVITE", 200, "", "", answer);
    sim.send(from.other(), response);
    pause(sim);
    let told = terms(&answered(sim.peer(from).response(200).unwrap()));
    let ack = sim.peer(from).ack("");
    sim.send(from, ack);
    pause(sim);
    [offered, told]
}

const REPORT: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 9];
const PLI: [u8; 12] = [0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 7];
const TRANSPORT_CC: [u8; 20] = [0x8f, 205, 0, 4, 0, 0, 0, 9, 0, 0, 0, 7, 0, 1, 0, 1, 0, 0, 0, 0];

/// What of feedback comes through to a side.
fn comes_through(sim: &Sim, to: Side) -> bool {
    let mut carrier = sim.relay.carrier(1, sim.now).unwrap();
    let compound = [&REPORT[..], &PLI, &TRANSPORT_CC].concat();
    let whole = carrier.carry(to.other(), &compound).unwrap();
    let alone = carrier.carry(to.other(), &PLI);
    if whole == compound {
        assert_eq!(alone, Ok(PLI.to_vec()));
        return true;
    }
    assert_eq!((whole, alone), (REPORT.to_vec(), Err("feedback")));
    false
}

#[test]
fn feedback_crosses_between_legs_that_speak_it_and_only_between_those() {
    let with = |profile: &str| (profile.to_owned(), true);
    let without = |profile: &str| (profile.to_owned(), false);
    for (offer, answer, expected, through) in [
        // Both by their profile.
        (
            ("RTP/AVPF", LINES),
            ("RTP/AVPF", LINES),
            [with("RTP/AVPF"), with("RTP/AVPF")],
            [true, true],
        ),
        // Both in the way of Linphone and baresip.
        (
            ("RTP/AVP", LINES),
            ("RTP/AVP", LINES),
            [with("RTP/AVP"), with("RTP/AVP")],
            [true, true],
        ),
        // The callee has another profile than it was offered: it does not speak it.
        (
            ("RTP/AVPF", LINES),
            ("RTP/AVP", ""),
            [with("RTP/AVPF"), without("RTP/AVPF")],
            [true, false],
        ),
        // The callee says nothing of it.
        (
            ("RTP/AVP", LINES),
            ("RTP/AVP", ""),
            [with("RTP/AVP"), without("RTP/AVP")],
            [true, false],
        ),
        // It says what it was not asked: the caller is not told.
        (
            ("RTP/AVP", ""),
            ("RTP/AVP", LINES),
            [without("RTP/AVP"), without("RTP/AVP")],
            [false, true],
        ),
        // Nobody speaks of it: then it is the phones' own affair.
        (
            ("RTP/AVP", ""),
            ("RTP/AVP", ""),
            [without("RTP/AVP"), without("RTP/AVP")],
            [true, true],
        ),
    ] {
        let mut sim = sim();
        let (offer, answer) = (
            video("alice", 1, offer.0, offer.1),
            video("bob", 1, answer.0, answer.1),
        );
        let told = exchange(&mut sim, Side::A, &offer, &answer);
        assert_eq!(told, expected, "{offer}{answer}");
        assert_eq!(
            [Side::A, Side::B].map(|side| comes_through(&sim, side)),
            through,
            "{offer}{answer}"
        );
    }
}

#[test]
fn a_leg_keeps_its_profile_whatever_the_other_says_later() {
    let mut sim = sim();
    exchange(
        &mut sim,
        Side::A,
        &video("alice", 1, "RTP/AVPF", LINES),
        &video("bob", 1, "RTP/AVP", ""),
    );
    // Held and resumed by the caller: the callee is not asked for what it has not.
    let hold = format!("{LINES}a=sendonly\r\n");
    let told = exchange(
        &mut sim,
        Side::A,
        &video("alice", 2, "RTP/AVPF", &hold),
        &video("bob", 2, "RTP/AVP", ""),
    );
    assert_eq!(
        told,
        [("RTP/AVP".to_owned(), false), ("RTP/AVPF".to_owned(), false)]
    );
    // And by the callee: the caller is asked in its own.
    let told = exchange(
        &mut sim,
        Side::B,
        &video("bob", 3, "RTP/AVP", "a=sendonly\r\n"),
        &video("alice", 3, "RTP/AVPF", LINES),
    );
    assert_eq!(
        told,
        [("RTP/AVPF".to_owned(), false), ("RTP/AVP".to_owned(), false)]
    );
    assert_eq!(
        [Side::A, Side::B].map(|side| comes_through(&sim, side)),
        [true, false]
    );
}

use super::*;
use crate::sdp::Sdp;

pub(super) fn media(formats: &str, lines: &str) -> Media {
    let lines = lines.trim().replace("; ", "\n").replace('|', ";");
    let text = format!("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nm=audio 9 RTP/AVP {formats}\n{lines}\n");
    Sdp::parse(text.as_bytes()).unwrap().media.remove(0)
}

/// An offer and an answer through the bridge: what the answerer was offered and what the offerer was answered.
fn exchange(formats: &mut Formats, offerer: Side, offer: &Media, answer: &Media) -> (Media, Media) {
    formats.hear(offerer, offer, Part::Offer);
    let offered = formats.speak(offerer.other(), offer, Part::Offer);
    formats.hear(offerer.other(), answer, Part::Answer);
    let answered = formats.speak(offerer, answer, Part::Answer);
    (offered, answered)
}

/// What becomes of a number that comes from a side.
fn crosses(formats: &Formats, from: Side, number: u8) -> Option<u8> {
    match formats.crossing(from) {
        Some(map) => map.leaves_as(number),
        None => Some(number),
    }
}

const OPUS: &str = "a=rtpmap:96 opus/48000/2; a=rtpmap:101 telephone-event/8000";

#[test]
fn the_common_call_needs_no_map() {
    let mut formats = Formats::default();
    let offer = media("96 0 8 101", OPUS);
    let (offered, answered) = exchange(
        &mut formats,
        Side::A,
        &offer,
        &media("0 101", "a=rtpmap:101 telephone-event/8000"),
    );
    assert_eq!(offered, offer);
    assert_eq!(answered.formats, "0 101");
    assert_eq!(
        (formats.crossing(Side::A), formats.crossing(Side::B)),
        (None, None)
    );
}

#[test]
fn acceptance_28_an_answer_with_other_numbers_is_told_in_those_of_the_offer() {
    let mut formats = Formats::default();
    let offer = media(
        "96 101 110",
        &format!("{OPUS}; a=rtpmap:110 telephone-event/48000"),
    );
    let theirs = media(
        "120 97 98",
        "a=rtpmap:120 OPUS/48000/2; a=fmtp:120 useinbandfec=1; a=rtpmap:97 telephone-event/48000; a=fmtp:97 0-15; \
         a=rtpmap:98 telephone-event/8000",
    );
    let (_, answered) = exchange(&mut formats, Side::A, &offer, &theirs);
    let expected = media(
        "96 110 101",
        "a=rtpmap:96 OPUS/48000/2; a=fmtp:96 useinbandfec=1; a=rtpmap:110 telephone-event/48000; a=fmtp:110 0-15; \
         a=rtpmap:101 telephone-event/8000",
    );
    assert_eq!(answered, expected);
    for (a, b) in [(96, 120), (110, 97), (101, 98)] {
        assert_eq!(crosses(&formats, Side::A, a), Some(b));
        // By the RFC it sends what it was offered; many send their own.
        assert_eq!(crosses(&formats, Side::B, a), Some(a));
        assert_eq!(crosses(&formats, Side::B, b), Some(a));
    }
    assert_eq!(
        crosses(&formats, Side::A, 77),
        Some(77),
        "not agreed on, and means nothing there"
    );
    assert_eq!(
        crosses(&formats, Side::A, 97),
        None,
        "not agreed on, and is telephone-event there"
    );
}

#[test]
fn a_re_offer_of_the_callee_keeps_the_callers_numbers_and_is_answered_in_its_own() {
    let mut formats = Formats::default();
    let (a, b) = (
        media("96 101", OPUS),
        media(
            "120 97",
            "a=rtpmap:120 opus/48000/2; a=rtpmap:97 telephone-event/8000",
        ),
    );
    exchange(&mut formats, Side::A, &a, &b);
    let (offered, answered) = exchange(&mut formats, Side::B, &b, &a);
    assert_eq!((offered, answered), (a.clone(), b.clone()));
    // And the other way round again: B keeps what it was told last.
    let (offered, answered) = exchange(&mut formats, Side::A, &a, &b);
    assert_eq!((offered, answered), (b, a));
}

#[test]
fn a_number_that_the_leg_has_for_something_else_is_not_taken() {
    let mut formats = Formats::default();
    exchange(
        &mut formats,
        Side::B,
        &media("96 0", "a=rtpmap:96 speex/8000"),
        &media("0", ""),
    );
    // A has opus where B has speex; 97 is free on both.
    let offer = media("96 97 0", "a=rtpmap:96 opus/48000/2; a=rtpmap:97 iLBC/8000");
    formats.hear(Side::A, &offer, Part::Offer);
    let offered = formats.speak(Side::B, &offer, Part::Offer);
    assert_eq!(
        offered,
        media("98 97 0", "a=rtpmap:98 opus/48000/2; a=rtpmap:97 iLBC/8000")
    );
}

#[test]
fn acceptance_28_another_callee_gets_the_callers_numbers_and_has_its_own() {
    let mut formats = Formats::default();
    let a = media("96 101", OPUS);
    exchange(
        &mut formats,
        Side::A,
        &a,
        &media(
            "120 97",
            "a=rtpmap:120 opus/48000/2; a=rtpmap:97 telephone-event/8000",
        ),
    );
    formats.forget(Side::B);
    // The new one offers: the caller hears its own numbers.
    let b = media(
        "97 120",
        "a=rtpmap:97 opus/48000/2; a=rtpmap:120 telephone-event/8000",
    );
    let (offered, answered) = exchange(&mut formats, Side::B, &b, &a);
    assert_eq!((offered.formats.as_str(), answered), ("96 101", b));
    assert_eq!(crosses(&formats, Side::A, 96), Some(97));
    assert_eq!(crosses(&formats, Side::B, 97), Some(96));
    assert_eq!(crosses(&formats, Side::B, 120), Some(101));
}

#[test]
fn what_names_a_number_follows_its_format() {
    let mut formats = Formats::default();
    let video = |numbers: [u8; 4]| {
        let [vp8, rtx, red, rtx_of_red] = numbers;
        media(
            &format!("{vp8} {rtx} {red} {rtx_of_red}"),
            &format!(
                "a=rtpmap:{vp8} VP8/90000; a=rtpmap:{rtx} rtx/90000; a=fmtp:{rtx} apt={vp8}; a=rtpmap:{red} red/90000; \
                 a=fmtp:{red} {vp8}/{vp8}; a=rtpmap:{rtx_of_red} rtx/90000; a=fmtp:{rtx_of_red} apt={red}; a=rtcp-fb:{vp8} nack pli"
            ),
        )
    };
    let (a, b) = (video([96, 97, 98, 99]), video([100, 99, 98, 97]));
    let (offered, answered) = exchange(&mut formats, Side::A, &a, &b);
    assert_eq!((offered, answered), (a.clone(), a));
    for (number, leaves_as) in [(96, 100), (97, 99), (98, 98), (99, 97)] {
        assert_eq!(crosses(&formats, Side::A, number), Some(leaves_as));
    }
    let map = formats.crossing(Side::A).unwrap();
    let through = |octets: &[u8]| {
        let mut packet = [&[0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1], octets].concat();
        packet[1] = octets[0];
        let header = crate::media::packet::rtp_header(&packet).unwrap();
        map.apply(&mut packet, &header).unwrap();
        (packet[1], packet[13..].to_vec())
    };
    assert_eq!(
        through(&[98, 0x80 | 96, 0, 0, 0, 96]),
        (98, vec![0x80 | 96, 0, 0, 0, 96]),
        "RED begins with its blocks"
    );
    assert_eq!(
        through(&[99, 1, 96, 0]),
        (97, vec![1, 100, 0]),
        "after the sequence number of the original"
    );
}

#[test]
fn formats_of_one_encoding_are_told_apart_by_what_distinguishes_them_and_then_by_order() {
    let h264 = |formats: &[(u8, &str)]| {
        let numbers: Vec<String> = formats.iter().map(|format| format.0.to_string()).collect();
        let lines: Vec<String> = formats
            .iter()
            .map(|(number, parameters)| format!("a=rtpmap:{number} H264/90000; a=fmtp:{number} {parameters}"))
            .collect();
        media(&numbers.join(" "), &lines.join("; "))
    };
    let (single, several) = ("packetization-mode=0", "packetization-mode=1");
    let offer = h264(&[(97, single), (98, several)]);
    for (answer, expected) in [
        (h264(&[(97, several)]), "98"),
        (h264(&[(120, several), (121, single)]), "98 97"),
        (h264(&[(98, several)]), "98"),
        // Neither as offered: in order.
        (
            h264(&[(120, "packetization-mode=2"), (121, "packetization-mode=2")]),
            "97 98",
        ),
    ] {
        let mut formats = Formats::default();
        let (_, answered) = exchange(&mut formats, Side::A, &offer, &answer);
        assert_eq!(answered.formats, expected, "{answer:?}");
    }
    // An offer that brings a new one brings a new one.
    let mut formats = Formats::default();
    exchange(
        &mut formats,
        Side::A,
        &h264(&[(97, single)]),
        &h264(&[(97, single)]),
    );
    let (offered, _) = exchange(&mut formats, Side::A, &offer, &offer);
    assert_eq!(offered, offer);
}

#[test]
fn an_answer_without_rtpmap_means_what_was_offered() {
    let mut formats = Formats::default();
    let (_, answered) = exchange(
        &mut formats,
        Side::A,
        &media("96 101", OPUS),
        &media("96 101", ""),
    );
    assert_eq!(answered.formats, "96 101");
    assert_eq!(formats.crossing(Side::A), None);
    // Nor does one with a clock rate of its own.
    let (_, answered) = exchange(
        &mut formats,
        Side::A,
        &media("96 101", OPUS),
        &media("96 101", "a=rtpmap:101 telephone-event/48000"),
    );
    assert_eq!(answered.formats, "96 101");
    assert_eq!(formats.crossing(Side::A), None);
}

#[test]
fn a_leg_whose_numbers_are_used_up_leaves_formats_out_and_no_number_looks_like_rtcp() {
    let all: Vec<String> = (96..=127).map(|number| number.to_string()).collect();
    let maps = |name: &str| {
        let lines: Vec<String> = (96..=127)
            .map(|number| format!("a=rtpmap:{number} {name}{number}/8000"))
            .collect();
        media(&all.join(" "), &lines.join("; "))
    };
    let mut formats = Formats::default();
    let mut told = Vec::new();
    for name in ["x", "y", "z"] {
        formats.hear(Side::A, &maps(name), Part::Offer);
        told.push(formats.speak(Side::B, &maps(name), Part::Offer).rtp_formats());
    }
    let numbers: Vec<Vec<u8>> = told
        .iter()
        .map(|formats| formats.iter().map(|format| format.number).collect())
        .collect();
    assert_eq!(numbers[0], (96..=127).collect::<Vec<u8>>());
    assert_eq!(numbers[1], (35..=63).collect::<Vec<u8>>());
    assert_eq!(numbers[2], Vec::<u8>::new());
}

#[test]
fn what_is_remembered_is_bounded_whatever_is_offered() {
    let mut formats = Formats::default();
    for round in 0..200 {
        let names: Vec<String> = (96..=127)
            .map(|number| format!("a=rtpmap:{number} x{round}/8000"))
            .collect();
        let numbers: Vec<String> = (96..=127).map(|number| number.to_string()).collect();
        let offer = media(&numbers.join(" "), &names.join("; "));
        let side = if round % 2 == 0 { Side::A } else { Side::B };
        exchange(&mut formats, side, &offer, &offer);
    }
    assert!(formats.known.len() <= 4 * 128 + 32, "{}", formats.known.len());
}

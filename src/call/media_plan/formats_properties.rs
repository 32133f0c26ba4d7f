use super::{tests::media, *};
use proptest::prelude::*;

const CODECS: [&str; 7] = [
    "opus/48000/2",
    "telephone-event/8000",
    "telephone-event/48000",
    "speex/8000",
    "speex/16000",
    "iLBC/8000",
    "G7221/16000",
];

/// What a phone has: a number of its own for each codec, fixed for the call.
fn own_numbers() -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::subsequence((96..=127).collect::<Vec<u8>>(), CODECS.len()).prop_shuffle()
}

fn describe(codecs: &[(usize, u8)]) -> Media {
    let numbers: Vec<String> = codecs.iter().map(|codec| codec.1.to_string()).collect();
    let lines: Vec<String> = codecs
        .iter()
        .map(|codec| format!("a=rtpmap:{} {}", codec.1, CODECS[codec.0]))
        .collect();
    media(&numbers.join(" "), &lines.join("; "))
}

/// Which number a description has for a codec.
fn number_of(media: &Media, codec: usize) -> Option<u8> {
    let value = |line: &str| {
        let (number, name) = line.split_once(' ')?;
        (name == CODECS[codec]).then(|| number.parse().ok())?
    };
    media.attributes("rtpmap").find_map(value)
}

proptest! {
    /// Phones with numbers of their own, that answer by theirs or by those of the offer, offer in any order: each hears its
    /// own numbers in answers, no number that it was told ever means another codec, and what it sends by what it was told
    /// arrives as that codec.
    #[test]
    fn acceptance_28_every_packet_arrives_as_what_it_was(
        a in own_numbers(),
        b in own_numbers(),
        obliging in [any::<bool>(), any::<bool>()],
        rounds in proptest::collection::vec((any::<bool>(), any::<u8>(), any::<u8>()), 1..8),
    ) {
        let mut numbers = [a, b];
        let mut formats = Formats::default();
        let mut meant: [std::collections::BTreeMap<u8, usize>; 2] = Default::default();
        for (by_a, offers, answers) in rounds {
            let (offerer, answerer) = if by_a { (0, 1) } else { (1, 0) };
            let sides = [Side::A, Side::B];
            let offer: Vec<(usize, u8)> = (0..CODECS.len())
                .filter(|codec| offers >> codec & 1 == 1)
                .map(|codec| (codec, numbers[offerer][codec]))
                .collect();
            if offer.is_empty() { continue }
            let offer = describe(&offer);
            formats.hear(sides[offerer], &offer, Part::Offer);
            let offered = formats.speak(sides[answerer], &offer, Part::Offer);
            let answer: Vec<(usize, u8)> = (0..CODECS.len())
                .filter(|codec| answers >> codec & 1 == 1)
                .filter_map(|codec| Some((codec, number_of(&offered, codec)?)))
                .map(|(codec, told)| (codec, if obliging[answerer] { told } else { numbers[answerer][codec] }))
                .collect();
            if answer.is_empty() { continue }
            if obliging[answerer] {
                // What it has accepted it keeps; a codec that it has not spoken of yet gets another number.
                for &(codec, told) in &answer {
                    let own = &mut numbers[answerer];
                    if let Some(other) = own.iter().position(|number| *number == told) {
                        own.swap(other, codec);
                    } else {
                        own[codec] = told;
                    }
                }
            }
            let answer = describe(&answer);
            formats.hear(sides[answerer], &answer, Part::Answer);
            let answered = formats.speak(sides[offerer], &answer, Part::Answer);
            let (to_a, to_b) = (formats.crossing(Side::A), formats.crossing(Side::B));
            for codec in 0..CODECS.len() {
                let Some(accepts) = number_of(&answer, codec) else { continue };
                let wants = number_of(&offer, codec).unwrap();
                prop_assert_eq!(number_of(&answered, codec), Some(wants), "answered in its own numbers");
                let told = number_of(&offered, codec).unwrap();
                for (leg, number) in [(offerer, wants), (answerer, told)] {
                    // A phone that answers by other numbers than it is offered can make one mean two things by itself.
                    let before = meant[leg].insert(number, codec);
                    if obliging[leg] {
                        prop_assert!(before.is_none_or(|before| before == codec), "remapped on leg {leg}");
                    }
                }
                let cross = |from: usize, number: u8| {
                    let map = if from == 0 { &to_a } else { &to_b };
                    map.as_ref().map_or(Some(number), |map| map.leaves_as(number))
                };
                prop_assert_eq!(cross(offerer, wants), Some(accepts));
                prop_assert_eq!(cross(answerer, told), Some(wants));
            }
        }
    }

    /// Anything at all: no panic, every number of a description once, none of them one that looks like RTCP unless it came
    /// like that.
    #[test]
    fn any_descriptions_are_told_with_numbers_that_are_not_twice(
        says in proptest::collection::vec((any::<bool>(), any::<bool>(), "([0-9]{1,3} ){0,12}", proptest::collection::vec((0_u8..130, 0_usize..9), 0..10)), 1..10),
    ) {
        let mut formats = Formats::default();
        let mut ever = std::collections::BTreeSet::new();
        for (from_a, offers, numbers, maps) in says {
            let names = ["opus/48000/2", "rtx/90000", "red/8000", "H264/90000", "x/1", "y", "/", "PCMU/8000", ""];
            let lines: Vec<String> = maps
                .iter()
                .map(|(number, name)| format!("a=rtpmap:{number} {}; a=fmtp:{number} apt={}|{number}/{number}", names[*name], number / 2))
                .collect();
            let said = media(&numbers, &lines.join("; "));
            let (side, part) = (
                if from_a { Side::A } else { Side::B },
                if offers { Part::Offer } else { Part::Answer },
            );
            formats.hear(side, &said, part);
            let told = formats.speak(side.other(), &said, part);
            ever.extend(said.rtp_formats().iter().map(|format| format.number));
            let numbers = |media: &Media| -> Vec<u8> {
                media.formats.split(' ').filter_map(|word| word.parse().ok()).filter(|number| *number < 128).collect()
            };
            let (said, told) = (numbers(&said), numbers(&told));
            prop_assert!(told.len() <= said.len());
            prop_assert!(told.iter().all(|number| ever.contains(number) || !(64..96).contains(number)));
            if told.len() == said.len() {
                for (one, other) in said.iter().zip(&told).zip(said.iter().zip(&told).skip(1)) {
                    prop_assert_eq!(one.0 == other.0, one.1 == other.1, "two formats under one number");
                }
            }
            formats.crossing(Side::A);
            formats.crossing(Side::B);
        }
    }
}

//! The payload type numbers of one stream on both legs.
//!
//! A description says under which numbers its party wants to *receive* (RFC 3264 §5.1), so each leg has two lists: what its
//! peer said, by which we send to it, and what we said, by which it sends to us. A leg keeps one number for a format as long
//! as its session lasts (§8.3.2), whatever the other leg calls it: the relay renumbers what crosses.

mod numbers;

use self::numbers::{Numbers, latest, meaning, set};
use crate::{
    call::Side,
    media::PayloadMap,
    sdp::{Encoding, Format, Media},
};

/// Dynamic numbers, in the order in which they are taken: those that RFC 3551 §6 sets aside, then those that are left
/// without ones that look like RTCP (RFC 5761 §4).
const DYNAMIC: [std::ops::RangeInclusive<u8>; 2] = [96..=127, 35..=63];

/// A format of the stream, whatever its number: its place in [`Formats::known`].
type Id = usize;

/// The formats of one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Formats {
    /// `audio`, `video`: a line that is used for another kind of media begins anew (RFC 3264 §8.2).
    kind: String,
    known: Vec<Known>,
    a: Numbers,
    b: Numbers,
    /// Digits that one leg was offered although the other has none: which leg, and their place among the known.
    lent: Option<(Side, Id)>,
}

/// What is known of a format. The number in it is that under which it was first heard of.
#[derive(Clone, Debug)]
struct Known {
    format: Format,
    /// What it retransmits.
    original: Option<Id>,
}

/// What a description is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Offer,
    Answer,
}

impl Formats {
    fn leg(&self, side: Side) -> &Numbers {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }
    fn leg_mut(&mut self, side: Side) -> &mut Numbers {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    /// The clock rates in Hz of what comes from a leg's peer, by number. Not of events and retransmissions: their timestamps say
    /// nothing of when they were sent (RFC 4733 §2.2.1, RFC 4588 §4).
    pub(super) fn clocks(&self, side: Side) -> Box<[(u8, u32)]> {
        let numbers = self.leg(side);
        let mut clocks = Vec::<(u8, u32)>::new();
        for &(number, id) in numbers.ours.iter().chain(&numbers.theirs) {
            let Some(encoding) = self.known.get(id).map(|known| &known.format.encoding) else {
                continue;
            };
            let timeless = matches!(encoding.name(), Some("telephone-event" | "rtx"));
            // The first list counts, also where it says of a number that nothing can be measured by it.
            if !clocks.iter().any(|clock| clock.0 == number) {
                clocks.push((number, encoding.clock().filter(|_| !timeless).unwrap_or(0)));
            }
        }
        clocks.retain(|clock| clock.1 > 0);
        clocks.into()
    }

    /// A leg begins anew, with another party: it has no numbers yet.
    pub(super) fn forget(&mut self, side: Side) {
        *self.leg_mut(side) = Numbers::default();
    }

    /// Takes what a leg's peer says of the stream.
    pub(super) fn hear(&mut self, side: Side, media: &Media, part: Part) {
        if part == Part::Offer && !self.kind.eq_ignore_ascii_case(&media.kind) {
            *self = Self {
                kind: media.kind.clone(),
                ..Self::default()
            };
        }
        let heard = media.rtp_formats();
        for (format, id) in heard.iter().zip(self.identify(side, &heard, part)) {
            set(&mut self.leg_mut(side).theirs, format.number, id);
        }
    }

    /// Which formats they are: those that the leg has under these numbers, else those that are like them, else new ones. In
    /// an answer they are formats of the offer, if that can be at all: formats of one encoding are then paired in order.
    fn identify(&mut self, side: Side, heard: &[Format], part: Part) -> Vec<Id> {
        let mut found: Vec<Option<Id>> = vec![None; heard.len()];
        let mut taken = vec![false; self.known.len()];
        let passes = Pass::ALL
            .iter()
            .filter(|pass| part == Part::Answer || pass.is_for_offers());
        // Retransmissions last: what they retransmit makes them what they are.
        for retransmissions in [false, true] {
            let places = (0..heard.len())
                .filter(|&place| heard[place].encoding.is_retransmission() == retransmissions);
            for pass in passes.clone() {
                for place in places.clone() {
                    if found[place].is_none() {
                        let original = original(heard, &found, &heard[place]);
                        found[place] = self.find(side, &heard[place], original, *pass, &taken);
                        found[place].into_iter().for_each(|id| taken[id] = true);
                    }
                }
            }
            for place in places {
                if found[place].is_none() {
                    let original = original(heard, &found, &heard[place]);
                    let known = Known {
                        format: heard[place].clone(),
                        original,
                    };
                    found[place] = Some(self.add(known, &mut taken));
                }
            }
        }
        found.into_iter().flatten().collect()
    }

    /// The first format that is still to be had and that this one can be told to be.
    fn find(
        &self,
        side: Side,
        format: &Format,
        original: Option<Id>,
        pass: Pass,
        taken: &[bool],
    ) -> Option<Id> {
        let leg = self.leg(side);
        let numbered = [&leg.theirs, &leg.ours].map(|list| meaning(list, format.number));
        let unnamed = matches!(format.encoding, Encoding::Number(_));
        let fits = |&(id, known): &(Id, &Known)| {
            let by_number = numbered.contains(&Some(id));
            let encoding = known.format.encoding == format.encoding;
            let alike = || encoding && known.original == original && known.format.is_like(format);
            match pass {
                Pass::NumberAndFormat => by_number && alike(),
                Pass::Parameters => alike() && known.format.parameters == format.parameters,
                Pass::Format => !unnamed && alike(),
                // Without an rtpmap it is what its number was.
                Pass::Number => by_number && (encoding || unnamed),
                Pass::Encoding => encoding && leg.names(id),
                // The offered number with another clock rate: nothing else can be meant.
                Pass::NumberAndName => {
                    by_number && original.is_none() && known.format.encoding.name() == format.encoding.name()
                }
            }
        };
        let mut left = self.known.iter().enumerate().filter(|(id, _)| !taken[*id]);
        left.find(fits).map(|(id, _)| id)
    }

    /// A new format, in the place of one that no leg has a number for any more.
    fn add(&mut self, known: Known, taken: &mut Vec<bool>) -> Id {
        let unused = |&id: &Id| !taken[id] && !self.a.names(id) && !self.b.names(id);
        let id = (0..self.known.len()).find(unused).unwrap_or(self.known.len());
        match self.known.get_mut(id) {
            Some(place) => {
                *place = known;
                taken[id] = true;
            }
            None => {
                self.known.push(known);
                taken.push(true);
            }
        }
        id
    }

    /// What `to` is told of a stream when the other leg's peer said `media`: the same with numbers of that leg. An answer has
    /// the numbers of its offer, since many clients take no others (RFC 3264 §6.1 wishes the same).
    ///
    /// A format for which the leg has no number left is left out.
    pub(super) fn speak(&mut self, to: Side, media: &Media, part: Part) -> Media {
        let heard = media.rtp_formats();
        let from = self.leg(to.other());
        let formats: Vec<(u8, Id)> = heard
            .iter()
            .filter_map(|format| Some((format.number, meaning(&from.theirs, format.number)?)))
            // Of what was lent the other leg's answer does not speak.
            .filter(|(_, id)| part == Part::Offer || self.lent != Some((to.other(), *id)))
            .collect();
        let leg = self.leg(to);
        let mut chosen: Vec<(u8, Id, u8)> = Vec::with_capacity(formats.len());
        let choose = |chosen: &mut Vec<(u8, Id, u8)>, pick: &dyn Fn(u8, Id) -> Option<u8>| {
            for &(number, id) in &formats {
                let done = chosen.iter().any(|entry| entry.0 == number);
                let Some(says) = pick(number, id).filter(|_| !done) else {
                    continue;
                };
                if !chosen.iter().any(|entry| entry.2 == says) {
                    chosen.push((number, id, says));
                }
            }
        };
        choose(&mut chosen, &|_, id| match part {
            Part::Offer => latest(&leg.ours, id).or_else(|| latest(&leg.theirs, id)),
            Part::Answer => latest(&leg.theirs, id).or_else(|| latest(&leg.ours, id)),
        });
        choose(&mut chosen, &|number, id| {
            leg.is_free(number, id).then_some(number)
        });
        for &(number, id) in &formats {
            if chosen.iter().any(|entry| entry.0 == number) {
                continue;
            }
            let mut dynamic = DYNAMIC.into_iter().flatten();
            let free = dynamic.find(|&free| {
                leg.is_free(free, id)
                    && leg.ours.iter().chain(&leg.theirs).all(|entry| entry.0 != free)
                    && !chosen.iter().any(|entry| entry.2 == free)
            });
            match free {
                Some(says) => chosen.push((number, id, says)),
                None => tracing::debug!(number, "no payload type left on this leg: a format is left out"),
            }
        }
        let leg = self.leg_mut(to);
        for &(_, id, says) in &chosen {
            set(&mut leg.ours, says, id);
        }
        media.renumbered(|number| {
            let entry = chosen.iter().find(|entry| entry.0 == number);
            entry.map(|entry| entry.2)
        })
    }

    /// What becomes of the packets that come from a side; `None`: they stay as they are.
    ///
    /// What was not agreed on passes unchanged, unless its number means something else on the other leg.
    pub(super) fn crossing(&self, from: Side) -> Option<Box<PayloadMap>> {
        let (leg, other) = (self.leg(from), self.leg(from.other()));
        let mut map = PayloadMap::identity();
        for number in 0..128 {
            let id = leg.comes_as(number);
            match id.and_then(|id| latest(&other.theirs, id)) {
                Some(leaves_as) => map.map(number, leaves_as),
                None if meaning(&other.theirs, number).is_some() => map.discard(number),
                None => {}
            }
            let Some(known) = id.and_then(|id| self.known.get(id)) else {
                continue;
            };
            let original = known.original.and_then(|id| self.known.get(id));
            if known.format.encoding.is_redundant() {
                map.mark_redundant(number, false);
            } else if original.is_some_and(|original| original.format.encoding.is_redundant()) {
                map.mark_redundant(number, true);
            }
        }
        (!map.is_identity()).then(|| Box::new(map))
    }
}

impl Formats {
    /// Adds digits (RFC 4733) to what `to` is told, where its peer can have them and nobody said them: of an offer, under a number
    /// that is free; of an answer, those of its peer's offer. They run by the clock of the first voice.
    pub(super) fn lend(&mut self, to: Side, told: &mut Media, part: Part) {
        let formats = told.rtp_formats();
        let is_voice = |format: &&Format| {
            !format.encoding.is_redundant()
                && !matches!(format.encoding.name(), None | Some("telephone-event" | "cn"))
        };
        if formats.iter().any(|format| format.is_events()) {
            return;
        }
        let Some(clock) = formats
            .iter()
            .find(is_voice)
            .and_then(|format| format.encoding.clock())
        else {
            return;
        };
        let suits = |known: &Known| known.format.is_events() && known.format.encoding.clock() == Some(clock);
        let found = match part {
            Part::Answer => {
                let theirs = &self.leg(to).theirs;
                theirs
                    .iter()
                    .rfind(|(_, id)| self.known.get(*id).is_some_and(suits))
                    .copied()
            }
            Part::Offer => self.lendable(to, clock, &formats),
        };
        let Some((number, id)) = found else { return };
        if formats.iter().any(|format| format.number == number) {
            return;
        }
        set(&mut self.leg_mut(to).ours, number, id);
        told.add_events(number, clock);
    }
    /// Digits that `to` can be offered: those of before, else new ones under a free number.
    fn lendable(&mut self, to: Side, clock: u32, formats: &[Format]) -> Option<(u8, Id)> {
        let suits = |known: &Known| known.format.is_events() && known.format.encoding.clock() == Some(clock);
        let leg = self.leg(to);
        let before = leg
            .ours
            .iter()
            .rfind(|(_, id)| self.known.get(*id).is_some_and(suits));
        if let Some(&(number, id)) = before {
            self.lent = Some((to, id));
            return Some((number, id));
        }
        let mut numbers = std::iter::once(101).chain(DYNAMIC.into_iter().flatten());
        let number = numbers.find(|number| {
            let said = leg.ours.iter().chain(&leg.theirs).any(|entry| entry.0 == *number);
            !said && formats.iter().all(|format| format.number != *number)
        })?;
        let known = Known {
            format: Format::events(number, clock),
            original: None,
        };
        let mut taken = vec![false; self.known.len()];
        let id = self.add(known, &mut taken);
        self.lent = Some((to, id));
        Some((number, id))
    }
}

/// What a format retransmits, if that has been identified.
fn original(heard: &[Format], found: &[Option<Id>], format: &Format) -> Option<Id> {
    let number = format.retransmits()?;
    let place = heard.iter().position(|heard| heard.number == number)?;
    found.get(place).copied().flatten()
}

/// How formats are told to be the same, the surest way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    NumberAndFormat,
    Parameters,
    Format,
    Number,
    Encoding,
    NumberAndName,
}

impl Pass {
    const ALL: [Self; 6] = [
        Self::NumberAndFormat,
        Self::Parameters,
        Self::Format,
        Self::Number,
        Self::Encoding,
        Self::NumberAndName,
    ];
    /// An offer may bring new formats; an answer chooses from those that there are.
    const fn is_for_offers(self) -> bool {
        matches!(
            self,
            Self::NumberAndFormat | Self::Parameters | Self::Format | Self::Number
        )
    }
}

#[cfg(test)]
#[path = "formats_properties.rs"]
mod properties;
#[cfg(test)]
#[path = "formats_tests.rs"]
mod tests;

//! The formats of an RTP stream: payload type numbers, and what they stand for (RFC 8866 §6.6, RFC 3551 §6).

use super::Media;
use std::borrow::Cow;

/// Most octets of a format's parameters that are looked at when formats are compared.
const MAX_PARAMETERS: usize = 256;

/// What a payload type number stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `a=rtpmap`, or one of those that RFC 3551 §6 gives a number for good.
    Named {
        /// The name in lower case: names compare without case (RFC 4855 §3).
        name: Cow<'static, str>,
        /// Clock rate in Hz.
        clock: u32,
        /// Channels; 1 where nothing is said.
        channels: u8,
    },
    /// Without an `rtpmap` its number is all that is known of it.
    Number(u8),
}

/// One format of a stream as its description has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// The payload type number, below 128.
    pub number: u8,
    /// What it stands for.
    pub encoding: Encoding,
    /// `a=fmtp`, the beginning of it at least; empty without one.
    pub parameters: String,
}

/// RFC 3551 §6, tables 4 and 5.
const STATIC: [(u8, &str, u32, u8); 24] = [
    (0, "pcmu", 8000, 1),
    (3, "gsm", 8000, 1),
    (4, "g723", 8000, 1),
    (5, "dvi4", 8000, 1),
    (6, "dvi4", 16000, 1),
    (7, "lpc", 8000, 1),
    (8, "pcma", 8000, 1),
    (9, "g722", 8000, 1),
    (10, "l16", 44100, 2),
    (11, "l16", 44100, 1),
    (12, "qcelp", 8000, 1),
    (13, "cn", 8000, 1),
    (14, "mpa", 90000, 1),
    (15, "g728", 8000, 1),
    (16, "dvi4", 11025, 1),
    (17, "dvi4", 22050, 1),
    (18, "g729", 8000, 1),
    (25, "celb", 90000, 1),
    (26, "jpeg", 90000, 1),
    (28, "nv", 90000, 1),
    (31, "h261", 90000, 1),
    (32, "mpv", 90000, 1),
    (33, "mp2t", 90000, 1),
    (34, "h263", 90000, 1),
];

/// Parameters that make two formats of one encoding different formats, with what they are when nothing is said: RFC 6184
/// §8.2.2, RFC 7798, RFC 9628, AV1's RTP format, RFC 4867, RFC 3952, RFC 5577.
const DISTINGUISHING: &[(&str, &[(&str, &str)])] = &[
    ("h264", &[("packetization-mode", "0")]),
    ("h265", &[("profile-id", "1"), ("tier-flag", "0")]),
    ("vp9", &[("profile-id", "0")]),
    ("av1", &[("profile", "0")]),
    ("amr", &[("octet-align", "0")]),
    ("amr-wb", &[("octet-align", "0")]),
    ("ilbc", &[("mode", "30")]),
    ("g7221", &[("bitrate", "")]),
];

impl Encoding {
    fn fixed(number: u8) -> Option<Self> {
        let &(_, name, clock, channels) = STATIC.iter().find(|entry| entry.0 == number)?;
        Some(Self::Named {
            name: name.into(),
            clock,
            channels,
        })
    }

    /// Reads what follows the number in `a=rtpmap`: `opus/48000/2`.
    fn parse(number: u8, value: &str) -> Option<Self> {
        let mut fields = value.trim().split('/');
        let name = fields
            .next()
            .filter(|name| !name.is_empty())?
            .to_ascii_lowercase();
        let clock = fields.next()?.trim().parse().ok()?;
        let channels = fields
            .next()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(1);
        match Self::fixed(number) {
            // Some write its sampling rate for G.722's clock rate (RFC 3551 §4.5.2).
            Some(fixed) if fixed.name() == Some(&name) => Some(fixed),
            _ => Some(Self::Named {
                // RFC 7587 §7 knows opus with two channels only; some write none.
                channels: if name == "opus" { 2 } else { channels },
                name: name.into(),
                clock,
            }),
        }
    }

    /// The name in lower case, if it has one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Named { name, .. } => Some(name),
            Self::Number(_) => None,
        }
    }
    /// The clock rate in Hz, if it is known.
    pub const fn clock(&self) -> Option<u32> {
        match self {
            Self::Named { clock, .. } => Some(*clock),
            Self::Number(_) => None,
        }
    }
    /// Whether it is a retransmission of another format (RFC 4588).
    pub fn is_retransmission(&self) -> bool {
        self.name() == Some("rtx")
    }
    /// Whether it carries other formats redundantly (RFC 2198).
    pub fn is_redundant(&self) -> bool {
        self.name() == Some("red")
    }
}

impl Format {
    /// Whether it is of digits (RFC 4733).
    pub fn is_events(&self) -> bool {
        self.encoding.name() == Some("telephone-event")
    }
    /// The sixteen digits, by that clock.
    pub fn events(number: u8, clock: u32) -> Self {
        Self {
            number,
            encoding: Encoding::Named {
                name: "telephone-event".into(),
                clock,
                channels: 1,
            },
            parameters: "0-15".to_owned(),
        }
    }
    /// A parameter of `a=fmtp`; names compare without case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.split(';').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
    /// Which number it retransmits.
    pub fn retransmits(&self) -> Option<u8> {
        let number = self
            .parameter("apt")
            .filter(|_| self.encoding.is_retransmission())?;
        number.parse().ok()
    }
    /// The numbers that its blocks have: RED's `a=fmtp:121 0/5`.
    pub fn blocks(&self) -> impl Iterator<Item = u8> + '_ {
        let list = if self.encoding.is_redundant() {
            self.parameters.as_str()
        } else {
            ""
        };
        list.split('/').filter_map(|number| number.trim().parse().ok())
    }
    /// Whether both are one format: the same encoding, and the same parameters as far as these make a difference.
    pub fn is_like(&self, other: &Self) -> bool {
        let Some(name) = self.encoding.name().filter(|_| self.encoding == other.encoding) else {
            return self.encoding == other.encoding;
        };
        let listed = DISTINGUISHING.iter().find(|(codec, _)| *codec == name);
        let same = |&(parameter, default): &(&str, &str)| {
            let value = |format: &Self| {
                format
                    .parameter(parameter)
                    .unwrap_or(default)
                    .to_ascii_lowercase()
            };
            value(self) == value(other)
        };
        listed.is_none_or(|(_, parameters)| parameters.iter().all(same))
            && (name != "h264" || self.profile() == other.profile())
    }
    /// H.264's profile: the first two octets of `profile-level-id`; Baseline where nothing is said (RFC 6184 §8.1).
    fn profile(&self) -> String {
        let id = self.parameter("profile-level-id").unwrap_or("42000a");
        id.get(..4).unwrap_or(id).to_ascii_lowercase()
    }
}

impl Media {
    /// Adds the sixteen digits (RFC 4733) under a number that no format of it has.
    pub fn add_events(&mut self, number: u8, clock: u32) {
        self.formats = format!("{} {number}", self.formats.trim_end());
        let line = |text: String| super::Line::attribute(text);
        self.lines
            .push(line(format!("rtpmap:{number} telephone-event/{clock}")));
        self.lines.push(line(format!("fmtp:{number} 0-15")));
    }
    /// Its formats in their order, each number once. Empty unless it is RTP.
    pub fn rtp_formats(&self) -> Vec<Format> {
        let mut formats = Vec::<Format>::new();
        if self.transport().is_none() {
            return formats;
        }
        // Each number's first line counts; one pass, however many lines there are.
        let values = |attribute| {
            let mut values = [None; 128];
            for value in self.attributes(attribute) {
                let split = value.trim_start().split_once([' ', '\t']);
                let number = split.and_then(|(first, _)| first.parse::<usize>().ok());
                if let (Some((_, rest)), Some(entry)) =
                    (split, number.and_then(|number| values.get_mut(number)))
                {
                    entry.get_or_insert(rest.trim());
                }
            }
            values
        };
        let (maps, parameters) = (values("rtpmap"), values("fmtp"));
        for number in self.numbers() {
            if formats.iter().any(|format| format.number == number) {
                continue;
            }
            let place = usize::from(number);
            let mapped = maps[place].and_then(|value| Encoding::parse(number, value));
            let parameters: &str = parameters[place].unwrap_or_default();
            let end = parameters.floor_char_boundary(MAX_PARAMETERS);
            formats.push(Format {
                number,
                encoding: mapped
                    .or_else(|| Encoding::fixed(number))
                    .unwrap_or(Encoding::Number(number)),
                parameters: parameters.get(..end).unwrap_or_default().to_owned(),
            });
        }
        formats
    }

    /// The payload type numbers of its `m=` line; what is none is passed over.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u8> + '_ {
        let words = self.formats.split_ascii_whitespace();
        words.filter_map(|word| word.parse().ok().filter(|number| *number < 128))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::Sdp;

    fn media(text: &str) -> Media {
        let text = format!("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\n{text}");
        Sdp::parse(text.as_bytes()).unwrap().media.remove(0)
    }
    fn named(name: &'static str, clock: u32, channels: u8) -> Encoding {
        Encoding::Named {
            name: name.into(),
            clock,
            channels,
        }
    }

    #[test]
    fn a_number_stands_for_its_rtpmap_for_what_the_rfc_gave_it_or_for_itself() {
        let formats = media(
            "m=audio 9 RTP/AVP 111 0 101 77 9 111 200 x\na=rtpmap:111 OPUS/48000/2\na=fmtp:111 useinbandfec=1\n\
             a=rtpmap:101 telephone-event/8000\na=rtpmap:9 G722/16000\n",
        )
        .rtp_formats();
        let found: Vec<_> = formats
            .iter()
            .map(|format| (format.number, format.encoding.clone()))
            .collect();
        assert_eq!(
            found,
            [
                (111, named("opus", 48000, 2)),
                (0, named("pcmu", 8000, 1)),
                (101, named("telephone-event", 8000, 1)),
                (77, Encoding::Number(77)),
                (9, named("g722", 8000, 1)),
            ]
        );
        assert_eq!(formats[0].parameter("UseInbandFec"), Some("1"));
        assert_eq!(media("m=image 9 udptl t38\n").rtp_formats(), []);
    }

    #[test]
    fn what_names_other_numbers_is_read() {
        let formats = media(
            "m=video 9 RTP/AVPF 96 97 98 99\na=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000\na=fmtp:97 rtx-time=9; apt=96\n\
             a=rtpmap:98 red/90000\na=fmtp:98 96/96 \na=rtpmap:99 VP8/90000\na=fmtp:99 apt=96\n",
        )
        .rtp_formats();
        let read: Vec<_> = formats
            .iter()
            .map(|format| (format.retransmits(), format.blocks().collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            read,
            [
                (None, vec![]),
                (Some(96), vec![]),
                (None, vec![96, 96]),
                (None, vec![])
            ]
        );
    }

    #[test]
    fn formats_are_alike_where_their_parameters_make_no_other_format_of_them() {
        let format = |name: &'static str, parameters: &str| Format {
            number: 96,
            encoding: named(name, 90000, 1),
            parameters: parameters.to_owned(),
        };
        for (name, one, other, alike) in [
            ("vp8", "max-fs=3600", "", true),
            ("h264", "packetization-mode=1", "packetization-mode=0", false),
            ("h264", "packetization-mode=0", "", true),
            ("h264", "profile-level-id=42e01f", "profile-level-id=42E034", true),
            (
                "h264",
                "profile-level-id=42e01f",
                "profile-level-id=640c1f",
                false,
            ),
            ("h264", "profile-level-id=42001f", "", true),
            ("vp9", "profile-id=2", "", false),
            ("amr", "octet-align=1", "octet-align=0; mode-set=7", false),
        ] {
            assert_eq!(
                format(name, one).is_like(&format(name, other)),
                alike,
                "{name} {one} {other}"
            );
        }
        assert!(!format("vp8", "").is_like(&format("vp9", "")));
    }
}

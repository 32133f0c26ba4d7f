//! Values of `audio-codec` and `video-codec`.

use super::{
    key::{Key, Kind, checked},
    types::BadValue,
};
use crate::sdp::Codec;
use std::str::FromStr;

pub(super) const AUDIO: Key = Key {
    name: "audio-codec",
    kind: Kind::Checked {
        expected: "codecs like opus/48000, separated by spaces",
        check: checked::<AudioCodecs>,
    },
    default: "",
    help: "The audio codecs that may be offered, on both legs, each as name/clock rate; several may be named (upstream: \
           one). What belongs to one that stays does so too, telephone-event above all. An offer of which no audio is left \
           gets 488. Empty: all; the two parties choose. Nothing is decoded in either case.",
    reload: true,
    example: "opus/48000 PCMA/8000",
};

pub(super) const VIDEO: Key = Key {
    name: "video-codec",
    kind: Kind::Checked {
        expected: "codecs like VP8, without clock rate, separated by spaces",
        check: checked::<VideoCodecs>,
    },
    default: "",
    help: "The video codecs that may be offered, on both legs, by name alone. Video of which none is left is refused, \
           and the call goes on without it. Empty: all.",
    reload: true,
    example: "VP8",
};

/// `audio-codec`: codecs with their clock rates, separated by spaces; none means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AudioCodecs(pub Vec<Codec>);

/// `video-codec`: codecs by name alone, separated by spaces; none means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VideoCodecs(pub Vec<Codec>);

impl FromStr for AudioCodecs {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        list(text, |codec| codec.clock().is_some(), "has no clock rate").map(Self)
    }
}

impl FromStr for VideoCodecs {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        list(text, |codec| codec.clock().is_none(), "has a clock rate").map(Self)
    }
}

/// All words, or what is wrong with each that is wrong.
fn list(text: &str, fits: fn(&Codec) -> bool, fault: &str) -> Result<Vec<Codec>, BadValue> {
    let (mut codecs, mut wrong) = (Vec::new(), Vec::new());
    for word in text.split_ascii_whitespace() {
        match word.parse::<Codec>() {
            Ok(codec) if fits(&codec) => codecs.push(codec),
            Ok(_) => wrong.push(format!("{word} {fault}")),
            Err(_) => wrong.push(format!("{word} names no codec")),
        }
    }
    if wrong.is_empty() {
        Ok(codecs)
    } else {
        Err(BadValue(wrong.join(", and ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_has_clock_rates_and_video_has_none() {
        let text = |codecs: &[Codec]| {
            codecs
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let audio: AudioCodecs = " Opus/48000  PCMA/8000".parse().expect("well formed");
        assert_eq!(text(&audio.0), "opus/48000 pcma/8000");
        let video: VideoCodecs = "VP8".parse().expect("well formed");
        assert_eq!(text(&video.0), "vp8");
        assert_eq!("".parse(), Ok(AudioCodecs::default()));
        assert_eq!(" ".parse(), Ok(VideoCodecs::default()));
        let wrong = |text: &str| {
            text.parse::<AudioCodecs>()
                .expect_err("not well formed")
                .to_string()
        };
        assert_eq!(wrong("opus"), "opus has no clock rate");
        assert_eq!(
            wrong("speex/x pcmu"),
            "speex/x names no codec, and pcmu has no clock rate"
        );
        assert!("VP8/90000".parse::<VideoCodecs>().is_err());
    }
}

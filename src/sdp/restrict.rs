//! Descriptions without the codecs that are not wanted.

use super::{Encoding, Format, Sdp};
use std::{borrow::Cow, fmt, str::FromStr};

/// A codec by name, and clock rate where that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    /// In lower case: names compare without case.
    name: String,
    /// In Hz.
    clock: Option<u32>,
}

/// A word that names no codec.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no codec: expected name or name/rate, like VP8 or opus/48000")]
pub struct UnknownCodec(pub String);

impl FromStr for Codec {
    type Err = UnknownCodec;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let wrong = || UnknownCodec(word.to_owned());
        let (name, clock) = match word.split_once('/') {
            Some((name, rate)) => (
                name,
                Some(rate.parse().ok().filter(|rate| *rate > 0).ok_or_else(wrong)?),
            ),
            None => (word, None),
        };
        // What may stand in an rtpmap (RFC 8866 §9, token) but for what no codec has.
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'+');
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(wrong());
        }
        Ok(Self {
            name: name.to_ascii_lowercase(),
            clock,
        })
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.clock.map_or(Ok(()), |clock| write!(f, "/{clock}"))
    }
}

impl Codec {
    /// Its clock rate, if one is named.
    pub const fn clock(&self) -> Option<u32> {
        self.clock
    }
    fn is(&self, encoding: &Encoding) -> bool {
        encoding.name() == Some(&self.name) && self.clock.is_none_or(|clock| encoding.clock() == Some(clock))
    }
}

/// The codecs that may be used; an empty list means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codecs {
    /// Of audio.
    pub audio: Vec<Codec>,
    /// Of video.
    pub video: Vec<Codec>,
}

impl Codecs {
    /// The description without all other codecs. What belongs to those that stay does so too: telephone-event, comfort noise,
    /// redundancy, error correction and retransmissions. A stream of which no codec is left is refused: its port is 0.
    pub fn restrict<'a>(&self, sdp: &'a Sdp) -> Cow<'a, Sdp> {
        if self.audio.is_empty() && self.video.is_empty() {
            return Cow::Borrowed(sdp);
        }
        let mut restricted = sdp.clone();
        for media in &mut restricted.media {
            let allowed = match media.kind.to_ascii_lowercase().as_str() {
                "audio" => &self.audio,
                "video" => &self.video,
                _ => continue,
            };
            if allowed.is_empty() || !media.is_active() || media.transport().is_none() {
                continue;
            }
            let kept = kept(&media.rtp_formats(), allowed);
            *media = if kept.is_empty() {
                media.refused()
            } else {
                media.renumbered(|number| kept.contains(&number).then_some(number))
            };
        }
        Cow::Owned(restricted)
    }
}

/// The numbers that stay. None when only helpers would.
fn kept(formats: &[Format], allowed: &[Codec]) -> Vec<u8> {
    let of = |number: u8| formats.iter().find(|format| format.number == number);
    let is_codec = |format: &Format| allowed.iter().any(|codec| codec.is(&format.encoding));
    if !formats.iter().any(is_codec) {
        return Vec::new();
    }
    let clocks: Vec<_> = formats
        .iter()
        .filter(|format| is_codec(format))
        .map(|format| format.encoding.clock())
        .collect();
    let belongs = |format: &Format| match format.encoding.name() {
        Some("telephone-event" | "ulpfec" | "flexfec" | "flexfec-03" | "parityfec") => true,
        Some("cn") => clocks.contains(&format.encoding.clock()),
        _ => is_codec(format),
    };
    // RED of video does not say what its blocks are.
    let belongs = |format: &Format| match format.encoding.is_redundant() {
        true => format.blocks().all(|block| of(block).is_some_and(belongs)),
        false => belongs(format),
    };
    let stays = |format: &Format| match format.retransmits() {
        Some(original) => of(original).is_some_and(belongs),
        None => belongs(format),
    };
    formats
        .iter()
        .filter(|format| stays(format))
        .map(|format| format.number)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::Media;

    fn codecs(audio: &str, video: &str) -> Codecs {
        let list = |words: &str| {
            words
                .split_whitespace()
                .map(|word| word.parse().unwrap())
                .collect()
        };
        Codecs {
            audio: list(audio),
            video: list(video),
        }
    }
    fn sdp(media: &str) -> Sdp {
        Sdp::parse(format!("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\n{media}").as_bytes()).unwrap()
    }

    const BROWSER: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126 77\na=rtpmap:111 opus/48000/2\n\
        a=rtcp-fb:111 transport-cc\na=fmtp:111 minptime=10;useinbandfec=1\na=rtpmap:63 red/48000/2\na=fmtp:63 111/111\n\
        a=rtpmap:9 G722/8000\na=rtpmap:13 CN/8000\na=rtpmap:110 telephone-event/48000\na=rtpmap:126 telephone-event/8000\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100 101 102\na=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n\
        a=rtpmap:98 H264/90000\na=rtpmap:99 rtx/90000\na=fmtp:99 apt=98\na=rtpmap:100 red/90000\na=rtpmap:101 rtx/90000\n\
        a=fmtp:101 apt=100\na=rtpmap:102 ulpfec/90000\nm=text 9 RTP/AVP 98\n";

    #[test]
    fn what_stays_is_the_codec_and_what_belongs_to_it() {
        for (audio, video, expected) in [
            ("", "", ["111 63 9 0 8 13 110 126 77", "96 97 98 99 100 101 102"]),
            ("OPUS/48000", "vp8", ["111 63 110 126", "96 97 100 101 102"]),
            ("pcma/8000", "", ["8 13 110 126", "96 97 98 99 100 101 102"]),
            (
                "pcmu/8000 g722/8000",
                "h264 vp9",
                ["9 0 13 110 126", "98 99 100 101 102"],
            ),
        ] {
            let restricted = codecs(audio, video).restrict(&sdp(BROWSER)).into_owned();
            let lists: Vec<_> = restricted
                .media
                .iter()
                .map(|media| media.formats.as_str())
                .collect();
            assert_eq!(lists, [expected[0], expected[1], "98"], "{audio:?} {video:?}");
            assert!(restricted.media.iter().all(Media::is_active));
        }
        let restricted = codecs("opus", "h264").restrict(&sdp(BROWSER)).into_owned();
        let text = String::from_utf8(restricted.to_bytes().to_vec()).unwrap();
        assert!(!text.contains("G722") && !text.contains("VP8") && text.contains("a=fmtp:63 111/111"));
    }

    #[test]
    fn a_stream_without_any_of_them_is_refused() {
        let restricted = codecs("speex/8000", "vp9").restrict(&sdp(BROWSER)).into_owned();
        let ports: Vec<_> = restricted.media.iter().map(|media| media.port).collect();
        assert_eq!(ports, [0, 0, 9]);
        // The right name at the wrong rate is another codec; telephone-event alone is no voice.
        let events =
            sdp("m=audio 9 RTP/AVP 96 101\na=rtpmap:96 speex/16000\na=rtpmap:101 telephone-event/8000\n");
        assert_eq!(codecs("speex/8000", "").restrict(&events).media[0].port, 0);
        assert_eq!(
            codecs("speex/16000", "").restrict(&events).media[0].formats,
            "96 101"
        );
    }

    #[test]
    fn words_that_name_no_codec_are_refused() {
        for (word, good) in [
            ("opus/48000", true),
            ("H264", true),
            ("AMR-WB/16000", true),
            ("", false),
            ("/8000", false),
            ("opus/", false),
            ("opus/0", false),
            ("opus/48000/2", false),
            ("op us", false),
        ] {
            assert_eq!(word.parse::<Codec>().is_ok(), good, "{word:?}");
        }
        assert_eq!("OPUS/48000".parse::<Codec>().unwrap().to_string(), "opus/48000");
    }
}

//! Other payload type numbers for the formats of a stream, everywhere where its description names them.

use super::{Line, Media};
use bytes::Bytes;

/// Attributes whose value begins with a format: RFC 8866 §6.6 and §6.15, RFC 4585 §4.2, 3GPP TS 26.114, RFC 6236, ITU-T V.152.
const BEGIN_WITH_FORMAT: &[&str] = &["rtpmap", "fmtp", "rtcp-fb", "framesize", "imageattr", "gpmd"];

impl Media {
    /// The same stream with each number in the place of that which `map` gives for it; `None` leaves the format out, with
    /// its attributes. What is no payload type number stays.
    ///
    /// `apt=` of retransmissions (RFC 4588 §8), the blocks of RED (RFC 2198 §5) and `pt=` of restrictions (RFC 8851 §4)
    /// are renumbered as well.
    #[must_use]
    pub fn renumbered(&self, map: impl Fn(u8) -> Option<u8>) -> Self {
        if self.transport().is_none() || self.numbers().all(|number| map(number) == Some(number)) {
            return self.clone();
        }
        let formats = self.rtp_formats();
        let words = self.formats.split_ascii_whitespace();
        let words = words.filter_map(|word| match number(word) {
            Some(number) => Some(map(number)?.to_string()),
            None => Some(word.to_owned()),
        });
        let line = |line: &Line| {
            let Some((name, value)) = line.as_attribute() else {
                // Not UTF-8: nothing of it is read, but what belongs to a format goes with it.
                return raw(line, &map);
            };
            let name = name.to_ascii_lowercase();
            let Some(value) = value else {
                return Some(line.clone());
            };
            if name == "rid" {
                return Some(restriction(value, &map).map_or_else(|| line.clone(), Line::attribute));
            }
            if !BEGIN_WITH_FORMAT.contains(&name.as_str()) {
                return Some(line.clone());
            }
            let (first, rest) = split_format(value);
            let Some(format) = number(first) else {
                return Some(line.clone());
            };
            let known = formats.iter().find(|known| known.number == format);
            let rest = match known.filter(|_| name == "fmtp") {
                Some(known) if known.encoding.is_retransmission() => original(rest, &map),
                Some(known) if known.encoding.is_redundant() => blocks(rest, &map),
                _ => rest.to_owned(),
            };
            // Of a format that the stream does not have: nothing is known of it, nothing is done to it.
            let leaves_as = if known.is_some() { map(format)? } else { format };
            Some(Line::attribute(format!("{name}:{leaves_as}{rest}")))
        };
        Self {
            formats: words.collect::<Vec<_>>().join(" "),
            lines: self.lines.iter().filter_map(line).collect(),
            ..self.clone()
        }
    }
}

/// A payload type number.
fn number(word: &str) -> Option<u8> {
    word.parse().ok().filter(|number| *number < 128)
}

/// A value's format and what follows it.
fn split_format(value: &str) -> (&str, &str) {
    let value = value.trim_start();
    value.split_at(value.find([' ', '\t']).unwrap_or(value.len()))
}

/// A line whose value is not UTF-8, its format renumbered.
fn raw(line: &Line, map: &impl Fn(u8) -> Option<u8>) -> Option<Line> {
    let value = &line.value;
    let named = line.kind == b'a' && BEGIN_WITH_FORMAT.iter().any(|name| line.is_attribute(name));
    let colon = value.iter().position(|&byte| byte == b':').filter(|_| named);
    let digits = |from: usize| {
        value
            .iter()
            .skip(from)
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let place = colon.map(|colon| (colon + 1, colon + 1 + digits(colon + 1)));
    let format = place.and_then(|(from, to)| number(std::str::from_utf8(value.get(from..to)?).ok()?));
    let (Some((from, to)), Some(format)) = (place, format) else {
        return Some(line.clone());
    };
    let renumbered = [&value[..from], map(format)?.to_string().as_bytes(), &value[to..]].concat();
    Some(Line {
        kind: line.kind,
        value: Bytes::from(renumbered),
    })
}

/// `apt=96` among parameters.
fn original(parameters: &str, map: &impl Fn(u8) -> Option<u8>) -> String {
    let renumber = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let apt = key.trim().eq_ignore_ascii_case("apt");
        let leaves_as = map(number(value.trim()).filter(|_| apt)?)?;
        Some(format!("{key}={leaves_as}"))
    };
    let pairs = parameters
        .split(';')
        .map(|pair| renumber(pair).unwrap_or_else(|| pair.to_owned()));
    pairs.collect::<Vec<_>>().join(";")
}

/// `96/96`. Blocks that are left out leave the list.
fn blocks(parameters: &str, map: &impl Fn(u8) -> Option<u8>) -> String {
    let list = parameters.trim();
    if list.is_empty() || !list.split('/').all(|word| number(word).is_some()) {
        return parameters.to_owned();
    }
    let blocks = list.split('/').filter_map(number).filter_map(map);
    let blocks: Vec<String> = blocks.map(|number| number.to_string()).collect();
    format!(" {}", blocks.join("/"))
}

/// `1 send pt=96,97;max-width=1280`; `None` where nothing is to be changed.
fn restriction(value: &str, map: &impl Fn(u8) -> Option<u8>) -> Option<String> {
    let start = value.find("pt=")? + 3;
    let (before, rest) = value.split_at(start);
    let (list, after) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
    let numbers = list
        .split(',')
        .filter_map(|word| number(word.trim()))
        .filter_map(map);
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    Some(format!("rid:{before}{}{after}", numbers.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::Sdp;

    fn media(text: &str) -> Media {
        let text = format!("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\n{text}");
        Sdp::parse(text.as_bytes()).unwrap().media.remove(0)
    }

    const VIDEO: &str = "m=video 9 RTP/AVPF 96 97 98 99 x\nb=AS:96\na=rtpmap:96 VP8/90000\na=rtcp-fb:96 nack pli\n\
        a=rtcp-fb:* ccm fir\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96;rtx-time=96\na=rtpmap:98 red/90000\na=fmtp:98 96/96/99\n\
        a=rtpmap:99 ulpfec/90000\na=imageattr:96 send * recv [x=96,y=97]\na=framesize:96 96-97\na=rid:1 send pt=96,98;max-fs=96\n\
        a=x-unheard:96\na=fmtp:100 apt=96\na=ptime:96\n";

    #[test]
    fn every_place_that_names_a_number_names_the_other() {
        let shifted = media(VIDEO).renumbered(|number| Some(number + 10));
        let expected = "m=video 9 RTP/AVPF 106 107 108 109 x\nb=AS:96\na=rtpmap:106 VP8/90000\na=rtcp-fb:106 nack pli\n\
            a=rtcp-fb:* ccm fir\na=rtpmap:107 rtx/90000\na=fmtp:107 apt=106;rtx-time=96\na=rtpmap:108 red/90000\n\
            a=fmtp:108 106/106/109\na=rtpmap:109 ulpfec/90000\na=imageattr:106 send * recv [x=96,y=97]\n\
            a=framesize:106 96-97\na=rid:1 send pt=106,108;max-fs=96\na=x-unheard:96\na=fmtp:100 apt=96\na=ptime:96\n";
        assert_eq!(shifted, media(expected));
    }

    #[test]
    fn numbers_may_change_places() {
        let swapped = media(VIDEO).renumbered(|number| Some(if number < 98 { 193 - number } else { number }));
        assert_eq!(swapped.formats, "97 96 98 99 x");
        assert_eq!(swapped.attribute("rtpmap"), Some(Some("97 VP8/90000")));
        assert!(
            swapped
                .attributes("fmtp")
                .any(|line| line == "96 apt=97;rtx-time=96")
        );
    }

    #[test]
    fn a_format_that_is_left_out_takes_its_lines_along() {
        let left = media(VIDEO).renumbered(|number| (number == 96).then_some(96));
        let expected = "m=video 9 RTP/AVPF 96 x\nb=AS:96\na=rtpmap:96 VP8/90000\na=rtcp-fb:96 nack pli\na=rtcp-fb:* ccm fir\n\
            a=imageattr:96 send * recv [x=96,y=97]\na=framesize:96 96-97\na=rid:1 send pt=96;max-fs=96\na=x-unheard:96\n\
            a=fmtp:100 apt=96\na=ptime:96\n";
        assert_eq!(left, media(expected));
    }

    #[test]
    fn the_same_numbers_are_the_same_octets() {
        let odd = "m=audio 9 RTP/AVP  0   96\na=RTPMAP:96  Opus/48000/2\na=fmtp: 96 x\n";
        assert_eq!(media(odd).renumbered(Some), media(odd));
        let fax = media("m=image 9 udptl 96\na=rtpmap:96 x/1\n");
        assert_eq!(fax.renumbered(|_| None), fax);
    }

    #[test]
    fn a_line_that_is_not_utf_8_is_renumbered_with_its_format() {
        let mut stream = media("m=audio 9 RTP/AVP 96 97\n");
        let line = |text: &[u8]| Line {
            kind: b'a',
            value: Bytes::copy_from_slice(text),
        };
        stream.lines = vec![
            line(b"fmtp:96 caf\xe9"),
            line(b"fmtp:97 \xe9"),
            line(b"x-96:96 \xe9"),
        ];
        let renumbered = stream.renumbered(|number| (number == 96).then_some(100));
        assert_eq!(
            renumbered.lines,
            [line(b"fmtp:100 caf\xe9"), line(b"x-96:96 \xe9")]
        );
    }
}

//! What a party would answer to an offer that it has never heard, as far as its own offer says.

use super::{Direction, Format, Line, Media, Sdp};

impl Sdp {
    /// What whoever has offered this would answer to `offer` (RFC 3264 §6): of each stream the formats that both have, in its own
    /// order and numbers, and the directions that both want. Streams belong together by place and kind. One that the other has
    /// not, or of which no format is common but digits and comfort noise, is refused.
    #[must_use]
    pub fn answering(&self, offer: &Self) -> Self {
        let lines = offer.media.iter().enumerate().map(|(index, offered)| {
            let own = self.media.get(index);
            own.and_then(|own| self.line_answering(own, offer, offered))
                .unwrap_or_else(|| offered.refused())
        });
        Self {
            media: lines.collect(),
            ..self.clone()
        }
    }

    fn line_answering(&self, own: &Media, offer: &Self, offered: &Media) -> Option<Media> {
        let suits = own.is_active() && offered.is_active() && own.kind.eq_ignore_ascii_case(&offered.kind);
        if !suits {
            return None;
        }
        let common = common(own, offered);
        let talks = |format: &Format| {
            !matches!(
                format.encoding.name(),
                Some("telephone-event" | "cn" | "rtx" | "red" | "ulpfec")
            )
        };
        if !common.iter().any(talks) {
            return None;
        }
        let has = |number: u8| common.iter().any(|format| format.number == number);
        let mut answer = own.renumbered(|number| has(number).then_some(number));
        let direction = self.direction(own).and(offer.direction(offered).reversed());
        answer.lines.retain(|line| Direction::of_line(line).is_none());
        answer.lines.push(Line::attribute(direction.name().to_owned()));
        Some(answer)
    }
}

/// The formats of `own` that `offered` has too. What carries another format goes with it.
fn common(own: &Media, offered: &Media) -> Vec<Format> {
    let theirs = offered.rtp_formats();
    let mut common = own.rtp_formats();
    common.retain(|format| theirs.iter().any(|other| format.is_like(other)));
    let numbers: Vec<u8> = common.iter().map(|format| format.number).collect();
    common.retain(|format| {
        let carried = format.retransmits().into_iter().chain(format.blocks());
        carried.into_iter().all(|number| numbers.contains(&number))
    });
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

    fn sdp(lines: &str) -> Sdp {
        Sdp::parse(format!("{HEAD}{}\r\n", lines.replace('|', "\r\n")).as_bytes()).unwrap()
    }

    #[test]
    fn the_formats_of_both_are_left_in_the_words_of_who_answers() {
        let own = sdp(
            "m=audio 4000 RTP/AVP 97 8 0 101|a=rtpmap:97 opus/48000/2|a=rtpmap:101 telephone-event/8000|\
             m=video 4002 RTP/AVP 96 98|a=rtpmap:96 VP8/90000|a=rtpmap:98 rtx/90000|a=fmtp:98 apt=96",
        );
        let offer = sdp(
            "m=audio 5000 RTP/AVP 0 96 100|a=rtpmap:96 opus/48000/2|a=rtpmap:100 telephone-event/8000|\
             m=video 5002 RTP/AVP 97 99|a=rtpmap:97 H264/90000|a=rtpmap:99 rtx/90000|a=fmtp:99 apt=97|\
             m=audio 5004 RTP/AVP 0",
        );
        let answer = own.answering(&offer);
        assert_eq!(answer.media.len(), 3);
        assert_eq!(answer.media[0].formats, "97 0 101");
        assert_eq!(answer.direction(&answer.media[0]), Direction::SendRecv);
        assert!(!answer.media[1].is_active(), "retransmissions of nothing");
        assert!(!answer.media[2].is_active());
        let back = offer.answering(&own);
        assert_eq!(back.media.len(), 2);
        assert_eq!(back.media[0].formats, "0 96 100");
    }

    #[test]
    fn retransmissions_and_redundancy_stay_with_what_they_carry() {
        let video = |apt: &str| {
            sdp(&format!(
                "m=video 4000 RTP/AVP 96 97 98|a=rtpmap:96 VP8/90000|a=rtpmap:97 H264/90000|a=rtpmap:98 rtx/90000|a=fmtp:98 apt={apt}"
            ))
        };
        let offer =
            sdp("m=video 5000 RTP/AVP 96 98|a=rtpmap:96 VP8/90000|a=rtpmap:98 rtx/90000|a=fmtp:98 apt=96");
        assert_eq!(video("96").answering(&offer).media[0].formats, "96 98");
        assert_eq!(video("97").answering(&offer).media[0].formats, "96");
    }

    #[test]
    fn both_want_a_direction_or_it_is_not_taken() {
        let line = |direction: &str| sdp(&format!("m=audio 4000 RTP/AVP 0|a={direction}"));
        for (own, offered, answered) in [
            ("sendrecv", "sendonly", Direction::RecvOnly),
            ("sendonly", "sendrecv", Direction::SendOnly),
            ("sendonly", "sendonly", Direction::Inactive),
            ("recvonly", "sendonly", Direction::RecvOnly),
        ] {
            let answer = line(own).answering(&line(offered));
            assert_eq!(answer.direction(&answer.media[0]), answered, "{own} to {offered}");
            let written = answer.media[0].lines.iter().filter_map(Direction::of_line);
            assert_eq!(written.count(), 1);
        }
    }

    #[test]
    fn digits_and_silence_alone_are_no_voice() {
        let own = sdp("m=audio 4000 RTP/AVP 0 13 101|a=rtpmap:101 telephone-event/8000");
        let offer = sdp("m=audio 5000 RTP/AVP 8 13 101|a=rtpmap:101 telephone-event/8000");
        assert!(!own.answering(&offer).media[0].is_active());
        let picture = sdp("m=video 5000 RTP/AVP 0");
        assert!(!own.answering(&picture).media[0].is_active(), "another kind");
    }
}

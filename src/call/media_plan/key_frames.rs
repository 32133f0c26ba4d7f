//! How a party that sends video can be asked for a key frame, by what its description says.

use crate::{media::KeyFrameRequest, sdp::Media};

/// By `a=rtcp-fb` (RFC 4585 §4.2, RFC 5104 §7.1) for any of its formats: a party says there what it understands. With the plain
/// profiles, too, as Linphone and baresip write it: who does not know the packet skips it (RFC 3550 §6.1).
pub(super) fn key_frames(said: &Media) -> Option<KeyFrameRequest> {
    if !said.kind.eq_ignore_ascii_case("video") {
        return None;
    }
    let understands = |what: [&str; 2]| {
        said.attributes("rtcp-fb").any(|value| {
            let words: Vec<&str> = value.split_ascii_whitespace().skip(1).take(2).collect();
            words.len() == 2
                && words
                    .iter()
                    .zip(what)
                    .all(|(word, what)| word.eq_ignore_ascii_case(what))
        })
    };
    if understands(["nack", "pli"]) {
        Some(KeyFrameRequest::Pli)
    } else {
        understands(["ccm", "fir"]).then_some(KeyFrameRequest::Fir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::Sdp;

    fn of(kind: &str, lines: &str) -> Option<KeyFrameRequest> {
        let text = format!(
            "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm={kind} 4000 RTP/AVPF 96\n{lines}"
        );
        key_frames(&Sdp::parse(text.as_bytes()).unwrap().media[0])
    }

    #[test]
    fn a_sender_is_asked_in_the_way_that_it_names_and_picture_loss_goes_first() {
        let (pli, fir) = (Some(KeyFrameRequest::Pli), Some(KeyFrameRequest::Fir));
        for (lines, expected) in [
            ("", None),
            ("a=rtcp-fb:96 nack\n", None),
            (
                "a=rtcp-fb:96 nack sli\na=rtcp-fb:* ccm tmmbr\na=rtcp-fb:* trr-int 1000\n",
                None,
            ),
            ("a=rtcp-fb:pli\na=rtcp-fb:96\na=rtcp-fb\n", None),
            ("a=rtcp-fb:96 nack pli\n", pli),
            ("a=rtcp-fb:* NACK PLI\n", pli),
            ("a=rtcp-fb:96 ccm fir\n", fir),
            ("a=rtcp-fb:96 ccm fir\na=rtcp-fb:* nack pli\n", pli),
        ] {
            assert_eq!(of("video", lines), expected, "{lines}");
        }
        assert_eq!(of("audio", "a=rtcp-fb:* nack pli\n"), None);
    }
}

//! Session descriptions: reading, printing, and the rewrite for the other leg.

use crate::sdp::{Codecs, Crypto, Media, Origin, Plan, Protection, Sdp, StreamPlan, forward, same_session};
use std::net::{IpAddr, SocketAddr};

/// What is read prints to what reads the same; what is forwarded has the same m-lines and a bounded size.
pub fn sdp(data: &[u8]) {
    let Ok(read) = Sdp::parse(data) else { return };
    let printed = read.to_bytes();
    let again = Sdp::parse(&printed).expect("what we print can be read");
    assert_eq!(read, again);
    assert!(same_session(&read, &again));
    for media in &read.media {
        let _ = (
            read.rtp(media),
            read.rtcp(media),
            read.direction(media),
            media.transport(),
        );
        for line in media.attributes("crypto") {
            if let Ok(crypto) = Crypto::parse(line) {
                assert_eq!(Crypto::parse(&crypto.to_string()), Ok(crypto));
            }
        }
    }
    read.media.iter().for_each(renumber);
    let codec = |word: &str| word.parse().into_iter().collect();
    let codecs = Codecs {
        audio: codec("opus/48000"),
        video: codec("VP8"),
    };
    let restricted = codecs.restrict(&read);
    assert_eq!(codecs.restrict(&restricted), restricted, "what is left stays");
    assert_eq!(restricted.media.len(), read.media.len());
    let address = IpAddr::from([198, 51, 100, 9]);
    let stream = StreamPlan {
        rtp: SocketAddr::new(address, 4_000),
        rtcp: SocketAddr::new(address, 4_005),
        mux: data.len().is_multiple_of(2),
        protection: Protection::None,
        feedback: false,
        feedback_attributes: data.len().is_multiple_of(3),
        keys: Vec::new(),
    };
    let plan = |answering| Plan {
        origin: Origin {
            username: "-".to_owned(),
            id: "1".to_owned(),
            version: "1".to_owned(),
            address: "IN IP4 198.51.100.9".to_owned(),
        },
        address,
        protection: Protection::None,
        streams: vec![Some(stream.clone()); read.media.len()],
        answering,
    };
    let offer = forward(&read, &plan(None));
    assert_eq!(offer.media.len(), read.media.len());
    let answer = forward(&read, &plan(Some(&offer)));
    assert_eq!(answer.media.len(), offer.media.len());
    for (offered, answered) in offer.media.iter().zip(&answer.media) {
        let (offered, answered) = (offer.direction(offered), answer.direction(answered));
        assert_eq!(
            answered,
            answered.and(offered.reversed()),
            "an answer says more than its offer allows"
        );
    }
    let text = offer.to_bytes();
    assert!(text.len() <= printed.len() + 200 + 80 * read.media.len());
    assert_eq!(Sdp::parse(&text).expect("what we forward can be read"), offer);
}

/// Numbers that change places and change back are as they were.
fn renumber(media: &Media) {
    let swap = |number: u8| Some(number ^ 1);
    let swapped = media.renumbered(swap);
    let (before, after) = (media.rtp_formats(), swapped.rtp_formats());
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(swap(before.number), Some(after.number));
    }
    assert_eq!(swapped.lines.len(), media.lines.len());
    assert_eq!(media.renumbered(Some), *media);
    assert!(media.renumbered(|_| None).rtp_formats().is_empty());
}

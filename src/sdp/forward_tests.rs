use super::*;
use proptest::prelude::*;

fn sdp(text: &str) -> Sdp {
    Sdp::parse(text.as_bytes()).unwrap()
}

fn plan<'a>(streams: &[Option<u16>], answering: Option<&'a Sdp>) -> Plan<'a> {
    let address = IpAddr::from([198, 51, 100, 9]);
    Plan {
        origin: Origin {
            username: "-".into(),
            id: "77".into(),
            version: "3".into(),
            address: "IN IP4 198.51.100.9".into(),
        },
        address,
        protection: Protection::None,
        streams: streams
            .iter()
            .map(|port| {
                port.map(|port| StreamPlan {
                    rtp: SocketAddr::new(address, port),
                    rtcp: SocketAddr::new(address, port + 1),
                    mux: false,
                    protection: Protection::None,
                    feedback: false,
                    feedback_attributes: true,
                    keys: Vec::new(),
                })
            })
            .collect(),
        answering,
    }
}

fn text(sdp: &Sdp) -> String {
    String::from_utf8(sdp.to_bytes().to_vec())
        .unwrap()
        .replace("\r\n", "\n")
}

/// A made-up offer with everything that clients put on a leg.
const RICH: &str = "v=0\no=alice 5301 2 IN IP4 192.0.2.7\ns=alice at 192.0.2.7\ni=of alice\nu=http://192.0.2.7/\n\
e=alice@home.example\np=+1 555\nc=IN IP4 192.0.2.7\nb=AS:512\nt=0 0\na=group:BUNDLE 0 1\na=ice-lite\n\
a=msid-semantic: WMS x\na=rtcp-xr:rcvr-rtt=all:10000\na=tool:phone 1.0\nk=clear:abc\n\
m=audio 7078/2 RTP/SAVPF 111 0 101\nc=IN IP4 192.0.2.7\ni=microphone of alice\nb=TIAS:64000\na=rtpmap:111 opus/48000/2\n\
a=fmtp:111 useinbandfec=1\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=crypto:1 X inline:AAAA\n\
a=candidate:1 1 UDP 1 192.0.2.7 7078 typ host\na=ice-ufrag:x\na=ice-pwd:y\na=rtcp:7090 IN IP4 192.0.2.7\na=mid:0\n\
a=ssrc:11 cname:sip:alice@192.0.2.7:5070\na=rtcp-fb:* trr-int 5000\na=rtcp-rsize\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\n\
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\na=setup:actpass\na=fingerprint:sha-256 AA\na=zrtp-hash:1.10 aa\n\
a=ptime:20\na=x-unheard-of:kept\na=x-leak:via 192.0.2.7\nk=clear:abc\nm=video 0 RTP/SAVPF 96\na=rtpmap:96 VP8/90000\n";

#[test]
fn only_what_belongs_to_the_session_crosses() {
    let mut plan = plan(&[Some(4000), None], None);
    plan.streams[0].as_mut().unwrap().feedback = true;
    let forwarded = forward(&sdp(RICH), &plan);
    assert_eq!(
        text(&forwarded),
        "v=0\no=- 77 3 IN IP4 198.51.100.9\ns=-\nc=IN IP4 198.51.100.9\nb=AS:512\nt=0 0\n\
a=rtcp-xr:rcvr-rtt=all:10000\nm=audio 4000 RTP/AVPF 111 0 101\nb=TIAS:64000\n\
a=rtpmap:111 opus/48000/2\na=fmtp:111 useinbandfec=1\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n\
a=rtcp-fb:* trr-int 5000\na=rtcp-rsize\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\na=ptime:20\n\
a=x-unheard-of:kept\na=sendrecv\nm=video 0 RTP/AVP 96\n"
    );
}

/// How the other leg is keyed is nobody's business; what is no RTP says nothing of it.
#[test]
fn a_stream_that_is_refused_in_an_offer_has_a_profile_of_the_leg_it_goes_to() {
    let offer = sdp(
        "v=0\no=- 1 1 IN IP4 192.0.2.7\nc=IN IP4 192.0.2.7\nm=audio 7078 RTP/AVP 0\n\
                     m=video 0 UDP/TLS/RTP/SAVPF 96\nm=image 0 udptl t38\n",
    );
    for (protection, proto) in [
        (Protection::None, "RTP/AVP"),
        (Protection::Sdes, "RTP/SAVP"),
        (Protection::Dtls, "UDP/TLS/RTP/SAVP"),
    ] {
        let plan = Plan {
            protection,
            ..plan(&[Some(4000), None, None], None)
        };
        let forwarded = text(&forward(&offer, &plan));
        assert!(
            forwarded.ends_with(&format!("m=video 0 {proto} 96\nm=image 0 udptl t38\n")),
            "{forwarded}"
        );
    }
}

#[test]
fn feedback_is_not_spoken_of_to_a_leg_without_it() {
    let mut plan = plan(&[Some(4000)], None);
    plan.streams[0].as_mut().unwrap().feedback_attributes = false;
    let forwarded = text(&forward(&sdp(RICH), &plan));
    assert!(
        forwarded.contains("m=audio 4000 RTP/AVP 111 0 101\n"),
        "{forwarded}"
    );
    assert!(!forwarded.contains("rtcp-fb") && !forwarded.contains("rtcp-rsize"));
}

#[test]
fn a_key_does_not_cross_because_a_byte_of_its_line_is_not_utf_8() {
    let audio = "v=0\no=- 1 1 IN IP4 192.0.2.7\nc=IN IP4 192.0.2.7\nm=audio 7078 RTP/AVP 0\n\
                 a=crypto:1 X inline:AAAA~\na=sendonly:~\na=ssrc-group:~\na=x-own:~\n";
    let bytes: Vec<u8> = audio
        .bytes()
        .map(|byte| if byte == b'~' { 0xe9 } else { byte })
        .collect();
    let forwarded = forward(&Sdp::parse(&bytes).unwrap(), &plan(&[Some(4000)], None)).to_bytes();
    let forwarded = String::from_utf8_lossy(&forwarded).into_owned();
    assert!(
        !forwarded.contains("crypto") && !forwarded.contains("sendonly:"),
        "{forwarded}"
    );
    assert!(
        forwarded.contains("a=x-own:") && forwarded.contains("a=sendonly\r\n"),
        "{forwarded}"
    );
}

#[test]
fn the_leg_s_own_profile_keys_and_ports_are_written() {
    let mut plan = plan(&[Some(4000)], None);
    let stream = plan.streams[0].as_mut().unwrap();
    stream.protection = Protection::Sdes;
    stream.rtcp.set_port(4010);
    stream.keys = vec![Line::attribute("crypto:1 AEAD_AES_128_GCM inline:AAAA")];
    let audio = "v=0\no=- 1 1 IN IP4 192.0.2.7\nc=IN IP4 192.0.2.7\nm=audio 7078 RTP/AVP 0\na=inactive\n";
    let forwarded = text(&forward(&sdp(audio), &plan));
    assert!(
        forwarded.ends_with(
            "m=audio 4000 RTP/SAVP 0\na=inactive\na=rtcp:4010\na=crypto:1 AEAD_AES_128_GCM inline:AAAA\n"
        ),
        "{forwarded}"
    );
    plan.streams[0].as_mut().unwrap().mux = true;
    let forwarded = text(&forward(&sdp(audio), &plan));
    assert!(forwarded.contains("a=rtcp-mux\n") && !forwarded.contains("a=rtcp:"));
}

#[test]
fn hold_by_black_hole_becomes_a_direction_with_a_real_address() {
    let hold = sdp("v=0\no=- 1 1 IN IP4 192.0.2.7\nc=IN IP4 0.0.0.0\nm=audio 7078 RTP/AVP 0\n");
    let forwarded = text(&forward(&hold, &plan(&[Some(4000)], None)));
    assert!(
        forwarded.contains("c=IN IP4 198.51.100.9\n") && forwarded.contains("a=sendonly\n"),
        "{forwarded}"
    );
}

#[test]
fn an_answer_has_the_m_lines_and_transports_of_its_offer() {
    let offer = sdp(
        "v=0\no=- 1 1 IN IP4 192.0.2.7\nc=IN IP4 192.0.2.7\nm=audio 7 RTP/SAVPF 0\nm=video 8 RTP/SAVPF 96\nm=image 9 udptl t38\n",
    );
    let answer = sdp("v=0\no=- 1 1 IN IP4 203.0.113.1\nc=IN IP4 203.0.113.1\nm=audio 5 RTP/AVP 0\n");
    let forwarded = forward(&answer, &plan(&[Some(4000), Some(4002), None], Some(&offer)));
    let lines: Vec<_> = forwarded
        .media
        .iter()
        .map(|media| (media.kind.as_str(), media.port, media.proto.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            ("audio", 4000, "RTP/SAVPF"),
            ("video", 0, "RTP/SAVPF"),
            ("image", 0, "udptl")
        ]
    );
    let longer = sdp(
        "v=0\no=- 1 1 IN IP4 203.0.113.1\nc=IN IP4 203.0.113.1\nm=audio 5 RTP/AVP 0\nm=video 5 RTP/AVP 9\nm=audio 6 RTP/AVP 0\nm=audio 7 RTP/AVP 0\n",
    );
    assert_eq!(
        forward(&longer, &plan(&[Some(4000)], Some(&offer))).media.len(),
        3
    );
}

#[test]
fn an_answer_never_says_more_than_its_offer_allows() {
    let all = ["sendrecv", "sendonly", "recvonly", "inactive"];
    let with = |direction: &str| {
        sdp(&format!(
            "v=0\no=- 1 1 IN IP4 192.0.2.7\nc=IN IP4 192.0.2.7\nm=audio 7 RTP/AVP 0\n{direction}"
        ))
    };
    for offered in all {
        for answered in all
            .map(|name| format!("a={name}\n"))
            .iter()
            .chain([&String::new()])
        {
            let offer = with(&format!("a={offered}\n"));
            let forwarded = forward(&with(answered), &plan(&[Some(4000)], Some(&offer)));
            let said = forwarded.direction(&forwarded.media[0]);
            let allowed = offer.direction(&offer.media[0]).reversed();
            assert_eq!(said, said.and(allowed), "{offered} answered {answered}");
            let meant = with(answered).direction(&with(answered).media[0]);
            assert_eq!(said, meant.and(allowed));
        }
    }
}

proptest! {
    /// Whatever leg A writes: same m-lines, bounded size, and none of its addresses on the other side.
    #[test]
    fn nothing_of_the_leg_that_it_comes_from_is_left(
        lines in proptest::collection::vec("(a=[a-zA-Z-]{1,12}(:[ -~]{0,20})?|c=IN IP4 192\\.0\\.2\\.7|b=AS:[0-9]{1,4}|m=audio [0-9]{1,4} RTP/S?AVPF? [0-9]{1,2}|a=[a-z]{1,9}:192\\.0\\.2\\.7)", 0..20),
        ports in proptest::collection::vec(proptest::option::of(1024_u16..60_000), 0..18),
    ) {
        let body = format!("v=0\no=alice 1 1 IN IP4 192.0.2.7\ns=-\nt=0 0\n{}\n", lines.join("\n"));
        let Ok(received) = Sdp::parse(body.as_bytes()) else { return Ok(()) };
        let forwarded = forward(&received, &plan(&ports, None));
        prop_assert_eq!(forwarded.media.len(), received.media.len());
        let printed = text(&forwarded);
        prop_assert!(!printed.contains("192.0.2.7") && !printed.contains("alice"));
        prop_assert_eq!(Sdp::parse(printed.as_bytes()).unwrap(), forwarded);
        prop_assert!(printed.len() <= body.len() + 200 + 40 * received.media.len());
    }
}

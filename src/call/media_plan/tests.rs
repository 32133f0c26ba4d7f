use super::*;
use crate::{
    call::{EncryptionPolicy, MediaPolicy, NatLatching},
    media::{MediaCommand, Protection, StreamId, Suite},
};
use std::time::Instant;

/// A plan whose legs have begun, and what is being offered.
struct Rig {
    plan: MediaPlan,
    session: Session,
    ids: Ids,
}

#[expect(clippy::disallowed_methods, reason = "a test's time has to begin somewhere")]
fn now() -> Instant {
    Instant::now()
}

const KEY: &str = "AAAAsecretofalicexxxxxxxxxxxxxxxxxxxxxxx";

fn description(media: &str) -> Sdp {
    let text = format!("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n{media}");
    Sdp::parse(text.as_bytes()).unwrap()
}
fn audio(profile: &str, more: &str) -> Sdp {
    description(&format!("m=audio 4000 {profile} 0\n{more}"))
}
fn crypto(tag: u32) -> String {
    format!("a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n")
}

impl Rig {
    fn new(offer: &Sdp, policy: EncryptionPolicy) -> Result<Self, Failure> {
        let settings = crate::testing::settings();
        let mut rig = Self {
            plan: MediaPlan::new(&settings, crate::testing::sim::ZID),
            session: Session::default(),
            ids: Ids::seeded(9),
        };
        rig.begin(Side::A, [198, 51, 100, 1]);
        rig.plan
            .take_offer(&mut rig.session, Side::A, offer, &mut rig.ids)?;
        let policy = MediaPolicy {
            encryption: policy,
            ..MediaPolicy::default()
        };
        rig.plan.apply(&policy, &[], &mut rig.session)?;
        rig.begin(Side::B, [203, 0, 113, 1]);
        rig.open(Side::A);
        Ok(rig)
    }
    fn begin(&mut self, side: Side, local: [u8; 4]) {
        let mut env = Env {
            now: now(),
            ids: &mut self.ids,
        };
        self.plan.begin(side, local.into(), &mut env);
    }
    /// Binds what is missing; says how many ports that were.
    fn open(&mut self, offerer: Side) -> usize {
        let missing = self.plan.missing(&self.session, offerer);
        for (index, command) in missing.iter().enumerate() {
            let MediaCommand::Open {
                side,
                stream,
                address,
                ..
            } = command
            else {
                panic!("{command:?}")
            };
            let port = |offset: u16| SocketAddr::new(*address, 20_000 + 10 * index as u16 + offset);
            self.plan.opened(*side, *stream, port(0), port(1));
        }
        missing.len()
    }
    fn offer_to(&mut self, to: Side, received: &Sdp) -> Sdp {
        let mut env = Env {
            now: now(),
            ids: &mut self.ids,
        };
        self.plan.offer_to(&mut self.session, to, received, &mut env)
    }
    /// The answer of B goes to A, and all is agreed.
    fn finish(&mut self, answer: &Sdp) -> Result<(Sdp, Vec<MediaCommand>), Failure> {
        let mut session = self.session.clone();
        self.plan.take_answer(&mut session, Side::B, answer)?;
        let mut env = Env {
            now: now(),
            ids: &mut self.ids,
        };
        let answer = self
            .plan
            .answer_to(&mut session, Side::A, answer, &mut env)
            .unwrap();
        Ok((answer, self.plan.commit(session, true)))
    }
}

fn connects(commands: &[MediaCommand]) -> Vec<&crate::media::Connect> {
    commands
        .iter()
        .filter_map(|command| match command {
            MediaCommand::Connect(connect) => Some(&**connect),
            _ => None,
        })
        .collect()
}

#[test]
fn what_an_offer_asks_for_is_told_in_the_order_in_which_clients_mean_it() {
    for (media, encryption) in [
        ("m=audio 4000 RTP/AVP 0\n", Encryption::None),
        // "Optional" encryption is none: RFC 4568 knows crypto lines with secure profiles only.
        (
            "m=audio 4000 RTP/AVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\n",
            Encryption::None,
        ),
        ("m=audio 4000 RTP/SAVP 0\n", Encryption::Sdes),
        ("m=audio 4000 UDP/TLS/RTP/SAVPF 0\n", Encryption::DtlsSrtp),
        ("m=audio 4000 RTP/AVP 0\na=zrtp-hash:1.10 00\n", Encryption::Zrtp),
        ("m=audio 4000 RTP/SAVP 0\na=zrtp-hash:1.10 00\n", Encryption::Sdes),
        (
            "m=audio 4000 RTP/SAVPF 0\na=fingerprint:sha-256 00\n",
            Encryption::DtlsSrtp,
        ),
        ("m=audio 0 RTP/SAVP 0\nm=audio 4000 RTP/AVP 0\n", Encryption::None),
        (
            "m=audio 4000 RTP/AVP 0\nm=audio 4002 RTP/SAVP 0\n",
            Encryption::Sdes,
        ),
    ] {
        assert_eq!(asked(&description(media)), encryption, "{media}");
    }
}

#[test]
fn each_leg_has_its_own_address_ports_session_and_keys() {
    let offer = audio("RTP/SAVP", &crypto(7));
    let mut rig = Rig::new(&offer, EncryptionPolicy::AsCaller).unwrap();
    let to_b = rig.offer_to(Side::B, &offer);
    assert_eq!(
        to_b.rtp(&to_b.media[0]).unwrap().ip(),
        IpAddr::from([203, 0, 113, 1])
    );
    let lines: Vec<_> = to_b.media[0].attributes("crypto").collect();
    assert!(lines.len() > 1 && !lines.iter().any(|line| line.contains(KEY)));
    let (to_a, commands) = rig.finish(&audio("RTP/SAVP", &crypto(2))).unwrap();
    assert_eq!(
        to_a.rtp(&to_a.media[0]).unwrap().ip(),
        IpAddr::from([198, 51, 100, 1])
    );
    assert_ne!(to_a.origin.id, to_b.origin.id);
    let connects = connects(&commands);
    assert_eq!(connects.len(), 2);
    let key = |protection: &Protection| match protection {
        Protection::Srtp(key) => key.clone(),
        other => panic!("{other:?}"),
    };
    let keys: Vec<_> = connects
        .iter()
        .flat_map(|connect| [key(&connect.send), key(&connect.receive)])
        .collect();
    assert!(keys.iter().all(|key| key.suite == Suite::AesCm128HmacSha1_80));
    // What we send with is ours alone; what we receive with is what each peer said.
    assert_ne!(keys[0], keys[2]);
    assert_eq!(keys[1].master, keys[3].master);
}

#[test]
fn the_version_counts_what_is_said_anew_and_nothing_else() {
    let offer = audio("RTP/AVP", "");
    let mut rig = Rig::new(&offer, EncryptionPolicy::AsCaller).unwrap();
    let versions: Vec<String> = [&offer, &offer, &audio("RTP/AVP", "a=sendonly\n"), &offer]
        .into_iter()
        .map(|offer| rig.offer_to(Side::B, offer).origin.version)
        .collect();
    assert_eq!(versions, ["1", "1", "2", "3"]);
}

#[test]
fn m_lines_never_go_away_even_if_an_offer_leaves_them_out() {
    let both = description("m=audio 4000 RTP/AVP 0\nm=video 4002 RTP/AVP 96\n");
    let mut rig = Rig::new(&both, EncryptionPolicy::AsCaller).unwrap();
    rig.offer_to(Side::B, &both);
    rig.finish(&both).unwrap();
    let shorter = audio("RTP/AVP", "");
    rig.session = rig.plan.agreed().clone();
    rig.plan
        .take_offer(&mut rig.session, Side::A, &shorter, &mut rig.ids)
        .unwrap();
    let to_b = rig.offer_to(Side::B, &shorter);
    let ports: Vec<bool> = to_b.media.iter().map(|media| media.port != 0).collect();
    assert_eq!(ports, [true, false]);
    let (to_a, commands) = rig
        .finish(&description("m=audio 4000 RTP/AVP 0\nm=video 0 RTP/AVP 96\n"))
        .unwrap();
    assert_eq!(to_a.media.len(), 1);
    assert!(
        commands
            .iter()
            .any(|command| matches!(command, MediaCommand::Shut { stream } if stream.0 == 1))
    );
}

#[test]
fn a_stream_that_was_taken_out_comes_back_with_new_ports_and_new_keys() {
    let with = |port: u16| {
        description(&format!(
            "m=audio 4000 RTP/SAVP 0\n{}m=video {port} RTP/SAVP 96\n{}",
            crypto(1),
            crypto(1)
        ))
    };
    let mut rig = Rig::new(&with(4002), EncryptionPolicy::AsCaller).unwrap();
    let mut sent = Vec::new();
    for port in [4002, 0, 4002] {
        let offer = with(port);
        rig.session = rig.plan.agreed().clone();
        if rig.session.encryption(Side::B).is_none() {
            rig.session = Session::default();
            rig.plan
                .take_offer(&mut rig.session, Side::A, &offer, &mut rig.ids)
                .unwrap();
            rig.plan
                .apply(&MediaPolicy::default(), &[], &mut rig.session)
                .unwrap();
        } else {
            rig.plan
                .take_offer(&mut rig.session, Side::A, &offer, &mut rig.ids)
                .unwrap();
            assert_eq!(rig.open(Side::A), if port == 0 { 0 } else { 2 });
        }
        rig.offer_to(Side::B, &offer);
        let (_, commands) = rig.finish(&with(port)).unwrap();
        let video = connects(&commands)
            .into_iter()
            .find(|connect| connect.stream == StreamId(1));
        sent.push(video.map(|connect| connect.send.clone()));
    }
    assert!(sent[0].is_some() && sent[1].is_none() && sent[2].is_some());
    assert_ne!(sent[0], sent[2], "one key must not begin twice at index 0");
}

#[test]
fn an_answer_that_is_not_keyed_as_offered_is_refused() {
    let offer = audio("RTP/AVP", "");
    for (policy, answer) in [
        (EncryptionPolicy::Only(Encryption::Sdes), audio("RTP/AVP", "")),
        (EncryptionPolicy::Only(Encryption::Sdes), audio("RTP/SAVP", "")),
        (
            EncryptionPolicy::Only(Encryption::None),
            audio("RTP/SAVP", &crypto(1)),
        ),
    ] {
        let mut rig = Rig::new(&offer, policy).unwrap();
        rig.offer_to(Side::B, &offer);
        let failure = rig.finish(&answer).unwrap_err();
        assert_eq!(
            (failure.status, failure.kind),
            (Status::NOT_ACCEPTABLE_HERE, Kind::NotAcceptable)
        );
    }
}

#[test]
fn latching_and_further_sources_reach_the_relay() {
    let offer = audio("RTP/AVP", "");
    let mut rig = Rig::new(&offer, EncryptionPolicy::AsCaller).unwrap();
    let policy = MediaPolicy {
        latching: NatLatching::Any,
        ..MediaPolicy::default()
    };
    rig.plan.apply(&policy, &[], &mut rig.session).unwrap();
    let seen = [10_u8, 20, 30].map(|last| IpAddr::from([192, 0, 2, last]));
    for address in [seen[0], seen[0], seen[1], seen[2]] {
        rig.plan.trust(Side::A, address);
    }
    rig.offer_to(Side::B, &offer);
    let (_, commands) = rig.finish(&offer).unwrap();
    let connects = connects(&commands);
    assert!(connects.iter().all(|connect| connect.remote.latch_any));
    assert_eq!(connects[0].remote.also_from, seen[1..], "the two newest");
    assert!(connects[1].remote.also_from.is_empty());
}

#[test]
fn an_earlier_answer_does_not_close_what_the_next_fork_may_take() {
    let both = description("m=audio 4000 RTP/AVP 0\nm=video 4002 RTP/AVP 96\n");
    let mut rig = Rig::new(&both, EncryptionPolicy::AsCaller).unwrap();
    rig.offer_to(Side::B, &both);
    let mut early = rig.session.clone();
    let audio_only = description("m=audio 4000 RTP/AVP 0\nm=video 0 RTP/AVP 96\n");
    rig.plan.take_answer(&mut early, Side::B, &audio_only).unwrap();
    let mut env = Env {
        now: now(),
        ids: &mut rig.ids,
    };
    rig.plan
        .answer_to(&mut early, Side::A, &audio_only, &mut env)
        .unwrap();
    let commands = rig.plan.preview(early);
    assert_eq!(commands.len(), connects(&commands).len());
    let (answer, commands) = rig.finish(&both).unwrap();
    assert!(answer.media.iter().all(sdp::Media::is_active));
    assert_eq!(connects(&commands).len(), 4);
}

//! Calls through the server: tones both ways, hold and resume from both sides, each leg keyed as it
//! should be, and nothing of one leg on the other's wire.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::capture::Wire;
use crate::converse::{converse, converse_keyed};
use crate::direct::must_object;
use crate::dns::Dns;
use crate::judge::{self, AES_128, Leg};
use crate::kamailio::Kamailio;
use crate::netns::Side;
use crate::phone::{Keys, Make, Setup};
use crate::scene::Scene;
use crate::server::{self, Config, Server};
use crate::sip_text::Message;
use crate::sipp::Run;
use crate::{Outcome, Test, privacy, rtcp, rtp};

pub(crate) const TESTS: &[Test] = &[
    Test::new("call::baresip_plain_to_baresip_plain", |s| {
        talks(s, Call::new(s, Make::Baresip, Make::Baresip))
    }),
    Test::new("call::linphone_plain_to_linphone_plain", |s| {
        talks(s, Call::new(s, Make::Linphone, Make::Linphone))
    }),
    Test::new("call::linphone_sdes_to_baresip_plain", |s| {
        talks(
            s,
            Call::new(s, Make::Linphone, Make::Baresip).a_sdes().leg_b("none"),
        )
    }),
    Test::new("call::baresip_plain_to_linphone_sdes", |s| {
        talks(
            s,
            Call::new(s, Make::Baresip, Make::Linphone)
                .b_sdes(AES_128)
                .leg_b("sdes")
                .ended_by_callee(),
        )
    }),
    Test::new("call::baresip_sdes_to_baresip_sdes_by_inheritance", |s| {
        talks(
            s,
            Call::new(s, Make::Baresip, Make::Baresip)
                .a_sdes()
                .b_sdes(AES_128),
        )
    }),
    Test::new("call::linphone_sdes_128_to_linphone_sdes_256", |s| {
        let suite = "AES_256_CM_HMAC_SHA1_80";
        let mut call = Call::new(s, Make::Linphone, Make::Linphone)
            .a_sdes()
            .b_sdes(suite);
        call.a.suites = AES_128;
        call.config = call.config.suites(suite);
        talks(s, call)
    }),
    Test::new("call::a_callee_without_sdes_is_not_called_in_clear", no_fallback),
    Test::new("call::linphones_with_every_codec_and_suite", as_it_comes),
    Test::new("call::zrtp_by_x448", x448),
    Test::new("call::between_kamailio_before_and_after", kamailio),
    Test::new("call::from_ipv4_to_ipv6", ipv6),
    Test::new("call::by_srv_past_a_dead_target_and_one_that_says_503", srv),
];

/// Whom the caller asks for. No host of the rig: the route leads there.
pub(crate) const CALLEE: &str = "sip:bob@example.net";

pub(crate) struct Call {
    pub(crate) a: Setup,
    pub(crate) b: Setup,
    legs: [Leg; 2],
    pub(crate) config: Config,
    /// Addresses that belong to neither leg alone.
    shared: Vec<IpAddr>,
    /// Who hangs up.
    last: Side,
}

impl Call {
    pub(crate) fn new(scene: &Scene, a: Make, b: Make) -> Self {
        let a = scene.caller(a).through(&server::uri(Side::A));
        let b = scene.callee(b).through(&server::uri(Side::B));
        let config = Config::new(&format!("sip:{}:{}", b.ip(), b.sip_port()));
        Self {
            a,
            b,
            legs: [Leg::plain(Side::A), Leg::plain(Side::B)],
            config,
            shared: Vec::new(),
            last: Side::A,
        }
    }

    fn a_sdes(mut self) -> Self {
        self.a = self.a.encrypted();
        self.legs[0] = Leg::keyed(Side::A, AES_128);
        self
    }

    fn b_sdes(mut self, suite: &'static str) -> Self {
        self.b = self.b.encrypted();
        self.legs[1] = Leg::keyed(Side::B, suite);
        self
    }

    /// Both phones keyed like that, and the server told to call the callee so.
    pub(crate) fn keyed(mut self, a: Keys, b: Keys) -> Self {
        (self.a, self.b) = (self.a.keyed(a), self.b.keyed(b));
        self.legs = [Leg::of(Side::A, a), Leg::of(Side::B, b)];
        self.leg_b(b.mode())
    }

    fn ended_by_callee(self) -> Self {
        Self {
            last: Side::B,
            ..self
        }
    }

    fn leg_b(mut self, mode: &str) -> Self {
        self.config = self.config.leg_b(mode);
        self
    }
}

pub(crate) fn talks(scene: &Scene, call: Call) -> Outcome {
    through(scene, call).map(drop)
}

/// Holds the conversation, judges it, and returns both wires for what else there is to see.
fn through(scene: &Scene, call: Call) -> Outcome<[Wire; 2]> {
    let captures = scene.capture()?;
    let server = Server::start(scene, &call.config)?;
    let (mut b, mut a) = (call.b.start()?, call.a.start()?);
    let hidden = call.legs.iter().any(|leg| leg.hidden.is_some());
    let timeline = converse_keyed(&mut *a, &mut *b, CALLEE, call.last, hidden)?;
    let (wire_a, wire_b) = captures.finish()?;
    judge::by_ear(&mut *a, &mut *b, &timeline)?;
    judge::by_wires([&wire_a, &wire_b], call.legs, &timeline)?;
    if !hidden {
        reports(&wire_a, &wire_b, &call)?;
    }
    privacy::scan(&wire_a, &wire_b, &call.shared)?;
    privacy::notices_leaks(&wire_a, &wire_b, &call.shared)?;
    server.finish()?;
    Ok([wire_a, wire_b])
}

/// RTCP goes through in both directions, encrypted where it must be. What is decrypted here tells no
/// more of the other leg than what the scan sees by itself.
fn reports(wire_a: &Wire, wire_b: &Wire, call: &Call) -> Outcome {
    let read = |leg: Leg, wire: &Wire| {
        rtcp::reports(wire, leg.phone, leg.suite).map_err(|e| format!("leg {:?}: {e}", leg.side))
    };
    let (a, b) = (read(call.legs[0], wire_a)?, read(call.legs[1], wire_b)?);
    for (here, other, wire) in [(&a, &b, wire_b), (&b, &a, wire_a)] {
        privacy::scan_opened(wire, &here.to_phone, &call.shared)?;
        // The phone may have said the same encrypted, too: that one goes on.
        let count = |list: &[Vec<u8>], packet: &Vec<u8>| list.iter().filter(|p| *p == packet).count();
        let more = |packet: &&Vec<u8>| count(&other.to_phone, packet) > count(&here.from_phone, packet);
        if let Some(packet) = here.refused.iter().find(more) {
            return Err(format!("clear RTCP of a keyed leg was passed on: {packet:02x?}"));
        }
    }
    Ok(())
}

/// Offers as Linphone makes them when nobody restricts it: long ones, with opus first. The ear judges,
/// and every packet on both wires must authenticate.
fn as_it_comes(scene: &Scene) -> Outcome {
    let mut call = Call::new(scene, Make::Linphone, Make::Linphone)
        .a_sdes()
        .b_sdes(AES_128);
    (call.a.every_codec, call.b.every_codec) = (true, true);
    let captures = scene.capture()?;
    let server = Server::start(scene, &call.config)?;
    let (mut b, mut a) = (call.b.start()?, call.a.start()?);
    let timeline = converse(&mut *a, &mut *b, CALLEE, Side::B)?;
    let (wire_a, wire_b) = captures.finish()?;
    judge::by_ear(&mut *a, &mut *b, &timeline)?;
    for (leg, wire) in call.legs.into_iter().zip([&wire_a, &wire_b]) {
        let (out, back) =
            rtp::listen(wire, leg.phone, leg.suite).map_err(|e| format!("leg {:?}: {e}", leg.side))?;
        for span in &timeline.talks {
            // Not G.711, that is: opus was agreed on, with the number that each end wants for it.
            out.must_be_still(*span)
                .and_then(|()| back.must_be_still(*span))?;
        }
    }
    reports(&wire_a, &wire_b, &call)?;
    privacy::scan(&wire_a, &wire_b, &call.shared)?;
    server.finish()
}

/// A phone that agrees by X448 alone, so that both sides must commit to it.
fn x448(scene: &Scene) -> Outcome {
    let mut call = Call::new(scene, Make::Linphone, Make::Linphone).keyed(Keys::Zrtp, Keys::None);
    call.a.key_agreement = "MS_ZRTP_KEY_AGREEMENT_X448";
    let [wire, _] = through(scene, call)?;
    // RFC 6189 §5.4: the names of hash, cipher, tag and key agreement, in this order.
    let commits: Vec<&[u8]> = wire
        .payloads
        .iter()
        .filter_map(|payload| {
            let at = memchr::memmem::find(&payload.bytes, b"Commit  ")?;
            payload.bytes.get(at + 8 + 32 + 12 + 12..)?.get(..4)
        })
        .collect();
    // Further streams take their keys from the first.
    if !commits.contains(&&b"X448"[..]) || commits.iter().any(|name| !matches!(*name, b"X448" | b"Mult")) {
        return Err(format!("commits to {commits:?}, expected X448"));
    }
    Ok(())
}

/// Leg B must be SDES and the callee has none: the call fails, and nothing is sent in clear.
fn no_fallback(scene: &Scene) -> Outcome {
    let call = Call::new(scene, Make::Linphone, Make::Baresip).a_sdes();
    let captures = scene.capture()?;
    let server = Server::start(scene, &call.config)?;
    let (_b, mut a) = (call.b.start()?, call.a.start()?);
    a.dial(CALLEE)?;
    must_object("the caller", a.await_call(), "the call failed")?;
    let (wire_a, wire_b) = captures.finish()?;
    for (leg, wire) in [("A", wire_a), ("B", wire_b)] {
        let refused = wire.messages.iter().any(|m| m.status() == Some(488));
        let media = wire
            .payloads
            .iter()
            .filter(|p| !p.tcp && rtp::is_rtp(&p.bytes))
            .count();
        if !refused || media > 0 {
            return Err(format!(
                "leg {leg}: 488: {refused}, {media} RTP packets, expected 488 and none"
            ));
        }
    }
    server.finish()
}

/// The server stands behind one proxy and before another, at an address of its own; both proxies
/// record-route, so every ACK, re-INVITE and BYE must come back through them.
fn kamailio(scene: &Scene) -> Outcome {
    let own = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    scene.add_address(own)?;
    let mut call = Call::new(scene, Make::Linphone, Make::Baresip)
        .a_sdes()
        .leg_b("none");
    let front = SocketAddr::new(Side::A.hub(), server::PORT);
    let back = SocketAddr::new(Side::B.hub(), server::PORT);
    let _front = Kamailio::start(scene, "front", front, &format!("sip:{own}:{}", server::PORT))?;
    let _back = Kamailio::start(
        scene,
        "back",
        back,
        &format!("sip:{}:{}", call.b.ip(), call.b.sip_port()),
    )?;
    call.config.transport = format!("sip:{own}:{}", server::PORT);
    call.config.outbound_proxy = server::uri(Side::B);
    call.config.trusted_hosts = front.ip().to_string();
    call.shared.push(own);
    let neighbours = [(Side::A, front), (Side::B, back)];
    let wires = through(scene, call)?;
    for ((side, proxy), wire) in neighbours.into_iter().zip(wires) {
        let phone = side.phone();
        let beside = |m: &&Message| {
            let ends = [m.from.ip(), m.to.ip()];
            !(ends.contains(&phone) && ends.contains(&proxy.ip()))
        };
        if let Some(m) = wire.messages.iter().find(beside) {
            return Err(format!(
                "leg {side:?}: past the proxy, {} -> {}: {}",
                m.from, m.to, m.start
            ));
        }
        // Set-up, two holds, two resumes: one ACK each, and the BYE.
        for (method, least) in [("INVITE", 5), ("ACK", 5), ("BYE", 1)] {
            let seen = wire.messages.iter().filter(|m| m.is_request(method)).count();
            if seen < least {
                return Err(format!(
                    "leg {side:?}: {seen} {method}s through the proxy, expected {least}"
                ));
            }
        }
    }
    Ok(())
}

fn ipv6(scene: &Scene) -> Outcome {
    let mut call = Call::new(scene, Make::Linphone, Make::Baresip)
        .a_sdes()
        .leg_b("none");
    call.b.ipv6 = true;
    let near = format!("sip:[{}]:{}", Side::B.hub6(), server::PORT);
    call.b.proxy = Some(near.clone());
    call.legs[1].phone = Side::B.phone6();
    call.config.transport = format!("{} {near}", server::uri(Side::A));
    call.config.outbound_proxy = format!("sip:[{}]:{}", Side::B.phone6(), call.b.sip_port());
    talks(scene, call)
}

/// Three targets in order: nobody is there; one answers 503; the third is the callee. The caller
/// must not notice.
fn srv(scene: &Scene) -> Outcome {
    let mut call = Call::new(scene, Make::Baresip, Make::Linphone)
        .b_sdes(AES_128)
        .leg_b("sdes");
    let records = format!(
        "host-record=dead.test,203.0.113.99\nhost-record=busy.test,{b}\nhost-record=good.test,{b}\n\
         srv-host=_sip._udp.pbx.test,dead.test,5060,10,0\n\
         srv-host=_sip._udp.pbx.test,busy.test,5083,20,0\n\
         srv-host=_sip._udp.pbx.test,good.test,{port},30,0\n",
        b = call.b.ip(),
        port = call.b.sip_port()
    );
    let _dns = Dns::start(scene, &records)?;
    let mut busy = Run::callee("uas_503");
    busy.at.set_port(5083);
    let busy = busy.start(scene)?;
    call.config.outbound_proxy = "sip:pbx.test".to_owned();
    through(scene, call)?;
    busy.finish(std::time::Duration::from_secs(5))
}

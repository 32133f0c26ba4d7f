//! What the README says, with the files that are shipped: a proxy with which the callee registers, the server beside it on
//! loopback, and phones elsewhere.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::converse::converse;
use crate::judge::{self, AES_128, Leg};
use crate::kamailio::Kamailio;
use crate::netns::Side;
use crate::phone::{Make, Setup};
use crate::scene::Scene;
use crate::server::{self, MEDIA_PORTS, Server};
use crate::{Outcome, Test, privacy};

pub(crate) const TESTS: &[Test] = &[Test::new(
    "shipped::two_phones_call_as_the_readme_says",
    as_the_readme_says,
)];

const BOB: &str = "sip:bob@example.org";

fn as_the_readme_says(scene: &Scene) -> Outcome {
    let own = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));
    scene.add_address(own)?;
    let a = scene.caller(Make::Baresip).through(&server::uri(Side::A));
    let b = scene
        .callee(Make::Linphone)
        .through(&server::uri(Side::B))
        .encrypted();
    let captures = scene.capture()?;
    let _proxy = Kamailio::shipped(scene)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_b2bua"));
    command
        .arg("-c")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/b2bua.conf"));
    for set in [
        "b2bua-server/user-agent=Our-B2BUA",
        &format!("b2bua-server/media-address={own}"),
        &format!("b2bua-server/audio-port={MEDIA_PORTS}"),
        "b2bua-server::trenscrypter/outgoing-enc-regex=sdes sip:bob@.* none sip:alice@.*",
    ] {
        command.args(["-s", set]);
    }
    let server = Server::run("b2bua", scene, command)?;
    let (mut phone_b, mut phone_a) = (b.start()?, a.start()?);
    register(&b)?;
    let timeline = converse(&mut *phone_a, &mut *phone_b, BOB, Side::A)?;
    let (wire_a, wire_b) = captures.finish()?;
    judge::by_ear(&mut *phone_a, &mut *phone_b, &timeline)?;
    let legs = [Leg::plain(Side::A), Leg::keyed(Side::B, AES_128)];
    judge::by_wires([&wire_a, &wire_b], legs, &timeline)?;
    // The server's own addresses are the same for both legs.
    privacy::scan(&wire_a, &wire_b, &[own, IpAddr::V4(Ipv4Addr::LOCALHOST)])?;
    server.finish()
}

/// Registers the callee with the proxy, as its phone would.
fn register(phone: &Setup) -> Outcome {
    let told = |e: std::io::Error| format!("REGISTER: {e}");
    let proxy = SocketAddr::new(Side::B.hub(), server::PORT);
    let socket = UdpSocket::bind((Side::B.hub(), 0)).map_err(told)?;
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .map_err(told)?;
    let own = socket.local_addr().map_err(told)?;
    let request = format!(
        "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKreg\r\nMax-Forwards: 70\r\n\
         From: <{BOB}>;tag=reg\r\nTo: <{BOB}>\r\nCall-ID: reg\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:bob@{}:{}>\r\nExpires: 300\r\nContent-Length: 0\r\n\r\n",
        phone.ip(),
        phone.sip_port()
    );
    let mut answer = [0; 2048];
    for _ in 0..20 {
        // Until the proxy is up, nobody answers.
        socket.send_to(request.as_bytes(), proxy).map_err(told)?;
        if let Ok(length) = socket.recv(&mut answer) {
            let text = String::from_utf8_lossy(&answer[..length]).into_owned();
            return if text.starts_with("SIP/2.0 200") {
                Ok(())
            } else {
                Err(format!("REGISTER: {text}"))
            };
        }
    }
    Err("the proxy does not answer REGISTER".to_owned())
}

//! ZRTP with real phones on a bad network: 20 % of the media's packets are lost in each direction, and others overtake each other.
//!
//! These kernels have no netem, so a shim of ours stands in the media's path: it passes SIP on, with its own ports in the session
//! descriptions, and delays or drops what comes to them. SIP itself loses nothing. At last it drops everything.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::converse::{now, talk};
use crate::netns::Side;
use crate::phone::{Keys, Make};
use crate::rtp::{self, Span};
use crate::scene::Scene;
use crate::secrets::agreed;
use crate::server::{PORT, Server};
use crate::shim::{Faults, Flight, Weather, fly};
use crate::through::{CALLEE, Call};
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "weather::zrtp_of_a_caller_under_loss_and_reordering_completes_or_ends_the_call",
        body: |scene| weathered(scene, Side::A),
        limit: Duration::from_secs(400),
    },
    Test {
        name: "weather::zrtp_of_a_callee_under_loss_and_reordering_completes_or_ends_the_call",
        body: |scene| weathered(scene, Side::B),
        limit: Duration::from_secs(400),
    },
];

/// Calls of each test.
const CALLS: u64 = 5;
/// Of a hundred packets.
const LOST: u64 = 20;
/// All are late, by up to three times the interval of voice.
const FAULTS: Faults = Faults {
    lost: LOST,
    twice: 0,
    late: 100,
    delay: Duration::from_millis(60),
};
/// Where the shim takes SIP, and media: from the server and from the phone, RTP and RTCP each.
const SIP: u16 = 5070;
const FROM_SERVER: u16 = 31_000;
const FROM_PHONE: u16 = 31_010;
/// Keys that are not there by then end the call (15 s after its answer), and then it is over.
const DECIDED: Duration = Duration::from_secs(25);

/// Stands between a phone and the server. Dropping it ends it.
struct Shim {
    stop: Arc<AtomicBool>,
    weather: Arc<Weather>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Shim {
    fn start(side: Side, phone_sip: u16, seed: u64, lost: u64) -> Outcome<Self> {
        let hub = side.hub();
        let bind = |port: u16| -> Outcome<Arc<UdpSocket>> {
            let at = SocketAddr::new(hub, port);
            let socket = UdpSocket::bind(at).map_err(|e| format!("shim at {at}: {e}"))?;
            socket
                .set_read_timeout(Some(Duration::from_millis(50)))
                .map_err(|e| e.to_string())?;
            Ok(Arc::new(socket))
        };
        let mut shim = Self {
            stop: Arc::default(),
            weather: Arc::default(),
            threads: Vec::new(),
        };
        let ports = Arc::new([AtomicU16::new(0), AtomicU16::new(0)]);
        shim.signal(bind(SIP)?, side, phone_sip, ports.clone());
        let (flights, queue) = mpsc::channel();
        for component in [0, 1] {
            let (server, phone) = (bind(FROM_SERVER + component)?, bind(FROM_PHONE + component)?);
            // Port of which end, in `ports`; 0 is the phone's.
            for (place, from, out, ip) in [
                (1, phone.clone(), server.clone(), hub),
                (0, server, phone, side.phone()),
            ] {
                let (stop, ports, flights) = (shim.stop.clone(), ports.clone(), flights.clone());
                shim.threads.push(thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while !stop.load(Relaxed) {
                        let Ok(length) = from.recv(&mut buffer) else {
                            continue;
                        };
                        let to = SocketAddr::new(ip, ports[place].load(Relaxed) + component);
                        let (bytes, out) = (buffer[..length].to_vec(), out.clone());
                        let _ = flights.send(Flight { bytes, out, to });
                    }
                }));
            }
        }
        let (stop, weather) = (shim.stop.clone(), shim.weather.clone());
        shim.threads.push(thread::spawn(move || {
            let faults = Faults { lost, ..FAULTS };
            // ZRTP has a version of RTP that is none.
            fly(&queue, &stop, &weather, faults, seed, |bytes| {
                bytes.first() == Some(&0x10)
            });
        }));
        Ok(shim)
    }

    /// Passes SIP on, with our ports in the descriptions of both.
    fn signal(&mut self, socket: Arc<UdpSocket>, side: Side, phone_sip: u16, ports: Arc<[AtomicU16; 2]>) {
        let phone = SocketAddr::new(side.phone(), phone_sip);
        let server = SocketAddr::new(side.hub(), PORT);
        let stop = self.stop.clone();
        self.threads.push(thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while !stop.load(Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                let text = String::from_utf8_lossy(&buffer[..length]);
                let (to, place, port) = if from.ip() == phone.ip() {
                    (server, 0, FROM_SERVER)
                } else {
                    (phone, 1, FROM_PHONE)
                };
                let text = describe(&text, side.hub(), port, &ports[place]);
                let _ = socket.send_to(text.as_bytes(), to);
            }
        }));
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            // One that panicked has lost its packets, which the test sees.
            let _ = thread.join();
        }
    }
}

/// A message with our address and port for its writer's audio, which is noted.
fn describe(text: &str, ip: IpAddr, port: u16, theirs: &AtomicU16) -> String {
    let Some((head, body)) = text
        .split_once("\r\n\r\n")
        .filter(|(_, body)| body.contains("m=audio "))
    else {
        return text.to_owned();
    };
    let mut lines = Vec::new();
    for line in body.lines() {
        if let Some(media) = line.strip_prefix("m=audio ")
            && let Some((own, rest)) = media.split_once(' ')
        {
            theirs.store(own.parse().unwrap_or(0), Relaxed);
            lines.push(format!("m=audio {port} {rest}"));
        } else if line.starts_with("c=IN IP4 ") {
            lines.push(format!("c=IN IP4 {ip}"));
        } else if !line.starts_with("a=rtcp:") {
            lines.push(line.to_owned());
        }
    }
    let body = lines.join("\r\n") + "\r\n";
    let head: Vec<_> = head
        .lines()
        .map(|line| match line.split_once(':') {
            Some((name, _))
                if ["content-length", "l"].contains(&name.trim().to_ascii_lowercase().as_str()) =>
            {
                format!("{name}: {}", body.len())
            }
            _ => line.to_owned(),
        })
        .collect();
    format!("{}\r\n\r\n{body}", head.join("\r\n"))
}

/// Several calls, one after the other; the phone and the server know each other from the second on.
fn weathered(scene: &Scene, zrtp: Side) -> Outcome {
    let (mut completed, mut lost, mut overtaken) = (0, 0, 0);
    for number in 0..CALLS {
        let (done, shim) = one(scene, zrtp, number, LOST).map_err(|e| format!("call {number}: {e}"))?;
        completed += u64::from(done);
        lost += shim.weather.lost.load(Relaxed);
        overtaken += shim.weather.overtaken.load(Relaxed);
    }
    println!("{completed} of {CALLS} keyed, {lost} ZRTP packets lost, {overtaken} packets overtaken");
    if lost == 0 || overtaken == 0 {
        return Err(format!(
            "the weather was fair: {lost} lost, {overtaken} overtaken"
        ));
    }
    // Eleven tries for each message: that nearly all fail is a fault, not weather.
    if completed < CALLS - 1 {
        return Err(format!("{completed} of {CALLS} calls were keyed"));
    }
    // And when nothing arrives at all, there is an end.
    let (done, _) = one(scene, zrtp, CALLS, 100)?;
    if done {
        return Err("keyed without a packet".to_owned());
    }
    Ok(())
}

/// One call. Whether it was keyed; if it was not, it has ended with a reason. Nothing was in the clear.
fn one(scene: &Scene, zrtp: Side, number: u64, lost: u64) -> Outcome<(bool, Shim)> {
    let (a, b) = match zrtp {
        Side::A => (Keys::Zrtp, Keys::None),
        Side::B => (Keys::None, Keys::Zrtp),
    };
    let mut call = Call::new(scene, Make::Linphone, Make::Linphone).keyed(a, b);
    call.config.data = scene.dir.join("data").display().to_string();
    let shim_uri = format!("sip:{}:{SIP}", zrtp.hub());
    let phone_sip = match zrtp {
        Side::A => {
            call.a = call.a.through(&shim_uri);
            call.config.trusted_hosts = format!("{} {}", zrtp.hub(), zrtp.phone());
            call.a.sip_port()
        }
        Side::B => {
            call.config.outbound_proxy = shim_uri;
            call.b.sip_port()
        }
    };
    let shim = Shim::start(zrtp, phone_sip, number + 1, lost)?;
    let captures = scene.capture()?;
    let server = Server::start_as(&format!("b2bua-{number}"), scene, &call.config)?;
    let (mut b, mut a) = (call.b.start()?, call.a.start()?);
    let begun = now();
    a.dial(CALLEE)?;
    a.await_call()?;
    b.await_call()?;
    let deadline = Instant::now() + DECIDED;
    let failed = |log: &str| log.contains("a stream without keys");
    let shown = || {
        let log = std::fs::read_to_string(scene.dir.join(format!("linphone-{}/log", zrtp.letter())));
        log.unwrap_or_default()
    };
    // Whoever sent the last message knows before the other, who may have to ask for it again.
    let keyed = || server.log().contains(" sas=") && shown().contains("SAS is ");
    while !keyed() && !failed(&server.log()) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(50));
    }
    let done = keyed();
    let mut timeline = crate::converse::Timeline::default();
    if done {
        talk(&mut timeline);
        a.hang_up()?;
    }
    crate::converse::finish(&mut *a, &mut *b)?;
    let (wire_a, wire_b) = captures.finish()?;
    let wire = if zrtp == Side::A { &wire_a } else { &wire_b };
    let (out, back) = rtp::overhear(wire, zrtp.phone(), "RTP/AVP")?;
    let whole = Span {
        from: begun,
        to: now(),
    };
    if done {
        let sas = agreed(&server.log(), false)?;
        if !shown().contains(&format!("SAS is {sas} ")) {
            return Err(format!("Linphone shows another string than {sas:?}"));
        }
        for span in &timeline.talks {
            out.must_flow(*span, 0.6)?;
            back.must_flow(*span, 0.5)?;
        }
    } else {
        if !failed(&server.log()) {
            return Err("neither keyed nor ended".to_owned());
        }
        if out.count(whole) + back.count(whole) > 0 {
            return Err("media without keys".to_owned());
        }
        for (side, wire) in [(Side::A, &wire_a), (Side::B, &wire_b)] {
            let byes = wire.messages.iter().filter(|m| m.is_request("BYE"));
            let told = byes
                .filter_map(|m| m.header("Reason"))
                .any(|why| why.contains("cause=488"));
            if !told {
                return Err(format!("leg {side:?} was not told why the call ended"));
            }
        }
    }
    server.finish()?;
    Ok((done, shim))
}

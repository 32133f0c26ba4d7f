//! ZRTP handshakes per second and core: both ends of an exchange, from Hello to Conf2ACK, in memory.
//!
//! `cargo bench --bench zrtp [SECONDS]`. One handshake here is the work of one endpoint: an exchange counts as two. Ends with 1
//! below 500 with X25519 or 100 with DH3k.

use b2bua::media::zrtp::{Association, Env, KeyAgreement, Output, Retained, Settings, StreamIndex, Zid};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::VecDeque,
    process::ExitCode,
    time::{Duration, Instant},
};

const STREAM: StreamIndex = StreamIndex(0);

/// One exchange. No packet is lost, so no time needs to pass.
fn exchange(agreement: KeyAgreement, now: Instant, rng: &mut StdRng) {
    let mut random = |bytes: &mut [u8]| rng.fill_bytes(bytes);
    let mut env = Env {
        now,
        random: &mut random,
    };
    let settings = Settings {
        key_agreements: vec![agreement],
        ..Settings::default()
    };
    let mut ends = [1, 2].map(|zid| Association::new(Zid([zid; 12]), settings.clone()));
    for end in &mut ends {
        end.add_stream(STREAM, 1, &mut env).expect("the first stream");
        end.start(STREAM, &mut env);
    }
    let mut flights = VecDeque::new();
    let mut secured = 0;
    loop {
        for (index, end) in ends.iter_mut().enumerate() {
            while let Some(output) = end.poll_output() {
                match output {
                    Output::Send(_, bytes) => flights.push_back((1 - index, bytes)),
                    Output::Lookup(peer) => end.handle_retained(peer, Retained::default(), &mut env),
                    Output::Secured(..) => secured += 1,
                    _ => {}
                }
            }
        }
        let Some((to, bytes)) = flights.pop_front() else {
            break;
        };
        ends[to].handle_packet(STREAM, &bytes, &mut env);
    }
    assert_eq!(secured, 2, "both ends are secured");
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn main() -> ExitCode {
    let seconds = std::env::args()
        .filter_map(|word| word.parse().ok())
        .next()
        .unwrap_or(2);
    let mut rng = StdRng::seed_from_u64(1);
    let mut enough = true;
    for (agreement, least) in [
        (KeyAgreement::X255, 500.0),
        (KeyAgreement::Ec25, 0.0),
        (KeyAgreement::X448, 0.0),
        (KeyAgreement::Ec38, 0.0),
        (KeyAgreement::Dh2k, 0.0),
        (KeyAgreement::Dh3k, 100.0),
    ] {
        let start = Instant::now();
        let mut handshakes = 0;
        while start.elapsed() < Duration::from_secs(seconds) {
            exchange(agreement, start, &mut rng);
            handshakes += 2;
        }
        let rate = f64::from(handshakes) / start.elapsed().as_secs_f64();
        println!("{agreement}: {rate:.0} handshakes a second and core (aim: {least})");
        enough &= rate >= least;
    }
    if enough {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

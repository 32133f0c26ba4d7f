//! SRTP of a voice packet (172 octets), beside webrtc-srtp in the same run.
//!
//! `cargo bench --bench srtp [-- --gate]`; what counts is the ratio. Under the suite that most calls have, sealing must
//! be at least 1.5 times and opening at least 2 times faster; with `--gate` the exit status says whether.
//!
//! Both guard against replay with a window of 128. The machine may be busy: rounds are shorter than a time slice and interleaved, each figure is the median of its rounds
//! and each ratio the median of the rounds' ratios.

use b2bua::media::{
    SrtpKey, Suite,
    packet::Packet,
    srtp::{SrtpIn, SrtpOut},
};
use std::{
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};
use webrtc_srtp::{context::Context, option::srtp_replay_protection, protection_profile::ProtectionProfile};

const ROUNDS: usize = 101;
const PACKETS: usize = 2_048;
/// Packets that lie ready in their buffers, as they do when the kernel has delivered them: ours works in place.
const READY: usize = 32;
/// What each figure is judged by.
const GATED: Suite = Suite::AesCm128HmacSha1_80;
const PROTECT_BAR: f64 = 1.5;
const UNPROTECT_BAR: f64 = 2.0;

fn profile(suite: Suite) -> ProtectionProfile {
    match suite {
        Suite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Suite::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Suite::AesCm256HmacSha1_80 => ProtectionProfile::Aes256CmHmacSha1_80,
        Suite::AesCm256HmacSha1_32 => ProtectionProfile::Aes256CmHmacSha1_32,
        Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Suite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    }
}

fn theirs(key: &SrtpKey) -> Context {
    let (master, salt) = key.master.split_at(key.suite.key_length());
    Context::new(
        master,
        salt,
        profile(key.suite),
        Some(srtp_replay_protection(128)),
        None,
    )
    .expect("a key of the right length")
}

/// Voice packets with running numbers.
fn voice() -> Vec<Vec<u8>> {
    (0..PACKETS)
        .map(|number| {
            let mut bytes = vec![0x80, 0];
            bytes.extend((number as u16).to_be_bytes());
            bytes.extend((number as u32 * 160).to_be_bytes());
            bytes.extend(0x1234_5678u32.to_be_bytes());
            bytes.extend((0..160).map(|octet| (octet ^ number) as u8));
            bytes
        })
        .collect()
}

/// Nanoseconds a packet of `work`, which gets the place of each packet and, filled with it, a buffer. Filling is not
/// counted.
fn time(
    octets: &[impl AsRef<[u8]>],
    packets: &mut [Packet],
    mut work: impl FnMut(usize, &mut Packet),
) -> f64 {
    let mut spent = Duration::ZERO;
    for first in (0..PACKETS).step_by(READY) {
        for (packet, octets) in packets.iter_mut().zip(&octets[first..]) {
            packet.fill(octets.as_ref());
        }
        #[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
        let start = Instant::now();
        for (place, packet) in packets.iter_mut().enumerate() {
            work(first + place, packet);
        }
        spent += start.elapsed();
    }
    spent.as_nanos() as f64 / PACKETS as f64
}

/// One figure: its rounds.
#[derive(Default)]
struct Figure(Vec<f64>);

impl Figure {
    /// Fastest, median, slowest.
    fn spread(&self) -> [f64; 3] {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        [0, sorted.len() / 2, sorted.len() - 1].map(|place| sorted[place])
    }

    /// The median of the rounds' ratios.
    fn over(&self, other: &Self) -> f64 {
        Self(
            self.0
                .iter()
                .zip(&other.0)
                .map(|(own, other)| own / other)
                .collect(),
        )
        .spread()[1]
    }

    fn told(&self) -> String {
        let [fastest, median, slowest] = self.spread();
        format!("{median:4.0} ns ({fastest:.0}-{slowest:.0})")
    }
}

/// How many times faster ours is: sealing and opening.
fn compare(suite: Suite) -> (f64, f64) {
    let key = SrtpKey {
        suite,
        master: vec![0x42; suite.master_length()].into(),
        mki: None,
    };
    let plain = voice();
    let mut out = theirs(&key);
    let sealed: Vec<_> = plain
        .iter()
        .map(|plain| out.encrypt_rtp(plain).expect("sealed"))
        .collect();
    let mut packets: Vec<_> = (0..READY).map(|_| Packet::new()).collect();
    let mut figures: [Figure; 4] = Default::default();
    // The first round warms up.
    for round in 0..=ROUNDS {
        let (mut out, mut context) = (SrtpOut::new(&key).expect("key"), SrtpIn::new(&key).expect("key"));
        let (mut their_out, mut their_context) = (theirs(&key), theirs(&key));
        let times = [
            time(&plain, &mut packets, |_, packet| {
                out.seal_rtp(packet).expect("sealed")
            }),
            time(&plain, &mut packets, |place, _| {
                black_box(their_out.encrypt_rtp(&plain[place]).expect("sealed"));
            }),
            time(&sealed, &mut packets, |_, packet| {
                black_box(context.open_rtp(packet).expect("opened"));
            }),
            time(&sealed, &mut packets, |place, _| {
                black_box(their_context.decrypt_rtp(&sealed[place]).expect("opened"));
            }),
        ];
        if round > 0 {
            figures
                .iter_mut()
                .zip(times)
                .for_each(|(figure, time)| figure.0.push(time));
        }
    }
    let [protect, their_protect, unprotect, their_unprotect] = &figures;
    let ratios = (their_protect.over(protect), their_unprotect.over(unprotect));
    println!(
        "{suite:<25} protect {} against {}: {:.2} x; unprotect {} against {}: {:.2} x",
        protect.told(),
        their_protect.told(),
        ratios.0,
        unprotect.told(),
        their_unprotect.told(),
        ratios.1,
    );
    ratios
}

fn main() -> ExitCode {
    let gate = std::env::args().any(|argument| argument == "--gate");
    println!("172 octets, median of {ROUNDS} rounds (fastest-slowest), ours against webrtc-srtp:");
    let mut passed = true;
    for suite in Suite::ALL {
        let (protect, unprotect) = compare(suite);
        if suite == GATED {
            passed = protect >= PROTECT_BAR && unprotect >= UNPROTECT_BAR;
        }
    }
    let verdict = if passed { "PASS" } else { "FAIL" };
    println!("{verdict}: {GATED} protect >= {PROTECT_BAR} x, unprotect >= {UNPROTECT_BAR} x");
    if gate && !passed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

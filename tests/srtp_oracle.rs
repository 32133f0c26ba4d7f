//! Our SRTP and SRTCP against libsrtp2: octet for octet, both ways, over rollovers, with late, lost and repeated
//! packets.
//!
//! Needs a C compiler and libsrtp2's headers (Debian: `gcc`, `libsrtp2-dev`; `tests/run` installs them). Without them the
//! test fails: an oracle that is not asked proves nothing.
//!
//! Not compared: keys, rollover counters and SSRCs that change (libsrtp's answer depends on how its user renews its
//! streams), the exact point where late becomes too late beyond 128 packets, and the GCM suites where libsrtp2 was
//! built without a library that has them (Debian's has them all); the run says so.

use b2bua::media::{
    SrtpKey, Suite,
    packet::Packet,
    srtp::{SrtpIn, SrtpOut},
};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
};

const SSRC: u32 = 0xcafe_babe;

/// libsrtp2 in a process of its own.
struct Oracle {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Compiles the oracle, once.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<std::path::PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("srtp-oracle");
        let compiled = Command::new("cc")
            .args(["-O2", "-Wall", "-Werror", "-o"])
            .arg(&program)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/srtp.c"))
            .arg("-lsrtp2")
            .status()
            .expect("a C compiler (Debian: gcc)");
        assert!(
            compiled.success(),
            "libsrtp2 with headers is needed (Debian: libsrtp2-dev)"
        );
        program
    })
}

impl Oracle {
    /// `Err`: libsrtp2 was built without this suite.
    fn new(key: &SrtpKey) -> Result<Self, String> {
        let mut child = Command::new(program())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program that was just compiled");
        let requests = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut oracle = Self {
            child,
            requests,
            answers,
        };
        oracle.ask(&format!("key {} {}", key.suite, hex::encode(&*key.master)))?;
        Ok(oracle)
    }

    fn ask(&mut self, request: &str) -> Result<Vec<u8>, String> {
        writeln!(self.requests, "{request}").expect("the oracle runs");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the oracle answers");
        match answer.trim_end().split_once(' ') {
            Some(("ok", octets)) => Ok(hex::decode(octets).expect("hexadecimal")),
            _ if answer.trim_end() == "ok" => Ok(Vec::new()),
            _ => Err(answer.trim_end().to_owned()),
        }
    }

    fn call(&mut self, verb: &str, octets: &[u8]) -> Result<Vec<u8>, String> {
        self.ask(&format!("{verb} {}", hex::encode(octets)))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // Its own child, by its handle.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn key(suite: Suite) -> SrtpKey {
    let master = (0..suite.master_length())
        .map(|octet| (octet as u8).wrapping_mul(37) ^ 0x5a)
        .collect();
    SrtpKey {
        suite,
        master: zeroize::Zeroizing::new(master),
        mki: None,
    }
}

/// Runs a comparison under every suite that libsrtp2 has. The counter-mode ones it must have.
fn with_every_suite(compare: impl Fn(&SrtpKey, Oracle)) {
    for suite in Suite::ALL {
        match Oracle::new(&key(suite)) {
            Ok(oracle) => compare(&key(suite), oracle),
            Err(error) => {
                assert!(suite.is_aead(), "{suite}: {error}");
                println!("this libsrtp2 has no {suite} ({error}): not compared");
            }
        }
    }
}

/// A packet with CSRCs or an extension now and then, and payloads of many lengths.
fn rtp(index: u64) -> Vec<u8> {
    let mut bytes = vec![0x80, 0x60];
    bytes.extend((index as u16).to_be_bytes());
    bytes.extend((index as u32).wrapping_mul(160).to_be_bytes());
    bytes.extend(SSRC.to_be_bytes());
    if index % 4 == 1 {
        bytes[0] |= 1;
        bytes.extend([1, 2, 3, 4]);
    }
    if index % 5 == 2 {
        bytes[0] |= 0x10;
        bytes.extend([0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
    }
    bytes.extend((0..1 + index % 200).map(|octet| (octet ^ index) as u8));
    bytes
}

/// A sender report and a source description of some length.
fn rtcp(count: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, 200, 0, 6];
    bytes.extend(SSRC.to_be_bytes());
    bytes.extend((0..5).flat_map(|word| (count ^ word).to_be_bytes()));
    let words = 1 + count % 9;
    bytes.extend([0x81, 202, 0, words as u8 + 1]);
    bytes.extend(SSRC.to_be_bytes());
    bytes.extend([1, 4 * words as u8 - 3]);
    bytes.extend(vec![b'x'; 4 * words as usize - 2]);
    bytes
}

fn seal(out: &mut SrtpOut, plain: &[u8]) -> Vec<u8> {
    let mut packet = Packet::new();
    packet.fill(plain);
    out.seal_rtp(&mut packet).expect("a new index");
    packet.bytes().to_vec()
}

fn seal_rtcp(out: &mut SrtpOut, plain: &[u8]) -> Vec<u8> {
    let mut packet = Packet::new();
    packet.fill(plain);
    out.seal_rtcp(&mut packet).expect("a new index");
    packet.bytes().to_vec()
}

/// The plain packet, if it was taken.
fn open(context: &mut SrtpIn, sealed: &[u8]) -> Option<Vec<u8>> {
    let mut packet = Packet::new();
    packet.fill(sealed);
    context
        .open_rtp(&mut packet)
        .ok()
        .map(|_| packet.bytes().to_vec())
}

fn open_rtcp(context: &mut SrtpIn, sealed: &[u8]) -> Option<Vec<u8>> {
    let mut packet = Packet::new();
    packet.fill(sealed);
    context
        .open_rtcp(&mut packet)
        .ok()
        .map(|_| packet.bytes().to_vec())
}

#[test]
fn srtp_agrees_octet_for_octet_over_two_rollovers() {
    with_every_suite(|key, mut oracle| {
        let (mut out, mut context) = (SrtpOut::new(key).unwrap(), SrtpIn::new(key).unwrap());
        // Steps of less than half a turn lead over both wraps.
        let run = |from: u64| from..from + 100;
        let indices = [0, 20_000, 45_000, 0xffc0, 0x1_6000, 0x1_d000, 0x1_ffc0]
            .into_iter()
            .flat_map(run);
        for index in indices {
            let plain = rtp(index);
            let ours = seal(&mut out, &plain);
            let theirs = oracle.call("protect", &plain).unwrap();
            assert_eq!(
                hex::encode(&ours),
                hex::encode(&theirs),
                "{} {index:x}",
                key.suite
            );
            assert_eq!(
                oracle.call("unprotect", &ours).as_ref(),
                Ok(&plain),
                "{} {index:x}",
                key.suite
            );
            assert_eq!(
                open(&mut context, &theirs),
                Some(plain),
                "{} {index:x}",
                key.suite
            );
        }
        assert_eq!(out.position(SSRC), Some(0x1_ffc0 + 99));
    });
}

#[test]
fn srtcp_agrees_octet_for_octet() {
    with_every_suite(|key, mut oracle| {
        let (mut out, mut context) = (SrtpOut::new(key).unwrap(), SrtpIn::new(key).unwrap());
        // libsrtp numbers its first SRTCP packet 1, we number it 0 (RFC 3711 §3.4): both are opened.
        let first = seal_rtcp(&mut out, &rtcp(0));
        assert_eq!(oracle.call("unprotect_rtcp", &first), Ok(rtcp(0)));
        for count in 1..300 {
            let plain = rtcp(count);
            let ours = seal_rtcp(&mut out, &plain);
            let theirs = oracle.call("protect_rtcp", &plain).unwrap();
            assert_eq!(hex::encode(&ours), hex::encode(&theirs), "{} {count}", key.suite);
            assert_eq!(
                oracle.call("unprotect_rtcp", &ours).as_ref(),
                Ok(&plain),
                "{} {count}",
                key.suite
            );
            assert_eq!(
                open_rtcp(&mut context, &theirs),
                Some(plain),
                "{} {count}",
                key.suite
            );
        }
    });
}

/// Every packet goes to both receivers in the same, disturbed order: each is taken by both or by neither.
#[test]
fn late_lost_repeated_and_damaged_packets_are_judged_alike() {
    with_every_suite(|key, mut oracle| {
        let (mut out, mut context) = (SrtpOut::new(key).unwrap(), SrtpIn::new(key).unwrap());
        let sealed: Vec<_> = (0xfe00..0x1_0200u64)
            .map(|index| seal(&mut out, &rtp(index)))
            .collect();
        let reports: Vec<_> = (0..400).map(|count| seal_rtcp(&mut out, &rtcp(count))).collect();
        let mut random = 0x1234_5678u32;
        let mut below = |bound: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as usize % bound
        };
        let (mut taken, mut refused) = (0, 0);
        for place in 0..sealed.len() {
            // Up to 100 back, so that late ones stay within both windows of 128.
            for _ in 0..2 {
                let chosen = place.saturating_sub(if below(3) == 0 { below(100) } else { 0 });
                let mut packet = sealed[chosen].clone();
                if below(10) == 0 {
                    let at = 2 + below(packet.len() - 2);
                    packet[at] ^= 1 << below(8);
                }
                let theirs = oracle.call("unprotect", &packet).ok();
                assert_eq!(open(&mut context, &packet), theirs, "{} {chosen}", key.suite);
                if theirs.is_some() {
                    taken += 1
                } else {
                    refused += 1
                }
                let chosen = (place * reports.len() / sealed.len()).saturating_sub(below(60));
                let mut packet = reports[chosen].clone();
                if below(10) == 0 {
                    let at = 4 + below(packet.len() - 4);
                    packet[at] ^= 1 << below(8);
                }
                let theirs = oracle.call("unprotect_rtcp", &packet).ok();
                assert_eq!(open_rtcp(&mut context, &packet), theirs, "{} {chosen}", key.suite);
            }
        }
        assert!(taken > 900 && refused > 500, "{taken} taken, {refused} refused");
    });
}

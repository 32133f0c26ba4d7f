//! What the fuzzers run: one function a target, each of which panics when an invariant breaks.
//!
//! `tests/fuzz/run` feeds them with libFuzzer; the unit test below feeds them with the seed corpus
//! (`tests/fuzz/corpus/TARGET/`) and with mutations of it. A new target is a function here, a line in [`TARGETS`],
//! three lines in `tests/fuzz/targets/`, a `[[bin]]` in `tests/fuzz/Cargo.toml`, and a few small seeds.

mod call;
mod config;
mod digest;
mod dtls;
mod leg;
mod media;
mod passage;
mod sdp;
mod sip;
mod zrtp;

pub use call::{call, executed_transfer};
pub use config::config;
pub use digest::digest;
pub use dtls::dtls_records;
pub use leg::leg_operations;
pub use media::{relay_flow, rtp_demux, srtp};
pub use passage::passage;
pub use sdp::sdp;
pub use sip::{sip_datagram, sip_headers, sip_stream, sip_uri};
pub use zrtp::{zrtp_packet, zrtp_sequence};

/// One target.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("sip_datagram", sip_datagram),
    ("sip_stream", sip_stream),
    ("sip_uri", sip_uri),
    ("sip_headers", sip_headers),
    ("config", config),
    ("digest", digest),
    ("sdp", sdp),
    ("call", call),
    ("executed_transfer", executed_transfer),
    ("leg_operations", leg_operations),
    ("passage", passage),
    ("rtp_demux", rtp_demux),
    ("srtp", srtp),
    ("relay_flow", relay_flow),
    ("dtls_records", dtls_records),
    ("zrtp_packet", zrtp_packet),
    ("zrtp_sequence", zrtp_sequence),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Ids;
    use std::{fs, path::PathBuf};

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fuzz/corpus")
            .join(target);
        let mut paths: Vec<_> = fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).unwrap()).collect()
    }

    /// Changes a few bytes, cuts, doubles or inserts: crude, but the same each time.
    fn mutate(seed: &[u8], ids: &mut Ids) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=ids.below(4) {
            let at = ids.below(bytes.len() as u64 + 1) as usize;
            match ids.below(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(
                    at,
                    *b"\r\n :;,<>\"\\@[]=/\0\xff%".get(ids.below(18) as usize).unwrap(),
                ),
                2 if at < bytes.len() => bytes[at] ^= 1 << ids.below(8),
                3 if at < bytes.len() => drop(bytes.remove(at)),
                4 => {
                    let end = (at + ids.below(40) as usize).min(bytes.len());
                    let part = bytes[at..end].to_vec();
                    bytes.splice(at..at, part);
                }
                _ => {
                    let other = ids.below(bytes.len() as u64 + 1) as usize;
                    bytes.drain(at.min(other)..at.max(other).min(at.min(other) + 40));
                }
            }
        }
        bytes
    }

    #[test]
    fn each_target_survives_its_seeds_and_mutations_of_them() {
        for (name, target) in TARGETS {
            let seeds = seeds(name);
            assert!(!seeds.is_empty(), "{name} has no seeds");
            let mut ids = Ids::seeded(1);
            for seed in &seeds {
                target(seed);
                for _ in 0..300 {
                    target(&mutate(seed, &mut ids));
                }
            }
        }
    }
}

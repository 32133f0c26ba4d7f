//! Tones in G.711: made, coded, decoded and recognised again.
//!
//! A tone is cut into frames of any size at any place of the stream, so that the far end can compute from a
//! packet's number alone which bytes it must hold.

use std::f64::consts::PI;

/// Samples per second of G.711.
pub const RATE: usize = 8_000;
/// Samples, which are also bytes, of a 20 ms frame.
pub const FRAME: usize = 160;
/// Frequencies are multiples of this, in hertz, so that each tone repeats after [`PERIOD`] samples.
const GRID: u32 = 10;
/// After this many samples every tone of the grid is back at its beginning.
const PERIOD: usize = RATE / GRID as usize;
/// The peak of a tone, of 32,767: loud, and far from clipping.
const AMPLITUDE: f64 = 12_000.0;

/// The two laws of ITU-T G.711 with their static payload types (RFC 3551 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// µ-law, payload type 0.
    Pcmu,
    /// A-law, payload type 8.
    Pcma,
}

impl Codec {
    /// The static payload type.
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The name in `a=rtpmap`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// One linear sample of 16 bits as one byte.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Pcmu => encode_mu(sample),
            Self::Pcma => encode_a(sample),
        }
    }

    /// One byte as a linear sample of 16 bits.
    pub fn decode(self, byte: u8) -> i16 {
        match self {
            Self::Pcmu => decode_mu(byte),
            Self::Pcma => decode_a(byte),
        }
    }
}

/// The bias that makes the segments of µ-law powers of two.
const BIAS: i32 = 0x84;

fn encode_mu(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (i32::from(sample).abs().min(32_635)) + BIAS;
    let segment = (magnitude >> 7).ilog2() as i32;
    let mantissa = (magnitude >> (segment + 3)) & 0x0f;
    !(sign | (segment << 4) | mantissa) as u8
}

fn decode_mu(byte: u8) -> i16 {
    let byte = i32::from(!byte);
    let magnitude = ((((byte & 0x0f) << 3) + BIAS) << ((byte >> 4) & 7)) - BIAS;
    (if byte & 0x80 == 0 { magnitude } else { -magnitude }) as i16
}

fn encode_a(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let magnitude = if sample < 0 {
        !i32::from(sample)
    } else {
        i32::from(sample)
    } >> 4;
    let code = if magnitude < 16 {
        magnitude
    } else {
        let segment = magnitude.ilog2() as i32 - 3;
        (segment << 4) | ((magnitude >> (segment - 1)) & 0x0f)
    };
    ((sign | code) ^ 0x55) as u8
}

fn decode_a(byte: u8) -> i16 {
    let byte = i32::from(byte) ^ 0x55;
    let segment = (byte >> 4) & 7;
    let magnitude = match segment {
        0 => ((byte & 0x0f) << 4) + 8,
        _ => (((byte & 0x0f) << 4) + 0x108) << (segment - 1),
    };
    (if byte & 0x80 == 0 { -magnitude } else { magnitude }) as i16
}

/// An endless tone in one codec, as one period ready to be copied.
#[derive(Clone, Debug)]
pub struct Tone {
    hertz: u32,
    codec: Codec,
    /// One period, then a whole frame more, so that each frame is one slice.
    samples: Box<[u8]>,
}

impl Tone {
    /// A tone of `hertz`, brought to the nearest multiple of 10.
    pub fn new(hertz: u32, codec: Codec) -> Self {
        let hertz = hertz.div_ceil(GRID) * GRID;
        let sample = |i: usize| {
            let turn = (i * hertz as usize % RATE) as f64 / RATE as f64;
            codec.encode(((2.0 * PI * turn).sin() * AMPLITUDE) as i16)
        };
        Self {
            hertz,
            codec,
            samples: (0..PERIOD + FRAME).map(sample).collect(),
        }
    }

    /// Its frequency in hertz.
    pub fn hertz(&self) -> u32 {
        self.hertz
    }

    /// Its codec.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The `number`-th frame of 20 ms: the phase runs on from frame to frame.
    pub fn frame(&self, number: u32) -> &[u8] {
        let start = number as usize * FRAME % PERIOD;
        &self.samples[start..start + FRAME]
    }
}

/// How much of `hertz` there is in `samples`, between 0 (none) and 1 (nothing else): Goertzel's algorithm.
pub fn share(samples: &[i16], hertz: u32) -> f64 {
    let coefficient = 2.0 * (2.0 * PI * f64::from(hertz) / RATE as f64).cos();
    let (mut s1, mut s2, mut energy) = (0.0_f64, 0.0_f64, 0.0_f64);
    for &sample in samples {
        let x = f64::from(sample);
        (s1, s2) = (x + coefficient * s1 - s2, s1);
        energy += x * x;
    }
    let power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
    if energy == 0.0 {
        0.0
    } else {
        2.0 * power / (energy * samples.len() as f64)
    }
}

/// The strongest frequency between 100 and 3,700 Hz with its [`share`], none in silence.
pub fn strongest(samples: &[i16]) -> Option<(u32, f64)> {
    (100..=3_700)
        .step_by(GRID as usize)
        .map(|hertz| (hertz, share(samples, hertz)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .filter(|(_, share)| *share > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_laws_give_back_a_sample_within_a_step_of_its_segment() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            for sample in (-32_000..=32_000).step_by(7) {
                let back = i32::from(codec.decode(codec.encode(sample)));
                let error = (back - i32::from(sample)).abs();
                assert!(
                    error <= i32::from(sample).abs() / 16 + 16,
                    "{codec:?} {sample} became {back}"
                );
            }
        }
    }

    #[test]
    fn the_laws_agree_with_the_recommendation_at_its_corners() {
        // ITU-T G.711, tables 1a to 2b: the outermost value, and the two zeros.
        assert_eq!(
            [encode_mu(32_635), encode_mu(0), encode_mu(-32_635)],
            [0x80, 0xff, 0x00]
        );
        assert_eq!(
            [encode_a(32_767), encode_a(0), encode_a(-1), encode_a(-32_768)],
            [0xaa, 0xd5, 0x55, 0x2a]
        );
        assert_eq!(
            [decode_mu(0x80), decode_mu(0xff), decode_mu(0x00)],
            [32_124, 0, -32_124]
        );
        assert_eq!(
            [decode_a(0xaa), decode_a(0xd5), decode_a(0x2a)],
            [32_256, 8, -32_256]
        );
    }

    #[test]
    fn each_byte_is_what_its_decoded_sample_is_coded_as() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            for byte in 0..=255 {
                let again = codec.encode(codec.decode(byte));
                // µ-law has a negative zero, which is the only byte that comes back as another.
                assert!(
                    again == byte || (codec == Codec::Pcmu && byte == 0x7f),
                    "{codec:?} {byte:#x} {again:#x}"
                );
            }
        }
    }

    #[test]
    fn a_tone_is_recognised_and_another_is_not_mistaken_for_it() {
        let tone = Tone::new(440, Codec::Pcma);
        let samples: Vec<i16> = (0..50)
            .flat_map(|n| tone.frame(n))
            .map(|&b| Codec::Pcma.decode(b))
            .collect();
        let (hertz, share_of_it) = strongest(&samples).unwrap();
        assert_eq!(hertz, 440);
        assert!(share_of_it > 0.99, "{share_of_it}");
        assert!(share(&samples, 1_000) < 0.001);
        assert_eq!(strongest(&[0; 800]), None);
    }
}

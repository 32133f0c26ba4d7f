//! Tones: made, written to WAV files, read back and recognised.

use std::f64::consts::TAU;
use std::fs;
use std::path::Path;

use crate::Outcome;

/// What the caller plays, in hertz.
pub(crate) const CALLER: f64 = 440.0;
/// What the callee plays, in hertz.
pub(crate) const CALLEE: f64 = 880.0;
/// A tone that nobody should play, in hertz: for the negative controls.
pub(crate) const STRANGE: f64 = 660.0;
/// Nothing at all.
pub(crate) const SILENCE: f64 = 0.0;

/// Sound: mono, linear, −1…1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sound {
    pub(crate) rate: u32,
    pub(crate) samples: Vec<f64>,
}

impl Sound {
    /// A sine of `hertz` at half amplitude; 0 Hz is silence.
    pub(crate) fn sine(hertz: f64, seconds: u32) -> Self {
        let rate = 8000;
        let samples = (0..rate * seconds)
            .map(|n| 0.5 * (TAU * hertz * f64::from(n) / f64::from(rate)).sin())
            .collect();
        Self { rate, samples }
    }

    /// Writes it as 16-bit PCM.
    pub(crate) fn write(&self, path: &Path) -> Outcome {
        let data: Vec<u8> = self
            .samples
            .iter()
            .flat_map(|s| ((s.clamp(-1.0, 1.0) * 32767.0) as i16).to_le_bytes())
            .collect();
        let size = u32::try_from(data.len()).map_err(|_| "a WAV file of over 4 GB".to_owned())?;
        let mut file = Vec::with_capacity(data.len() + 44);
        file.extend_from_slice(b"RIFF");
        file.extend_from_slice(&(size + 36).to_le_bytes());
        file.extend_from_slice(b"WAVEfmt ");
        file.extend_from_slice(&16_u32.to_le_bytes());
        file.extend_from_slice(&1_u16.to_le_bytes()); // PCM
        file.extend_from_slice(&1_u16.to_le_bytes()); // mono
        file.extend_from_slice(&self.rate.to_le_bytes());
        file.extend_from_slice(&(self.rate * 2).to_le_bytes());
        file.extend_from_slice(&2_u16.to_le_bytes());
        file.extend_from_slice(&16_u16.to_le_bytes());
        file.extend_from_slice(b"data");
        file.extend_from_slice(&size.to_le_bytes());
        file.extend_from_slice(&data);
        fs::write(path, file).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Reads 16-bit mono PCM. The data chunk may be longer than its header says: a recorder that
    /// was stopped hard has not corrected it.
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Self::parse(&bytes).ok_or_else(|| format!("{}: not a mono 16-bit WAV file", path.display()))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let u16_at = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WAVE" {
            return None;
        }
        let (mut at, mut rate) = (12, None);
        loop {
            let (id, size) = (bytes.get(at..at + 4)?, u32_at(at + 4)?);
            let body = at + 8;
            match id {
                b"fmt " => {
                    if (u16_at(body)?, u16_at(body + 2)?, u16_at(body + 14)?) != (1, 1, 16) {
                        return None;
                    }
                    rate = Some(u32_at(body + 4)?);
                }
                b"data" => {
                    let samples = bytes
                        .get(body..)?
                        .chunks_exact(2)
                        .map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0)
                        .collect();
                    return Some(Self { rate: rate?, samples });
                }
                _ => {}
            }
            at = body + usize::try_from(size).ok()?;
        }
    }

    /// Its length in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        seconds(self.samples.len(), self.rate)
    }

    /// The last `length` seconds of it.
    pub(crate) fn last(&self, length: f64) -> Self {
        let kept = (length * f64::from(self.rate)) as usize;
        let samples = self.samples[self.samples.len().saturating_sub(kept)..].to_vec();
        Self {
            rate: self.rate,
            samples,
        }
    }

    /// For how many seconds the tone `hertz` is what is heard.
    pub(crate) fn seconds_of(&self, hertz: f64) -> f64 {
        // Two packets long: a lost or late one spoils no more than that.
        let window = usize::try_from(self.rate / 25).unwrap_or(320).max(1);
        let heard = self
            .samples
            .chunks_exact(window)
            .filter(|part| loudness(part) > 0.01 && share(part, self.rate, hertz) > 0.7)
            .count();
        seconds(heard * window, self.rate)
    }

    /// Judges what an ear heard: at least `least` seconds of `wanted`, and none of another tone.
    pub(crate) fn must_be(&self, who: &str, wanted: f64, least: f64) -> Outcome {
        let found = [CALLER, CALLEE, STRANGE].map(|tone| (tone, self.seconds_of(tone)));
        for (tone, length) in found {
            if tone == wanted && length < least {
                return Err(format!(
                    "{who}: {wanted} Hz heard for {length:.1} s of {:.1} s, expected {least:.1} s; all: {found:?}",
                    self.seconds()
                ));
            }
            if tone != wanted && length > 0.15 {
                return Err(format!(
                    "{who}: {tone} Hz heard for {length:.1} s, expected only {wanted} Hz"
                ));
            }
        }
        Ok(())
    }
}

fn seconds(samples: usize, rate: u32) -> f64 {
    samples as f64 / f64::from(rate.max(1))
}

/// Root mean square.
fn loudness(part: &[f64]) -> f64 {
    (part.iter().map(|s| s * s).sum::<f64>() / part.len().max(1) as f64).sqrt()
}

/// The share (0…1) of the energy of `part` that lies at `hertz`: Goertzel's filter over the sum of
/// squares.
pub(crate) fn share(part: &[f64], rate: u32, hertz: f64) -> f64 {
    let energy: f64 = part.iter().map(|s| s * s).sum();
    if energy <= f64::EPSILON {
        return 0.0;
    }
    let turn = TAU * hertz / f64::from(rate);
    let coefficient = 2.0 * turn.cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in part {
        let next = sample + coefficient * last - before;
        before = last;
        last = next;
    }
    let power = last * last + before * before - coefficient * last * before;
    (2.0 * power / (part.len() as f64 * energy)).min(1.0)
}

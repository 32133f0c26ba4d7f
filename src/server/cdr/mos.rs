//! How a listener would judge a voice: the E-model (ITU-T G.107), simplified.
//!
//! R = 93.2 − Id − Ie,eff, with
//! Id = 0.024·d + 0.11·(d − 177.3)·H(d − 177.3), where d is the delay in milliseconds that we can see: one packet of 20 ms and
//! a jitter buffer of twice the interarrival jitter. The delay of the network itself is not measured and counts as zero;
//! Ie,eff = Ie + (95 − Ie)·Ppl/(Ppl + Bpl), Ppl in per cent, losses at random (BurstR = 1), with Ie and Bpl of the codec from
//! ITU-T G.113 Appendix I. Codecs that it does not list count as G.711 with concealment.
//!
//! MOS = 1 + 0.035·R + R·(R − 60)·(100 − R)·7·10⁻⁶, within 1 and 4.5 (G.107 Annex B). It is the narrow-band scale: a
//! wide-band codec gets no more than 4.4 for its width.

/// Ie and Bpl.
fn impairment(codec: &str) -> (f64, f64) {
    let name = codec.split('/').next().unwrap_or_default();
    match name.to_ascii_lowercase().as_str() {
        "g729" | "g729d" => (11.0, 19.0),
        "g723" => (15.0, 16.1),
        "gsm" => (20.0, 10.0),
        "gsm-efr" => (5.0, 10.0),
        "ilbc" => (11.0, 32.0),
        // G.711 with packet loss concealment.
        _ => (0.0, 25.1),
    }
}

/// The estimate from what came: packets and lost ones, and jitter in milliseconds. `None` when nothing came.
pub(super) fn estimate(codec: &str, came: u64, lost: u64, jitter: f64) -> Option<f64> {
    if came == 0 {
        return None;
    }
    let (ie, bpl) = impairment(codec);
    let loss = 100.0 * lost as f64 / (came + lost) as f64;
    let delay = 20.0 + 2.0 * jitter;
    let late = (delay - 177.3).max(0.0);
    let r = 93.2 - (0.024 * delay + 0.11 * late) - (ie + (95.0 - ie) * loss / (loss + bpl));
    let r = r.clamp(0.0, 100.0);
    let mos = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
    Some((mos.clamp(1.0, 4.5) * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mos(codec: &str, lost: u64, jitter: f64) -> f64 {
        estimate(codec, 1000 - lost, lost, jitter).expect("something came")
    }

    #[test]
    fn a_clean_voice_is_as_good_as_its_codec() {
        assert_eq!(mos("pcmu/8000", 0, 0.0), 4.4);
        assert_eq!(mos("G729/8000", 0, 0.0), 4.09);
        assert_eq!(estimate("pcmu/8000", 0, 10, 0.0), None);
    }

    #[test]
    fn loss_and_jitter_only_ever_make_it_worse() {
        for codec in ["pcmu/8000", "g729/8000", "opus/48000/2"] {
            let by_loss: Vec<_> = (0..=900).step_by(50).map(|lost| mos(codec, lost, 2.0)).collect();
            assert!(
                by_loss.windows(2).all(|two| two[0] > two[1] || two[1] == 1.0),
                "{by_loss:?}"
            );
            let by_jitter: Vec<_> = (0..20)
                .map(|tens| mos(codec, 10, 10.0 * f64::from(tens)))
                .collect();
            assert!(by_jitter.windows(2).all(|two| two[0] >= two[1]) && by_jitter[0] > by_jitter[19]);
        }
        // 5 % at random with concealment: G.107 gives R = 93.2 - 0.48 - 95·5/30.1 = 76.9.
        assert_eq!(mos("pcmu/8000", 50, 0.0), 3.9);
    }
}

//! What each call of a run shall be, and what came of it.

use crate::phone::crypto::Suite;
use crate::phone::session::Security;
use std::str::FromStr;

/// How a call shall go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The callee answers; the call is held and then ended, by the one or the other in turn.
    Answered,
    /// The callee refuses with 486.
    Rejected,
    /// The caller gives up while it rings, or even before.
    Cancelled,
    /// The callee rings for ever: the server's patience ends it.
    Unanswered,
    /// The callee does not react at all: the server's patience ends it, or its transaction after 32 s.
    Silent,
}

impl Fate {
    pub(super) const ALL: [Self; 5] = [
        Self::Answered,
        Self::Rejected,
        Self::Cancelled,
        Self::Unanswered,
        Self::Silent,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Unanswered => "unanswered",
            Self::Silent => "silent",
        }
    }

    /// Whether a refusal with this status is what was to come of it.
    pub(super) fn is_met_by(self, status: u16) -> bool {
        match self {
            Self::Answered => false,
            Self::Rejected => status == 486,
            Self::Cancelled => status == 487,
            Self::Unanswered => matches!(status, 408 | 480 | 487 | 504),
            Self::Silent => matches!(status, 408 | 480 | 503 | 504),
        }
    }
}

/// The shares of fates, like `answered=70,rejected=15,cancelled=10,unanswered=5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix(Vec<(Fate, u32)>);

impl Mix {
    /// The fate of the `number`-th call. Fates are interleaved and not drawn, so that each run is the same.
    pub(super) fn fate(&self, number: u32) -> Fate {
        let total: u32 = self.0.iter().map(|(_, share)| share).sum();
        // A stride without a common divisor spreads each fate over the run.
        let stride = (total / 2..).find(|stride| gcd(*stride, total) == 1).unwrap_or(1);
        let mut place = (u64::from(number) * u64::from(stride) % u64::from(total)) as u32;
        for (fate, share) in &self.0 {
            if place < *share {
                return *fate;
            }
            place -= share;
        }
        Fate::Answered
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut shares = Vec::new();
        for part in text.split(',') {
            let (name, share) = part
                .split_once('=')
                .ok_or_else(|| format!("`{part}`: expected fate=share"))?;
            let fate = Fate::ALL
                .into_iter()
                .find(|fate| fate.name() == name)
                .ok_or_else(|| {
                    let names: Vec<&str> = Fate::ALL.iter().map(|fate| fate.name()).collect();
                    format!("`{name}`: expected one of {}", names.join(", "))
                })?;
            let share = share
                .parse::<u16>()
                .map_err(|_| format!("`{share}`: expected a whole number"))?;
            shares.push((fate, u32::from(share)));
        }
        if shares.iter().all(|(_, share)| *share == 0) {
            return Err("expected at least one share that is not 0".into());
        }
        Ok(Self(shares))
    }
}

/// What media calls carry: on the caller's leg, then on the callee's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Media {
    /// Sessions without a stream: signalling alone.
    Signalling,
    /// Plain sessions, with ports, and no packets.
    None,
    /// Plain on both legs.
    Plain,
    /// SDES from the caller, plain to the callee.
    SdesPlain,
    /// Plain from the caller, SDES to the callee.
    PlainSdes,
    /// SDES on both legs.
    SdesSdes,
    /// DTLS-SRTP from the caller, with rtcp-mux, plain to the callee. They speak once they have keys.
    DtlsPlain,
    /// ZRTP from the caller, SDES to the callee. Likewise.
    ZrtpSdes,
}

impl Media {
    /// Whether packets flow.
    pub(super) fn flows(self) -> bool {
        !matches!(self, Self::Signalling | Self::None)
    }

    /// Whether the caller's keys come after the answer.
    pub(super) fn agrees(self) -> bool {
        matches!(self, Self::DtlsPlain | Self::ZrtpSdes)
    }

    pub(super) fn caller(self, suite: Suite) -> Security {
        match self {
            Self::DtlsPlain => Security::Dtls,
            Self::ZrtpSdes => Security::Zrtp,
            Self::SdesPlain | Self::SdesSdes => Security::Sdes(vec![suite]),
            _ => Security::Clear,
        }
    }

    pub(super) fn callee(self) -> Security {
        match self {
            Self::PlainSdes | Self::SdesSdes | Self::ZrtpSdes => Security::Sdes(Suite::ALL.to_vec()),
            _ => Security::Clear,
        }
    }

    /// The word in the callee's user by which the server is told how to encrypt.
    pub(super) fn word(self) -> &'static str {
        if self.callee() == Security::Clear {
            "plain"
        } else {
            "sdes"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_gives_each_fate_its_share_and_spreads_it() {
        let mix: Mix = "answered=70,rejected=15,cancelled=10,unanswered=5"
            .parse()
            .unwrap();
        let fates: Vec<Fate> = (0..1_000).map(|number| mix.fate(number)).collect();
        for (fate, share) in &mix.0 {
            let count = fates.iter().filter(|other| *other == fate).count();
            assert_eq!(count, *share as usize * 10, "{fate:?}");
        }
        assert!(fates.windows(20).all(|run| run.contains(&Fate::Answered)));
    }

    #[test]
    fn a_mix_that_means_nothing_is_refused() {
        for text in ["", "answered", "answered=x", "eaten=5", "answered=0"] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_mix_of_one_is_always_that() {
        let mix: Mix = "answered=1".parse().unwrap();
        assert!((0..10).all(|number| mix.fate(number) == Fate::Answered));
    }
}

//! Interarrival jitter (RFC 3550 §6.4.1, A.8): how unevenly packets come, measured against their own timestamps.

use std::time::{Duration, Instant};

/// Further off than this a timestamp belongs to another run of them: a pause or a restart is no jitter.
const MAX_STEP: f64 = 5e9;
/// No payload type.
const NONE: u8 = 0xff;

/// The jitter of what comes from one side of one stream. Nothing of it allocates while packets pass.
#[derive(Debug)]
pub(crate) struct Jitter {
    /// Clock rates in Hz by payload type; packets of others are not looked at.
    clocks: Box<[(u8, u32)]>,
    /// Of the last packet, so that the table is seldom read.
    payload: u8,
    /// Nanoseconds of a tick of its clock; zero: not known.
    tick: f64,
    /// When the last packet came, and its timestamp.
    last: Option<(Instant, u32)>,
    /// The estimate, and the highest that it was, in nanoseconds.
    estimate: f64,
    highest: f64,
}

impl Default for Jitter {
    fn default() -> Self {
        Self {
            clocks: Box::default(),
            payload: NONE,
            tick: 0.0,
            last: None,
            estimate: 0.0,
            highest: 0.0,
        }
    }
}

impl Jitter {
    /// Takes the clocks of this side's payload types.
    pub(crate) fn set(&mut self, clocks: &[(u8, u32)]) {
        if *self.clocks != *clocks {
            self.clocks = clocks.into();
            self.payload = NONE;
            self.last = None;
        }
    }
    /// The next packet is of another source, or of another run of numbers.
    #[inline]
    pub(crate) const fn begin(&mut self) {
        self.last = None;
    }
    /// A packet came.
    #[inline]
    pub(crate) fn note(&mut self, payload: u8, timestamp: u32, now: Instant) {
        if payload != self.payload {
            self.turn(payload);
        }
        if self.tick == 0.0 {
            return;
        }
        let Some((at, before)) = self.last.replace((now, timestamp)) else {
            return;
        };
        let passed = now.saturating_duration_since(at).as_nanos() as f64;
        let said = f64::from(timestamp.wrapping_sub(before).cast_signed()) * self.tick;
        let off = (passed - said).abs();
        if off < MAX_STEP {
            self.estimate += (off - self.estimate) / 16.0;
            self.highest = self.highest.max(self.estimate);
        }
    }
    /// Another payload type: it may have another clock, and then nothing can be compared.
    #[cold]
    fn turn(&mut self, payload: u8) {
        self.payload = payload;
        let rate = self.clocks.iter().find(|clock| clock.0 == payload);
        let tick = rate.map_or(0.0, |(_, rate)| 1e9 / f64::from((*rate).max(1)));
        if tick != self.tick {
            self.tick = tick;
            self.last = None;
        }
    }
    /// The estimate now, and the highest that it was.
    pub(crate) fn read(&self) -> (Duration, Duration) {
        (
            Duration::from_nanos(self.estimate as u64),
            Duration::from_nanos(self.highest as u64),
        )
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
mod tests {
    use super::*;

    const VOICE: [(u8, u32); 2] = [(0, 8000), (96, 48_000)];

    /// The jitter in microseconds after packets of `(payload type, timestamp, arrival in microseconds)`.
    fn after(packets: impl IntoIterator<Item = (u8, u32, u64)>) -> (u128, u128) {
        let begin = Instant::now();
        let mut jitter = Jitter::default();
        jitter.set(&VOICE);
        for (payload, timestamp, micros) in packets {
            jitter.note(payload, timestamp, begin + Duration::from_micros(micros));
        }
        let (now, highest) = jitter.read();
        (now.as_micros(), highest.as_micros())
    }

    #[test]
    fn packets_that_keep_their_time_have_none_whatever_their_clock() {
        let voice = (0..100).map(|n: u32| (0, 160 * n, 20_000 * u64::from(n)));
        assert_eq!(after(voice), (0, 0));
        let start = u32::MAX - 1600;
        let wrapping = (0..100).map(|n: u32| (0, start.wrapping_add(160 * n), 20_000 * u64::from(n)));
        assert_eq!(after(wrapping), (0, 0), "over the wrap");
        let opus = (0..100).map(|n: u32| (96, 960 * n, 20_000 * u64::from(n)));
        assert_eq!(after(opus), (0, 0));
    }

    #[test]
    fn it_is_the_rfc_s_running_estimate() {
        // RFC 3550 A.8 in its own words: d = transit - s->transit; s->jitter += (1./16.) * ((double)d - s->jitter).
        let arrivals = [0, 21_000, 39_000, 65_000, 80_000, 100_500];
        let (mut transit, mut expected) = (0.0_f64, 0.0_f64);
        for (n, at) in arrivals.iter().enumerate() {
            let now = *at as f64 - 20_000.0 * n as f64;
            if n > 0 {
                expected += ((now - transit).abs() - expected) / 16.0;
            }
            transit = now;
        }
        let packets = (0_u32..).zip(arrivals).map(|(n, at)| (0, 160 * n, at));
        let (now, highest) = after(packets);
        assert!(
            now > 500 && (now as f64 - expected).abs() < 1.0,
            "{now} for {expected}"
        );
        assert!(highest >= now);
    }

    #[test]
    fn pauses_restarts_and_payloads_without_a_clock_are_no_jitter() {
        let begin = (0..10).map(|n: u32| (0, 160 * n, 20_000 * u64::from(n)));
        let pause = (0..10).map(|n: u32| (0, 9_000_000 + 160 * n, 200_000 + 20_000 * u64::from(n)));
        assert_eq!(
            after(begin.clone().chain(pause)),
            (0, 0),
            "another run of timestamps"
        );
        // An event of RFC 4733 repeats its timestamp.
        let digit = (0..10).map(|n: u32| (101, 1600, 200_000 + 20_000 * u64::from(n)));
        let on = (20..30).map(|n: u32| (0, 160 * n, 20_000 * u64::from(n)));
        assert_eq!(after(begin.clone().chain(digit).chain(on)), (0, 0));
        let other = (20..30).map(|n: u32| (96, 960 * n, 20_000 * u64::from(n)));
        assert_eq!(after(begin.chain(other)), (0, 0), "another clock");
    }
}

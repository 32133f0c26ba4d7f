//! How long to wait: before a refresh, and after a failure.

use crate::sip::Ids;
use std::time::Duration;

/// The wait after the first failure, before chance shortens it.
const FIRST: Duration = Duration::from_secs(4);
/// No wait is longer, whatever the server asks for: a minute after it has recovered everybody is back.
pub(crate) const CAP: Duration = Duration::from_secs(60);

/// No time is asked for or believed that is longer: nobody should be forgotten for longer by a server that has lost its memory.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A refresh comes no sooner, however little was granted.
const SOONEST: Duration = Duration::from_secs(1);

/// When to refresh what was granted for that long.
pub(crate) fn refresh(granted: Duration, ids: &mut Ids) -> Duration {
    random_part(granted, ids).max(SOONEST)
}

/// A moment in 50 to 90 % of `span`: so that those who began together do not come together again.
pub(crate) fn random_part(span: Duration, ids: &mut Ids) -> Duration {
    let thousandths = 500 + ids.below(401);
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis((millis / 1000).saturating_mul(thousandths) + (millis % 1000) * thousandths / 1000)
}

/// The wait before the next attempt, after `failures` in a row. What the server asked for (`Retry-After`) is the least, as
/// far as [`CAP`].
pub(crate) fn delay(failures: u32, retry_after: Option<Duration>, ids: &mut Ids) -> Duration {
    let doublings = failures.saturating_sub(1).min(8);
    let wait = random_part((FIRST * (1 << doublings)).min(CAP), ids);
    match retry_after {
        // Everybody is told the same number: some come a little later.
        Some(asked) => (asked.max(wait) + Duration::from_millis(ids.below(1000))).min(CAP),
        None => wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_differ() {
        let mut ids = Ids::seeded(1);
        for failures in 1..40 {
            let nominal = (FIRST * (1 << (failures - 1).min(8))).min(CAP);
            let waits: Vec<_> = (0..50).map(|_| delay(failures, None, &mut ids)).collect();
            assert!(
                waits.iter().all(|wait| *wait >= nominal / 2),
                "{failures}: {waits:?}"
            );
            assert!(
                waits.iter().all(|wait| *wait <= nominal * 9 / 10),
                "{failures}: {waits:?}"
            );
            assert!(waits.iter().min() < waits.iter().max());
        }
    }

    #[test]
    fn retry_after_is_kept_to_but_for_no_more_than_the_cap() {
        let mut ids = Ids::seeded(2);
        let seconds = Duration::from_secs;
        for _ in 0..50 {
            let wait = delay(1, Some(seconds(20)), &mut ids);
            assert!((seconds(20)..seconds(21)).contains(&wait), "{wait:?}");
            assert_eq!(delay(1, Some(seconds(86_400)), &mut ids), CAP);
            assert!(delay(9, Some(seconds(1)), &mut ids) >= CAP / 2);
        }
    }

    #[test]
    fn the_longest_grant_does_not_overflow() {
        let mut ids = Ids::seeded(3);
        let span = Duration::from_secs(u64::from(u32::MAX));
        let part = random_part(span, &mut ids);
        assert!(part >= span / 2 && part <= span.mul_f64(0.9));
    }
}

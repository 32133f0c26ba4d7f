//! Whether the server keeps up, judged by how long messages have waited when their calls get them.
//!
//! Work that waits does not show in any queue that is looked at: it waits in the inboxes of calls for the turns of their tasks. So
//! it is its age that counts, from the datagram's receipt to the hands of the call, as CoDel (RFC 8289) looks at that of packets: a
//! burst is none of our business, a wait that stands is. While it stands, calls that would begin are refused where that costs least
//! and everything of calls that exist goes on: each refusal is paid from the same processor, and each call that is
//! half-way through has had its price paid.
//!
//! What is to be kept away from is T1 (RFC 3261 §17.1.1.1, 500 ms). Beyond it everybody says everything twice, which is more to
//! do for a server that has too much to do: all of it is then lost on repetitions and on callers that have given up.
//!
//! An age tells what was taken too much when it is too late: each INVITE that is taken brings an answer, an ACK and a BYE, and
//! those wait as well. So calls are also taken at a rate, as by a leaky bucket (RFC 7415 §3.5.1), and nobody has to set it: what a
//! call costs is what was done lately, divided by how many began meanwhile. Whoever begins takes that much of the time that is to come, and as
//! many times more as messages wait too long already; nobody begins where too much of it is taken. Neither is enough by itself:
//! the rate is an estimate, so that no overload begins with it while nothing waits.
//!
//! What nobody can know is what calls will cost of which none was seen yet. Where INVITEs are cheap and what comes seconds later is
//! dear, a server that starts in the middle of a crowd sees for seconds what one sees that can serve all of them, and refusing them
//! would be wrong there. It takes them, is late for as long as that takes, and knows from then on. One that has served calls before
//! the crowd knows as soon as a little waits; where nothing waits until all that was taken is due at once, it is late too.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

/// A wait that stands: so long, for [`Overload::STANDS`].
const LONG: Duration = Duration::from_millis(100);
/// How long messages may wait while calls are refused because of it. Some work has always to be there, or the server rests
/// while it refuses; more than that makes callers wait and nothing else.
const KEPT: Duration = Duration::from_millis(50);
/// How long a long wait is taken for a burst, or for a machine that had something else to do.
const STANDS: Duration = Duration::from_millis(250);
/// Whoever has no answer by then sends again (RFC 3261 §17.1.1.1).
const T1: Duration = Duration::from_millis(500);
/// How little may wait where calls are refused because of the rate: what it is made of is only an estimate.
const LITTLE: Duration = Duration::from_millis(10);
/// How much of the time to come may be taken.
const MOST_BOOKED: Duration = Duration::from_secs(1);
/// For how long it is remembered what calls cost, about: longer than most need from INVITE to ACK.
const MEMORY: Duration = Duration::from_secs(10);
/// How often the wait is judged.
const PERIOD: Duration = Duration::from_millis(10);
/// For how long a wait is believed while no call gets any message.
const STALE: Duration = Duration::from_millis(500);
/// Of how many messages it is counted what one costs, about. Those of calls that began together come together, and an
/// INVITE is ten times the work of an ACK.
const MANY: f64 = 5_000.0;
/// How many messages have to be done between two looks to know of what waited at both that something waited all the time.
const ENOUGH: u32 = 20;
/// An overload in which nobody has been refused for so long is over.
const EASE: Duration = Duration::from_secs(1);

/// What changes for whoever reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// From now on calls are refused at times.
    Began,
    /// It keeps up again: it did not for that long, and refused so many.
    Ended(Duration, u64),
}

/// What has become of the messages of calls until now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    /// Messages that calls have got.
    pub(super) done: u64,
    /// How long those had waited, all together.
    pub(super) waited: Duration,
    /// How long calls were busy with them, all together.
    pub(super) busy: Duration,
    /// Messages that wait.
    pub(super) waiting: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Overload {
    /// That do what there is to do.
    threads: usize,
    /// What it was judged by last, and when.
    judged: Option<(Instant, Work)>,
    /// How long they waited lately, on the average.
    wait: Duration,
    /// How long a call is busy with one, on the average; and how many wait.
    cost: Duration,
    waiting: usize,
    lately: Lately,
    /// Until when there is work enough, of what has begun.
    booked: Option<Instant>,
    /// Since when that is long.
    long_since: Option<Instant>,
    state: Option<Begun>,
}

/// What was done lately; what is longer ago counts for less.
#[derive(Debug, Default)]
struct Lately {
    /// In seconds of all threads together.
    work: f64,
    /// Calls and other requests that began.
    begun: f64,
    /// And those that did since the last look: what they have cost is not in `work` yet.
    fresh: u32,
}

/// An overload.
#[derive(Debug)]
struct Begun {
    since: Instant,
    refused: u64,
    last_refusal: Instant,
}

impl Overload {
    /// None yet, of a server with so many threads.
    pub(super) const fn new(threads: usize) -> Self {
        Self {
            threads,
            judged: None,
            wait: Duration::ZERO,
            cost: Duration::ZERO,
            waiting: 0,
            lately: Lately {
                work: 0.0,
                begun: 0.0,
                fresh: 0,
            },
            booked: None,
            long_since: None,
            state: None,
        }
    }
    /// Takes note of what has become of messages until now. To be called often: with each batch of messages, and now and then
    /// without.
    pub(super) fn judge(&mut self, work: Work, now: Instant) -> Option<Change> {
        let (last, before) = *self.judged.get_or_insert((now, work));
        if work.waiting == 0 {
            self.wait = Duration::ZERO;
        }
        self.waiting = work.waiting;
        if now.saturating_duration_since(last) < PERIOD {
            return None;
        }
        let done = u32::try_from(work.done.saturating_sub(before.done)).unwrap_or(u32::MAX);
        if let Some(mean) = work.waited.saturating_sub(before.waited).checked_div(done) {
            let passed = now.saturating_duration_since(last);
            let busy = work.busy.saturating_sub(before.busy);
            // What calls do is not all that there is to do: tasks begin and end, records are written, others are refused. While
            // there was always something that waited, all of the time is what so many have cost. The dispatcher's turn is
            // often when nothing waits for others: then those have waited since before.
            let waited = (before.waiting > 0 && work.waiting > 0) || mean >= passed;
            let threads = u32::try_from(self.threads).unwrap_or(u32::MAX);
            let spent = if done >= ENOUGH && waited {
                busy.max(passed * threads)
            } else {
                busy
            };
            self.lately.note(spent, passed);
            let cost = spent / done;
            let weight = (f64::from(done) / MANY.min(work.done as f64)).min(1.0);
            self.cost = self.cost.mul_f64(1.0 - weight) + cost.mul_f64(weight);
            self.judged = Some((now, work));
            self.wait = mean;
        } else if now.saturating_duration_since(last) > STALE {
            // Nothing has moved for long: what waits there does not wait for its turn.
            self.wait = Duration::ZERO;
        }
        self.long_since = (self.wait > LONG).then(|| self.long_since.unwrap_or(now));
        match &self.state {
            None if self
                .long_since
                .is_some_and(|since| now.saturating_duration_since(since) >= STANDS) =>
            {
                self.state = Some(Begun {
                    since: now,
                    refused: 0,
                    last_refusal: now,
                });
                Some(Change::Began)
            }
            Some(begun) if self.wait <= KEPT && now.saturating_duration_since(begun.last_refusal) >= EASE => {
                let ended = Change::Ended(now.saturating_duration_since(begun.since), begun.refused);
                self.state = None;
                Some(ended)
            }
            None | Some(_) => None,
        }
    }
    /// Whether what would begin now comes too late to be served in time; its message has waited so long already.
    pub(super) fn is_late(&self, waited: Duration, now: Instant) -> bool {
        let booked = self
            .booked
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let late = self.lateness(waited);
        match &self.state {
            Some(_) => late.max(booked) > T1 || (booked > KEPT && late > LITTLE),
            None => self.ahead() > T1 || (booked > T1 && late > LITTLE),
        }
    }
    /// How long what waits now will take.
    fn ahead(&self) -> Duration {
        self.cost * u32::try_from(self.waiting / self.threads.max(1)).unwrap_or(u32::MAX)
    }
    /// How old a message will be when its turn comes.
    fn lateness(&self, waited: Duration) -> Duration {
        waited.saturating_add(self.ahead()).max(self.wait)
    }
    /// Something was begun, whose message had waited so long: one more waits, and takes of the time that is to come. Where it will
    /// come late, it takes more: that is how what waits becomes less.
    pub(super) fn took(&mut self, waited: Duration, now: Instant) {
        let kept = if self.state.is_some() { KEPT } else { LONG };
        let late = self.lateness(waited).as_secs_f64() / kept.as_secs_f64();
        self.waiting += 1;
        self.lately.fresh = self.lately.fresh.saturating_add(1);
        let cost = self.lately.cost() / self.threads.max(1) as f64;
        // What was estimated far too high for a while keeps nobody out for longer than that.
        let cost = (cost * late.max(1.0)).min(MOST_BOOKED.as_secs_f64());
        let until = self.booked.unwrap_or(now).max(now) + Duration::from_secs_f64(cost);
        self.booked = Some(until.min(now + MOST_BOOKED));
    }
    /// Something was refused because it came too late.
    pub(super) fn refused(&mut self, now: Instant) -> Option<Change> {
        let began = self.state.is_none();
        let begun = self.state.get_or_insert(Begun {
            since: now,
            refused: 0,
            last_refusal: now,
        });
        begun.refused += 1;
        begun.last_refusal = now;
        began.then_some(Change::Began)
    }
}

impl Lately {
    /// So much was done in the time that has passed since the last look.
    fn note(&mut self, spent: Duration, passed: Duration) {
        let left = (-passed.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        self.work = self.work * left + spent.as_secs_f64();
        self.begun = self.begun * left + f64::from(std::mem::take(&mut self.fresh));
    }
    /// What a call has cost on the average, in seconds.
    fn cost(&self) -> f64 {
        // None has begun for so long that nothing is left of it: of the next one nothing is known.
        if self.begun > f64::EPSILON {
            self.work / self.begun
        } else {
            0.0
        }
    }
}

//! A caller of more calls than anybody can take.

use crate::party::{Heard, Party, fresh};
use crate::server::Server;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

/// How long a peer lives before it restarts.
pub(crate) const LIFE: Duration = Duration::from_millis(1_300);
/// How long it is gone.
pub(crate) const GONE: Duration = Duration::from_millis(300);
/// RFC 3261's T1.
pub(crate) const T1: Duration = Duration::from_millis(500);

/// What is kept of a Call-ID: an hour has millions, of which two are alike once in a hundred thousand hours.
pub(crate) type Known = u64;

pub(crate) fn known_by(call_id: &str) -> Known {
    let mut hasher = DefaultHasher::new();
    call_id.hash(&mut hasher);
    hasher.finish()
}

/// How calls are placed.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// A new one when one of so many has ended.
    AtOnce(usize),
    /// So many a second, whatever becomes of them.
    Steady(f64),
    /// The same by callers that restart.
    Rate(f64),
}

/// What became of calls.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) placed: usize,
    pub(crate) answered: usize,
    pub(crate) refused: usize,
    /// INVITEs that were sent again.
    pub(crate) repeated: usize,
    pub(crate) restarts: usize,
    /// Those that were told how they ended, or that they are up.
    pub(crate) finals: HashSet<Known>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} placed, {} answered, {} refused, {} INVITEs repeated, {} restarts of the caller",
            self.placed, self.answered, self.refused, self.repeated, self.restarts
        )
    }
}

/// An INVITE without a final response.
pub(crate) struct Open {
    invite: String,
    sent: Instant,
    /// How often.
    times: u32,
}

/// A caller of many calls.
pub(crate) struct Caller {
    party: Party,
    pub(crate) open: HashMap<String, Open>,
    /// Whose 200 it acknowledges whenever that comes.
    up: HashSet<String>,
    born: Instant,
    pub(crate) tally: Tally,
}

impl Caller {
    pub(crate) fn new(server: &Server) -> Self {
        Self {
            party: Party::udp("127.0.0.1", server.udp()),
            open: HashMap::new(),
            up: HashSet::new(),
            born: Instant::now(),
            tally: Tally::default(),
        }
    }
    /// Places calls for that long; each is acknowledged and hung up as soon as it is answered.
    pub(crate) fn drive(&mut self, seconds: f64, pace: Pace) {
        let began = Instant::now();
        let mut owed = 0.0;
        let mut last = began;
        self.born = began;
        loop {
            let running = began.elapsed().as_secs_f64() < seconds;
            match pace {
                Pace::AtOnce(most) if running => {
                    while self.open.len() < most {
                        self.place();
                    }
                }
                Pace::Steady(rate) | Pace::Rate(rate) if running => {
                    owed += rate * last.elapsed().as_secs_f64();
                    last = Instant::now();
                    while owed >= 1.0 {
                        owed -= 1.0;
                        self.place();
                    }
                    if matches!(pace, Pace::Rate(_)) && self.born.elapsed() > LIFE {
                        self.restart();
                    }
                }
                Pace::AtOnce(_) if !self.open.is_empty() => {}
                Pace::AtOnce(_) | Pace::Steady(_) | Pace::Rate(_) => return,
            }
            self.repeat();
            self.linger(Duration::from_millis(1));
        }
    }
    fn place(&mut self) {
        let call_id = fresh("over");
        let invite = self.party.invite(&call_id, "sip:bob@example.org");
        self.party.send(&invite);
        let open = Open {
            invite,
            sent: Instant::now(),
            times: 0,
        };
        self.open.insert(call_id, open);
        self.tally.placed += 1;
    }
    /// Datagrams get lost where a buffer is full (RFC 3261 §17.1.1.2, timer A).
    pub(crate) fn repeat(&mut self) {
        for open in self.open.values_mut() {
            if open.times < 6 && open.sent.elapsed() > T1 * 2_u32.pow(open.times) {
                open.sent = Instant::now();
                open.times += 1;
                self.tally.repeated += 1;
                self.party.send(&open.invite);
            }
        }
    }
    /// It is gone for a while, and knows nothing of its calls when it comes back.
    fn restart(&mut self) {
        let back = Instant::now() + GONE;
        while Instant::now() < back {
            let _ = self.party.hear_within(Duration::from_millis(1));
        }
        self.open.clear();
        self.up.clear();
        self.born = Instant::now();
        self.tally.restarts += 1;
    }
    /// Hears what there is to hear, and for so long at least.
    pub(crate) fn linger(&mut self, time: Duration) {
        let end = Instant::now() + time;
        for _ in 0..200 {
            let left = end.saturating_duration_since(Instant::now());
            let Some(heard) = self.party.hear_within(left.max(Duration::from_micros(1))) else {
                return;
            };
            self.react(&heard);
        }
    }
    fn react(&mut self, heard: &Heard) {
        let call_id = heard.field("Call-ID");
        let status = heard.start().strip_prefix("SIP/2.0 ");
        let Some(status) = status.and_then(|rest| rest.get(..3)?.parse::<u16>().ok()) else {
            // The server ends a call of ours, or one that we have forgotten.
            let known = self.up.contains(&call_id);
            let said = if known { "200 OK" } else { "481 Unknown" };
            return self.party.respond(heard, said, "");
        };
        if heard.field("CSeq") != "1 INVITE" || status < 200 {
            return;
        }
        let open = self.open.remove(&call_id);
        if open.is_some() {
            self.tally.finals.insert(known_by(&call_id));
        }
        match (status, open) {
            (..300, open) => {
                if open.is_some() {
                    self.tally.answered += 1;
                    self.up.insert(call_id.clone());
                }
                if self.up.contains(&call_id) {
                    self.party.send(&self.party.within("ACK", 1, heard));
                    self.party.send(&self.party.within("BYE", 2, heard));
                }
            }
            (_, Some(open)) => {
                self.party.ack_failure(&open.invite, heard);
                self.tally.refused += 1;
            }
            (_, None) => {}
        }
    }
}

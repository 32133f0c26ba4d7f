//! A server in a model: one processor, whose tasks take turns as tokio's do, and calls of five messages each.

use super::super::{Overload, T1, Work};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a message of a call costs, in the order in which they come: INVITE, the callee's 200, ACK, BYE, the callee's 200.
type Costs = [Duration; 5];

/// How calls are.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) costs: Costs,
    /// To read a message and to find whose it is.
    pub(super) reading: Duration,
    /// To refuse a call.
    pub(super) refusal: Duration,
    /// Until the callee answers, at most; and how long they talk, at most.
    pub(super) rings: Duration,
    pub(super) talks: Duration,
    /// Whether the controller is asked at all.
    pub(super) sheds: bool,
    /// Whether these are the same for all.
    pub(super) same: bool,
    pub(super) seed: u64,
}

impl World {
    /// Thousand calls a second; a refusal costs as much as a twentieth of one.
    pub(super) const fn plain() -> Self {
        let us = Duration::from_micros;
        Self {
            costs: [us(400), us(300), us(60), us(150), us(40)],
            reading: us(10),
            refusal: us(40),
            rings: Duration::ZERO,
            talks: Duration::ZERO,
            same: false,
            sheds: true,
            seed: 1,
        }
    }
    fn cost(&self) -> Duration {
        self.costs.iter().sum::<Duration>() + self.reading * 5
    }
    /// Calls a second that it can serve.
    pub(super) fn capacity(&self) -> f64 {
        1.0 / self.cost().as_secs_f64()
    }
}

/// An instant to count from.
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
pub(super) fn start() -> Instant {
    Instant::now()
}

/// A message.
#[derive(Clone, Copy, Debug)]
struct Packet {
    call: u64,
    step: usize,
    repeated: bool,
    came: Duration,
}

/// What came of it, by second of the calls' beginning or of what happened.
#[derive(Default, Debug)]
pub(super) struct Figures {
    pub(super) offered: Vec<u32>,
    pub(super) answered: Vec<u32>,
    pub(super) refused: Vec<u32>,
    pub(super) repeated: u32,
    pub(super) longest: Vec<Duration>,
}

fn add(figures: &mut Vec<u32>, at: Duration) {
    let second = at.as_secs() as usize;
    if figures.len() <= second {
        figures.resize(second + 1, 0);
    }
    figures[second] += 1;
}

pub(super) fn sum(figures: &[u32], from: usize, to: usize) -> f64 {
    figures
        .iter()
        .take(to)
        .skip(from)
        .map(|each| f64::from(*each))
        .sum()
}

pub(super) struct Model {
    world: World,
    random: StdRng,
    start: Instant,
    now: Duration,
    /// What will come, in its order.
    due: BTreeMap<(Duration, u64), Packet>,
    order: u64,
    tasks: VecDeque<Packet>,
    /// When each call began, until its first message is handled; then nothing repeats it.
    unheard: HashMap<u64, Duration>,
    began: HashMap<u64, Duration>,
    overload: Overload,
    messages: u64,
    waited: Duration,
    busy: Duration,
    pub(super) figures: Figures,
}

impl Model {
    pub(super) fn new(world: World) -> Self {
        Self {
            random: StdRng::seed_from_u64(world.seed),
            world,
            start: start(),
            now: Duration::ZERO,
            due: BTreeMap::new(),
            order: 0,
            tasks: VecDeque::new(),
            unheard: HashMap::new(),
            began: HashMap::new(),
            overload: Overload::new(1),
            messages: 0,
            waited: Duration::ZERO,
            busy: Duration::ZERO,
            figures: Figures::default(),
        }
    }
    fn schedule(&mut self, after: Duration, call: u64, step: usize, repeated: bool) {
        self.order += 1;
        let came = self.now + after;
        let packet = Packet {
            call,
            step,
            repeated,
            came,
        };
        self.due.insert((came, self.order), packet);
    }
    pub(super) const fn now(&self) -> Duration {
        self.now
    }
    /// So many calls at once.
    pub(super) fn burst(&mut self, calls: usize) {
        for _ in 0..calls {
            let call = self.order + 1;
            self.schedule(Duration::ZERO, call, 0, false);
        }
    }
    /// What comes meanwhile waits.
    pub(super) fn stand_still(&mut self, time: Duration) {
        self.now += time;
    }
    /// Calls come at that rate, at random, from now on for so long.
    pub(super) fn offer(&mut self, rate: f64, lasts: Duration) {
        let mut at = Duration::ZERO;
        loop {
            let gap: f64 = -(1.0 - self.random.random::<f64>()).ln() / rate;
            at += Duration::from_secs_f64(gap);
            if at > lasts {
                return;
            }
            let call = self.order + 1;
            self.schedule(at, call, 0, false);
        }
    }
    /// Serves until there is nothing more that comes before then.
    pub(super) fn run_until(&mut self, end: Duration) {
        while self.now < end {
            if self.tasks.is_empty() {
                let Some((at, _)) = self.due.first_key_value().map(|(key, _)| *key) else {
                    self.now = end;
                    return;
                };
                self.now = self.now.max(at).min(end);
            }
            self.dispatch();
            // A round: all that were ready when it began.
            for _ in 0..self.tasks.len() {
                let packet = self.tasks.pop_front().expect("it is so long");
                self.handle(packet);
            }
        }
    }
    fn dispatch(&mut self) {
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let packet = entry.remove();
            if packet.repeated && !self.unheard.contains_key(&packet.call) {
                continue;
            }
            self.now += self.world.reading;
            let now = self.start + self.now;
            let work = Work {
                done: self.messages,
                waited: self.waited,
                busy: self.busy,
                waiting: self.tasks.len(),
            };
            self.overload.judge(work, now);
            if packet.step > 0 || packet.repeated {
                self.tasks.push_back(packet);
                continue;
            }
            add(&mut self.figures.offered, packet.came);
            let waited = self.now - packet.came;
            if self.world.sheds && self.overload.is_late(waited, now) {
                self.overload.refused(now);
                self.now += self.world.refusal;
                add(&mut self.figures.refused, packet.came);
                continue;
            }
            self.overload.took(waited, now);
            self.unheard.insert(packet.call, packet.came);
            self.began.insert(packet.call, packet.came);
            self.tasks.push_back(packet);
            for times in 0..5 {
                // Those of them that are in vain cost nothing.
                let after = (packet.came + T1 * ((1 << (times + 1)) - 1)).saturating_sub(self.now);
                self.schedule(after, packet.call, 0, true);
            }
        }
    }
    fn handle(&mut self, packet: Packet) {
        if packet.repeated {
            self.figures.repeated += 1;
            self.now += self.world.costs[0] / 4;
            return;
        }
        let waited = self.now - packet.came;
        self.messages += 1;
        self.waited += waited;
        let second = self.now.as_secs() as usize;
        if self.figures.longest.len() <= second {
            self.figures.longest.resize(second + 1, Duration::ZERO);
        }
        self.figures.longest[second] = self.figures.longest[second].max(waited);
        self.now += self.world.costs[packet.step];
        self.busy += self.world.costs[packet.step];
        let part = if self.world.same {
            1.0
        } else {
            self.random.random::<f64>()
        };
        let after = match packet.step {
            0 => {
                self.unheard.remove(&packet.call);
                self.world.rings.mul_f64(part)
            }
            1 => {
                let began = self.began.remove(&packet.call).expect("it has begun");
                if self.now - began < PATIENCE + self.world.rings {
                    add(&mut self.figures.answered, self.now);
                }
                Duration::from_millis(1)
            }
            2 => self.world.talks.mul_f64(part),
            3 => Duration::from_millis(1),
            _ => return,
        };
        self.schedule(after, packet.call, packet.step + 1, false);
    }
}

//! What happens in one call: all of it follows from a seed.

use super::{SLACK, T1_64};
use crate::scripts;
use b2bua::{
    call::{Encryption, EncryptionPolicy, Side},
    sip::{
        Ids,
        auth::{Credentials, Secret},
    },
    testing::{
        Act, Agent, Callee, Change, Fork, Greeting, Hold, Outcome, Say, Sim, Stage, Verdicts, Weather,
        agent::Habits, settings,
    },
};
use std::{sync::Arc, time::Duration};

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is answered, and ends like that.
    Answered(End),
    /// The callee refuses.
    Refused(u16),
    /// The caller cancels, so long after its INVITE.
    Cancelled(Duration),
    /// Nobody answers, nobody cancels.
    Unanswered,
}

/// How an answered call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// When all is said, by one of them; `None`: by both at once.
    Settled(Option<Side>),
    /// In the middle of things, so long after the INVITE.
    Abrupt(Option<Side>, Duration),
    /// One of them, or both, are gone without a word by then.
    Vanished(Option<Side>, Duration),
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) fate: Fate,
    pub(super) encryption: (Encryption, Encryption),
    pub(super) habits: (Habits, Habits),
    /// What the forks say.
    pub(super) forks: Vec<Vec<(Duration, Say)>>,
    pub(super) greetings: Vec<Greeting>,
    pub(super) acts: Vec<(Duration, Side, Act)>,
    /// It lasts that long at least.
    pub(super) lasts: Duration,
    /// The server's own session timers.
    pub(super) session: Option<u32>,
    /// Whether they have digits in their media (RFC 4733).
    pub(super) events: (bool, bool),
}

fn ms(dice: &mut Ids, from: u64, to: u64) -> Duration {
    Duration::from_millis(from + dice.below(to - from))
}
fn side(dice: &mut Ids) -> Side {
    if dice.below(2) == 0 { Side::A } else { Side::B }
}
fn ender(dice: &mut Ids) -> Option<Side> {
    (dice.below(4) > 0).then(|| side(dice))
}

/// Offers that a call is too short for are not made after this.
const TALK: u64 = 20_000;

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let dice = &mut Ids::seeded(seed ^ 0x57EA_74E5);
        let fate = match dice.below(100) {
            0..50 => Fate::Answered(End::Settled(ender(dice))),
            50..62 => Fate::Answered(End::Abrupt(ender(dice), ms(dice, 500, TALK))),
            62..68 => Fate::Answered(End::Vanished(ender(dice), ms(dice, 5_000, TALK))),
            68..78 => Fate::Refused([404, 480, 486, 500, 603][dice.below(5) as usize]),
            78..97 => Fate::Cancelled(ms(dice, 1, 3_000)),
            _ => Fate::Unanswered,
        };
        let mut plan = Self {
            seed,
            fate,
            encryption: (encryption(dice), encryption(dice)),
            habits: (habits(dice), habits(dice)),
            forks: Vec::new(),
            greetings: greetings(dice),
            acts: Vec::new(),
            lasts: Duration::ZERO,
            events: (true, true),
            session: (dice.below(4) == 0 || matches!(fate, Fate::Answered(End::Vanished(..)))).then_some(90),
        };
        plan.habits.0.offerless = dice.below(7) == 0;
        if plan.habits.0.offerless {
            // Nobody knows what such a caller speaks: it is offered what the callee speaks.
            plan.encryption.0 = plan.encryption.1;
        }
        plan.dial(dice);
        if matches!(fate, Fate::Answered(_)) {
            plan.talk(dice);
            plan.press(dice);
        }
        plan
    }
    /// Who is called says this.
    fn dial(&mut self, dice: &mut Ids) {
        let count = match dice.below(10) {
            0 => 3,
            1 => 2,
            _ => 1,
        };
        let rings = ms(dice, 20, 2_500);
        for fork in 0..count {
            let mut says = Vec::new();
            match dice.below(4) {
                0 => says.push((ms(dice, 1, 20), Say::Early)),
                1 => says.extend([(ms(dice, 1, 20), Say::Ring), (ms(dice, 20, 400), Say::Early)]),
                2 => says.push((ms(dice, 1, 20), Say::Ring)),
                _ => {}
            }
            // Nobody promises early media to whom it has no offer of.
            if self.habits.0.offerless {
                says.retain(|(_, say)| *say != Say::Early);
            }
            let close = rings + ms(dice, 1, 60);
            match self.fate {
                Fate::Refused(code) => says.push((close, Say::Refuse(code))),
                Fate::Unanswered => {}
                // The others ring on, refuse, or answer at nearly the same time.
                _ if fork > 0 && dice.below(3) == 0 => says.push((close, Say::Refuse(486))),
                _ if fork > 0 && dice.below(2) == 0 => {}
                _ => says.push((close, Say::Answer)),
            }
            self.forks.push(says);
        }
        if let Fate::Cancelled(at) = &mut self.fate
            && dice.below(2) == 0
        {
            // Where CANCEL and 200 cross.
            *at = rings + ms(dice, 0, 160);
        }
    }
    /// One of them has digits in its media, the other only in INFO, and both say some.
    fn press(&mut self, dice: &mut Ids) {
        self.events = match dice.below(6) {
            0 => (true, false),
            1 => (false, true),
            _ => return,
        };
        for _ in 0..1 + dice.below(4) {
            let (at, key) = (ms(dice, 100, TALK), dice.below(16));
            let by_media = dice.below(2) == 0;
            let side = if by_media == self.events.0 {
                Side::A
            } else {
                Side::B
            };
            let act = match "0123456789*#ABCD".chars().nth(key as usize) {
                Some(digit) if !by_media => Act::Digit(digit),
                _ => Act::Press(key as u8),
            };
            self.acts.push((at, side, act));
        }
    }
    /// What both do in the call.
    fn talk(&mut self, dice: &mut Ids) {
        if dice.below(14) == 0 && matches!(self.fate, Fate::Answered(End::Settled(_))) {
            self.lasts = Duration::from_secs(400);
            let eager = dice.below(2) == 0;
            self.habits.0.timer = (dice.below(3) > 0).then_some((90 + dice.below(60) as u32, eager));
            self.habits.1.timer = (dice.below(3) > 0).then_some((90, eager));
            self.session = (dice.below(2) == 0).then_some(90);
        }
        for _ in 0..dice.below(6) {
            let at = ms(dice, 100, TALK);
            let one = side(dice);
            let act = act(dice);
            self.acts.push((at, one, act));
            // Both at once, or nearly: glare.
            if dice.below(3) == 0 {
                let other = Act::Offer(change(dice));
                self.acts.push((at + ms(dice, 0, 20), one.other(), other));
            }
        }
        match self.fate {
            Fate::Answered(End::Abrupt(by, at)) => {
                for side in [Side::A, Side::B] {
                    if by.is_none_or(|by| by == side) {
                        self.acts.push((at + ms(dice, 0, 30), side, Act::Bye));
                    }
                }
            }
            Fate::Answered(End::Vanished(who, at)) => {
                for side in [Side::A, Side::B] {
                    if who.is_none_or(|who| who == side) {
                        self.acts.push((at, side, Act::Vanish));
                    }
                }
            }
            _ => {}
        }
    }

    /// The call, before it has begun.
    pub(super) fn stage(&self) -> Stage {
        let mut settings = settings();
        let mut profile = (*settings.profile).clone();
        profile.sessions.expires = self.session;
        settings.profile = Arc::new(profile);
        let mut sim = Sim::with(self.verdicts(), settings, self.seed);
        sim.weather = Weather::ROUGH;
        sim.delay = Duration::from_millis(1 + self.seed % 20);
        sim.think = Duration::from_millis(self.seed % 7);
        let mut target = sim.target(Side::B);
        let targets = self.greetings.iter().map(|_| {
            let here = target.clone();
            target.remote.set_port(here.remote.port() + 1);
            here
        });
        sim.targets = Some(Ok(targets.collect()));
        let agent = |side, name: &str, encryption, habits, number: u16| {
            let mut agent = Agent::new(side, name, self.seed);
            agent.phone.events = if side == Side::A {
                self.events.0
            } else {
                self.events.1
            };
            agent.habits = habits;
            agent.phone.rtp.set_port(agent.phone.rtp.port() + 100 * number);
            if encryption == Encryption::Sdes {
                agent.phone = agent.phone.secure();
            }
            agent
        };
        let caller = agent(Side::A, "alice", self.encryption.0, self.habits.0, 0);
        let forks = self.forks.iter().zip(["bob", "bob-x", "bob-y"]).enumerate();
        let forks = forks.map(|(number, (says, name))| Fork {
            agent: agent(Side::B, name, self.encryption.1, self.habits.1, number as u16),
            says: says.clone(),
        });
        let callee = Callee::new(forks.collect(), &self.greetings);
        let mut stage = Stage::new(sim, caller, callee);
        for (at, side, act) in &self.acts {
            stage.later(*at, *side, *act);
        }
        if let Fate::Cancelled(at) = self.fate {
            stage.later(at, Side::A, Act::Cancel);
        }
        stage
    }
    /// The trenscrypter; where credentials are needed, an application that has them.
    fn verdicts(&self) -> Verdicts {
        let encryption = self.encryption.1;
        if !self.greetings.contains(&Greeting::Challenge) {
            let rule = format!("outgoing-enc-regex={encryption} .*");
            return scripts::make("trenscrypter", &[rule]).expect("a test's own configuration");
        }
        Verdicts::routes(move |invite| {
            let mut route = Verdicts::outgoing(invite, EncryptionPolicy::Only(encryption));
            route.credentials = Some(Arc::new(Credentials {
                username: "alice".to_owned(),
                realm: None,
                secret: Secret::Clear("secret".into()),
            }));
            vec![route]
        })
    }
    /// How long all take to say what they want.
    pub(super) fn talks(&self) -> Duration {
        let last = self.acts.iter().map(|(at, ..)| *at).max().unwrap_or_default();
        self.lasts.max(last)
    }
    /// Hangs up what has come to rest.
    pub(super) fn hang_up(&self, stage: &mut Stage, by: Option<Side>) {
        for side in [Side::A, Side::B] {
            if by.is_none_or(|by| by == side) {
                stage.later(Duration::from_millis(self.seed % 30), side, Act::Bye);
            }
        }
    }
    /// By when the first leg knows that it is over, at the latest; of a call whose caller had its answer before anybody was gone, or not.
    pub(super) fn ends_within(&self, answered: bool) -> Duration {
        // Each dead address costs the time of a transaction.
        let door = T1_64 * self.greetings.len() as u32;
        door + match self.fate {
            Fate::Answered(End::Settled(_)) => unreachable!("its end is when it has come to rest"),
            // An offer may be open, that waits for 120 s.
            Fate::Answered(End::Abrupt(_, at)) => at + T1_64,
            Fate::Answered(End::Vanished(_, at)) if answered => at + Duration::from_secs(90) + T1_64,
            Fate::Refused(_) => Duration::from_secs(3) + T1_64,
            Fate::Cancelled(at) => at + 2 * T1_64,
            // And then its CANCEL (RFC 3261 §9.1).
            Fate::Unanswered | Fate::Answered(End::Vanished(..)) => Duration::from_secs(240) + 2 * T1_64,
        }
    }
    /// Prints what crossed the wires.
    pub(super) fn tell(seed: u64) {
        let plan = Self::new(seed);
        let mut stage = plan.stage();
        stage.begin();
        if let Fate::Answered(End::Settled(by)) = plan.fate {
            stage.run(plan.talks());
            stage.settle(3 * T1_64);
            plan.hang_up(&mut stage, by);
            stage.run(2 * T1_64 + SLACK);
        } else {
            stage.run(plan.ends_within(false) + T1_64 + SLACK);
        }
        println!("{}", stage.sim.ladder());
        println!("{:#?}", stage.sim.summary);
    }
}

fn encryption(dice: &mut Ids) -> Encryption {
    [Encryption::None, Encryption::Sdes][dice.below(2) as usize]
}
fn habits(dice: &mut Ids) -> Habits {
    Habits {
        by_update: dice.below(3) == 0,
        waits_for_ack: dice.below(2) == 0,
        thinks: if dice.below(3) == 0 {
            ms(dice, 1, 1_500)
        } else {
            Duration::ZERO
        },
        timer: None,
        offerless: false,
        reliable: dice.below(3) == 0,
    }
}
fn greetings(dice: &mut Ids) -> Vec<Greeting> {
    match dice.below(20) {
        0 => vec![Greeting::Challenge],
        1 => vec![Greeting::Refusal(503), Greeting::Challenge],
        2 => vec![Greeting::Refusal(503), Greeting::Proceed],
        3 => vec![Greeting::Silence, Greeting::Proceed],
        4 => vec![Greeting::Silence, Greeting::Refusal(503), Greeting::Proceed],
        _ => vec![Greeting::Proceed],
    }
}
fn change(dice: &mut Ids) -> Change {
    match dice.below(9) {
        0 => Change::Hold(Hold::SendOnly),
        1 => Change::Hold(Hold::Inactive),
        2 => Change::Hold(Hold::BlackHole),
        3 | 4 => Change::Resume,
        5 => Change::Video(true),
        6 => Change::Video(false),
        7 => Change::Offerless,
        _ => Change::Nothing,
    }
}
fn act(dice: &mut Ids) -> Act {
    match dice.below(11) {
        0 => Act::Send(["INFO", "MESSAGE", "OPTIONS"][dice.below(3) as usize]),
        1 => Act::Digit(['0', '7', '#', 'A'][dice.below(4) as usize]),
        2 | 3 => Act::Refer(match dice.below(6) {
            0 => Outcome::Called(486),
            1 => Outcome::Called(603),
            2 => Outcome::CalledInSilence(200),
            3 => Outcome::Refused(603),
            _ => Outcome::Called(200),
        }),
        4 => Act::Regret(change(dice), ms(dice, 1, 600)),
        _ => Act::Offer(change(dice)),
    }
}

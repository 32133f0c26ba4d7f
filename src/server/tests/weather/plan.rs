//! What is asked in one run, and how those who are asked behave.

use crate::sip::Ids;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// One request outside of a call, and what comes of it.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) id: String,
    pub(super) at: Duration,
    pub(super) method: &'static str,
    /// How long the application thinks, and with what it refuses.
    pub(super) thinks: Duration,
    pub(super) declined: Option<u16>,
    /// Of those that are asked one after the other.
    pub(super) manners: Vec<Manners>,
    pub(super) life: Option<Life>,
}

/// How somebody answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manners {
    /// `None`: not at all.
    pub(super) code: Option<u16>,
    pub(super) after: Duration,
    /// It says 100 at once.
    pub(super) trying: bool,
}

/// What becomes of a subscription that is granted.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) expires: u32,
    /// When there is news, counted from the SUBSCRIBE that began it.
    pub(super) news: Vec<Duration>,
    /// The notifier ends it then.
    pub(super) ended: Option<Duration>,
    /// The notifier has one NOTIFY open at a time.
    pub(super) patient: bool,
    /// When the subscriber asks for more time, counted from its first SUBSCRIBE.
    pub(super) renewed: Vec<Duration>,
    /// The subscriber ends it then.
    pub(super) left: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) asks: Vec<Ask>,
    /// The server ends all of them then.
    pub(super) shutdown: Option<Duration>,
}

fn one<T: Copy>(dice: &mut Ids, of: &[T]) -> T {
    of[usize::try_from(dice.below(of.len() as u64)).expect("small")]
}
fn within(dice: &mut Ids, milliseconds: u64) -> Duration {
    Duration::from_millis(dice.below(milliseconds))
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let dice = &mut Ids::seeded(seed ^ 0x5741_4e44);
        let count = 1 + dice.below(4);
        Self {
            asks: (0..count).map(|number| Ask::new(number, dice)).collect(),
            shutdown: (dice.below(8) == 0).then(|| within(dice, 20_000)),
        }
    }
}

impl Ask {
    fn new(number: u64, dice: &mut Ids) -> Self {
        let methods = [
            "MESSAGE",
            "MESSAGE",
            "OPTIONS",
            "PUBLISH",
            "NOTIFY",
            "WIBBLE",
            "SUBSCRIBE",
            "SUBSCRIBE",
            "SUBSCRIBE",
        ];
        let method = one(dice, &methods);
        let subscribes = method == "SUBSCRIBE";
        let ways = if !subscribes && dice.below(3) == 0 { 2 } else { 1 };
        Self {
            id: format!("ask-{number}"),
            at: within(dice, 2_000),
            method,
            thinks: one(dice, &[0, 0, 3, 700, 2_500]) * MS,
            declined: (dice.below(10) == 0).then(|| one(dice, &[403, 404, 480])),
            manners: (0..ways).map(|_| Manners::new(subscribes, dice)).collect(),
            life: subscribes.then(|| Life::new(dice)),
        }
    }
}

impl Manners {
    fn new(subscribes: bool, dice: &mut Ids) -> Self {
        let code = if dice.below(10) == 0 {
            None
        } else if subscribes {
            Some(one(dice, &[200, 200, 200, 202, 404, 489, 503]))
        } else {
            Some(one(
                dice,
                &[200, 200, 202, 401, 404, 407, 408, 486, 500, 503, 600],
            ))
        };
        Self {
            code,
            after: one(dice, &[0, 0, 40, 600, 3_000]) * MS,
            trying: dice.below(3) == 0,
        }
    }
    /// As the request tells who is asked.
    pub(super) fn to_text(self) -> String {
        let code = self.code.unwrap_or_default();
        format!("{code} {} {}", self.after.as_millis(), u8::from(self.trying))
    }
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let code = words.next()?.parse().ok()?;
        Some(Self {
            code: (code > 0).then_some(code),
            after: Duration::from_millis(words.next()?.parse().ok()?),
            trying: words.next()? == "1",
        })
    }
    /// Whether it gives an answer that ends the search.
    pub(super) fn decides(self) -> bool {
        self.code.is_some_and(|code| code != 503)
    }
}

impl Life {
    fn new(dice: &mut Ids) -> Self {
        let expires = one(dice, &[0, 20, 60, 60]);
        let mut news: Vec<_> = (0..dice.below(5)).map(|_| within(dice, 15_000)).collect();
        // Some comes close behind other news, and may overtake it.
        for at in 0..news.len() {
            if dice.below(3) == 0 {
                news.push(news[at] + within(dice, 30));
            }
        }
        let mut renewed: Vec<_> = (0..dice.below(3)).map(|_| within(dice, 20_000)).collect();
        renewed.sort_unstable();
        let long = expires > 0;
        Self {
            expires,
            news,
            ended: (long && dice.below(3) == 0).then(|| within(dice, 20_000)),
            patient: dice.below(2) == 0,
            renewed: if long { renewed } else { Vec::new() },
            left: (long && dice.below(3) == 0).then(|| Duration::from_secs(20) + within(dice, 5_000)),
        }
    }
}

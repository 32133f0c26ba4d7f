//! What a network does to datagrams.

use crate::sip::Ids;
use std::time::Duration;

/// Late ones are late by less than this.
pub const LATEST: Duration = Duration::from_millis(50);

/// What the network does to messages, in parts of a hundred.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Lost.
    pub loss: u64,
    /// Delivered twice.
    pub repeat: u64,
    /// Late by up to 50 ms more than the others, so that later ones overtake them.
    pub late: u64,
}

impl Weather {
    /// Goal R2: 10 % lost, 5 % repeated, reordering by up to 50 ms.
    pub const ROUGH: Self = Self {
        loss: 10,
        repeat: 5,
        late: 30,
    };

    /// What becomes of one datagram: how much later than others each copy of it arrives; none where it is lost.
    pub fn deliveries(self, dice: &mut Ids) -> Vec<Duration> {
        if dice.below(100) < self.loss {
            return Vec::new();
        }
        let copies = if dice.below(100) < self.repeat { 2 } else { 1 };
        let delay = |_| match dice.below(100) < self.late {
            true => Duration::from_millis(dice.below(LATEST.as_millis() as u64)),
            false => Duration::ZERO,
        };
        (0..copies).map(delay).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rough_weather_has_the_shares_of_goal_r2() {
        let mut dice = Ids::seeded(1);
        let (mut lost, mut twice, mut late) = (0, 0, 0);
        for _ in 0..10_000 {
            let copies = Weather::ROUGH.deliveries(&mut dice);
            lost += u32::from(copies.is_empty());
            twice += u32::from(copies.len() == 2);
            late += copies.iter().filter(|delay| !delay.is_zero()).count();
            assert!(copies.iter().all(|delay| *delay < LATEST));
        }
        assert!((900..1_100).contains(&lost), "{lost}");
        // 5 % of the nine tenths that arrive.
        assert!((380..520).contains(&twice), "{twice}");
        assert!((2_500..3_100).contains(&late), "{late}");
    }

    #[test]
    fn in_calm_weather_each_arrives_once_and_in_order() {
        let mut dice = Ids::seeded(1);
        for _ in 0..100 {
            assert_eq!(Weather::default().deliveries(&mut dice), [Duration::ZERO]);
        }
    }
}

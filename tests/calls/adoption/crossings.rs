//! Whatever crosses a transfer that joins two calls, at every moment of it.

use super::{
    SIDES,
    two::{Habits, MS, SECOND, Two, WILLING, sdp},
};
use b2bua::{call::Destined, testing::Who};

/// What may cross a transfer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Crossing {
    /// One hangs up: in its place in the first call, or the second one, or wherever the target is.
    Transferor(usize),
    Both,
    Stays,
    Target,
    /// A call's task dies.
    Death(usize),
    /// The transferor offers something to the target.
    Hold,
}

const CROSSINGS: [Crossing; 8] = [
    Crossing::Transferor(0),
    Crossing::Transferor(1),
    Crossing::Both,
    Crossing::Stays,
    Crossing::Target,
    Crossing::Death(0),
    Crossing::Death(1),
    Crossing::Hold,
];

impl Two {
    pub(super) fn crosses(&mut self, crossing: Crossing) {
        let (first, second) = (self.by[0].into(), self.by[1].into());
        // Whoever was hung up says nothing any more.
        let alive = |two: &Self, call: usize, who: Who| !two.has_left(call, who);
        match crossing {
            Crossing::Transferor(0) if alive(self, 0, first) => self.bye(0, first),
            Crossing::Transferor(1) if alive(self, 1, second) => self.bye(1, second),
            Crossing::Transferor(_) => {}
            Crossing::Both => {
                self.crosses(Crossing::Transferor(0));
                self.crosses(Crossing::Transferor(1));
            }
            Crossing::Stays if alive(self, 0, self.seen.stays) => self.bye(0, self.seen.stays),
            Crossing::Target if alive(self, self.board.at, self.board.target()) => {
                self.bye(self.board.at, self.board.target());
            }
            Crossing::Stays | Crossing::Target => {}
            Crossing::Death(call) => self.board.kill(call),
            Crossing::Hold if alive(self, 1, second) => {
                let body = sdp(&mut self.board, 1, second, self.seen.kind) + "a=sendonly\r\n";
                self.ask(1, second, "INVITE", "", &body);
            }
            Crossing::Hold => {}
        }
    }
}

impl Two {
    /// The record of the call whose leg was lent says what became of that, unless its task has died.
    fn assert_recorded(&self) {
        if !self.board.dead[1] {
            let transfers = self.transfers(1);
            let open = transfers.iter().any(|transfer| transfer.ends_with(" open"));
            assert!(!open, "{transfers:?}\n{}", self.ladder());
        }
    }
}

/// Who is out of the second call before it is known whether the first one keeps its leg.
#[test]
fn acceptance_27_a_record_says_what_became_of_a_transfer_whose_transferor_did_not_wait_for_it() {
    let refusing = |target, stays| Habits {
        target,
        stays,
        ..WILLING
    };
    for (habits, expected, told) in [
        (WILLING, "200", "200 OK"),
        (refusing(488, 200), "488", "488 Not Acceptable Here"),
        (refusing(200, 488), "488", "488 Not Acceptable Here"),
        (refusing(0, 200), "408", "408 Request Timeout"),
        // Who stays is gone: the first call ends before there is anything to tell.
        (refusing(200, 0), "408", "100 Trying"),
    ] {
        let mut waited = 0;
        for at in 0..12 {
            let by = SIDES[at % 4];
            let mut two = Two::new(by, habits);
            two.board.hop = MS;
            two.refer();
            two.run(at as u32 * MS);
            let lent = two.board.at == 0 && two.seen.told.len() < 2;
            two.crosses(Crossing::Transferor(1));
            two.run(60 * SECOND);
            two.end();
            let transfers = two.transfers(1);
            if lent {
                waited += 1;
                assert_eq!(transfers.len(), 1, "{}", two.ladder());
                let last = two.seen.told.last().map(String::as_str);
                assert_eq!(last, Some(told), "{at}\n{}", two.ladder());
            }
            for transfer in transfers {
                let said = transfer.rsplit(' ').next();
                assert_eq!(said, Some(expected), "{at} {transfer}\n{}", two.ladder());
            }
        }
        assert!(waited > 2, "{habits:?}: {waited}");
    }
}

/// Whatever crosses a transfer, and whenever: nobody is left in a call that is no more, nothing is left of any call, and each has
/// one record.
#[test]
fn acceptance_27_no_crossing_leaves_anybody_in_a_call_that_is_no_more() {
    let all = [
        WILLING,
        Habits {
            target: 488,
            stays: 200,
            ..WILLING
        },
        Habits {
            target: 200,
            stays: 488,
            ..WILLING
        },
        Habits {
            target: 0,
            stays: 200,
            ..WILLING
        },
        Habits {
            target: 200,
            stays: 0,
            ..WILLING
        },
    ];
    let (mut joined, mut forwarded, mut homeless, mut runs) = (0, 0, 0, 0);
    for (first, habits) in all.into_iter().enumerate() {
        for (second, crossing) in CROSSINGS.into_iter().enumerate() {
            for at in 0..24 {
                // Every kind of pair, and with a server that takes its time or does not, at every moment of some crossing.
                let by = SIDES[(at + first + second) % 4];
                let mut two = Two::new(by, habits);
                two.board.hop = ((at / 4 + second) % 3) as u32 * MS;
                two.refer();
                two.run(at as u32 * MS);
                two.crosses(crossing);
                two.run(60 * SECOND);
                joined += usize::from(two.seen.told.last().is_some_and(|told| told == "200 OK"));
                forwarded += two.board.forwarded;
                two.end();
                two.assert_recorded();
                let nowhere = two
                    .board
                    .carried
                    .iter()
                    .filter(|(way, _)| *way == Destined::Nowhere);
                homeless += nowhere.count();
                runs += 1;
            }
        }
    }
    println!("{runs} runs: {joined} joined, {forwarded} messages forwarded, {homeless} legs without a home");
    // The moments were the right ones.
    assert_eq!(runs, 5 * 8 * 24);
    assert!(
        joined > runs / 20 && forwarded > 0 && homeless > 0,
        "{joined} {forwarded} {homeless}"
    );
}

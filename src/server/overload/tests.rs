//! Controllers against a model of a server, and by themselves.

mod model;

use super::*;
use model::{Figures, Model, World};
use proptest::prelude::*;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Servers that serve some hundred calls a second, for whom an INVITE is so much of one where another message is up to 10, and a
/// refusal at most a twentieth.
fn worlds_of(invite: impl Strategy<Value = u32>) -> impl Strategy<Value = World> {
    let parts = prop::array::uniform4(1_u32..10);
    let costs = (invite, parts, 800..2_000_u64);
    (costs, 0..3_000_u64, 0..4_000_u64, any::<u64>()).prop_map(
        |((invite, others, cost), rings, talks, seed)| {
            let cost = Duration::from_micros(cost);
            let parts = [invite, others[0], others[1], others[2], others[3]];
            let whole: u32 = parts.iter().sum();
            World {
                costs: parts.map(|part| cost * part / whole),
                reading: cost / 100,
                refusal: cost / 25,
                rings: Duration::from_millis(rings),
                talks: Duration::from_millis(talks),
                same: false,
                sheds: true,
                seed,
            }
        },
    )
}

/// Those for whom an INVITE is the greatest part.
fn worlds() -> impl Strategy<Value = World> {
    worlds_of(Just(10))
}

/// What becomes of calls that come at so many times the capacity for so long, one after the other.
fn served(world: &World, loads: &[(f64, Duration)]) -> Figures {
    let mut model = Model::new(world.clone());
    for (load, lasts) in loads {
        let end = model.now() + *lasts;
        model.offer(load * world.capacity(), *lasts);
        model.run_until(end);
    }
    model.figures
}

/// Calls a second, as a part of the capacity.
fn part(world: &World, calls: &[u32], from: usize, to: usize) -> f64 {
    model::sum(calls, from, to) / world.capacity() / (to - from) as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn of_twice_as_many_calls_as_it_can_serve_it_serves_as_many_as_it_can(world in worlds()) {
        let figures = served(&world, &[(2.0, seconds(25))]);
        // Until calls end that were taken while none had to end yet.
        let goodput = part(&world, &figures.answered, 15, 25);
        prop_assert!(goodput > 0.9, "{goodput:.3} of its capacity: {figures:?}");
        let longest = figures.longest.iter().max().unwrap();
        prop_assert!(*longest < T1, "{figures:?}");
    }

    #[test]
    fn nobody_is_refused_while_it_can_serve_all(world in worlds()) {
        let figures = served(&world, &[(0.9, seconds(20))]);
        prop_assert!(part(&world, &figures.offered, 0, 20) > 0.8, "{figures:?}");
        prop_assert!(figures.refused.is_empty(), "{figures:?}");
    }

    #[test]
    fn when_it_can_serve_all_again_it_does_so_at_once(world in worlds()) {
        // The parties of its calls are quick: what comes later of them is not there to be served when they stop calling.
        let world = World { rings: Duration::ZERO, talks: Duration::ZERO, ..world };
        let figures = served(&world, &[(2.0, seconds(5)), (0.7, seconds(5))]);
        prop_assert!(part(&world, &figures.refused, 3, 5) > 0.8, "{figures:?}");
        prop_assert!(part(&world, &figures.refused, 5, 6) < 0.05, "{figures:?}");
        prop_assert!(model::sum(&figures.refused, 6, 10) < 1.0, "{figures:?}");
    }

    #[test]
    fn a_crowd_of_ten_times_as_many_leaves_what_refusing_it_leaves(world in worlds()) {
        let figures = served(&world, &[(10.0, seconds(25))]);
        let goodput = part(&world, &figures.answered, 15, 25);
        let left = left(10.0);
        prop_assert!(goodput > 0.9 * left, "{goodput:.3} of its capacity, {left:.3} could be: {figures:?}");
        let longest = figures.longest.iter().max().unwrap();
        prop_assert!(*longest < 2 * T1, "{figures:?}");
    }

    #[test]
    fn a_crowd_is_governed_whatever_is_dear_in_calls_once_some_were_served(world in worlds_of(1_u32..=10)) {
        let figures = served(&world, &[(0.7, seconds(10)), (10.0, seconds(15))]);
        prop_assert!(model::sum(&figures.refused, 0, 10) < 1.0, "refused before the crowd: {figures:?}");
        let goodput = part(&world, &figures.answered, 15, 25);
        let left = left(10.0);
        prop_assert!(goodput > 0.9 * left, "{goodput:.3} of its capacity, {left:.3} could be: {figures:?}");
        let longest = figures.longest.iter().max().unwrap();
        prop_assert!(*longest < 2 * T1, "{figures:?}");
    }
}

/// What of the capacity is left at so many times as many calls: a call costs 1, a refusal 1/20 of it, and a + (load - a) / 20 = 1.
const fn left(load: f64) -> f64 {
    (1.0 - load * 0.05) / 0.95
}

/// Where INVITEs are cheap and all that comes later is dear, a server that starts in a crowd cannot know of it.
#[test]
fn what_nobody_could_know_is_taken_and_worked_off_without_losing_any_of_it() {
    let us = Duration::from_micros;
    let dear = World {
        costs: [us(25), us(250), us(250), us(250), us(225)],
        rings: seconds(3),
        talks: seconds(2),
        same: true,
        ..World::plain()
    };
    let cheap = World {
        costs: [us(25); 5],
        ..dear.clone()
    };
    let rate = 2.0 * dear.capacity();
    assert!(
        rate < cheap.capacity() / 2.0,
        "nobody is to be refused by the cheap one"
    );
    let [mut dear, mut cheap] = [dear, cheap].map(|world| {
        let mut model = Model::new(world);
        model.offer(rate, seconds(8));
        // Until the first callee answers.
        model.run_until(seconds(3));
        model
    });
    assert!(model::sum(&dear.figures.offered, 0, 3) > 2.5 * rate);
    assert_eq!(
        (
            &dear.figures.offered,
            &dear.figures.longest,
            &dear.figures.refused
        ),
        (
            &cheap.figures.offered,
            &cheap.figures.longest,
            &cheap.figures.refused
        ),
        "they look the same"
    );
    cheap.run_until(seconds(30));
    assert!(cheap.figures.refused.is_empty(), "{:?}", cheap.figures);
    dear.run_until(seconds(30));
    let all = |calls: &[u32]| calls.iter().sum::<u32>();
    let figures = &dear.figures;
    let taken = all(&figures.offered) - all(&figures.refused);
    assert_eq!(all(&figures.answered), taken, "{figures:?}");
    assert!(all(&figures.refused) > 0, "it learns nothing: {figures:?}");
    // In three seconds twice as much was taken as can be done.
    let longest = figures.longest.iter().max().unwrap();
    assert!((T1..seconds(3)).contains(longest), "{figures:?}");
}

/// What the model is for: a server that takes all of them serves nobody in the end.
#[test]
fn a_server_that_refuses_nobody_answers_nobody_in_time() {
    let world = World {
        sheds: false,
        ..World::plain()
    };
    let figures = served(&world, &[(2.0, seconds(25))]);
    assert!(part(&world, &figures.answered, 15, 25) < 0.1, "{figures:?}");
    assert!(figures.repeated > 1_000, "they did not repeat: {figures:?}");
}

#[test]
fn callees_that_all_answer_after_the_same_time_are_no_pendulum() {
    let world = World {
        rings: seconds(3),
        same: true,
        ..World::plain()
    };
    for load in [2.0, 4.0] {
        let figures = served(&world, &[(load, seconds(40))]);
        assert!(
            part(&world, &figures.answered, 20, 40) > 0.9 * left(load),
            "{figures:?}"
        );
    }
}

#[test]
fn a_burst_that_is_served_before_anybody_repeats_is_served() {
    let world = World::plain();
    let mut model = Model::new(world);
    model.burst(500);
    model.run_until(seconds(2));
    assert!(model.figures.refused.is_empty(), "{:?}", model.figures);
    assert!(
        model.figures.answered.iter().sum::<u32>() == 500,
        "{:?}",
        model.figures
    );
    // Of more, those that would be late are refused.
    model.burst(5_000);
    model.run_until(seconds(4));
    let refused: u32 = model.figures.refused.iter().sum();
    assert!((1_000..4_500).contains(&refused), "{:?}", model.figures);
}

#[test]
fn a_machine_that_stands_still_for_a_moment_refuses_nobody() {
    let world = World::plain();
    let mut model = Model::new(world.clone());
    for _ in 0..10 {
        let end = model.now() + seconds(1);
        model.offer(0.6 * world.capacity(), seconds(1));
        model.stand_still(Duration::from_millis(200));
        model.run_until(end);
    }
    assert!(model.figures.refused.is_empty(), "{:?}", model.figures);
}

/// Hundred messages in each tenth of a second, which had waited so long and made calls busy for half of it.
fn told(overload: &mut Overload, from: Instant, tenths: u32, wait: Duration) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut work = overload.judged.map_or_else(Work::default, |(_, work)| work);
    for tenth in 0..tenths {
        work.done += 100;
        work.waited += wait * 100;
        work.busy += Duration::from_millis(50);
        work.waiting = 10;
        changes.extend(overload.judge(work, from + Duration::from_millis(100) * tenth));
    }
    changes
}

/// How many begin at once before the next one is refused.
fn taken(overload: &mut Overload, now: Instant) -> usize {
    let mut taken = 0;
    while !overload.is_late(Duration::ZERO, now) && taken < 1_000 {
        overload.took(Duration::ZERO, now);
        taken += 1;
    }
    taken
}

#[test]
fn an_overload_begins_with_a_wait_that_stands_and_ends_when_nobody_is_refused_any_more() {
    let mut overload = Overload::new(1);
    let start = model::start();
    assert_eq!(told(&mut overload, start, 1, KEPT), []);
    for _ in 0..200 {
        overload.took(Duration::ZERO, start);
    }
    assert_eq!(
        told(&mut overload, start + Duration::from_millis(100), 9, KEPT),
        []
    );
    let start = start + seconds(1);
    assert_eq!(told(&mut overload, start, 3, LONG * 2), []);
    let start = start + Duration::from_millis(300);
    assert!(!overload.is_late(Duration::ZERO, start));
    assert_eq!(told(&mut overload, start, 1, LONG * 2), [Change::Began]);
    // One costs 5 ms, and takes four times as much as what is done waits four times as long as it should.
    let few = taken(&mut overload, start);
    assert!((1..10).contains(&few), "{few}");
    assert!(overload.is_late(Duration::ZERO, start));
    assert_eq!(overload.refused(start), None);
    // A short wait is enough for the next ones, and some time without refusals for the end.
    let start = start + Duration::from_millis(100);
    assert_eq!(told(&mut overload, start, 9, KEPT / 2), []);
    let soon = start + Duration::from_millis(800);
    assert!(!overload.is_late(Duration::ZERO, soon));
    assert!(
        overload.is_late(T1 * 2, soon),
        "it has waited too long before anybody looked at it"
    );
    let more = taken(&mut overload, soon);
    assert!((few + 1..50).contains(&more), "{more} after {few}");
    let start = start + Duration::from_millis(900);
    assert_eq!(
        told(&mut overload, start, 1, KEPT / 2),
        [Change::Ended(Duration::from_millis(1_000), 1)]
    );
    assert!(!overload.is_late(LONG, start));
}

#[test]
fn no_overload_begins_while_nothing_waits() {
    let mut overload = Overload::new(1);
    let start = model::start();
    overload.took(Duration::ZERO, start);
    told(&mut overload, start, 10, Duration::ZERO);
    // A single call seems to have cost half a second.
    for millisecond in 0..5_000 {
        let now = start + seconds(1) + Duration::from_millis(millisecond);
        let (_, work) = overload.judged.unwrap();
        let idle = Work {
            done: work.done + 1,
            waiting: 0,
            ..work
        };
        overload.judge(idle, now);
        assert!(
            !overload.is_late(Duration::ZERO, now),
            "after {millisecond} calls"
        );
        overload.took(Duration::ZERO, now);
        overload.waiting = 0;
    }
}

#[test]
fn a_message_that_its_call_never_looks_at_keeps_nobody_out() {
    let mut overload = Overload::new(1);
    let start = model::start();
    told(&mut overload, start, 10, LONG * 2);
    assert!(overload.lateness(Duration::ZERO) > LONG);
    let (_, work) = overload.judged.unwrap();
    overload.judge(Work { waiting: 1, ..work }, start + seconds(1));
    assert!(overload.lateness(Duration::ZERO) > LONG);
    overload.judge(Work { waiting: 1, ..work }, start + seconds(2));
    assert!(overload.lateness(Duration::ZERO) <= LITTLE);
}

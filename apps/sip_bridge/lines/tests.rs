use super::super::{
    model::{PoolDefaults, RawAccount},
    template::Context,
};
use super::*;
use crate::apps::sip_bridge::tests::ready;
use b2bua::sip::{Ids, NameAddr, Uri};

fn account(uri: &str, alias: &str) -> Arc<Account> {
    let raw = RawAccount {
        uri,
        alias,
        ..RawAccount::default()
    };
    Arc::new(raw.account(&PoolDefaults::default()).expect("an account"))
}

fn call(from: &str) -> Incoming {
    Incoming {
        from: NameAddr::parse(from).expect("an address"),
        to: NameAddr::parse("<sip:bob@example.org>").expect("an address"),
        request_uri: Uri::parse("sip:bob@192.0.2.1").expect("a URI"),
        asserted_identity: None,
        diversion: None,
        host: None,
        own: None,
    }
}

fn template(text: &str, context: Context) -> Template {
    Template::parse(text, context).expect("a template")
}

fn chosen(lines: &Lines, strategy: &Strategy, from: &str) -> Result<String, NoLine> {
    let numbers = Numbers {
        country: Some("33".into()),
        national: "0".into(),
        ..Numbers::default()
    };
    let chosen = ready(lines.choose(strategy, (&call(from), &numbers), 0, &[]));
    chosen.map(|(account, _)| account.uri.uri.as_str().to_owned())
}

/// `FindInPool :: chooseAccountForThisCall`.
#[test]
fn accounts_are_found_by_uri_alias_number_or_a_constant() {
    let accounts = [
        account("sip:one@ext.example", "sip:alice@example.org"),
        account("sip:two@ext.example", "sip:bob@example.org"),
        account("sip:+33123456789@ext.example", ""),
    ];
    for (by, source, from, expected) in [
        (
            "{alias}",
            "{from}",
            "<sip:bob@example.org>",
            Some("sip:two@ext.example"),
        ),
        ("{alias}", "{from}", "<sip:bob@example.org;x=1>", None),
        ("{alias}", "{from}", "<sip:BOB@example.org>", None),
        (
            "{alias.user}",
            "{from.user}",
            "<sip:alice@elsewhere>",
            Some("sip:one@ext.example"),
        ),
        (
            "{uri}",
            "sip:{from.user}@ext.example",
            "<sip:two@x>",
            Some("sip:two@ext.example"),
        ),
        (
            "constant",
            "constant",
            "<sip:anyone@x>",
            Some("sip:one@ext.example"),
        ),
        (
            "{uri.number}",
            "{from.number}",
            "<sip:0123456789@x>",
            Some("sip:+33123456789@ext.example"),
        ),
        (
            "{uri.number}",
            "{from.number}",
            "<tel:+33-1-23-45-67-89>",
            Some("sip:+33123456789@ext.example"),
        ),
        ("{alias}", "", "<sip:bob@example.org>", None),
    ] {
        let by = template(by, Context::Account);
        let lines = Lines::new("p", 1, vec![by.clone()], &accounts, None, false);
        let strategy = Strategy::FindInPool {
            by,
            source: template(source, Context::Call),
        };
        let found = chosen(&lines, &strategy, from);
        match expected {
            Some(uri) => assert_eq!(found.as_deref(), Ok(uri), "{source} {from}"),
            None => assert!(
                matches!(found, Err(NoLine::NotFound(_))),
                "{source} {from}: {found:?}"
            ),
        }
    }
}

/// `loadBalancing`: 5,000 selections over 3 lines within ±8 %.
#[test]
fn random_choice_is_even_and_skips_busy_lines() {
    let names = ["sip:1@x", "sip:2@x", "sip:3@x"];
    let lines = Lines::new(
        "p",
        5000,
        Vec::new(),
        &names.map(|name| account(name, "")),
        None,
        false,
    );
    let mut ids = Ids::seeded(7);
    let mut held = Vec::new();
    let numbers = Numbers::default();
    let mut choose = || {
        let chosen = ready(lines.choose(
            &Strategy::Random,
            (&call("<sip:a@b>"), &numbers),
            ids.below(u64::MAX),
            &[],
        ));
        chosen.map(|(_, line)| line)
    };
    for _ in 0..5000 {
        held.push(choose().expect("a free line"));
    }
    for line in lines.all() {
        assert!(
            (1534..=1800).contains(&line.calls()),
            "{} has {}",
            line.key(),
            line.calls()
        );
    }
    for _ in 0..10_000 {
        held.push(choose().expect("a free line"));
    }
    assert_eq!(lines.all().iter().map(Line::calls).collect::<Vec<_>>(), [5000; 3]);
    assert_eq!(choose().expect_err("saturated"), NoLine::NoneAvailable);
    held.pop();
    assert!(choose().is_ok());
}

/// `callRelease`.
#[test]
fn a_line_is_given_back_when_what_holds_it_is_dropped() {
    let lines = Lines::new("p", 2, Vec::new(), &[account("sip:1@x", "")], None, false);
    let numbers = Numbers::default();
    let choose = || ready(lines.choose(&Strategy::Random, (&call("<sip:a@b>"), &numbers), 5, &[]));
    let first = choose().expect("free");
    let second = choose().expect("free");
    assert!(choose().is_err());
    drop(first);
    assert_eq!(lines.all()[0].calls(), 1);
    let third = choose().expect("free again");
    drop((second, third));
    assert_eq!(lines.all()[0].calls(), 0);
}

#[test]
fn other_accounts_leave_running_calls_their_lines() {
    let lines = Lines::new(
        "p",
        1,
        Vec::new(),
        &[account("sip:1@x", ""), account("sip:2@x", "")],
        None,
        false,
    );
    let numbers = Numbers::default();
    let choose = |start| ready(lines.choose(&Strategy::Random, (&call("<sip:a@b>"), &numbers), start, &[]));
    let (one, held) = choose(0).expect("free");
    assert_eq!(one.uri.uri.as_str(), "sip:1@x");
    lines.replace(&[account("sip:1@x", "sip:new@y"), account("sip:3@x", "")]);
    assert_eq!(lines.all()[0].calls(), 1, "the updated account has its call");
    assert_eq!(choose(0).expect("free").0.uri.uri.as_str(), "sip:3@x");
    let reloaded = Lines::new(
        "p",
        1,
        Vec::new(),
        &[account("sip:3@x", ""), account("sip:1@x", "")],
        None,
        false,
    );
    reloaded.inherit(&lines);
    assert_eq!(reloaded.all().iter().map(Line::calls).collect::<Vec<_>>(), [0, 1]);
    drop(held);
    assert_eq!(reloaded.all()[1].calls(), 0);
}

#[test]
fn a_pool_of_no_lines_or_no_accounts_has_none() {
    let choose = |lines: &Lines| chosen(lines, &Strategy::Random, "<sip:a@b>");
    assert_eq!(
        choose(&Lines::new(
            "p",
            0,
            Vec::new(),
            &[account("sip:1@x", "")],
            None,
            false
        )),
        Err(NoLine::NotForCalls)
    );
    assert_eq!(
        choose(&Lines::new("p", 1, Vec::new(), &[], None, false)),
        Err(NoLine::Empty)
    );
}

#[test]
fn an_account_that_goes_and_comes_back_still_has_its_calls() {
    let lines = Lines::new("p", 1, Vec::new(), &[account("sip:1@x", "")], None, false);
    let numbers = Numbers::default();
    let choose = || ready(lines.choose(&Strategy::Random, (&call("<sip:a@b>"), &numbers), 0, &[]));
    let (_, held) = choose().expect("free");
    lines.replace(&[]);
    lines.replace(&[account("sip:2@x", "")]);
    lines.replace(&[account("sip:1@x", "")]);
    assert_eq!(choose().expect_err("its call goes on"), NoLine::NoneAvailable);
    drop(held);
    assert!(choose().is_ok());
}

proptest::proptest! {
    /// Whatever comes in whatever order: a line never has more calls than it may, and exactly those that somebody holds.
    #[test]
    fn lines_are_neither_lost_nor_lent_twice(steps in proptest::collection::vec((0_u8..4, 0_u8..16), 1..200)) {
        const NAMES: [&str; 4] = ["sip:1@x", "sip:2@x", "sip:3@x", "sip:4@x"];
        let fresh = || Lines::new("p", 3, Vec::new(), &NAMES.map(|name| account(name, "")), None, false);
        let mut lines = fresh();
        let numbers = Numbers::default();
        let mut held: Vec<(String, Taken)> = Vec::new();
        for (what, which) in steps {
            match what {
                0 => {
                    let chosen = ready(lines.choose(&Strategy::Random, (&call("<sip:a@b>"), &numbers), which.into(), &[]));
                    held.extend(chosen.ok().map(|(account, taken)| (account.uri.uri.as_str().to_owned(), taken)));
                }
                1 if !held.is_empty() => drop(held.swap_remove(usize::from(which) % held.len())),
                2 => {
                    // A database that says something else: the accounts whose bit is set.
                    let there = NAMES.iter().enumerate().filter(|(at, _)| which & (1 << at) != 0);
                    let there: Vec<_> = there.map(|(_, name)| account(name, "")).collect();
                    lines.replace(&there);
                }
                3 => {
                    let reloaded = fresh();
                    reloaded.inherit(&lines);
                    lines = reloaded;
                }
                _ => {}
            }
            for line in lines.all() {
                let holds = held.iter().filter(|(name, _)| name == line.key()).count();
                proptest::prop_assert_eq!(usize::try_from(line.calls()).unwrap(), holds);
                proptest::prop_assert!(holds <= 3);
            }
        }
        held.clear();
        lines.replace(&NAMES.map(|name| account(name, "")));
        for line in lines.all() {
            proptest::prop_assert_eq!(line.calls(), 0);
        }
    }
}

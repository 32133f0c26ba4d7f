//! The parts together: files against tables, tables against structs, the reference against both.

use super::*;

const DEMO: &[Key] = &[Key {
    name: "some-rule",
    kind: Kind::Checked {
        expected: "pairs of a number and a regular expression",
        check: checked::<RegexTable<u32>>,
    },
    default: "",
    help: "Rules.",
    reload: true,
    example: r"1 sip:\d+@x",
}];

fn schema() -> Schema {
    Schema::new(&[("trenscrypter", "An application.", DEMO)])
}

fn read(text: &str) -> Result<Config, ConfigErrors> {
    Config::read("b.conf".as_ref(), text, &[], &schema())
}

fn report(text: &str) -> Vec<String> {
    let errors = read(text).expect_err("refused");
    errors.to_string().lines().map(str::to_owned).collect()
}

/// The reference with every key in force.
fn everything(format: Format) -> String {
    let dump = schema().dump(None, format).expect("all sections");
    let lines = dump.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|first: char| first.is_ascii_lowercase()) => setting,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn an_empty_file_is_all_defaults() {
    let config = read("").expect("nothing is wrong with it");
    assert_eq!(config.remarks().count(), 0);
    let server = config.server().expect("table and struct fit");
    assert_eq!(server.application, "trenscrypter");
    assert_eq!(server.max_calls, 500);
    assert_eq!(server.nat_latching, crate::call::NatLatching::Signalled);
    assert!(server.trusted_hosts.contain([127, 0, 0, 1].into()));
    for stranger in [
        "127.0.0.2",
        "0.0.0.0",
        "192.0.2.1",
        "10.0.0.1",
        "::",
        "2001:db8::1",
    ] {
        let stranger = stranger.parse().unwrap();
        assert!(
            !server.trusted_hosts.contain(stranger),
            "closed by default: {stranger}"
        );
    }
    let global = config.global().expect("table and struct fit");
    assert_eq!(global.log_level, LogLevel::Message);
    assert_eq!(global.log_directory, None);
}

#[test]
fn defaults_and_examples_are_values_that_their_keys_take() {
    for table in schema().tables() {
        for key in table.keys {
            assert_eq!(key.kind.check(key.default), Ok(()), "{}/{}", table.name, key.name);
            let example = if key.example.is_empty() {
                key.default
            } else {
                key.example
            };
            assert_eq!(key.kind.check(example), Ok(()), "{}/{}", table.name, key.name);
        }
    }
}

#[test]
fn the_reference_holds_every_key_and_loads_in_both_dialects() {
    for (format, path) in [(Format::Ini, "b.conf"), (Format::Toml, "b.toml")] {
        let text = everything(format);
        let config = Config::read(path.as_ref(), &text, &[], &schema()).expect("the reference is good");
        for table in schema().tables() {
            let section = config.tree.section(&table.name).expect("every section");
            for key in table.keys {
                // In the dialect, `key=` with nothing after it is no item.
                let is_there = section.item(key.name).is_some() || key.default.is_empty();
                assert!(is_there, "{path}: {}/{}", table.name, key.name);
                assert!(text.contains(&format!("\n{}", key.name)), "{path}: {}", key.name);
            }
        }
        assert_eq!(
            read("").map(|empty| empty.needing_restart(&config)),
            Ok(vec![]),
            "{path}"
        );
    }
}

#[test]
fn both_dialects_say_the_same() {
    let ini = "[b2bua-server]\nmax-calls=7\ntransport=sip:127.0.0.1:1 sip:127.0.0.1:2\n\
               [b2bua-server::trenscrypter]\nsome-rule=1 sip:\\d+@x\n";
    let toml = "[b2bua-server]\nmax-calls = 7\ntransport = ['sip:127.0.0.1:1', 'sip:127.0.0.1:2']\n\
                [b2bua-server.trenscrypter]\nsome-rule = ['1', 'sip:\\d+@x']\n";
    let ini = read(ini).expect("good");
    let toml = Config::read("b.toml".as_ref(), toml, &[], &schema()).expect("good");
    for table in schema().tables() {
        for key in table.keys {
            assert_eq!(ini.value(table, key), toml.value(table, key), "{}", key.name);
        }
    }
}

#[test]
fn every_problem_is_in_one_report_in_the_order_of_the_file() {
    let text = "[b2bua-server]\nmax-calls=many\nmax-cals=3\naudio-port=9-1\nmax-calls=4\n[b2bua-sever]\n";
    let expected = [
        "b.conf:2: b2bua-server/max-calls: \"many\" is not a whole number; expected a whole number from 1 to 1000000",
        "b.conf:3: b2bua-server/max-cals: there is no such key; expected max-calls, perhaps?",
        "b.conf:4: b2bua-server/audio-port: the range 9-1 ends before it begins; expected 0, a port n, or a range n-m of ports",
        "b.conf:5: b2bua-server/max-calls: it is set a second time, first in line 2; expected each key once",
        "b.conf:6: b2bua-sever: there is no such section; expected b2bua-server, perhaps?",
    ];
    assert_eq!(report(text), expected);
}

#[test]
fn what_only_upstream_uses_is_named_once() {
    let text = "[global]\naliases=example.org\nSofia-Level=5\n[module::Registrar]\nanything=1\nanything=2\n\
                [cluster]\nenabled=true\n[b2bua-server]\n[b2bua-server::sip-bridge]\nproviders=x\n";
    let config = read(text).expect("a file shared with the proxy loads");
    let remarks: Vec<_> = config.remarks().collect();
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    for name in [
        "global/aliases",
        "global/sofia-level",
        "module::Registrar/anything",
        "[cluster]",
    ] {
        assert!(remarks[0].contains(name), "{name} in {remarks:?}");
    }
}

#[test]
fn what_this_build_cannot_do_is_refused_by_name() {
    let text = "[b2bua-server]\nenable-ice=true\nnat-addresses=192.0.2.1\n\
                application=sip-bridge\n";
    for line in report(text) {
        assert!(line.contains("not available in this build"), "{line}");
    }
    assert_eq!(report(text).len(), 3);
    assert!(read("[b2bua-server]\nenable-ice=false\n").is_ok());
}

#[test]
fn an_unknown_application_is_refused_with_the_known_ones() {
    let lines = report("[b2bua-server]\napplication=simpel\n");
    assert!(
        lines[0].ends_with("there is no application \"simpel\"; expected one of trenscrypter"),
        "{lines:?}"
    );
}

#[test]
fn the_command_line_overrides_the_file() {
    let text = "[b2bua-server]\nmax-calls=1\nmax-calls=2\n";
    let set = |overrides: &[&str]| {
        let overrides: Vec<_> = overrides.iter().map(ToString::to_string).collect();
        Config::read("b.conf".as_ref(), text, &overrides, &schema())
    };
    let config = set(&["B2bua-Server/Max-Calls=9", "global/log-level="]).expect("good");
    assert_eq!(config.server().map(|server| server.max_calls), Ok(9));
    let rule = set(&[
        "b2bua-server::trenscrypter/some-rule=1 a/b=c",
        "b2bua-server/max-calls=3",
    ]);
    assert!(
        rule.is_ok(),
        "a value may hold slashes and equals signs: {rule:?}"
    );
    let errors = set(&["nonsense", "b2bua-server/max-calls=0", "b2bua-server/x=1"]).expect_err("refused");
    let lines: Vec<_> = errors
        .problems
        .iter()
        .map(|problem| problem.report(&errors.path))
        .collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("--set, number 1: \"nonsense\""), "{lines:?}");
    assert!(
        lines[1].starts_with("--set, number 2: b2bua-server/max-calls: 0 is out of bounds"),
        "{lines:?}"
    );
}

#[test]
fn what_takes_a_restart_is_told_apart() {
    let old = read("[b2bua-server]\nmax-calls=1\naudio-port=5000-5999\n").expect("good");
    let new = read("[b2bua-server]\nmax-calls=2\nsip-threads=3\n").expect("good");
    assert_eq!(
        old.needing_restart(&new),
        ["b2bua-server/audio-port", "b2bua-server/sip-threads"]
    );
}

#[test]
fn a_fault_found_later_still_has_its_line() {
    let config = read("\n[b2bua-server]\n\nmax-calls=5\n").expect("good");
    let line = |key: &str| config.refuse("b2bua-server", key, "bad", "good").to_string();
    assert_eq!(
        line("max-calls"),
        "b.conf:4: b2bua-server/max-calls: bad; expected good"
    );
    assert_eq!(
        line("user-agent"),
        "b.conf:2: b2bua-server/user-agent: bad; expected good"
    );
}

#[test]
fn files_that_cannot_be_read_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = Config::load(&folder.path().join("no.conf"), &[], &schema()).expect_err("not there");
    assert!(missing.to_string().contains("no.conf: "), "{missing}");
    let path = folder.path().join("latin1.conf");
    fs::write(&path, b"[global]\n# d\xe9j\xe0\n").expect("writable");
    let latin1 = Config::load(&path, &[], &schema()).expect_err("not UTF-8");
    assert!(latin1.to_string().contains("latin1.conf:2: "), "{latin1}");
}

proptest::proptest! {
    #[test]
    fn no_file_makes_us_panic(lines in proptest::collection::vec("(\\[?[a-z0-9:-]{0,14}\\]?)(=[ -~]{0,12})?", 0..12)) {
        let text = lines.join("\n");
        let _ = read(&text);
        let _ = Config::read("b.toml".as_ref(), &text, &[], &schema());
    }
}

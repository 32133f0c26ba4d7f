//! The target of the configuration.

use crate::config::{Config, Key, Kind, Place, RegexTable, Schema, checked};
use std::path::Path;

const KEYS: &[Key] = &[Key {
    name: "rules",
    kind: Kind::Checked {
        expected: "pairs of a number and a regular expression",
        check: checked::<RegexTable<u8>>,
    },
    default: "",
    help: "",
    reload: true,
    example: "",
}];

/// Any text in either dialect: what is accepted can be used, what is refused names lines that are there.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let schema = Schema::new(&[("trenscrypter", "", KEYS)]);
    for path in ["f.conf", "f.toml"] {
        match Config::read(Path::new(path), &text, &[], &schema) {
            Ok(config) => {
                config.global().expect("it was checked");
                config.server().expect("it was checked");
                assert!(config.needing_restart(&config).is_empty());
            }
            Err(errors) => {
                assert!(!errors.problems.is_empty(), "refused without a reason");
                for problem in &errors.problems {
                    assert!(!problem.found.is_empty());
                    if let Some(Place::Line(line)) = problem.place {
                        assert!((1..=text.split('\n').count()).contains(&line), "line {line}");
                    }
                }
            }
        }
    }
}

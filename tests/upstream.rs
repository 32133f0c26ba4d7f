//! The table of upstream's tests and their counterparts: each is where it says, and all have one.

use std::{collections::HashSet, fs, path::Path};

/// All that are marked A or B in those suites.
const ALL: usize = 56;

fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_counterpart_is_there_and_every_test_of_upstream_is_named_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("tests/upstream.md")).expect("readable");
    let mut named: HashSet<&str> = HashSet::new();
    let mut lost = Vec::new();
    let mut optional = 0;
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [upstream, mark, here] = cells[..] else {
            panic!("three cells: {row}");
        };
        assert!(matches!(mark, "A" | "B" | "C"), "{row}");
        let name = quoted(upstream)[0];
        assert!(named.insert(name), "{name} is there twice");
        optional += usize::from(mark == "C");
        let (mut source, mut functions) = (String::new(), 0);
        for word in quoted(here) {
            if word.contains('/') {
                source =
                    fs::read_to_string(root.join(word)).unwrap_or_else(|error| panic!("{word}: {error}"));
                // A script is a test of its own.
                functions += usize::from(word.ends_with(".call"));
                continue;
            }
            functions += 1;
            if !source.contains(&format!("fn {word}(")) {
                lost.push(format!("{name}: {word}"));
            }
        }
        assert!(functions > 0, "no counterpart: {row}");
    }
    assert!(lost.is_empty(), "{lost:#?}");
    assert_eq!(named.len() - optional, ALL);
}

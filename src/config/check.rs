//! The first pass: everything that a file says against the tables of keys, all problems collected.

use super::{
    error::Problem,
    key::{Schema, Table},
    tree::{Item, Place, Section, Tree},
    upstream,
};

/// Puts what `--set section/key=value` says over what the file says. An empty value is ignored, as upstream.
pub(super) fn apply(overrides: &[String], tree: &mut Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, text) in overrides.iter().enumerate() {
        let place = Place::Argument(index + 1);
        let split = text.split_once('=').and_then(|(name, value)| {
            let (section, key) = name.rsplit_once('/')?;
            Some((section.trim(), key.trim(), value.trim_matches(' ')))
        });
        match split {
            Some((_, _, "")) => {}
            Some((section, key, value)) if !section.is_empty() && !key.is_empty() => {
                tree.replace(section, key, value, place);
            }
            _ => problems.push(Problem::new(
                place,
                "",
                &format!("{text:?} sets nothing"),
                "section/key=value",
            )),
        }
    }
    problems
}

/// Checks a whole tree. Remarks name what is not used.
pub(super) fn tree(tree: &Tree, schema: &Schema) -> Vec<Problem> {
    let mut check = Check {
        schema,
        problems: Vec::new(),
        unused: Vec::new(),
    };
    for section in &tree.sections {
        match schema.table(&section.name) {
            Some(table) => check.section(section, table),
            None => check.foreign(section),
        }
    }
    if !check.unused.is_empty() {
        let found = format!(
            "known to Flexisip, not used by this server: {}",
            check.unused.join(", ")
        );
        check
            .problems
            .push(Problem::new(None, "", &found, "").as_remark());
    }
    check.problems
}

struct Check<'a> {
    schema: &'a Schema,
    problems: Vec<Problem>,
    /// What upstream knows and we do not use, as written.
    unused: Vec<String>,
}

impl Check<'_> {
    fn foreign(&mut self, section: &Section) {
        if upstream::knows_section(&section.name) {
            return self.unused.push(format!("[{}]", section.name));
        }
        let ours = self.schema.tables().iter().map(|table| table.name.as_str());
        let nearest = nearest(&section.name, ours.chain(upstream::SECTIONS.iter().copied()));
        self.problems.push(Problem::new(
            section.place,
            &section.name,
            "there is no such section",
            &nearest.unwrap_or_else(|| {
                let names = self.schema.tables().iter().map(|table| table.name.as_str());
                format!("one of {}", names.collect::<Vec<_>>().join(", "))
            }),
        ));
    }

    fn section(&mut self, section: &Section, table: &Table) {
        for (index, item) in section.items.iter().enumerate() {
            let name = format!("{}/{}", table.name, item.key.to_ascii_lowercase());
            // What is not ours is not ours to judge.
            if table.key(&item.key).is_none() && upstream::is_foreign(&table.name) {
                self.unused.push(name);
                continue;
            }
            let same = |earlier: &&Item| earlier.key.eq_ignore_ascii_case(&item.key);
            if let Some(first) = section.items[..index].iter().find(same) {
                let found = match first.place {
                    Place::Line(line) => format!("it is set a second time, first in line {line}"),
                    Place::Argument(number) => {
                        format!("it is set a second time, first by --set number {number}")
                    }
                };
                self.problem(item, &name, &found, "each key once");
                continue;
            }
            let Some(key) = table.key(&item.key) else {
                self.unknown(item, &name, table);
                continue;
            };
            if let Err(found) = key.kind.check(&item.value) {
                self.problem(item, &name, &found, &key.kind.expected());
            } else if name == "b2bua-server/application" {
                self.application(item, &name);
            }
        }
    }

    fn application(&mut self, item: &Item, name: &str) {
        let known = self.schema.applications();
        if known.contains(&item.value.as_str()) {
            return;
        }
        let found = if item.value == "sip-bridge" {
            "sip-bridge is not available in this build".to_owned()
        } else {
            format!("there is no application {:?}", item.value)
        };
        self.problem(item, name, &found, &format!("one of {}", known.join(", ")));
    }

    fn unknown(&mut self, item: &Item, name: &str, table: &Table) {
        if upstream::knows_key(&table.name, &item.key) {
            return self.unused.push(name.to_owned());
        }
        let mut others = self.schema.tables().iter();
        if let Some(other) = others.find(|other| other.key(&item.key).is_some()) {
            return self.problem(
                item,
                name,
                "there is no such key here",
                &format!("it in [{}]", other.name),
            );
        }
        let near = nearest(&item.key, table.keys.iter().map(|key| key.name));
        let expected = near.unwrap_or_else(|| format!("a key that --dump-default {} lists", table.name));
        self.problem(item, name, "there is no such key", &expected);
    }

    fn problem(&mut self, item: &Item, name: &str, found: &str, expected: &str) {
        self.problems
            .push(Problem::new(item.place, name, found, expected));
    }
}

/// The known name that was probably meant.
fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let written = written.to_ascii_lowercase();
    let alike = |name: &str| strsim::jaro_winkler(&written, &name.to_ascii_lowercase());
    known
        .map(|name| (alike(name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| format!("{name}, perhaps?"))
}

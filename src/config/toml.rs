//! The same content as TOML: `[b2bua-server]`, and `[b2bua-server.trenscrypter]` or
//! `["b2bua-server::trenscrypter"]`. A list of words may be an array of strings.

use super::{
    error::Problem,
    tree::{Item, Place, Tree},
};
use ::toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Reads TOML. What cannot be read is a problem, and reading goes on after it.
pub(super) fn read(text: &str) -> (Tree, Vec<Problem>) {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        text,
        tree: Tree::default(),
        problems: Vec::new(),
    };
    for error in errors {
        let place = error.span().map(|span| reader.place(span.start));
        let problem = Problem::new(place, "", error.message(), "TOML");
        reader.problems.push(problem);
    }
    for (key, value) in document.get_ref() {
        match value.get_ref() {
            DeValue::Table(table) => reader.section(key.get_ref(), key.span().start, table),
            _ => {
                let found = format!("{} stands outside of any section", key.get_ref());
                let place = reader.place(key.span().start);
                reader
                    .problems
                    .push(Problem::new(place, "", &found, "a line [section] above it"));
            }
        }
    }
    (reader.tree, reader.problems)
}

struct Reader<'a> {
    text: &'a str,
    tree: Tree,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn place(&self, offset: usize) -> Place {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        Place::Line(1 + before.iter().filter(|byte| **byte == b'\n').count())
    }

    fn section(&mut self, name: &str, offset: usize, table: &DeTable<'_>) {
        let place = self.place(offset);
        // What has nothing but others in it is part of their names.
        let is_part = !table.is_empty() && table.values().all(|it| matches!(it.get_ref(), DeValue::Table(_)));
        if !is_part {
            self.tree.open(name, place);
        }
        for (key, value) in table {
            let word = key.get_ref();
            if let DeValue::Table(inner) = value.get_ref() {
                self.section(&format!("{name}::{word}"), key.span().start, inner);
                continue;
            }
            let place = self.place(key.span().start);
            match text_of(value) {
                Ok(value) => self.tree.open(name, place).items.push(Item {
                    key: word.clone().into_owned(),
                    value,
                    place,
                }),
                Err(found) => self.problems.push(Problem::new(
                    place,
                    &format!("{name}/{word}"),
                    &found,
                    "a string, a whole number, true or false, or an array of words",
                )),
            }
        }
    }
}

/// A value as the other dialect would write it.
fn text_of(value: &Spanned<DeValue<'_>>) -> Result<String, String> {
    match value.get_ref() {
        DeValue::String(text) if text.contains(['\n', '\r']) => Err("the text has several lines".into()),
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Ok(flag.to_string()),
        DeValue::Array(array) => {
            let words: Result<Vec<_>, _> = array.iter().map(word_of).collect();
            Ok(words?.join(" "))
        }
        other => Err(format!("a {} is of no use here", other.type_str())),
    }
}

fn word_of(value: &Spanned<DeValue<'_>>) -> Result<String, String> {
    let word = match value.get_ref() {
        DeValue::Array(_) => return Err("an array inside an array is of no use here".into()),
        _ => text_of(value)?,
    };
    if word.is_empty() || word.contains(char::is_whitespace) {
        return Err(format!("{word:?} is not one word"));
    }
    Ok(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Vec<String> {
        let (tree, problems) = read(text);
        assert!(problems.is_empty(), "{problems:?}");
        let all = tree.sections.iter().flat_map(|section| {
            section.items.iter().map(|item| {
                let Place::Line(line) = item.place else {
                    unreachable!("a file has lines only")
                };
                format!("{}/{}={}@{line}", section.name, item.key, item.value)
            })
        });
        all.collect()
    }

    #[test]
    fn keys_keep_their_line() {
        let text = "# head\n[b2bua-server]\nmax-calls = 5\n\nenable-ice = false\ntransport = \"sip:x\"\n";
        let expected = [
            "b2bua-server/enable-ice=false@5",
            "b2bua-server/max-calls=5@3",
            "b2bua-server/transport=sip:x@6",
        ];
        assert_eq!(items(text), expected);
    }

    #[test]
    fn nested_tables_and_quoted_names_are_the_same_section() {
        let nested = items("[b2bua-server.trenscrypter]\na = 'b'\n");
        assert_eq!(nested, ["b2bua-server::trenscrypter/a=b@2"]);
        assert_eq!(nested, items("[\"b2bua-server::trenscrypter\"]\na = 'b'\n"));
    }

    #[test]
    fn arrays_are_words() {
        assert_eq!(items("[s]\na = ['sdes', 'sip:.*', 1]"), ["s/a=sdes sip:.* 1@2"]);
        for bad in [
            "['a b']",
            "['']",
            "[['a']]",
            "1.5",
            "1979-05-27",
            "{}=1",
            "'''\na\nb'''",
            "0x10",
        ] {
            let (_, problems) = read(&format!("[s]\nok = 1\na = {bad}"));
            assert!(!problems.is_empty(), "{bad}");
            assert_eq!(problems[0].place, Some(Place::Line(3)), "{bad}");
        }
    }

    #[test]
    fn several_faults_of_syntax_are_all_reported() {
        let (_, problems) = read("[s]\na = \nb = 1\nb = 2\nc 3\n");
        let lines: Vec<_> = problems.iter().filter_map(|problem| problem.place).collect();
        for line in [2, 4, 5] {
            assert!(lines.contains(&Place::Line(line)), "{line}: {problems:?}");
        }
    }

    #[test]
    fn keys_outside_of_sections_are_refused() {
        let (_, problems) = read("\na = 1\n");
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].place, Some(Place::Line(2)));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,200}") {
            let _ = read(&text);
        }
    }
}

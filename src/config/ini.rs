//! The dialect of `flexisip.conf`.
//!
//! Line by line: `#` begins a comment when nothing but spaces stands before it (elsewhere it is data; `;` never
//! is a comment), `[section]` opens a section, and in `key=value` the first `=` splits. Spaces around names and
//! values do not count; tabs do, as values may hold them. `key=` with nothing after it says "the default", `key= `
//! with a space says "empty". No line continues on the next.

use super::{
    error::Problem,
    tree::{Item, Place, Tree},
};

/// The longest line, in bytes with its end: what upstream reads.
const MAX_LINE: usize = 20_480;

/// Reads the dialect. What cannot be read is a problem or a remark, and reading goes on after it.
pub(super) fn read(text: &str) -> (Tree, Vec<Problem>) {
    let mut reader = Reader::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.split('\n').enumerate() {
        reader.line(line, Place::Line(index + 1));
    }
    (reader.tree, reader.problems)
}

#[derive(Default)]
struct Reader {
    tree: Tree,
    /// The name of the section that is open.
    open: Option<String>,
    problems: Vec<Problem>,
}

impl Reader {
    fn line(&mut self, line: &str, place: Place) {
        // Upstream keeps a carriage return as part of the value, which nobody wants who edited the file elsewhere.
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.len() >= MAX_LINE {
            let found = format!("this line has {} bytes", line.len());
            return self.problem(place, &found, &format!("at most {} bytes", MAX_LINE - 1));
        }
        let line = line.trim_start_matches(' ');
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        if let Some(rest) = line.strip_prefix('[') {
            return self.header(rest, place);
        }
        let Some((key, value)) = line.split_once('=') else {
            if !line.trim().is_empty() {
                let found = format!("{line:?} is neither a section nor a key and means nothing");
                self.remark(place, &found, "`[section]`, `key=value` or `# comment`");
            }
            return;
        };
        let key = first_word(key);
        if key.is_empty() {
            return self.problem(place, "there is no key before the `=`", "`key=value`");
        }
        let Some(section) = &self.open else {
            let found = format!("{key} stands before any section and is not read");
            return self.remark(place, &found, "a line `[section]` above it");
        };
        if value.is_empty() {
            return;
        }
        let item = Item {
            key: key.to_owned(),
            value: value.trim_matches(' ').to_owned(),
            place,
        };
        self.tree.open(section, place).items.push(item);
    }

    fn header(&mut self, rest: &str, place: Place) {
        let Some((name, after)) = rest.split_once(']') else {
            return self.problem(place, "the section's name has no end", "`[section]`");
        };
        if !after.trim().is_empty() {
            let found = format!("{:?} follows the section's name and is not read", after.trim());
            self.remark(place, &found, "nothing, or a comment on a line of its own");
        }
        let name = first_word(name);
        if name.is_empty() {
            return self.problem(place, "the section has no name", "`[section]`");
        }
        self.tree.open(name, place);
        self.open = Some(name.to_owned());
    }

    fn problem(&mut self, place: Place, found: &str, expected: &str) {
        self.problems.push(Problem::new(place, "", found, expected));
    }

    fn remark(&mut self, place: Place, found: &str, expected: &str) {
        self.problems
            .push(Problem::new(place, "", found, expected).as_remark());
    }
}

fn first_word(text: &str) -> &str {
    text.split_ascii_whitespace().next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `section/key=value@line` for each item.
    fn items(text: &str) -> Vec<String> {
        let (tree, problems) = read(text);
        assert!(problems.iter().all(|problem| problem.is_remark()), "{problems:?}");
        let mut all = Vec::new();
        for section in &tree.sections {
            for item in &section.items {
                let Place::Line(line) = item.place else {
                    unreachable!("a file has lines only")
                };
                all.push(format!("{}/{}={}@{line}", section.name, item.key, item.value));
            }
        }
        all
    }

    fn found(text: &str) -> Vec<String> {
        let problems = read(text).1;
        problems
            .iter()
            .map(|problem| problem.report("f".as_ref()))
            .collect()
    }

    #[test]
    fn keys_keep_their_line() {
        assert_eq!(
            items("[global]\n\nlog-level=debug\n"),
            ["global/log-level=debug@3"]
        );
    }

    #[test]
    fn sections_opened_twice_are_one() {
        let text = "[a]\nx=1\n[b]\ny=2\n[A]\nz=3";
        assert_eq!(items(text), ["a/x=1@2", "a/z=3@6", "b/y=2@4"]);
    }

    #[test]
    fn a_hash_begins_a_comment_only_at_the_start_of_a_line() {
        let text = "[s]\n   # no=1\nregex=a#b # c\n\t# tab = data\n";
        assert_eq!(items(text), ["s/regex=a#b # c@3", "s/#=data@4"]);
    }

    #[test]
    fn a_semicolon_is_data() {
        assert_eq!(items("[s]\na=sip:x;lr\n;b=1"), ["s/a=sip:x;lr@2", "s/;b=1@3"]);
    }

    #[test]
    fn the_first_equals_sign_splits() {
        assert_eq!(
            items("[s]\nuri = sip:x;transport=tcp"),
            ["s/uri=sip:x;transport=tcp@2"]
        );
    }

    #[test]
    fn nothing_after_the_equals_sign_means_the_default() {
        assert_eq!(items("[s]\na=\nb= \nc="), ["s/b=@3"]);
    }

    #[test]
    fn the_key_is_the_first_word() {
        assert_eq!(items("[ s t ]\n  key rest = v w  "), ["s/key=v w@2"]);
    }

    #[test]
    fn tabs_stay_in_a_value_and_carriage_returns_do_not() {
        assert_eq!(items("[s]\r\na=\tb\t\r\n"), ["s/a=\tb\t@2"]);
    }

    #[test]
    fn nothing_is_read_before_a_section() {
        assert_eq!(items("a=1\n[s]\nb=2"), ["s/b=2@3"]);
        let remarks = found("a=1\n[s]");
        assert_eq!(remarks.len(), 1);
        assert!(
            remarks[0].starts_with("f:1: a stands before any section"),
            "{remarks:?}"
        );
    }

    #[test]
    fn lines_that_mean_nothing_are_remarked_upon() {
        let remarks = found("[s]\nhello\n \t \n");
        assert_eq!(remarks.len(), 1, "{remarks:?}");
        assert!(remarks[0].contains("\"hello\""));
    }

    #[test]
    fn broken_headers_name_their_line() {
        for text in ["\n[s", "\n[]", "\n[ ]", "\n=3"] {
            let (_, problems) = read(text);
            assert_eq!(problems.len(), 1, "{text:?}");
            assert!(!problems[0].is_remark(), "{text:?}");
            assert_eq!(problems[0].place, Some(Place::Line(2)), "{text:?}");
        }
    }

    #[test]
    fn lines_longer_than_upstream_reads_are_refused() {
        let long = format!("[s]\na={}", "x".repeat(MAX_LINE - 3));
        assert_eq!(items(&long).len(), 1);
        assert!(found(&format!("{long}x"))[0].contains("20480 bytes"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,200}") {
            let _ = read(&text);
        }

        #[test]
        fn what_is_written_is_read(value in "[!-~]([ -~]{0,30}[!-~])?") {
            let (tree, problems) = read(&format!("[s]\nkey={value}"));
            proptest::prop_assert!(problems.is_empty());
            proptest::prop_assert_eq!(&tree.sections[0].items[0].value, &value);
        }
    }
}

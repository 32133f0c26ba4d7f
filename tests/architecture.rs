//! The rules of the house that the compiler does not hold: which module may import which, and who may know tokio.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Modules of the library from top to bottom: imports only point down. A module beside its equal may not use it.
/// `phone` uses none of those that it judges, but see [`EXCEPTIONS`].
const MAY_USE: &[(&str, &[&str])] = &[
    (
        "control",
        &["server", "app", "net", "media", "call", "sdp", "sip", "config"],
    ),
    (
        "server",
        &[
            "app",
            "net",
            "media",
            "message_waiting",
            "qualification",
            "registration",
            "roll",
            "call",
            "sdp",
            "sip",
            "config",
        ],
    ),
    // Tables and news of accounts: rows of text.
    ("accounts", &[]),
    (
        "app",
        &[
            "message_waiting",
            "qualification",
            "registration",
            "roll",
            "call",
            "media",
            "sip",
            "config",
        ],
    ),
    ("net", &["call", "sip"]),
    ("media", &["call", "sdp", "sip"]),
    ("qualification", &["call", "sip"]),
    ("message_waiting", &["roll", "call", "sip"]),
    ("registration", &["roll", "call", "sip"]),
    ("roll", &["call", "sip"]),
    ("call", &["media", "sdp", "sip"]),
    ("config", &["call", "sdp", "sip"]),
    ("sdp", &[]),
    ("sip", &[]),
    ("phone", &["config"]),
];

/// What one file may use all the same.
const EXCEPTIONS: &[(&str, &str)] = &[
    // Nobody else has written ZRTP in Rust: the phones speak it with ours, which Linphone judges.
    ("phone/zrtp.rs", "crate::media::zrtp::"),
];

/// Where no task, socket or timer may be: decided on virtual time.
const NO_TOKIO: &[&str] = &[
    "sip",
    "sdp",
    "call",
    "message_waiting",
    "qualification",
    "registration",
    "roll",
    "app",
    "config",
    "media/keying",
    "media/sdes",
    "media/srtp",
    "media/suite",
    "media/packet",
    "media/zrtp",
];

const MODULES: [&str; 16] = [
    "control",
    "accounts",
    "server",
    "app",
    "net",
    "media",
    "message_waiting",
    "qualification",
    "registration",
    "roll",
    "call",
    "config",
    "sdp",
    "sip",
    "phone",
    "testing",
];

/// Longer than this and a file is missing a noun; a hard ask, so no failure until it is half as long again.
const LONG: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of this repository") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Path below `folder`, and the code without comments, tests' own parts left out.
fn sources(folder: &str) -> Vec<(String, String)> {
    let folder = root().join(folder);
    let mut files = Vec::new();
    rust_files(&folder, &mut files);
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&folder).expect("below it");
        let text = fs::read_to_string(path).expect("a readable file");
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let name = name.to_string_lossy().into_owned();
        (name, lines.collect::<Vec<_>>().join("\n"))
    };
    let is_test = |name: &str| name.ends_with("tests.rs") || name.contains("tests/");
    files
        .iter()
        .map(read)
        .filter(|(name, _)| !is_test(name))
        .collect()
}

/// What follows each `crate::`: the module, or each of several in `crate::{a::b, c}`.
fn imports(code: &str) -> Vec<String> {
    let mut all = Vec::new();
    for after in code.split("crate::").skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            all.push(first_word(after));
            continue;
        };
        let mut depth = 0usize;
        let mut start = true;
        for (index, letter) in group.char_indices() {
            match letter {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                _ if start && letter.is_ascii_lowercase() => {
                    all.push(first_word(&group[index..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    all
}

fn first_word(text: &str) -> String {
    let word = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_';
    text.chars().take_while(word).collect()
}

#[test]
fn imports_point_down() {
    let mut broken = Vec::new();
    for (name, code) in sources("src") {
        let module = name.split(['/', '.']).next().unwrap_or_default();
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == module) else {
            continue;
        };
        let excepted = EXCEPTIONS.iter().filter(|(file, _)| *file == name);
        let code = excepted.fold(code, |code, (_, path)| code.replace(path, ""));
        for used in imports(&code) {
            let is_module = MODULES.contains(&used.as_str());
            if is_module && used != module && !allowed.contains(&used.as_str()) {
                broken.push(format!("src/{name} uses crate::{used}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn machines_know_no_tokio() {
    let mut broken = Vec::new();
    for (name, code) in sources("src") {
        let inside = |place: &&&str| {
            let rest = name.strip_prefix(**place);
            rest.is_some_and(|rest| rest.starts_with(['/', '.', '_']))
        };
        if NO_TOKIO.iter().any(|place| inside(&place)) && code.contains("tokio::") {
            broken.push(format!("src/{name}"));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn applications_see_only_what_outsiders_see() {
    for (name, code) in sources("apps") {
        let known = |used: &String| matches!(used.as_str(), "apps" | "");
        let others: Vec<_> = imports(&code).into_iter().filter(|used| !known(used)).collect();
        assert!(others.is_empty(), "apps/{name} uses crate::{others:?}");
    }
}

#[test]
fn no_file_grows_without_end() {
    let mut files = Vec::new();
    for folder in ["src", "apps", "tests"] {
        rust_files(&root().join(folder), &mut files);
    }
    let mut longest = Vec::new();
    for path in files {
        let lines = fs::read_to_string(&path)
            .expect("a readable file")
            .lines()
            .count();
        if lines > LONG {
            longest.push((lines, path));
        }
    }
    longest.sort();
    for (lines, path) in longest.iter().rev() {
        println!("{lines} lines, more than {LONG}: {}", path.display());
    }
    if let Some((lines, path)) = longest.last() {
        assert!(
            *lines <= LONG * 3 / 2,
            "{} has {lines} lines: which noun is missing?",
            path.display()
        );
    }
}

#[test]
fn the_reader_of_imports_sees_what_is_there() {
    let code = "use crate::{call::{Leg, Side}, sip};\nuse crate::net::Net;\nlet x = crate::server::X;";
    assert_eq!(imports(code), ["call", "sip", "net", "server"]);
}

#[test]
fn the_readme_says_of_each_dependency_what_it_is_for() {
    let read = |name: &str| fs::read_to_string(root().join(name)).expect("a file of this repository");
    let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
    let readme = read("README.md");
    let (_, said) = readme
        .split_once("## Dependencies, and why")
        .expect("the README's table of dependencies");
    let named = |table: &str| {
        let table = manifest.get(table).and_then(toml::Value::as_table);
        let names = table.expect("dependencies").keys();
        names.cloned().collect::<Vec<_>>()
    };
    let all = [named("dependencies"), named("dev-dependencies")].concat();
    assert!(all.len() > 40, "{all:?}");
    let unsaid: Vec<_> = all
        .iter()
        .filter(|name| !said.contains(&format!("`{name}`")))
        .collect();
    assert!(
        unsaid.is_empty(),
        "the README does not say what {unsaid:?} are for"
    );
}

/// `tests/README.md` names tests; a name that is none says of a promise that it is kept.
#[test]
fn every_test_that_the_table_of_complaints_names_is_there() {
    let mut files = Vec::new();
    for folder in ["src", "apps", "tests"] {
        rust_files(&root().join(folder), &mut files);
    }
    let code: String = files
        .iter()
        .map(|path| fs::read_to_string(path).expect("a readable file"))
        .collect();
    let table = fs::read_to_string(root().join("tests/README.md")).expect("a readable file");
    let mut rows = 0;
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.split(" | ").collect();
        let Ok(row) = cells[0].trim_matches(['|', ' ']).parse::<u32>() else {
            continue;
        };
        rows += 1;
        let names: Vec<_> = cells[2]
            .split("<br>")
            .map(|name| name.trim_matches(['`', ' ']))
            .collect();
        for name in names {
            assert!(
                name.starts_with(&format!("acceptance_{row}_")),
                "row {row}: {name}"
            );
            let written = [format!("fn {name}("), format!("{name} =")];
            assert!(
                written.iter().any(|text| code.contains(text)),
                "row {row}: {name}"
            );
        }
    }
    assert!(rows >= 30, "{rows} rows were read");
}

//! The recipes of `config/trunks/`, each held against the INVITE that it makes (`trunks/NAME.invite`).
//!
//! In an `.invite` file, lines that begin with `<` are the caller's INVITE: Request-URI, From, To, further fields. The
//! rest is what goes out, without what is new in each call or every leg's alike.

use super::{super::explain::explain, *};
use std::fs;

/// What the leg writes into every INVITE.
const OF_EVERY_LEG: [&str; 13] = [
    "Via",
    "Max-Forwards",
    "Call-ID",
    "CSeq",
    "User-Agent",
    "Allow",
    "Allow-Events",
    "Supported",
    "Session-Expires",
    "Min-SE",
    "Accept",
    "Content-Length",
    "Contact",
];

fn folder(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn names(path: &str, ending: &str) -> Vec<String> {
    let files = fs::read_dir(folder(path)).expect("a folder");
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("an entry").file_name().into_string().expect("UTF-8")
    };
    let mut names: Vec<String> = files
        .map(name)
        .filter_map(|name| name.strip_suffix(ending).map(ToOwned::to_owned))
        .collect();
    names.sort();
    names
}

/// Without tags and what [`OF_EVERY_LEG`] names.
fn essence(invite: &str) -> String {
    let of_every_leg = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        OF_EVERY_LEG.contains(&name)
    };
    let lines = invite.lines().filter(|line| !of_every_leg(line));
    let untagged = |line: &str| match line.split_once(";tag=") {
        Some((before, _)) if line.starts_with("From:") => before.to_owned(),
        _ => line.to_owned(),
    };
    lines.map(|line| untagged(line) + "\n").collect()
}

fn caller(asked: &[&str]) -> Incoming {
    let address = |text: &str| template::address(text.as_bytes()).expect("an address");
    let [request_uri, from, to, more @ ..] = asked else {
        unreachable!("Request-URI, From, To")
    };
    let mut headers = Headers::default();
    for line in more {
        let (name, value) = line.split_once(": ").expect("a field");
        headers.push(name, value);
    }
    Incoming::new(address(from), address(to), address(request_uri).uri, &headers)
}

#[test]
fn acceptance_22_each_recipe_makes_the_invite_that_stands_beside_it() {
    let recipes = names("config/trunks", ".toml");
    assert!(recipes.len() >= 8, "{recipes:?}");
    assert_eq!(recipes, names("apps/sip_bridge/tests/trunks", ".invite"));
    let readme = fs::read_to_string(folder("config/trunks/README.md")).expect("a file");
    let mut broken = String::new();
    for name in recipes {
        assert!(
            readme.contains(&format!("`{name}.toml`")),
            "{name} is not in the README"
        );
        let recipe = folder("config/trunks").join(format!("{name}.toml"));
        let mut remarks = Vec::new();
        let document =
            read(&recipe, |remark| remarks.push(remark)).unwrap_or_else(|faults| panic!("{faults:#?}"));
        assert_eq!(remarks, [""; 0]);
        let path = folder("apps/sip_bridge/tests/trunks").join(format!("{name}.invite"));
        let golden = fs::read_to_string(&path).expect("a file");
        let asked: Vec<&str> = golden
            .lines()
            .filter_map(|line| line.strip_prefix("< "))
            .collect();
        let expected: String = golden
            .lines()
            .filter(|line| !line.starts_with('<'))
            .map(|line| format!("{line}\n"))
            .collect();
        let bridge = Bridge::new(document, NatLatching::Signalled, None, false);
        let explained = ready(explain(&bridge, &caller(&asked), &mut Ids::seeded(1), now()));
        assert!(explained.placed, "{name}: {}", explained.text);
        let made = essence(explained.text.split("\n\n").nth(1).expect("an INVITE"));
        let media = explained
            .text
            .lines()
            .find(|line| line.starts_with("media encryption"))
            .expect("a line");
        let made = format!("{made}{media}\n");
        if made != expected {
            broken += &format!("{name}\n{made}\ninstead of\n{expected}\n");
        }
    }
    assert!(broken.is_empty(), "{broken}");
}

#[test]
fn acceptance_23_a_refusal_is_explained_provider_by_provider() {
    let path = folder("config/providers.json");
    let bridge = Bridge::new(
        read(&path, |_| ()).expect("good"),
        NatLatching::Signalled,
        None,
        false,
    );
    let explained = |request_uri: &str, to: &str| {
        let caller = caller(&[request_uri, "sip:alice@example.org", to]);
        ready(explain(&bridge, &caller, &mut Ids::seeded(1), now()))
    };
    let nobody = explained("sip:bob@b2bua", "sip:bob@example.org");
    assert!(!nobody.placed);
    for part in [
        "provider \"to the telephone network\": no: its pattern \"sip:\\\\+[0-9]+@.*\" does not match sip:bob@b2bua",
        "provider \"from the telephone network\": no: no account of its pool is found by \"bob\"",
        "the call gets 488",
    ] {
        assert!(nobody.text.contains(part), "{part}\nin\n{}", nobody.text);
    }
    let denied = explained("sip:+33899123456@b2bua", "sip:x@y");
    assert!(!denied.placed);
    assert!(
        denied
            .text
            .contains("refuses the call with 488: destinations.denied has a prefix"),
        "{}",
        denied.text
    );
    assert!(
        denied
            .text
            .contains("\"from the telephone network\": not asked any more"),
        "{}",
        denied.text
    );
    let placed = explained("sip:+33612345678@b2bua", "sip:x@y");
    assert!(
        placed.placed && placed.text.contains("in the realm carrier.example"),
        "{}",
        placed.text
    );
    assert!(!placed.text.contains("change me"));
}

//! What the command says of a configuration, and what it prints of its own.

use super::process::{b2bua, repository};
use std::fs;

/// What a file of `broken/` says of itself: the report that it must bring about.
fn expected(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("#! ")).collect()
}

#[test]
fn each_broken_file_is_refused_with_its_report() {
    let folder = repository().join("tests/config");
    let mut files = 0;
    for entry in fs::read_dir(folder.join("broken")).expect("a folder of this repository") {
        let path = entry.expect("a readable folder").path();
        if path.extension().is_none() {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a readable file");
        let name = path.strip_prefix(&folder).expect("below it");
        let output = b2bua()
            .current_dir(&folder)
            .arg("--check")
            .arg("-c")
            .arg(name)
            .output()
            .expect("the command runs");
        let report = String::from_utf8_lossy(&output.stderr);
        assert_eq!(report.lines().collect::<Vec<_>>(), expected(&text), "{name:?}");
        assert_eq!(output.status.code(), Some(78), "{name:?}");
        files += 1;
    }
    assert!(files >= 20, "{files} files");
}

#[test]
fn a_refused_file_does_not_start_a_server() {
    let output = b2bua()
        .arg("-c")
        .arg(repository().join("tests/config/broken/05-zero-calls.conf"))
        .output()
        .expect("the command runs and ends");
    assert_eq!(output.status.code(), Some(78));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_file_shared_with_flexisip_loads_and_what_is_unused_is_named_once() {
    let file = repository().join("tests/config/flexisip.conf");
    let output = b2bua()
        .arg("--check")
        .arg("-c")
        .arg(&file)
        .output()
        .expect("the command runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let remarks: Vec<_> = text
        .lines()
        .filter(|line| line.contains("not used by this server"))
        .collect();
    assert_eq!(remarks.len(), 1, "{text}");
    for name in ["global/aliases", "[Module::B2bua]", "[cluster]"] {
        assert!(remarks[0].contains(name), "{name} in {remarks:?}");
    }
}

#[test]
fn the_shipped_files_are_what_the_command_prints_and_load() {
    for (file, format) in [("config/b2bua.conf", "file"), ("config/b2bua.toml", "toml")] {
        let path = repository().join(file);
        let shipped = fs::read_to_string(&path).expect("a readable file");
        let arguments = ["--dump-default", "all", "--dump-format", format];
        let output = b2bua().args(arguments).output().expect("the command runs");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            printed == shipped,
            "{file} is out of date: b2bua {} > {file}",
            arguments.join(" ")
        );
        let check = b2bua()
            .arg("--check")
            .arg("-c")
            .arg(&path)
            .status()
            .expect("the command runs");
        assert!(check.success(), "{file}");
    }
}

/// Every key in force: what the samples document must be what the server reads.
#[test]
fn the_shipped_files_load_with_every_key_in_force() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in ["b2bua.conf", "b2bua.toml"] {
        let shipped = fs::read_to_string(repository().join("config").join(file)).expect("a readable file");
        let is_setting = |line: &&str| line.starts_with(|first: char| first.is_ascii_lowercase());
        let lines = shipped
            .lines()
            .map(|line| line.strip_prefix('#').filter(is_setting).unwrap_or(line));
        let path = folder.path().join(file);
        fs::write(&path, lines.collect::<Vec<_>>().join("\n")).expect("writable");
        let output = b2bua()
            .arg("--check")
            .arg("-c")
            .arg(&path)
            .output()
            .expect("the command runs");
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn one_section_can_be_printed_alone() {
    let print = |section: &str| {
        let output = b2bua()
            .arg("--dump-default")
            .arg(section)
            .output()
            .expect("the command runs");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (status, text) = print("b2bua-server::trenscrypter");
    assert_eq!(status, Some(0));
    assert!(
        text.contains("\n[b2bua-server::trenscrypter]\n") && !text.contains("[global]"),
        "{text}"
    );
    assert_eq!(print("module::Router"), (Some(78), String::new()));
}

#[test]
fn the_proxies_samples_fit_the_shipped_configuration() {
    let flexisip = repository().join("config/proxy/flexisip.conf");
    let check = b2bua()
        .arg("--check")
        .arg("-c")
        .arg(&flexisip)
        .output()
        .expect("the command runs");
    assert!(check.status.success(), "one file may serve both: {check:?}");
    let kamailio =
        fs::read_to_string(repository().join("config/proxy/kamailio.cfg")).expect("a readable file");
    for name in ["127.0.0.1:6067", "User-Agent"] {
        assert!(kamailio.contains(name), "{name}");
    }
}

#[test]
fn the_command_line_says_what_it_does_not_take() {
    let status = |arguments: &[&str]| {
        let output = b2bua().args(arguments).output().expect("the command runs");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, text) = status(&["--server", "proxy"]);
    assert_eq!(code, Some(78));
    assert!(text.contains("expected b2bua"), "{text}");
    let (code, text) = status(&["--nonsense"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("--nonsense"), "{text}");
    let (code, text) = status(&["-c", "/does/not/exist.conf"]);
    assert_eq!(code, Some(78));
    assert!(text.starts_with("/does/not/exist.conf: "), "{text}");
    let file = repository().join("config/b2bua.conf");
    let file = file.to_str().expect("a plain path");
    let (code, text) = status(&[
        "--server=b2bua",
        "--check",
        "-c",
        file,
        "-s",
        "b2bua-server/max-calls=x",
    ]);
    assert_eq!(code, Some(78));
    assert!(
        text.starts_with("--set, number 1: b2bua-server/max-calls: "),
        "{text}"
    );
    assert_eq!(status(&["--version"]).0, Some(0));
}

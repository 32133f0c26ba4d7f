//! The certificate on disk.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

fn at(days: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000) + DAY * days
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn it_is_made_once_and_kept_with_nobody_else_reading_it() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("a/b");
    let first = Identity::load_or_make(&data, at(0)).unwrap();
    let second = Identity::load_or_make(&data, at(100)).unwrap();
    assert_eq!(first.fingerprints(), second.fingerprints());
    assert_eq!(mode(&data.join(FILE)), 0o600);
    assert_eq!(mode(&data), 0o700);
    let files = fs::read_dir(&data).unwrap().count();
    assert_eq!(files, 1, "nothing is left beside it");
    let lines: Vec<_> = first.fingerprints().iter().map(|line| line.hash).collect();
    assert_eq!(lines, [HashFunction::Sha256]);
}

#[test]
fn it_is_renewed_before_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let first = Identity::load_or_make(directory.path(), at(0)).unwrap();
    let kept = Identity::load_or_make(directory.path(), at(2 * 365 - 180)).unwrap();
    assert_eq!(kept.fingerprints(), first.fingerprints());
    for days in [2 * 365 - 179, 3000] {
        let renewed = Identity::load_or_make(directory.path(), at(days)).unwrap();
        assert_ne!(renewed.fingerprints(), first.fingerprints());
        assert!(!renewed.ends_soon(at(days)));
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    Identity::load_or_make(directory.path(), at(0)).unwrap();
    let path = directory.path().join(FILE);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = Identity::load_or_make(directory.path(), at(0)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(FILE) && text.contains("640"), "{text}");
    assert!(text.contains("remove the file"), "{text}");
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    let (_, good) = Identity::make(at(0)).unwrap();
    let (_, other) = Identity::make(at(0)).unwrap();
    let cut = |pem: &str, from: &str| {
        let at = pem.find(from).unwrap();
        (pem[..at].to_owned(), pem[at..].to_owned())
    };
    let (key, certificate) = cut(&good, "-----BEGIN CERTIFICATE");
    let (_, foreign) = cut(&other, "-----BEGIN CERTIFICATE");
    let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    for (content, expected) in [
        ("", "no private key"),
        (key.as_str(), "no certificate"),
        (certificate.as_str(), "no private key"),
        (&format!("{key}{foreign}"), "do not belong together"),
        (&format!("{}{certificate}", ed25519.serialize_pem()), "P-256"),
        (&good.replace("MIG", "!!!"), "not PEM"),
    ] {
        let _ = fs::remove_file(&path);
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .unwrap();
        file.write_all(content.as_bytes()).unwrap();
        let text = Identity::load_or_make(directory.path(), at(0))
            .unwrap_err()
            .to_string();
        assert!(text.contains(expected), "{text}");
        assert!(text.contains(FILE), "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn where_nothing_can_be_written_the_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let text = Identity::load_or_make(&file.join("below"), at(0))
        .unwrap_err()
        .to_string();
    assert!(text.contains("file/below"), "{text}");
}

#[test]
fn the_key_is_not_shown() {
    let identity = Identity::ephemeral(at(0)).unwrap();
    let shown = format!("{identity:?}");
    assert!(
        shown.starts_with("Identity { fingerprints: [Fingerprint(sha-256 "),
        "{shown}"
    );
    assert!(shown.len() < 200, "{shown}");
}

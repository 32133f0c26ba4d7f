//! What a run leaves for `tests/scan-logs`, when `B2BUA_KEEP_LOGS` names a folder: what our servers logged, the captures of wires
//! that are sealed by TLS, and the secrets of these very calls, which may be in none of them. The phones' own logs are theirs, and
//! print what they like; here they are where the keys are read that TLS hides from the wire.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;

use crate::Outcome;

/// The logs of our servers are named so in a test's folder.
pub(crate) const SERVER: &str = "server-";
/// The captures of wires on which nothing can be read.
pub(crate) const SEALED: &str = "sealed-";

/// What stands before a secret, how many characters it has at least, and which they may be.
type Kind = (&'static [u8], usize, fn(u8) -> bool);

/// Less is one that was cut off at the end of a packet, and too short to be told from other words.
const KINDS: [Kind; 8] = [
    (b"inline:", 40, base64),
    (b"a=ice-pwd:", 22, base64),
    (b"a=key-mgmt:mikey ", 40, base64),
    (b"response=\"", 32, hexadecimal),
    (b"cnonce=\"", 8, quoted),
    (b"passwd=", 8, quoted),
    (b"\"secret\": \"", 12, text),
    (b"PRIVATE KEY-----\n", 60, base64),
];

const fn base64(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=')
}

const fn hexadecimal(byte: u8) -> bool {
    matches!(byte, b'a'..=b'f' | b'0'..=b'9')
}

/// As it stands between quotes.
const fn text(byte: u8) -> bool {
    matches!(byte, b' ' | b'!' | b'#'..=b'~')
}

const fn quoted(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'~')
}

/// Keeps what the test in `folder` has left, under the name of the test, if anybody wants that.
pub(crate) fn keep(tag: &str, folder: &Path) -> Outcome {
    let Some(kept) = env::var_os("B2BUA_KEEP_LOGS") else {
        return Ok(());
    };
    let kept = Path::new(&kept);
    let told = |e: io::Error| format!("{}: {e}", kept.display());
    let mut secrets = BTreeSet::new();
    for file in files(folder).map_err(told)? {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with(SERVER) || (name.starts_with(SEALED) && name.ends_with(".pcap")) {
            fs::copy(&file, kept.join(format!("{tag}-{name}"))).map_err(told)?;
        } else {
            secrets.extend(secrets_in(&fs::read(&file).map_err(told)?));
        }
    }
    if !secrets.is_empty() {
        let lines: Vec<String> = secrets.into_iter().collect();
        fs::write(kept.join(format!("{tag}.secrets")), lines.join("\n") + "\n").map_err(told)?;
    }
    Ok(())
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            found.extend(files(&entry.path())?);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The secrets that stand in a capture, a log or a settings file of a phone, in all forms in which a log could show them.
pub(crate) fn secrets_in(bytes: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (before, least, belongs) in KINDS {
        for at in memchr::memmem::find_iter(bytes, before) {
            let rest = &bytes[at + before.len()..];
            let length = rest.iter().take_while(|byte| belongs(**byte)).count();
            if length >= least {
                found.extend(forms(&String::from_utf8_lossy(&rest[..length])));
            }
        }
    }
    found
}

/// A secret as it is written, and where that is base64 its first bytes as hexadecimal and as Rust shows an array.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    // The first line of a private key has 64 characters, and what it is in its first bytes is no secret.
    let raw = base64::engine::general_purpose::STANDARD.decode(secret);
    let raw = raw.ok().filter(|_| secret.len() < 64);
    if let Some(start) = raw.as_deref().and_then(|raw| raw.get(..12)) {
        forms.push(start.iter().map(|byte| format!("{byte:02x}")).collect());
        let numbers: Vec<String> = start.iter().map(u8::to_string).collect();
        forms.push(numbers.join(", "));
    }
    forms
}

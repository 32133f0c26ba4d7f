//! Who may call with a password: a file of lines `user:realm:HA1`, as `htdigest` writes it, with MD5 or SHA-256.

use crate::sip::auth::{Algorithm, Secret};
use std::{collections::HashMap, fmt, fs, os::unix::fs::MetadataExt as _, path::Path};
use zeroize::Zeroizing;

/// What is offered where all users have it, the stronger first (RFC 8760 §2.4).
const PREFERRED: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Md5];

/// The users of one realm. `Debug` says how many there are.
#[derive(Clone)]
pub struct Users {
    realm: String,
    known: HashMap<String, Vec<(Algorithm, Secret)>>,
    offered: Vec<Algorithm>,
}

impl Users {
    /// Reads the file. What is no reason to refuse it comes back beside.
    ///
    /// # Errors
    /// All that is wrong with it, by line. No hash is shown.
    pub fn read(path: &Path) -> Result<(Self, Vec<String>), Vec<String>> {
        let shown = path.display();
        let cannot = |error: std::io::Error| vec![format!("{shown} cannot be read: {error}")];
        let bytes = Zeroizing::new(fs::read(path).map_err(cannot)?);
        let mode = fs::metadata(path).map_err(cannot)?.mode() & 0o777;
        let mut remarks = Vec::new();
        if mode & 0o007 != 0 {
            remarks.push(format!(
                "{shown} can be read or written by everybody (mode {mode:o}): whoever has its hashes can call as its users"
            ));
        }
        let users = Self::parse(&bytes).map_err(|faults| {
            faults
                .into_iter()
                .map(|fault| format!("{shown}{fault}"))
                .collect::<Vec<_>>()
        })?;
        let odd = users.not_offered();
        remarks.extend(odd.map(|what| format!("{shown}: {what}")));
        Ok((users, remarks))
    }
    /// Reads the lines; empty ones and those that begin with `#` say nothing. Faults begin with their place.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let mut realm: Option<&str> = None;
        let mut known: HashMap<String, Vec<(Algorithm, Secret)>> = HashMap::new();
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let mut fault = |what: &str, expected: &str| {
                faults.push(format!(", line {}: {what}; expected {expected}", index + 1));
            };
            let Ok(line) = std::str::from_utf8(line) else {
                fault("it is no UTF-8", "text");
                continue;
            };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let [user, its_realm, hash] = line.split(':').collect::<Vec<_>>()[..] else {
                fault("it has not three fields", "user:realm:HA1");
                continue;
            };
            let word = |field: &str| !field.is_empty() && !field.chars().any(char::is_control);
            if !word(user) || !word(its_realm) {
                fault(
                    "user or realm is empty, or has a control character",
                    "user:realm:HA1",
                );
                continue;
            }
            let is_hash = hash.bytes().all(|digit| digit.is_ascii_hexdigit());
            let (algorithm, secret) = match hash.len() {
                32 if is_hash => (Algorithm::Md5, Secret::Md5Ha1(hash.to_ascii_lowercase())),
                64 if is_hash => (Algorithm::Sha256, Secret::Sha256Ha1(hash.to_ascii_lowercase())),
                _ => {
                    fault(
                        "the third field is no hash",
                        "the MD5 (32 hex digits) or the SHA-256 (64) of user:realm:password",
                    );
                    continue;
                }
            };
            if *realm.get_or_insert(its_realm) != its_realm {
                let first = format!("{:?} as in the lines before it", realm.unwrap_or_default());
                fault(&format!("another realm, {its_realm:?}"), &first);
                continue;
            }
            let of_user = known.entry(user.to_owned()).or_default();
            if of_user.iter().any(|(other, _)| *other == algorithm) {
                let what = format!("{user:?} has a second {}", algorithm.as_str());
                fault(&what, "each user once with each algorithm");
                continue;
            }
            of_user.push((algorithm, secret));
        }
        let has = |algorithm: Algorithm| {
            move |of_user: &Vec<(Algorithm, Secret)>| of_user.iter().any(|(known, _)| *known == algorithm)
        };
        let offered: Vec<_> = PREFERRED
            .into_iter()
            .filter(|algorithm| known.values().all(has(*algorithm)))
            .collect();
        if known.is_empty() && faults.is_empty() {
            faults.push(" names nobody; expected lines user:realm:HA1".to_owned());
        } else if offered.is_empty() && faults.is_empty() {
            faults.push(
                " has users with MD5 alone and users with SHA-256 alone; expected one algorithm that all of them have: a \
                 challenge is made before it is known for whom"
                    .to_owned(),
            );
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            realm: realm.unwrap_or_default().to_owned(),
            known,
            offered,
        })
    }
    /// Whose hashes are of no use, because somebody else has none of that algorithm.
    fn not_offered(&self) -> impl Iterator<Item = String> {
        PREFERRED
            .into_iter()
            .filter(|algorithm| !self.offered.contains(algorithm))
            .filter_map(|algorithm| {
                let has = |of_user: &&Vec<(Algorithm, Secret)>| {
                    of_user.iter().any(|(known, _)| *known == algorithm)
                };
                let with = self.known.values().filter(has).count();
                let (all, word) = (self.known.len(), algorithm.as_str());
                (with > 0).then(|| {
                    format!("{with} of {all} users have {word}: it is not offered, since not all have it")
                })
            })
    }
    /// Theirs all.
    pub(super) fn realm(&self) -> &str {
        &self.realm
    }
    /// What a challenge offers, the stronger first.
    pub(super) fn offered(&self) -> &[Algorithm] {
        &self.offered
    }
    /// A user as the file has it, and what it knows, hashed for that algorithm, which is one that is offered.
    pub(super) fn entry(&self, user: &str, algorithm: Algorithm) -> Option<(&str, &Secret)> {
        let (user, secrets) = self.known.get_key_value(user)?;
        let found = secrets.iter().find(|(known, _)| *known == algorithm);
        found.map(|(_, secret)| (user.as_str(), secret))
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users")
            .field("realm", &self.realm)
            .field("known", &self.known.len())
            .field("offered", &self.offered)
            .finish()
    }
}

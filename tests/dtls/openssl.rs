//! OpenSSL's command line as a peer.

use b2bua::{media::Suite, sdp::Fingerprint};
use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

/// A certificate of OpenSSL's with its key.
pub(crate) struct Theirs {
    pub(crate) directory: tempfile::TempDir,
}

/// Kinds of keys: how `openssl req -newkey` is asked for them.
pub(crate) const P256: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
pub(crate) const P384: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-sha384"];
/// As Linphone's.
pub(crate) const RSA: &[&str] = &["rsa:3072"];

impl Theirs {
    pub(crate) fn new(kind: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let theirs = Self { directory };
        // Without it these tests fail: `tests/run packages` installs it.
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=peer", "-newkey",
            ])
            .args(kind)
            .arg("-keyout")
            .arg(theirs.path("key"))
            .arg("-out")
            .arg(theirs.path("cert"))
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        theirs
    }
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
    /// As OpenSSL has it: `sha256 Fingerprint=AA:BB:…`.
    pub(crate) fn fingerprint(&self, hash: &str) -> Fingerprint {
        let output = Command::new("openssl")
            .args([
                "x509",
                "-noout",
                "-fingerprint",
                &format!("-{}", hash.replace('-', "")),
            ])
            .arg("-in")
            .arg(self.path("cert"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (_, value) = text.trim().split_once('=').unwrap();
        format!("{hash} {value}").parse().unwrap()
    }
}

/// A running `openssl s_client` or `s_server`, ended when dropped.
pub(crate) struct Peer {
    pub(crate) child: Child,
    pub(crate) output: BufReader<ChildStdout>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    pub(crate) fn start(theirs: &Theirs, suites: &[Suite], arguments: &[&str]) -> Self {
        let profiles: Vec<_> = suites.iter().map(|&suite| profile(suite)).collect();
        let length = (2 * suites[0].master_length()).to_string();
        let mut child = Command::new("openssl")
            .args(arguments)
            .args(["-dtls1_2", "-use_srtp", &profiles.join(":")])
            .args([
                "-keymatexport",
                "EXTRACTOR-dtls_srtp",
                "-keymatexportlen",
                &length,
            ])
            .arg("-cert")
            .arg(theirs.path("cert"))
            .arg("-key")
            .arg(theirs.path("key"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }
    /// Whether it ends by itself, and well: its association was closed by close_notify.
    #[expect(clippy::disallowed_methods, reason = "OpenSSL is on the machine's time")]
    pub(crate) fn ends_well(&mut self) -> bool {
        for _ in 0..500 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
    /// Reads its output until a line has this in it, and gives what follows.
    pub(crate) fn until(&mut self, mark: &str) -> Option<String> {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some((_, rest)) = line.split_once(mark) {
                return Some(rest.trim().to_owned());
            }
            line.clear();
        }
        None
    }
}

fn profile(suite: Suite) -> &'static str {
    match suite {
        Suite::AesCm128HmacSha1_80 => "SRTP_AES128_CM_SHA1_80",
        Suite::AesCm128HmacSha1_32 => "SRTP_AES128_CM_SHA1_32",
        Suite::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
        Suite::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
        other => panic!("{other} has no profile"),
    }
}

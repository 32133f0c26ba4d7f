//! Kamailio as the registrar, with digest and a nonce that does not live long.

use super::server::{account, start, until};
use b2bua::{app::Registrations, sip::auth::Secret};
use md5::Md5;
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running one.
pub(crate) struct Kamailio {
    child: Child,
    pub(crate) address: SocketAddr,
    said: Arc<Mutex<Vec<String>>>,
    _home: tempfile::TempDir,
}

impl Kamailio {
    fn start(algorithm: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        Self::configured(home, &CONFIG.replace("ALGORITHM", algorithm))
    }
    /// Runs in that folder by that configuration, in which LISTEN and HOME are replaced.
    pub(crate) fn configured(home: tempfile::TempDir, config: &str) -> Self {
        let address = UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a free port");
        let file = home.path().join("kamailio.cfg");
        let text = config
            .replace("LISTEN", &address.to_string())
            .replace("HOME", &home.path().display().to_string());
        fs::write(&file, text).expect("writable");
        let mut child = Command::new("kamailio")
            .args(["-DD", "-E", "-e", "-m", "32", "-M", "4", "-f"])
            .arg(&file)
            .arg("-P")
            .arg(home.path().join("pid"))
            .arg("-Y")
            .arg(home.path())
            .arg("-w")
            .arg(home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kamailio is installed: tests/run packages");
        let said = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let listener = said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                listener.lock().expect("no panic").push(line);
            }
        });
        Self {
            child,
            address,
            said,
            _home: home,
        }
    }
    /// How often it has said something with this in it.
    pub(crate) fn said(&self, text: &str) -> usize {
        let said = self.said.lock().expect("no panic");
        said.iter().filter(|line| line.contains(text)).count()
    }
    pub(crate) fn everything(&self) -> String {
        self.said.lock().expect("no panic").join("\n")
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Its main process ends the others.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Registers, refreshes several times past the life of a nonce, and removes.
async fn keeps(algorithm: &str, secret: Secret) {
    let kamailio = Kamailio::start(algorithm);
    assert!(
        until(PATIENCE, || kamailio.said("registrar is up") > 0).await,
        "{}",
        kamailio.everything()
    );
    let registrations = Registrations::default();
    let server = start(registrations.clone()).await;
    let (key, plan) = account("user", secret, kamailio.address);
    registrations.set("pool", vec![(key.clone(), plan)]);
    let status = || registrations.status(&key).map(|status| status.to_string());
    assert!(
        until(PATIENCE, || status().as_deref() == Some("OK")).await,
        "{algorithm}: {:?}\n{}",
        status(),
        kamailio.everything()
    );
    // It grants 3 s, so that a refresh comes each 1.5 to 2.7 s; a nonce lives for 4 s.
    assert!(
        until(PATIENCE, || kamailio.said("saved user") >= 5).await,
        "{}",
        kamailio.everything()
    );
    assert_eq!(status().as_deref(), Some("OK"));
    assert_eq!(
        kamailio.said("bound 1"),
        kamailio.said("saved user"),
        "one binding, always the same"
    );
    assert_eq!(kamailio.said("refused"), 0, "{}", kamailio.everything());
    server.drain().await;
    assert!(
        until(PATIENCE, || kamailio.said("bound 0") == 1).await,
        "{}",
        kamailio.everything()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kamailio_keeps_a_registration_with_md5() {
    keeps("MD5", Secret::Clear("secret".to_owned())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kamailio_keeps_a_registration_with_sha_256() {
    keeps("SHA-256", Secret::Clear("secret".to_owned())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kamailio_keeps_registrations_with_hashes_instead_of_passwords() {
    let text = "user:example.org:secret";
    keeps("MD5", Secret::Md5Ha1(hex::encode(Md5::digest(text)))).await;
    keeps("SHA-256", Secret::Sha256Ha1(hex::encode(Sha256::digest(text)))).await;
}

const CONFIG: &str = r#"
debug=2
log_stderror=yes
children=1
auto_aliases=no
enable_tls=no
disable_tcp=yes
listen=udp:LISTEN
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 3)
modparam("registrar", "min_expires", 1)
modparam("auth", "algorithm", "ALGORITHM")
modparam("auth", "qop", "auth")
modparam("auth", "nonce_expire", 4)
event_route[core:worker-one-init] { xlog("L_ERR", "the registrar is up\n"); }
request_route {
    if (!is_method("REGISTER")) { sl_send_reply("405", "Method Not Allowed"); exit; }
    if (!pv_www_authenticate("example.org", "secret", "0")) {
        if ($rc == -2) { xlog("L_ERR", "refused $fU\n"); }
        www_challenge("example.org", "1");
        exit;
    }
    consume_credentials();
    save("location");
    if ($hdr(Expires) == "0") { xlog("L_ERR", "removed $fU\n"); } else { xlog("L_ERR", "saved $fU\n"); }
    if (reg_fetch_contacts("location", "$tu", "c")) { xlog("L_ERR", "bound $(ulc(c=>count))\n"); }
    else { xlog("L_ERR", "bound 0\n"); }
    exit;
}
"#;

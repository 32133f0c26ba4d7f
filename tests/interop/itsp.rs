//! Kamailio as a telephone provider: a registrar with digest, and a proxy that asks for a password in every request of its
//! customer's, within dialogs too, and lets nobody call under another name than the account's.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Outcome;
use crate::process::Process;
use crate::scene::Scene;

/// The provider's domain, and its realm.
pub(crate) const DOMAIN: &str = "itsp.test";
/// What the account calls with.
pub(crate) const ACCOUNT: &str = "+33199000001";
/// Its password.
pub(crate) const SECRET: &str = "correct horse battery staple";

/// A certificate and its key for a host, signed by themselves.
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Makes one for that name.
    pub(crate) fn make(scene: &Scene, name: &str) -> Outcome<Self> {
        let path = |end: &str| scene.dir.join(format!("{name}.{end}"));
        let made = Self {
            certificate: path("pem"),
            key: path("key"),
        };
        let told = |e: &dyn std::fmt::Display| format!("a certificate for {name}: {e}");
        let signed = rcgen::generate_simple_self_signed(vec![name.to_owned()]).map_err(|e| told(&e))?;
        fs::write(&made.certificate, signed.cert.pem()).map_err(|e| told(&e))?;
        fs::write(&made.key, signed.key_pair.serialize_pem()).map_err(|e| told(&e))?;
        Ok(made)
    }
}

/// A running provider.
pub(crate) struct Itsp {
    process: Process,
}

impl Itsp {
    /// Starts it at `listen`, and by TLS on the port after it where it has a certificate. Calls of `trunk` go to `phone`.
    pub(crate) fn start(
        scene: &Scene,
        listen: SocketAddr,
        trunk: &str,
        phone: &str,
        tls: Option<&Certificate>,
    ) -> Outcome<Self> {
        let home = scene.dir.join("itsp");
        fs::create_dir_all(&home).map_err(|e| format!("{}: {e}", home.display()))?;
        let file = home.join("kamailio.cfg");
        let secured = tls.map_or("enable_tls=no\ndisable_tcp=yes\n".to_owned(), |tls| {
            secured(SocketAddr::new(listen.ip(), listen.port() + 1), tls)
        });
        let text = CONFIG
            .replace("SECURED", &secured)
            .replace("LISTEN", &listen.to_string())
            .replace("TRUNK", trunk)
            .replace("PHONE", phone)
            .replace("DOMAIN", DOMAIN)
            .replace("SECRET", SECRET);
        fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut process = run(scene, &home, &file)?;
        process.await_output("the provider is up", 1, Duration::from_secs(20))?;
        Ok(Self { process })
    }

    /// Waits until the account is registered.
    pub(crate) fn await_registration(&mut self) -> Outcome {
        self.await_saved(ACCOUNT)
    }

    /// Waits until that number is registered.
    pub(crate) fn await_saved(&mut self, number: &str) -> Outcome {
        let line = format!("saved {number}");
        self.process.await_output(&line, 1, Duration::from_secs(20))
    }

    /// How often it has said that.
    pub(crate) fn said(&self, text: &str) -> usize {
        self.process.output().matches(text).count()
    }
}

fn run(scene: &Scene, home: &Path, file: &Path) -> Outcome<Process> {
    let mut command = Command::new("kamailio");
    command
        .arg("-f")
        .arg(file)
        .args(["-DD", "-E", "-e", "-m", "64", "-M", "8"]);
    command
        .arg("-P")
        .arg(home.join("pid"))
        .arg("-Y")
        .arg(home)
        .arg("-w")
        .arg(home);
    Process::start_here("itsp", &scene.dir, command)
}

fn secured(listen: SocketAddr, tls: &Certificate) -> String {
    format!(
        "enable_tls=yes\ntcp_children=1\nlisten=tls:{listen}\nloadmodule \"tls.so\"\n\
         modparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\nmodparam(\"tls\", \"certificate\", \"{}\")\n\
         modparam(\"tls\", \"private_key\", \"{}\")\n",
        tls.certificate.display(),
        tls.key.display()
    )
}

/// A nonce lives for 3 s, so that requests late in a call meet a stale one.
const CONFIG: &str = r#"
debug=2
log_stderror=yes
children=1
auto_aliases=no
alias="DOMAIN"
listen=udp:LISTEN
SECURED
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "rr.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "xlog.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("rr", "enable_full_lr", 1)
modparam("usrloc", "db_mode", 0)
modparam("auth", "nonce_expire", 3)
modparam("auth", "qop", "auth")
event_route[core:worker-one-init] { xlog("L_ERR", "the provider is up\n"); }
request_route {
    if (!mf_process_maxfwd_header("20")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (is_method("REGISTER")) {
        if (!pv_www_authenticate("DOMAIN", "SECRET", "0")) { www_challenge("DOMAIN", "1"); exit; }
        consume_credentials();
        if ($au != $tU) { sl_send_reply("403", "Not your number"); exit; }
        save("location");
        xlog("L_ERR", "saved $tU\n");
        exit;
    }
    if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
    if (is_method("ACK")) { if (loose_route() || t_check_trans()) { t_relay(); } exit; }
    if ($si == "TRUNK") {
        if (!pv_proxy_authenticate("DOMAIN", "SECRET", "0")) {
            xlog("L_ERR", "asked for a password: $rm, to-tag $(tt{s.len}), because $rc\n");
            proxy_challenge("DOMAIN", "1");
            exit;
        }
        consume_credentials();
        xlog("L_ERR", "authenticated $rm, to-tag $(tt{s.len})\n");
    }
    if (has_totag()) {
        if (loose_route()) { t_relay(); exit; }
        sl_send_reply("404", "Not here");
        exit;
    }
    t_check_trans();
    if (is_present_hf("Route")) { loose_route(); }
    record_route();
    if ($si == "TRUNK") {
        if ($fU != $au || $fd != "DOMAIN") { sl_send_reply("403", "Not your number"); exit; }
        $rU = "bob";
        $du = "PHONE";
    } else if (!lookup("location")) {
        sl_send_reply("404", "No such number");
        exit;
    }
    t_relay();
}
"#;

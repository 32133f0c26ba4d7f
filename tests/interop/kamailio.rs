//! Kamailio as a record-routing proxy: it sends new requests to one place, and keeps itself in the
//! path of all that follow.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Outcome;
use crate::process::Process;
use crate::scene::Scene;

/// A running proxy.
pub(crate) struct Kamailio {
    _process: Process,
}

impl Kamailio {
    /// Starts a proxy in the hub that listens at `listen` and sends new requests to `next`.
    pub(crate) fn start(scene: &Scene, name: &str, listen: SocketAddr, next: &str) -> Outcome<Self> {
        Self::by_user(scene, name, listen, next, &[])
    }

    /// The same with other ways to some users.
    pub(crate) fn by_user(
        scene: &Scene,
        name: &str,
        listen: SocketAddr,
        next: &str,
        others: &[(&str, String)],
    ) -> Outcome<Self> {
        let home = scene.dir.join(name);
        fs::create_dir_all(&home).map_err(|e| format!("{}: {e}", home.display()))?;
        let file = home.join("kamailio.cfg");
        let text = CONFIG
            .replace("LISTEN", &listen.to_string())
            .replace("NEXT", next);
        let ways: String = others
            .iter()
            .map(|(user, uri)| format!("    if ($rU == \"{user}\") {{ $du = \"{uri}\"; }}\n"))
            .collect();
        let text = text.replace("    t_relay();\n}\n", &format!("{ways}    t_relay();\n}}\n"));
        fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut process = Self::run(scene, name, &file)?;
        process.await_output("the proxy is up", 1, Duration::from_secs(20))?;
        Ok(Self { _process: process })
    }

    /// Starts the proxy that the repository ships a configuration for: it takes the hub's addresses, port 5060.
    pub(crate) fn shipped(scene: &Scene) -> Outcome<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/proxy/kamailio.cfg");
        fs::create_dir_all(scene.dir.join("proxy")).map_err(|e| e.to_string())?;
        let process = Self::run(scene, "proxy", &file)?;
        Ok(Self { _process: process })
    }

    fn run(scene: &Scene, name: &str, file: &Path) -> Outcome<Process> {
        let home = scene.dir.join(name);
        let mut command = Command::new("kamailio");
        command
            .arg("-f")
            .arg(file)
            .args(["-DD", "-E", "-e", "-m", "32", "-M", "4"]);
        command
            .arg("-P")
            .arg(home.join("pid"))
            .arg("-Y")
            .arg(&home)
            .arg("-w")
            .arg(&home);
        Process::start_here(name, &scene.dir, command)
    }
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
loadmodule "tmx.so"
loadmodule "rr.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "xlog.so"
modparam("rr", "enable_full_lr", 1)
event_route[core:worker-one-init] { xlog("L_ERR", "the proxy is up\n"); }
request_route {
    if (!mf_process_maxfwd_header("20")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (has_totag()) {
        if (loose_route()) { t_relay(); exit; }
        if (is_method("ACK")) { if (t_check_trans()) { t_relay(); } exit; }
        sl_send_reply("404", "Not here");
        exit;
    }
    if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
    t_check_trans();
    if (is_present_hf("Route")) { loose_route(); }
    record_route();
    $du = "NEXT";
    t_relay();
}
"#;

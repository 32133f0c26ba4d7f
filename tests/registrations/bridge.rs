//! The sip-bridge with an account that must be registered: the real binary.

use super::{peers::call, registrar::Listening, server::until};
use b2bua::{sip::Method, testing::Registrar};
use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);
/// No word that a log has by itself.
const PASSWORD: &str = "Vogelbeerbaum-27";

/// Ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_calls_go_by_a_registered_account_and_its_binding_ends_with_it() {
    let registrar = Listening::start(Registrar::new("example.org", &[("acc", PASSWORD)]));
    registrar.with(|registrar| registrar.refuses = Some((b2bua::sip::Status::SERVICE_UNAVAILABLE, None)));
    let server: SocketAddr = UdpSocket::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("writable");
        path
    };
    file(
        "providers.json",
        format!(
            r#"{{"schemaVersion": 2,
            "providers": [{{"name": "p", "accountPool": "pool", "accountToUse": {{"strategy": "Random"}},
                "onAccountNotFound": "decline", "triggerCondition": {{"strategy": "Always"}},
                "outgoingInvite": {{"to": "sip:{{incoming.requestUri.user}}@{{account.uri.hostport}}"}} }}],
            "accountPools": {{"pool": {{"registrationRequired": true, "maxCallsPerLine": 2,
                "outboundProxy": "<sip:{0}>", "registrar": "<sip:{0}>",
                "loader": [{{"uri": "sip:acc@example.org", "secretType": "clrtxt", "secret": "{PASSWORD}"}}] }} }} }}"#,
            registrar.address
        ),
    );
    let config = file(
        "b2bua.conf",
        format!(
            "[global]\nlog-level=trace\nlog-directory=\n[b2bua-server]\napplication=sip-bridge\ntransport=sip:{server};transport=udp\n\
             trusted-hosts=127.0.0.1\ndata-directory=none\n[b2bua-server::sip-bridge]\nproviders=providers.json\n"
        ),
    );
    let child = Command::new(env!("CARGO_BIN_EXE_b2bua"))
        .arg("-c")
        .arg(&config)
        .stdout(fs::File::create(folder.path().join("log")).expect("writable"))
        .stderr(Stdio::inherit())
        .spawn()
        .expect("it starts");
    let mut running = Running(child);
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();

    let asked = || registrar.with(|registrar| !registrar.heard.is_empty());
    assert!(until(PATIENCE, asked).await, "{}", log());
    let caller = UdpSocket::bind("127.0.0.1:0").expect("a port");
    assert_eq!(call(&caller, server, "early"), "488", "{}", log());

    registrar.with(|registrar| registrar.refuses = None);
    let bound = || registrar.with(|registrar| registrar.bindings.len());
    assert!(until(PATIENCE, || bound() == 1).await, "{}", log());
    // The registrar takes no calls; but it is asked.
    tokio::time::sleep(Duration::from_millis(200)).await;
    call(&caller, server, "now");
    let invited = registrar.with(|registrar| {
        let invite = registrar.heard.iter().find(|(_, it)| it.method == Method::Invite);
        invite.map(|(_, invite)| invite.uri.to_string())
    });
    assert_eq!(invited.as_deref(), Some("sip:user@example.org"), "{}", log());

    let pid = rustix::process::Pid::from_child(&running.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    assert!(running.0.wait().expect("ours").success(), "{}", log());
    assert_eq!(bound(), 0, "{}", log());
    let proofs: Vec<String> = registrar.with(|registrar| {
        let heard = registrar.heard.iter().filter_map(|(_, request)| {
            let shown = String::from_utf8_lossy(&request.to_bytes()).into_owned();
            let (_, after) = shown.split_once("response=\"")?;
            after.split('"').next().map(str::to_owned)
        });
        heard.collect()
    });
    assert!(!proofs.is_empty(), "nobody was asked for a password");
    // It is of trace level: what was sent is in it, and the password and its proofs are not.
    assert!(log().contains("REGISTER sip:"), "{}", log());
    for secret in proofs.iter().map(String::as_str).chain([PASSWORD]) {
        assert!(!log().contains(secret), "{secret} in:\n{}", log());
    }
    keep(&log(), &proofs);
}

/// Leaves log and secrets where `tests/scan-logs` looks for them, when a run of all tests wants that.
fn keep(log: &str, proofs: &[String]) {
    if let Some(folder) = std::env::var_os("B2BUA_KEEP_LOGS") {
        let folder = std::path::Path::new(&folder);
        let name = format!("bridge-{}", std::process::id());
        fs::write(folder.join(&name), log).expect("the folder of logs is there");
        let secrets = format!("{PASSWORD}\n{}\n", proofs.join("\n"));
        fs::write(folder.join(format!("{name}.secrets")), secrets).expect("the folder of logs is there");
    }
}

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

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_calls_go_by_a_registered_account_and_its_binding_ends_with_it() {
    let registrar = Listening::start(Registrar::new("example.org", &[("acc", "secret")]));
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
                "loader": [{{"uri": "sip:acc@example.org", "secretType": "clrtxt", "secret": "secret"}}] }} }} }}"#,
            registrar.address
        ),
    );
    let config = file(
        "b2bua.conf",
        format!(
            "[b2bua-server]\napplication=sip-bridge\ntransport=sip:{server};transport=udp\n\
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
}

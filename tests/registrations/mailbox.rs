//! `mwiServerUri`: the server subscribes to the mailboxes of its accounts, and passes their news to who they are inside
//! (`mwiB2buaSubscription`). The real binary.

use super::{bridge::Running, server::until};
use b2bua::{
    sip::{Message, Method, Request, Status, parse},
    testing::{Notifier, Registrar},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A provider's registrar and its mailboxes behind one socket.
struct Provider {
    address: SocketAddr,
    socket: UdpSocket,
    rooms: Arc<Mutex<(Registrar, Notifier)>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Provider {
    fn start() -> Self {
        let passwords = [("acc", "secret"), ("second", "secret")];
        let rooms = (
            Registrar::new("example.org", &passwords),
            Notifier::new("example.org", &passwords),
        );
        let (rooms, stop) = (Arc::new(Mutex::new(rooms)), Arc::new(AtomicBool::new(false)));
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let patience = Some(Duration::from_millis(50));
        socket.set_read_timeout(patience).expect("a timeout");
        let address = socket.local_addr().expect("bound");
        rooms.lock().expect("no panic").1.address = address;
        let served = (rooms.clone(), stop.clone(), socket.try_clone().expect("a socket"));
        let thread = std::thread::spawn(move || serve(&served.0, &served.1, &served.2));
        Self {
            address,
            socket,
            rooms,
            stop,
            thread: Some(thread),
        }
    }
    fn rooms(&self) -> MutexGuard<'_, (Registrar, Notifier)> {
        self.rooms.lock().expect("no panic")
    }
    fn subscribed(&self) -> usize {
        self.rooms().1.subscriptions.len()
    }
    /// Everybody hears of that.
    fn tell(&self, summary: &str) {
        let all = {
            let mut rooms = self.rooms();
            summary.clone_into(&mut rooms.1.summary);
            rooms.1.tell("active;expires=500")
        };
        for (to, notify) in all {
            self.socket.send_to(&notify.to_bytes(), to).expect("sent");
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(rooms: &Mutex<(Registrar, Notifier)>, stop: &AtomicBool, socket: &UdpSocket) {
    let mut buffer = [0; 8192];
    while !stop.load(Relaxed) {
        let Ok((length, source)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Ok((message, _)) = parse::message(bytes::Bytes::copy_from_slice(&buffer[..length])) else {
            continue;
        };
        let mut rooms = rooms.lock().expect("no panic");
        let mut back: Vec<Message> = Vec::new();
        match message {
            Message::Request(request) if request.method == Method::Subscribe => {
                let (response, notify) = rooms.1.receive(request, source, Instant::now());
                back.extend(response.map(Message::from));
                back.extend(notify.map(Message::from));
            }
            Message::Request(request) => {
                let response = rooms.0.receive(request, source, Instant::now());
                back.extend(response.map(Message::from));
            }
            Message::Response(response) => rooms.1.told.push(response),
        }
        for message in back {
            socket.send_to(&message.to_bytes(), source).expect("sent");
        }
    }
}

/// A proxy inside, to which news are passed on.
struct Inside(UdpSocket);

impl Inside {
    /// The next NOTIFY, which is answered.
    fn notify(&self) -> Option<Request> {
        let mut buffer = [0; 8192];
        let (length, source) = self.0.recv_from(&mut buffer).ok()?;
        let message = parse::message(bytes::Bytes::copy_from_slice(&buffer[..length]));
        let Ok((Message::Request(request), _)) = message else {
            panic!("{}", String::from_utf8_lossy(&buffer[..length]));
        };
        let response = request.respond(Status::OK, Some("inside"));
        self.0.send_to(&response.to_bytes(), source).expect("sent");
        Some(request)
    }
}

fn providers(folder: &Path, provider: SocketAddr, inside: SocketAddr, more: &str, accounts: &str) {
    let text = format!(
        r#"{{"schemaVersion": 2,
        "providers": [
            {{"name": "out", "accountPool": "pool", "accountToUse": {{"strategy": "Random"}},
              "onAccountNotFound": "nextProvider", "triggerCondition": {{"strategy": "Always"}},
              "outgoingInvite": {{"to": "sip:{{incoming.requestUri.user}}@{{account.uri.hostport}}"}} }},
            {{"name": "in", "accountPool": "pool",
              "accountToUse": {{"strategy": "FindInPool", "source": "{{to}}", "by": "uri"}},
              "onAccountNotFound": "nextProvider", "triggerCondition": {{"strategy": "Always"}},
              "outgoingInvite": {{"to": "{{account.alias}}", "outboundProxy": "<sip:{inside}>"}},
              "outgoingNotify": {{"outboundProxy": "<sip:{inside}>"}} }}],
        "accountPools": {{"pool": {{"registrationRequired": true, "maxCallsPerLine": 2, {more}
            "outboundProxy": "<sip:{provider}>", "registrar": "<sip:{provider}>", "loader": [{accounts}] }} }} }}"#
    );
    fs::write(folder.join("providers.json"), text).expect("writable");
}

fn account(name: &str, alias: &str) -> String {
    format!(
        r#"{{"uri": "sip:{name}@example.org", "alias": "sip:{alias}@inside.example", "secretType": "clrtxt", "secret": "secret"}}"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_of_an_accounts_mailbox_reach_its_alias_and_the_subscription_ends_with_it() {
    let provider = Provider::start();
    provider.rooms().0.refuses = Some((Status::SERVICE_UNAVAILABLE, None));
    "Messages-Waiting: no\r\nMessage-Account: sip:acc@example.org\r\n"
        .clone_into(&mut provider.rooms().1.summary);
    let inside = Inside(UdpSocket::bind("127.0.0.1:0").expect("a port"));
    inside.0.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let inside_at = inside.0.local_addr().expect("bound");
    let server: SocketAddr = UdpSocket::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mwi = format!(r#""mwiServerUri": "sip:{}","#, provider.address);
    let write = |more: &str, accounts: &str| {
        providers(folder.path(), provider.address, inside_at, more, accounts);
    };
    write(&mwi, &account("acc", "alice"));
    let config = folder.path().join("b2bua.conf");
    let text = format!(
        "[global]\nlog-level=trace\nlog-directory=\n[b2bua-server]\napplication=sip-bridge\ntransport=sip:{server};transport=udp\n\
         trusted-hosts=192.0.2.1\ndata-directory=none\n[b2bua-server::sip-bridge]\nproviders=providers.json\n"
    );
    fs::write(&config, text).expect("writable");
    let child = Command::new(env!("CARGO_BIN_EXE_b2bua"))
        .arg("-c")
        .arg(&config)
        .stdout(fs::File::create(folder.path().join("log")).expect("writable"))
        .stderr(Stdio::inherit())
        .spawn()
        .expect("it starts");
    let mut running = Running(child);
    let pid = Pid::from_child(&running.0);
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();

    // Who is not registered does not subscribe.
    let asked = || !provider.rooms().0.heard.is_empty();
    assert!(until(PATIENCE, asked).await, "{}", log());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(provider.rooms().1.heard.is_empty(), "{}", log());
    provider.rooms().0.refuses = None;
    assert!(until(PATIENCE, || provider.subscribed() == 1).await, "{}", log());

    let notify = inside.notify().unwrap_or_else(|| panic!("{}", log()));
    assert_eq!(notify.method, Method::Notify);
    assert_eq!(notify.uri.to_string(), "sip:alice@inside.example");
    let field = |notify: &Request, name: &str| notify.headers.get(name).unwrap_or_default().to_string();
    assert!(field(&notify, "From").starts_with("<sip:alice@inside.example>;tag="));
    assert_eq!(field(&notify, "Event"), "message-summary");
    assert_eq!(field(&notify, "Priority"), "non-urgent");
    assert_eq!(
        field(&notify, "Content-Type"),
        "application/simple-message-summary"
    );
    assert_eq!(
        &*notify.body,
        b"Messages-Waiting: no\r\nMessage-Account: sip:alice@inside.example\r\n"
    );
    provider.tell("Messages-Waiting: yes\r\nVoice-Message: 4/8 (1/2)\r\n");
    let notify = inside.notify().unwrap_or_else(|| panic!("{}", log()));
    assert_eq!(field(&notify, "Priority"), "urgent");
    assert!(String::from_utf8_lossy(&notify.body).contains("Voice-Message: 4/8 (1/2)"));

    // A reload that names another account too touches the one that stays.
    let heard = provider.rooms().1.heard.len();
    let both = format!("{},{}", account("acc", "alice"), account("second", "bob"));
    write(&mwi, &both);
    kill_process(pid, Signal::HUP).expect("it runs");
    assert!(until(PATIENCE, || provider.subscribed() == 2).await, "{}", log());
    let fresh: Vec<String> = provider.rooms().1.fields("From").skip(heard).collect();
    assert!(
        !fresh.is_empty() && fresh.iter().all(|from| from.contains("second")),
        "{fresh:?}"
    );
    assert!(
        inside
            .notify()
            .is_some_and(|notify| notify.uri.user() == Some("bob"))
    );
    // And one that names no mailboxes ends the subscriptions.
    write("", &both);
    kill_process(pid, Signal::HUP).expect("it runs");
    assert!(until(PATIENCE, || provider.subscribed() == 0).await, "{}", log());
    write(&mwi, &both);
    kill_process(pid, Signal::HUP).expect("it runs");
    assert!(until(PATIENCE, || provider.subscribed() == 2).await, "{}", log());
    for _ in 0..2 {
        assert!(inside.notify().is_some(), "{}", log());
    }

    kill_process(pid, Signal::TERM).expect("it runs");
    assert!(running.0.wait().expect("ours").success(), "{}", log());
    let rooms = provider.rooms();
    assert!(
        rooms.1.subscriptions.is_empty() && rooms.0.bindings.is_empty(),
        "{}",
        log()
    );
    assert!(rooms.1.complaints.is_empty(), "{:#?}", rooms.1.complaints);
    assert!(
        rooms.1.guard.complaints.is_empty(),
        "{:#?}",
        rooms.1.guard.complaints
    );
    assert!(
        rooms.1.told.iter().all(|told| told.status == Status::OK),
        "{:#?}",
        rooms.1.told
    );
}

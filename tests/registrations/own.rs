//! The sip-bridge with ports and connections of its accounts' own (upstream's `oneConnectionPerAccount` and
//! `transportAndOneConnectionPerAccount`): the real binary, and a provider that notes what comes by which.

use super::{provider::Provider, server::until};
use b2bua::sip::Method;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{SocketAddr, TcpListener, UdpSocket},
    process::{Child, Command, Stdio},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One that is free by UDP and by TCP: connections of other tests hold ports too.
fn free_address() -> SocketAddr {
    (0..100)
        .find_map(|_| {
            let datagrams = UdpSocket::bind("127.0.0.1:0").ok()?;
            let address = datagrams.local_addr().ok()?;
            TcpListener::bind(address).ok().map(|_| address)
        })
        .expect("a free port")
}

struct Case {
    provider: Provider,
    caller: UdpSocket,
    server: SocketAddr,
    running: Running,
    folder: tempfile::TempDir,
}

impl Case {
    fn start(listens: &str, goes: &str, own: bool) -> Self {
        let provider = Provider::start();
        let caller = UdpSocket::bind("127.0.0.1:0").expect("a port");
        caller.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let inside = caller.local_addr().expect("bound");
        let server = free_address();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let accounts: Vec<_> = (1..=2)
            .map(|n| {
                format!(
                    r#"{{"uri": "sip:acc{n}@example.org", "alias": "sip:in{n}@{inside}", "secretType": "clrtxt", "secret": "x"}}"#
                )
            })
            .collect();
        let providers = format!(
            r#"{{"schemaVersion": 2,
            "providers": [{{"name": "out", "accountPool": "pool", "triggerCondition": {{"strategy": "Always"}},
                "accountToUse": {{"strategy": "FindInPool", "by": "{{alias.user}}", "source": "{{from.user}}"}},
                "onAccountNotFound": "decline",
                "outgoingInvite": {{"to": "sip:{{incoming.requestUri.user}}@{{account.uri.hostport}}"}} }}],
            "accountPools": {{"pool": {{"registrationRequired": true, "maxCallsPerLine": 2,
                "outboundProxy": "<sip:{0};transport={goes}>", "registrar": "<sip:{0};transport={goes}>",
                "loader": [{1}] }} }} }}"#,
            provider.address,
            accounts.join(", ")
        );
        fs::write(folder.path().join("providers.json"), providers).expect("writable");
        let config = format!(
            "[global]\nlog-level=debug\nlog-directory=\n[b2bua-server]\napplication=sip-bridge\n\
             transport=sip:{server};transport={listens}{}\ntrusted-hosts=127.0.0.1\ndata-directory=none\n\
             one-connection-per-account={own}\n[b2bua-server::sip-bridge]\nproviders=providers.json\n",
            if listens == "tcp" {
                format!(" sip:{server};transport=udp")
            } else {
                String::new()
            }
        );
        fs::write(folder.path().join("b2bua.conf"), config).expect("writable");
        let child = Command::new(env!("CARGO_BIN_EXE_b2bua"))
            .arg("-c")
            .arg(folder.path().join("b2bua.conf"))
            .stdout(fs::File::create(folder.path().join("log")).expect("writable"))
            .stderr(Stdio::inherit())
            .spawn()
            .expect("it starts");
        Self {
            provider,
            caller,
            server,
            running: Running(child),
            folder,
        }
    }
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
    async fn registered(&self, count: usize) {
        let registered = || {
            self.provider
                .by_account(&Method::Register)
                .values()
                .map(Vec::len)
                .sum::<usize>()
                >= count
        };
        assert!(until(PATIENCE, registered).await, "{}", self.log());
        // Its 200 has to get there.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    fn say(&self, text: &str) {
        self.caller.send_to(text.as_bytes(), self.server).expect("sent");
    }
    /// The next final response to a request of that method.
    fn final_of(&self, method: &str) -> String {
        let mut buffer = [0; 8192];
        loop {
            let (length, _) = self
                .caller
                .recv_from(&mut buffer)
                .unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with("SIP/2.0")
                && text.contains(&format!(" {method}\r\n"))
                && !text.starts_with("SIP/2.0 1")
            {
                return text;
            }
        }
    }
    /// A call by one who is known inside by that number, from its INVITE to its BYE.
    fn call(&self, number: usize) {
        let (server, inside) = (self.server, self.caller.local_addr().expect("bound"));
        let request = |method: &str, cseq: u32, to: &str, target: &str, body: &str| {
            let kind = if body.is_empty() {
                ""
            } else {
                "Content-Type: application/sdp\r\n"
            };
            format!(
                "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {inside};branch=z9hG4bK{number}{cseq}{method}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:in{number}@{inside}>;tag=t{number}\r\nTo: <sip:555@{server}>{to}\r\n\
                 Call-ID: c{number}\r\nCSeq: {cseq} {method}\r\nContact: <sip:in{number}@{inside}>\r\n{kind}\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let target = format!("sip:555@{server}");
        self.say(&request("INVITE", 1, "", &target, SDP));
        let answer = self.final_of("INVITE");
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}\n{}", self.log());
        let tag = answer
            .lines()
            .find_map(|line| line.strip_prefix("To: ")?.split_once(";tag="))
            .expect("a tag")
            .1;
        let to = format!(";tag={}", tag.trim());
        let contact = answer
            .lines()
            .find_map(|line| line.strip_prefix("Contact: <")?.split_once('>'))
            .expect("a Contact")
            .0;
        self.say(&request("ACK", 1, &to, contact, ""));
        self.say(&request("BYE", 2, &to, contact, ""));
        let answer = self.final_of("BYE");
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    }
    fn end(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.running.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        assert!(self.running.0.wait().expect("ours").success(), "{}", self.log());
    }
}

/// Registers, calls and unregisters two accounts, and looks which went by what.
async fn everything(listens: &str, goes: &str, own: bool) {
    let mut case = Case::start(listens, goes, own);
    case.registered(2).await;
    case.call(1);
    case.call(2);
    let log = case.log();
    let goes_by = || case.provider.by_account(&Method::Bye).len() == 2;
    assert!(until(PATIENCE, goes_by).await, "{log}");
    case.end();
    let what = format!("{listens} {goes} {own}");
    let mut ways: BTreeMap<String, BTreeSet<(usize, u16)>> = BTreeMap::new();
    let mut contacts: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for (method, count) in [
        // With its end.
        (Method::Register, 2),
        (Method::Invite, 1),
        (Method::Ack, 1),
        (Method::Bye, 1),
    ] {
        let all = case.provider.by_account(&method);
        assert_eq!(all.len(), 2, "{what} {method:?}");
        for (account, heard) in all {
            assert_eq!(heard.len(), count, "{what} {method:?} {account}\n{log}");
            for (connection, from, contact) in heard {
                ways.entry(account.clone())
                    .or_default()
                    .insert((connection, from));
                contacts.entry(account.clone()).or_default().extend(contact);
            }
        }
    }
    for account in ["acc1", "acc2"] {
        assert_eq!(ways[account].len(), 1, "{what}: {ways:?}");
        assert_eq!(contacts[account].len(), 1, "{what}: {contacts:?}");
        let (connection, from) = ways[account].first().expect("one");
        assert_eq!(*connection > 0, goes == "tcp", "{what}");
        // It is called where it calls from, and nobody else is.
        assert_eq!(
            contacts[account].contains(from),
            own || goes == "udp",
            "{what}: {contacts:?} {ways:?}"
        );
    }
    assert_eq!(ways["acc1"] == ways["acc2"], !own, "{what}: {ways:?}");
    assert_eq!(contacts["acc1"] == contacts["acc2"], !own, "{what}: {contacts:?}");
    let connections = case.provider.with(|notes| notes.connections.len());
    assert_eq!(
        connections,
        if goes == "udp" {
            0
        } else if own {
            2
        } else {
            1
        },
        "{what}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_account_goes_by_its_own_port_or_connection_where_that_is_asked_for() {
    for listens in ["udp", "tcp"] {
        for goes in ["udp", "tcp"] {
            for own in [false, true] {
                everything(listens, goes, own).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_the_provider_closes_is_opened_again_from_the_same_port() {
    let mut case = Case::start("udp", "tcp", true);
    case.registered(2).await;
    let before = case.provider.by_account(&Method::Register);
    case.provider.with(|notes| {
        for connection in &notes.connections {
            connection.shutdown(std::net::Shutdown::Both).expect("open");
        }
    });
    case.registered(4).await;
    let after = case.provider.by_account(&Method::Register);
    for account in ["acc1", "acc2"] {
        let ([(first, from, contact)], [_, (second, from_then, contact_then)]) =
            (before[account].as_slice(), after[account].as_slice())
        else {
            panic!("{before:?} {after:?}");
        };
        assert_ne!(first, second);
        assert_eq!(contact, contact_then, "it is called where it was");
        assert_eq!((from, from_then), (from_then, from));
    }
    case.call(1);
    case.end();
    let connections = case.provider.with(|notes| notes.connections.len());
    assert_eq!(connections, 4, "{}", case.log());
}

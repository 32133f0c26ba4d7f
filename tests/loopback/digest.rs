//! Callers from anywhere, who know a password (`digest-users`): over each transport, and those who do not know it.

use super::{
    carriers::{self, Authority},
    observe::records,
    party::{Heard, Party, fresh},
    server::Server,
};
use md5::Md5;
use rustix::process::Signal;
use sha2::{Digest as _, Sha256};
use std::{fs, path::Path};

const ALL: &str =
    "sip:127.0.0.1:0 sip:127.0.0.1:0;transport=tcp sips:127.0.0.1:0 sip:127.0.0.1:0;transport=wss";
const REALM: &str = "phones.example.org";
const PASSWORD: &str = "correct horse battery staple";

/// By the standard's formulas alone: nothing of the server's own.
fn hash(algorithm: &str, text: &str) -> String {
    match algorithm {
        "MD5" => hex::encode(Md5::digest(text)),
        "SHA-256" => hex::encode(Sha256::digest(text)),
        other => panic!("{other} was offered"),
    }
}

fn line(user: &str, algorithm: &str, password: &str) -> String {
    let hash = hash(algorithm, &format!("{user}:{REALM}:{password}"));
    format!("{user}:{REALM}:{hash}\n")
}

fn users(password: &str) -> String {
    let of = |user| line(user, "MD5", password) + &line(user, "SHA-256", password);
    of("alice") + &of("mallory")
}

/// A server that trusts its callee alone, with alice among its users.
struct Rig {
    server: Server,
    callee: Party,
    folder: tempfile::TempDir,
    settings: String,
}

impl Rig {
    fn new(authority: &Authority) -> Self {
        // Callers are at another address than the callee, who is the outbound proxy and trusted.
        let callee = Party::udp("127.0.0.2", ([127, 0, 0, 1], 9).into());
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("users");
        fs::write(&file, users(PASSWORD)).expect("writable");
        let settings = format!(
            "trusted-hosts=192.0.2.1\n{}digest-users={}\ncdr-file={}\n",
            authority.lines(),
            file.display(),
            folder.path().join("cdr").display()
        );
        let server = Server::listening_on(ALL, &callee.uri(), &settings);
        keep_secrets(&file);
        Self {
            server,
            callee,
            folder,
            settings,
        }
    }
    fn caller(&self) -> Party {
        Party::udp("127.0.0.1", self.server.udp())
    }
    fn reload(&self, settings: &str, times: usize) {
        let proxy = self.callee.uri();
        let text = format!("[b2bua-server]\ndata-directory=none\noutbound-proxy={proxy}\n{settings}");
        self.server.service.rewrite(&text);
        self.server.service.signal(Signal::HUP);
        let reloaded = || self.server.service.output().matches("reloaded ").count();
        self.server.until(|_| reloaded() == times);
    }
    fn records(&self, count: usize) -> Vec<serde_json::Value> {
        // Where `observe` looks for them.
        let copy = || fs::copy(self.folder.path().join("cdr"), self.server.service.file("cdr"));
        self.server.until(|gauges| gauges["cdr-written"] >= count as u64);
        copy().expect("records");
        records(&self.server, count)
    }
}

/// What must be in no log, for `tests/scan-logs`.
fn keep_secrets(users: &Path) {
    let Some(folder) = std::env::var_os("B2BUA_KEEP_LOGS") else {
        return;
    };
    let lines = fs::read_to_string(users).expect("written just now");
    let mut secrets: Vec<_> = lines.lines().filter_map(|line| line.rsplit(':').next()).collect();
    secrets.push(PASSWORD);
    let name = format!("{}-{}.secrets", std::process::id(), fresh("digest"));
    fs::write(Path::new(&folder).join(name), secrets.join("\n")).expect("the folder of logs is there");
}

fn directive<'a>(value: &'a str, name: &str) -> &'a str {
    let after = value
        .split(&format!("{name}="))
        .nth(1)
        .unwrap_or_else(|| panic!("no {name} in {value}"));
    match after.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().expect("quoted"),
        None => after.split(',').next().expect("a word"),
    }
}

/// The challenge of that algorithm.
fn challenge(refused: &Heard, algorithm: &str) -> String {
    let all = refused.fields("WWW-Authenticate");
    let offered: Vec<_> = all.iter().map(|value| directive(value, "algorithm")).collect();
    assert_eq!(offered, ["SHA-256", "MD5"], "{}", refused.0);
    all.into_iter()
        .find(|value| directive(value, "algorithm") == algorithm)
        .expect("it is offered")
}

/// The request again, as another transaction, with what answers the challenge.
fn again(request: &str, challenge: &str, (user, password): (&str, &str), count: u32) -> String {
    let (nonce, algorithm) = (directive(challenge, "nonce"), directive(challenge, "algorithm"));
    assert_eq!(directive(challenge, "realm"), REALM);
    assert_eq!(directive(challenge, "qop"), "auth");
    let mut words = request.split(' ');
    let (method, uri) = (words.next().expect("a method"), words.next().expect("a URI"));
    let ha1 = hash(algorithm, &format!("{user}:{REALM}:{password}"));
    let ha2 = hash(algorithm, &format!("{method}:{uri}"));
    let response = hash(algorithm, &format!("{ha1}:{nonce}:{count:08x}:abc:auth:{ha2}"));
    let value = format!(
        "Authorization: Digest username=\"{user}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm={algorithm}, cnonce=\"abc\", qop=auth, nc={count:08x}\r\nMax-Forwards"
    );
    anew(request).replacen("Max-Forwards", &value, 1)
}

/// An INVITE as long as a phone's: no answer to a stranger by UDP is longer than what it sent.
fn invite(caller: &Party, to: &str) -> String {
    let more = "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REFER, UPDATE, PRACK, INFO, MESSAGE\r\n\
                Supported: replaces, outbound, gruu, path, 100rel, timer\r\nUser-Agent: A phone/5.2.1 (a maker)\r\nMax-Forwards";
    let invite = caller.invite(&fresh("call"), to);
    invite.replacen("Max-Forwards", more, 1)
}

/// The same request as another transaction.
fn anew(request: &str) -> String {
    request.replacen("branch=z9hG4bK", &format!("branch=z9hG4bK{}", fresh("x")), 1)
}

fn ask(caller: &mut Party, request: &str) -> Heard {
    caller.send(request);
    let heard = loop {
        let heard = caller.hear();
        if !heard.0.starts_with("SIP/2.0 1") {
            break heard;
        }
    };
    if request.starts_with("INVITE") && !heard.0.starts_with("SIP/2.0 2") {
        caller.ack_failure(request, &heard);
    }
    heard
}

#[test]
fn who_knows_a_password_calls_over_every_transport_and_is_asked_once() {
    let authority = Authority::new();
    let mut rig = Rig::new(&authority);
    let server = &rig.server;
    let (mut calls, words) = (0, ["UDP", "TCP", "TLS", "WSS"]);
    for word in words {
        let mut caller = match word {
            "UDP" => Party::udp("127.0.0.1", server.udp()),
            "TCP" => Party::tcp(server.tcp()),
            "TLS" => carriers::tls(authority.client(false), server.tls()),
            _ => carriers::wss(authority.client(false), server.wss()),
        };
        for algorithm in ["SHA-256", "MD5"] {
            let invite = invite(&caller, "sip:bob@example.org");
            let refused = ask(&mut caller, &invite);
            assert!(refused.0.starts_with("SIP/2.0 401 "), "{word}: {}", refused.0);
            assert!(
                refused.0.len() <= invite.len() && !refused.0.contains("stale"),
                "{}",
                refused.0
            );
            let challenge = challenge(&refused, algorithm);
            caller.send(&again(&invite, &challenge, ("alice", PASSWORD), 1));
            let asked = rig.callee.expect("INVITE ");
            assert!(asked.field("Authorization").is_empty(), "{}", asked.0);
            rig.callee.respond(&asked, "200 OK", &rig.callee.sdp());
            let answered = caller.expect("SIP/2.0 200");
            // ACK, an offer and BYE: nobody is asked again.
            caller.send(&caller.within("ACK", 1, &answered));
            rig.callee.expect("ACK ");
            let held = format!("{}a=sendonly\r\n", caller.sdp()).replacen(" 1 IN", " 2 IN", 1);
            caller.send(&caller.within_with("INVITE", 2, &answered, &held));
            let offered = rig.callee.expect("INVITE ");
            rig.callee.respond(&offered, "200 OK", &rig.callee.sdp());
            let accepted = caller.expect("SIP/2.0 200");
            assert_eq!(accepted.field("CSeq"), "2 INVITE");
            caller.send(&caller.within("ACK", 2, &answered));
            rig.callee.expect("ACK ");
            caller.send(&caller.within("BYE", 3, &answered));
            caller.expect("SIP/2.0 200");
            let bye = rig.callee.expect("BYE ");
            rig.callee.respond(&bye, "200 OK", "");
            calls += 1;
        }
        // The second use of a nonce, for what is no call.
        let options = invite(&caller, "sip:bob@example.org");
        let options = options.replace("INVITE", "OPTIONS");
        let refused = ask(&mut caller, &options);
        let first = challenge(&refused, "SHA-256");
        for count in 1..=2 {
            let request = again(&options, &first, ("alice", PASSWORD), count);
            let heard = ask(&mut caller, &request);
            assert!(heard.0.starts_with("SIP/2.0 200 "), "{}", heard.0);
            assert!(heard.field("Allow").contains("INVITE"));
        }
    }
    let records = rig.records(calls);
    assert_eq!(calls, 2 * words.len());
    for record in records {
        assert_eq!(
            (&record["user"], &record["status"]),
            (&"alice".into(), &200.into())
        );
    }
    let gauges = rig.server.gauges();
    assert_eq!((gauges["challenged"], gauges["unauthenticated"]), (12, 0));
    let log = rig.server.service.output();
    assert!(
        log.contains("Authorization") && !log.contains("response=\""),
        "it is redacted"
    );
    for line in users(PASSWORD).lines() {
        assert!(!log.contains(line.rsplit(':').next().expect("a hash")));
    }
}

#[test]
fn who_does_not_know_it_is_refused_and_so_is_a_replay_and_another_name() {
    let mut rig = Rig::new(&Authority::new());
    let mut caller = rig.caller();
    let invite = invite(&caller, "sip:bob@example.org");
    let asked = ask(&mut caller, &invite);
    // A wrong password: asked once more, and not because the nonce was old.
    let wrong = again(&invite, &challenge(&asked, "SHA-256"), ("alice", "letmein"), 1);
    let refused = ask(&mut caller, &wrong);
    assert!(
        refused.0.starts_with("SIP/2.0 401 ") && !refused.0.contains("stale"),
        "{}",
        refused.0
    );
    let unknown = again(&invite, &challenge(&refused, "MD5"), ("trudy", PASSWORD), 1);
    let refused = ask(&mut caller, &unknown);
    assert!(
        refused.0.starts_with("SIP/2.0 401 ") && !refused.0.contains("stale"),
        "{}",
        refused.0
    );
    // Another user's From.
    let theirs = again(&invite, &challenge(&refused, "MD5"), ("mallory", PASSWORD), 1);
    assert!(ask(&mut caller, &theirs).0.starts_with("SIP/2.0 403 "));
    // What it says of itself beyond From is not believed.
    let asserted = invite.replacen(
        "Max-Forwards",
        "P-Asserted-Identity: <sip:boss@example.org>\r\nMax-Forwards",
        1,
    );
    let good = again(&asserted, &challenge(&refused, "SHA-256"), ("alice", PASSWORD), 1);
    caller.send(&good);
    let offered = rig.callee.expect("INVITE ");
    assert!(offered.field("P-Asserted-Identity").is_empty(), "{}", offered.0);
    rig.callee.respond(&offered, "486 Busy Here", "");
    rig.callee.expect("ACK ");
    let busy = caller.expect("SIP/2.0 486");
    caller.ack_failure(&good, &busy);
    // Overheard and said again, as it was and for another call.
    for replayed in [anew(&good), anew(&good).replace("sip:alice@", "sip:alice@x")] {
        let stale = ask(&mut caller, &replayed.replacen("Call-ID: ", "Call-ID: again", 1));
        assert!(
            stale.0.starts_with("SIP/2.0 401 ") && stale.0.contains(",stale=true"),
            "{}",
            stale.0
        );
    }
    let other = Party::udp("127.0.0.3", rig.server.udp());
    let mut other = other;
    let stale = ask(
        &mut other,
        &again(&invite, &challenge(&refused, "SHA-256"), ("alice", PASSWORD), 2),
    );
    assert!(
        stale.0.starts_with("SIP/2.0 401 ") && stale.0.contains(",stale=true"),
        "{}",
        stale.0
    );
    // What is shorter than all challenges gets the last, and what is shorter than that gets nothing.
    let short = caller.invite(&fresh("short"), "sip:bob@example.org");
    let one = ask(&mut caller, &short);
    assert_eq!(one.fields("WWW-Authenticate").len(), 1, "{}", one.0);
    assert!(
        one.0.len() <= short.len() && one.0.contains("algorithm=MD5"),
        "{}",
        one.0
    );
    let tiny = short
        .split("Content-Type")
        .next()
        .expect("a head")
        .replace("INVITE", "MESSAGE");
    caller.send(&format!("{tiny}Content-Length: 0\r\n\r\n"));
    caller.expect_silence();
    // CANCEL of nothing is not asked for a password, an ACK is not answered.
    let lost = caller.invite(&fresh("lost"), "sip:bob@example.org");
    let mut connected = Party::tcp(rig.server.tcp());
    connected.cancel(&lost.replacen("SIP/2.0/UDP", "SIP/2.0/TCP", 1));
    connected.expect("SIP/2.0 481");
    caller.send(&lost.replacen("INVITE", "ACK", 1).replacen("1 INVITE", "1 ACK", 1));
    caller.expect_silence();
    // Guessing: ten at once, two of which were.
    let mut last = challenge(&refused, "SHA-256");
    for attempt in 0..9 {
        let guess = format!("guess {attempt}");
        let refused = ask(&mut caller, &again(&invite, &last, ("alice", &guess), 7));
        if attempt == 8 {
            assert!(refused.0.starts_with("SIP/2.0 403 "), "{}", refused.0);
        } else {
            last = challenge(&refused, "SHA-256");
        }
    }
    let right = again(&invite, &last, ("alice", PASSWORD), 8);
    assert!(ask(&mut caller, &right).0.starts_with("SIP/2.0 403 "));
    assert_eq!(rig.server.gauges()["unauthenticated"], 10);
    assert_eq!(rig.server.gauges()["taken"], 1);
    let records = rig.records(rig.server.gauges()["cdr-written"] as usize);
    let of = |status: u16| records.iter().filter(|record| record["status"] == status).count();
    // Whoever is asked for a password has placed no call yet.
    assert_eq!((of(401), of(403), of(486)), (10, 3, 1), "{records:#?}");
}

#[test]
fn a_reload_reads_the_users_again_and_a_bad_file_changes_nothing() {
    let authority = Authority::new();
    let rig = Rig::new(&authority);
    let file = rig.folder.path().join("users");
    let mut caller = rig.caller();
    let options = invite(&caller, "sip:bob@example.org").replace("INVITE", "OPTIONS");
    let mut try_with = |password: &str, count: u32| {
        let asked = ask(&mut caller, &options);
        let request = again(&options, &challenge(&asked, "MD5"), ("alice", password), count);
        ask(&mut caller, &request).start().to_owned()
    };
    assert_eq!(try_with(PASSWORD, 1), "SIP/2.0 200 OK");
    fs::write(&file, users("another")).expect("writable");
    rig.reload(&rig.settings, 1);
    assert_eq!(try_with(PASSWORD, 1), "SIP/2.0 401 Unauthorized");
    assert_eq!(try_with("another", 1), "SIP/2.0 200 OK");
    fs::write(&file, format!("{}bob:{REALM}:letmein\n", users("a third"))).expect("writable");
    rig.server.service.signal(Signal::HUP);
    rig.server.until_logged("not reloaded");
    let log = rig.server.service.output();
    let wrong = "users, line 5: the third field is no hash";
    let is_report = |line: &str| line.contains("b2bua-server/digest-users: ") && line.contains(wrong);
    assert!(log.lines().any(is_report), "it is said why");
    assert!(!log.contains("letmein"));
    assert_eq!(try_with("another", 1), "SIP/2.0 200 OK");
    // Nobody is asked any more.
    let without: String = rig
        .settings
        .lines()
        .filter(|line| !line.starts_with("digest-users"))
        .map(|line| format!("{line}\n"))
        .collect();
    rig.reload(&without, 2);
    assert_eq!(ask(&mut rig.caller(), &options).start(), "SIP/2.0 403 Forbidden");
}

//! A fault of ours costs one call: the server goes on, and both parties of that call are told.

use super::party::{PATIENCE, Party, fresh};
use b2bua::{
    app::{
        Application, Bound, BuildError, CallEvent, Decision, Encryption, EncryptionPolicy, Invite, Limits,
        MediaPolicy, Outgoing, Registrations, Services, SystemClock,
    },
    call::{
        bridge::CallSettings,
        leg::{Profile, Reliability, SessionTimers},
    },
    config::Key,
    net::Listen,
    server::{
        Ledger, Server, ServerSettings,
        cdr::{CdrFile, CdrFormat},
    },
    sip::{Headers, NameAddr, Uri, routing::Transport, timers::Timers},
};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// Panics where the callee's name says so; else calls `callee`.
struct Clumsy {
    callee: SocketAddr,
}

impl Application for Clumsy {
    const NAME: &'static str = "clumsy";
    const HELP: &'static str = "Panics.";
    const KEYS: &'static [Key] = &[];
    type Config = ();
    type Call = String;

    async fn build((): (), _: &Services) -> Result<Self, BuildError> {
        Err(BuildError(Vec::new()))
    }
    async fn route(&self, call: &mut String, invite: &Invite) -> Decision {
        *call = invite.to.uri.user().unwrap_or_default().to_owned();
        assert!(call != "route", "on purpose: asked for a route");
        Decision::Bridge(vec![Outgoing {
            target: Uri::parse(format!("sip:bob@{}", self.callee)).expect("a URI"),
            route: Vec::new(),
            from: invite.from.clone(),
            to: NameAddr::parse("<sip:bob@example.org>").expect("an address"),
            headers: Headers::default(),
            credentials: None,
            caller_credentials: None,
            own: None,
            private: false,
            stranger: None,
            body: None,
            media: MediaPolicy {
                encryption: EncryptionPolicy::Only(Encryption::None),
                ..MediaPolicy::default()
            },
            limits: Limits::default(),
            lease: None,
        }])
    }
    fn observe(&self, call: &mut String, event: &CallEvent) {
        match event {
            CallEvent::Ringing(_) => assert!(call != "ringing", "on purpose: told of ringing"),
            CallEvent::Answered => assert!(call != "answered", "on purpose: told of the answer"),
            _ => {}
        }
    }
}

fn settings(ledger: Ledger) -> ServerSettings {
    ServerSettings {
        listen: vec![Listen {
            transport: Transport::Udp,
            address: "127.0.0.1:0".parse().expect("an address"),
            advertised: None,
        }],
        security: b2bua::net::tls::Security::default(),
        trusted_hosts: "127.0.0.1".parse().expect("a network"),
        users: None,
        keep_alive: false,
        stranger_rates: (50, 2_000),
        max_calls: 10,
        calls: Arc::new(CallSettings {
            transfer: b2bua::call::TransferMode::default(),
            profile: Arc::new(Profile {
                user_agent: "test".into(),
                timers: Timers::default(),
                sessions: SessionTimers::default(),
                reliable: Reliability::default(),
            }),
            max_duration: None,
            no_rtp: None,
            rtp_keepalive: None,
            media_addresses: Vec::new(),
            suites: Vec::new(),
            fingerprint: None,
            codecs: b2bua::sdp::Codecs::default(),
            follow_redirects: false,
        }),
        identity: None,
        zid_cache: None,
        ledger,
        clock: Arc::new(SystemClock),
        registrations: Registrations::default(),
        dtls: b2bua::media::dtls::Limits::default(),
        relay_threads: 1,
        audio_ports: 0..=0,
        video_ports: 0..=0,
        name_servers: Vec::new(),
        drain_timeout: Duration::ZERO,
    }
}

#[test]
fn both_parties_are_told_when_a_calls_task_dies_and_other_calls_go_on() {
    let nobody = "127.0.0.1:9".parse().expect("an address");
    let mut callee = Party::udp("127.0.0.1", nobody);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let app = Bound::new(Clumsy {
        callee: callee.address,
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let records = CdrFile {
        path: folder.path().join("cdr"),
        format: CdrFormat::Json,
    };
    let ledger = Ledger::open(Some(&records)).expect("writable");
    let server = runtime
        .block_on(Server::start(settings(ledger.clone()), app))
        .expect("it starts");
    let mut caller = Party::udp("127.0.0.1", server.local()[0].1);
    let dialled = |caller: &mut Party, callee: &mut Party, user: &str| {
        let invite = caller.invite(&fresh("call"), &format!("sip:{user}@example.org"));
        caller.send(&invite);
        (invite, callee.expect("INVITE "))
    };

    let (_, asked) = dialled(&mut caller, &mut callee, "fine");
    callee.respond(&asked, "200 OK", &callee.sdp());
    let fine = caller.expect("SIP/2.0 200");
    caller.send(&caller.within("ACK", 1, &fine));
    callee.expect("ACK ");

    // Before leg B is there.
    let invite = caller.invite(&fresh("call"), "sip:route@example.org");
    caller.send(&invite);
    let failed = caller.expect("SIP/2.0 500");
    caller.ack_failure(&invite, &failed);

    // While leg B rings.
    let (invite, asked) = dialled(&mut caller, &mut callee, "ringing");
    callee.respond(&asked, "180 Ringing", "");
    let cancel = callee.expect("CANCEL ");
    assert_eq!(cancel.field("Via"), asked.field("Via"));
    let failed = caller.expect("SIP/2.0 500");
    caller.ack_failure(&invite, &failed);

    // When both are up.
    let (_, asked) = dialled(&mut caller, &mut callee, "answered");
    callee.respond(&asked, "200 OK", &callee.sdp());
    let answered = caller.expect("SIP/2.0 200");
    caller.send(&caller.within("ACK", 1, &answered));
    for party in [&mut caller, &mut callee] {
        let bye = party.expect("BYE ");
        party.respond(&bye, "200 OK", "");
    }

    // The parties have heard it before the server has counted it.
    let end = Instant::now() + PATIENCE;
    while server.gauges().calls.now() != 1 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    let gauges = server.gauges();
    assert_eq!((gauges.faults.total(), gauges.calls.now()), (3, 1));
    caller.send(&caller.within("BYE", 2, &fine));
    caller.expect("SIP/2.0 200");
    callee.expect("BYE ");

    // Each has its record, and exactly one.
    let end = Instant::now() + PATIENCE;
    while ledger.counts().written < 4 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(server);
    drop(runtime);
    ledger.finish(PATIENCE);
    let written = std::fs::read_to_string(&records.path).expect("the records");
    let mut brief: Vec<_> = written
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an object a line"))
        .map(|line| format!("{} {} {}", line["status"], line["ended_by"], line["why"]))
        .collect();
    brief.sort_unstable();
    assert_eq!(
        brief,
        [
            r#"200 "leg_a" "bye""#,
            r#"200 "local" "internal""#,
            r#"500 "local" "internal""#,
            r#"500 "local" "internal""#
        ]
    );
}

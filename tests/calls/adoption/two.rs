//! Two calls of one party on virtual time, whose parties do what they are told by their habits.

use b2bua::{
    call::{Encryption, EncryptionPolicy, Side, TransferMode, bridge::CallSettings},
    sdp::Sdp,
    sip::{Message, Method, Request},
    testing::{FakeRelay, Sim, Switchboard, Verdicts, Who, privacy::description, settings},
};
use std::time::Duration;

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// What parties answer to offers in mid-call; 0: nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    /// The target, offered something by the transferor.
    pub(super) held: u16,
    /// The target, offered the other call.
    pub(super) target: u16,
    /// Who stays, offered the target.
    pub(super) stays: u16,
}

pub(super) const WILLING: Habits = Habits {
    held: 200,
    target: 200,
    stays: 200,
};

/// Two calls of one party: with who stays, and with the target.
pub(super) struct Two {
    pub(super) board: Switchboard,
    /// The transferor's side of each.
    pub(super) by: [Side; 2],
    /// Who has hung up.
    pub(super) left: Vec<(usize, Who)>,
    pub(super) seen: Seen,
}

/// What parties do, and what they have seen.
pub(super) struct Seen {
    pub(super) habits: Habits,
    pub(super) stays: Who,
    pub(super) transferor: Who,
    /// What the transferor was told of the transfer.
    pub(super) told: Vec<String>,
    /// Who got a BYE, of which call.
    pub(super) byes: Vec<(usize, Who)>,
    /// What parties were offered once the calls were up.
    pub(super) offers: Vec<(usize, Who, Sdp)>,
    pub(super) is_up: bool,
    /// What the target says of itself.
    pub(super) says: String,
    pub(super) kind: Kind,
    /// What the transferor's REFERs were answered.
    pub(super) referred: Vec<u16>,
}

/// What the target's media is, and the transferor's with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Audio,
    WithVideo,
    Keyed(Encryption),
}

pub(super) fn port(call: usize, who: Who) -> u16 {
    match who {
        Who::A => 30_000 + 500 * call as u16,
        Who::B => 40_000 + 500 * call as u16,
        Who::C => unreachable!("a target says where it is by its own address"),
    }
}

/// What a party says: where it is depends on who it is, not on which call it is in.
pub(super) fn sdp(board: &mut Switchboard, call: usize, who: Who, kind: Kind) -> String {
    let port = match (call, who) {
        (0, Who::C) => port(1, board.target),
        _ => port(call, who),
    };
    let peer = board.calls[call].party(who);
    let (user, ip) = (peer.user.clone(), peer.address.ip());
    let is_target = (call, who) == (0, Who::C) || (call, who) == (1, board.target);
    let (profile, keys) = match kind {
        Kind::Keyed(Encryption::Sdes) if is_target => (
            "RTP/SAVP",
            format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{}\r\n", "d".repeat(40)),
        ),
        Kind::Keyed(Encryption::DtlsSrtp) if is_target => {
            let print = ["D0"; 32].join(":");
            (
                "UDP/TLS/RTP/SAVP",
                format!("a=setup:active\r\na=fingerprint:sha-256 {print}\r\n"),
            )
        }
        Kind::Keyed(Encryption::Zrtp) if is_target => {
            ("RTP/AVP", format!("a=zrtp-hash:1.10 {}\r\n", "0a".repeat(32)))
        }
        _ => ("RTP/AVP", String::new()),
    };
    let video = if kind == Kind::WithVideo && (call == 1 || is_target) {
        let port = if call == 1 { port + 2 } else { 0 };
        format!("m=video {port} RTP/AVP 31\r\n")
    } else {
        String::new()
    };
    format!(
        "v=0\r\no={user} 7 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} {profile} 0\r\n{keys}{video}"
    )
}

impl Seen {
    pub(super) fn react(&mut self, board: &mut Switchboard, call: usize, who: Who) {
        for message in std::mem::take(&mut board.calls[call].party(who).inbox) {
            match message {
                Message::Request(request) => self.requested(board, call, who, &request),
                Message::Response(response) => {
                    let cseq = response.headers.cseq().unwrap();
                    let invite = cseq.method == Method::Invite;
                    if cseq.method == Method::Refer {
                        self.referred.push(response.status.code());
                    }
                    if invite && response.status.is_success() {
                        let ack = board.calls[call].party(who).ack("");
                        board.calls[call].send(who, ack);
                    } else if invite && response.status.is_final() {
                        let ack = board.calls[call].party(who).ack_failure();
                        board.calls[call].send(who, ack);
                    }
                }
            }
        }
    }
    pub(super) fn requested(&mut self, board: &mut Switchboard, call: usize, who: Who, request: &Request) {
        let mut answer = |status: u16, body: &str| {
            let bytes = board.calls[call]
                .party(who)
                .respond_to(request, status, "", "", body);
            board.calls[call].send(who, bytes);
        };
        match &request.method {
            Method::Ack => {}
            Method::Invite => {
                if self.is_up {
                    let offer = description(&Message::Request(request.clone())).expect("an offer");
                    self.offers.push((call, who, offer));
                }
                let status = match (call, who) {
                    (0, Who::C) => self.habits.target,
                    (0, who) if who == self.stays && self.is_up => self.habits.stays,
                    (1, who) if who == board.target && self.is_up => self.habits.held,
                    _ => 200,
                };
                let body = if status == 200 {
                    sdp(board, call, who, self.kind)
                } else {
                    String::new()
                };
                if status != 0 {
                    let bytes = board.calls[call]
                        .party(who)
                        .respond_to(request, status, "", &self.says, &body);
                    board.calls[call].send(who, bytes);
                }
            }
            Method::Bye => {
                self.byes.push((call, who));
                answer(200, "");
            }
            Method::Cancel => {
                answer(200, "");
                if let Some(invite) = board.calls[call].party(who).requests.get("INVITE").cloned() {
                    let bytes = board.calls[call].party(who).respond_to(&invite, 487, "", "", "");
                    board.calls[call].send(who, bytes);
                }
            }
            Method::Notify => {
                if (call, who) == (0, self.transferor) {
                    let said = String::from_utf8_lossy(&request.body);
                    self.told
                        .push(said.trim().trim_start_matches("SIP/2.0 ").to_owned());
                }
                answer(200, "");
            }
            _ => answer(200, ""),
        }
    }
}

pub(super) fn executing() -> CallSettings {
    CallSettings {
        transfer: TransferMode::Execute,
        ..settings()
    }
}

impl Two {
    /// Both calls are up, and nothing has been said since.
    pub(super) fn new(by: [Side; 2], habits: Habits) -> Self {
        Self::with(by, habits, Kind::Audio, "")
    }
    /// The same; `says` is what the target says of itself in its INVITE or 200.
    pub(super) fn with(by: [Side; 2], habits: Habits, kind: Kind, says: &str) -> Self {
        let sim = |seed, mode| {
            let verdicts = Verdicts::direct(EncryptionPolicy::Only(mode));
            Sim::with(verdicts, executing(), seed)
        };
        let mode = match kind {
            Kind::Keyed(mode) => mode,
            Kind::Audio | Kind::WithVideo => Encryption::None,
        };
        let (mut first, mut second) = (sim(1, Encryption::None), sim(2, mode));
        // Whoever calls her by her own address finds her.
        "dora".clone_into(&mut first.c.user);
        first.c.address = "192.0.2.201:5080".parse().unwrap();
        second.relay = FakeRelay::new(1_000).from_port(25_000);
        for (peer, user) in [(&mut second.a, "anna"), (&mut second.b, "dora")] {
            user.clone_into(&mut peer.user);
            peer.identity = format!("sip:{user}@example.org");
            peer.call_id = format!("{user}-call");
            peer.tag = format!("{user}-tag");
        }
        second.a.address = "192.0.2.11:5070".parse().unwrap();
        second.b.address = "192.0.2.201:5080".parse().unwrap();
        let target: Who = by[1].other().into();
        let mut board = Switchboard::new([first, second], target);
        // The place that it takes has an address, and the target is to be at the same.
        let server = board.calls[0].party(by[0].into()).server;
        let others = board.calls[0].party(by[0].other().into()).server;
        board.calls[1].party(target).server = server;
        board.calls[1].party(by[1].into()).server = others;
        let mut two = Self {
            board,
            by,
            left: Vec::new(),
            seen: Seen {
                habits,
                stays: by[0].other().into(),
                transferor: by[0].into(),
                told: Vec::new(),
                byes: Vec::new(),
                offers: Vec::new(),
                is_up: false,
                says: says.to_owned(),
                kind,
                referred: Vec::new(),
            },
        };
        for (call, to) in [(0, "sip:bob@example.org"), (1, "sip:dora@example.org")] {
            let body = sdp(&mut two.board, call, Who::A, kind);
            let says = if (call, Who::A) == (1, target) { says } else { "" };
            let invite = two.board.calls[call].a.invite(to, says, &body);
            two.board.calls[call].send(Who::A, invite);
        }
        two.run(50 * MS);
        two.seen.is_up = true;
        for call in &two.board.calls {
            assert!(call.call.is_some(), "{}", call.ladder());
            assert!(call.relay.connected.len() >= 2, "{}", call.ladder());
        }
        two
    }
    pub(super) fn run(&mut self, time: Duration) {
        let seen = &mut self.seen;
        self.board
            .run(time, |board, call, who| seen.react(board, call, who));
    }
    /// A party asks for something.
    pub(super) fn ask(&mut self, call: usize, who: Who, method: &str, headers: &str, body: &str) {
        let bytes = self.board.calls[call].party(who).request(method, headers, body);
        self.board.calls[call].send(who, bytes);
    }
    pub(super) fn refer(&mut self) {
        let named = self.board.calls[1].party(self.by[1].into()).replaces();
        let named = named.replace(';', "%3B").replace('=', "%3D");
        let headers = format!("Refer-To: <sip:dora@example.org?Replaces={named}>\r\n");
        self.ask(0, self.seen.transferor, "REFER", &headers, "");
    }
    pub(super) fn bye(&mut self, call: usize, who: Who) {
        self.left.push((call, who));
        self.ask(call, who, "BYE", "", "");
    }
    pub(super) fn ladder(&self) -> String {
        let [first, second] = &self.board.calls;
        format!(
            "{}\n{}\n{:?}",
            first.ladder(),
            second.ladder(),
            self.board.carried
        )
    }
    /// Where the relay of a call sends what is for that side.
    pub(super) fn sent_to(&self, call: usize, side: Side) -> Option<u16> {
        Some(self.board.calls[call].relay.side(side, 0)?.remote.rtp?.port())
    }
    /// Both calls are as if nobody had asked.
    pub(super) fn assert_as_before(&self) {
        for (call, side, who) in [
            (0, Side::A, Who::A),
            (0, Side::B, Who::B),
            (1, Side::A, Who::A),
            (1, Side::B, Who::B),
        ] {
            assert_eq!(
                self.sent_to(call, side),
                Some(port(call, who)),
                "{}",
                self.ladder()
            );
        }
        assert_eq!(self.board.at, 1, "{}", self.ladder());
        assert!(
            self.seen.byes.is_empty(),
            "{:?}\n{}",
            self.seen.byes,
            self.ladder()
        );
    }
    /// Ends what is up, and sees that nothing is left and that everybody knows.
    pub(super) fn end(&mut self) {
        self.run(100 * SECOND);
        for call in 0..2 {
            let who = if call == 0 {
                self.seen.stays
            } else {
                self.by[1].into()
            };
            if self.board.calls[call].call.is_some() {
                assert!(!self.has_left(call, who), "of {call} is left\n{}", self.ladder());
                self.bye(call, who);
                self.run(100 * SECOND);
            }
        }
        let target = self.board.target;
        for call in 0..2 {
            if !self.board.dead[call] {
                assert!(
                    self.board.calls[call].summary.is_some(),
                    "something is left\n{}",
                    self.ladder()
                );
                self.board.calls[call].assert_done();
            }
        }
        // (A call whose task has died tells its parties once, and repeats nothing.)
        for (call, who) in [(0, Who::A), (0, Who::B), (1, self.by[1].into())] {
            assert!(
                self.has_left(call, who),
                "{call} {who:?} was never told\n{}",
                self.ladder()
            );
        }
        let told = self.has_left(0, Who::C) || self.has_left(1, target);
        assert!(told, "the target was never told\n{}", self.ladder());
    }
    /// Whether a party has hung up or was hung up.
    pub(super) fn has_left(&self, call: usize, who: Who) -> bool {
        self.seen.byes.contains(&(call, who)) || self.left.contains(&(call, who))
    }
    /// What the record of a call says of transfers.
    pub(super) fn transfers(&self, call: usize) -> Vec<String> {
        let summary = self.board.calls[call].summary.as_ref().expect("it is over");
        let words = summary.transfers.iter().map(|transfer| {
            let status = transfer
                .status
                .map_or("open".to_owned(), |status| status.to_string());
            format!("{:?} {} {status}", transfer.by, transfer.to)
        });
        words.collect()
    }
}

//! Attended transfers that join two calls of the server: the target's leg moves from one to the other, and comes back where the
//! transfer fails (acceptance #27).

use b2bua::{
    call::{Destined, Encryption, EncryptionPolicy, Side, TransferMode, bridge::CallSettings},
    media::StreamId,
    sdp::Sdp,
    sip::{Message, Method, Request},
    testing::{FakeRelay, Sim, Switchboard, Verdicts, Who, privacy::description, settings},
};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// What parties answer to offers in mid-call; 0: nothing.
#[derive(Clone, Copy, Debug)]
struct Habits {
    /// The target, offered the other call.
    target: u16,
    /// Who stays, offered the target.
    stays: u16,
}

const WILLING: Habits = Habits {
    target: 200,
    stays: 200,
};

/// Two calls of one party: with who stays, and with the target.
struct Two {
    board: Switchboard,
    /// The transferor's side of each.
    by: [Side; 2],
    seen: Seen,
}

/// What parties do, and what they have seen.
struct Seen {
    habits: Habits,
    stays: Who,
    transferor: Who,
    /// What the transferor was told of the transfer.
    told: Vec<String>,
    /// Who got a BYE, of which call.
    byes: Vec<(usize, Who)>,
    /// What parties were offered once the calls were up.
    offers: Vec<(usize, Who, Sdp)>,
    is_up: bool,
}

fn port(call: usize, who: Who) -> u16 {
    match who {
        Who::A => 30_000 + 500 * call as u16,
        Who::B => 40_000 + 500 * call as u16,
        Who::C => unreachable!("a target says where it is by its own address"),
    }
}

/// What a party says: where it is depends on who it is, not on which call it is in.
fn sdp(board: &mut Switchboard, call: usize, who: Who) -> String {
    let port = match (call, who) {
        (0, Who::C) => port(1, board.target),
        _ => port(call, who),
    };
    let peer = board.calls[call].party(who);
    let (user, ip) = (peer.user.clone(), peer.address.ip());
    format!(
        "v=0\r\no={user} 7 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    )
}

impl Seen {
    fn react(&mut self, board: &mut Switchboard, call: usize, who: Who) {
        for message in std::mem::take(&mut board.calls[call].party(who).inbox) {
            match message {
                Message::Request(request) => self.requested(board, call, who, &request),
                Message::Response(response) => {
                    let cseq = response.headers.cseq().unwrap();
                    let invite = cseq.method == Method::Invite;
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
    fn requested(&mut self, board: &mut Switchboard, call: usize, who: Who, request: &Request) {
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
                    _ => 200,
                };
                let body = if status == 200 {
                    sdp(board, call, who)
                } else {
                    String::new()
                };
                if status != 0 {
                    let bytes = board.calls[call]
                        .party(who)
                        .respond_to(request, status, "", "", &body);
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

fn executing() -> CallSettings {
    CallSettings {
        transfer: TransferMode::Execute,
        ..settings()
    }
}

impl Two {
    /// Both calls are up, and nothing has been said since.
    fn new(by: [Side; 2], habits: Habits) -> Self {
        Self::with(by, habits, executing(), "")
    }
    /// The same; `says` is what the target says of itself in its INVITE or 200.
    fn with(by: [Side; 2], habits: Habits, settings: CallSettings, says: &str) -> Self {
        let sim = |seed| {
            let verdicts = Verdicts::direct(EncryptionPolicy::Only(Encryption::None));
            Sim::with(verdicts, settings.clone(), seed)
        };
        let (first, mut second) = (sim(1), sim(2));
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
            seen: Seen {
                habits,
                stays: by[0].other().into(),
                transferor: by[0].into(),
                told: Vec::new(),
                byes: Vec::new(),
                offers: Vec::new(),
                is_up: false,
            },
        };
        for (call, to) in [(0, "sip:bob@example.org"), (1, "sip:dora@example.org")] {
            let body = sdp(&mut two.board, call, Who::A);
            let says = if (call, Who::A) == (1, target) { says } else { "" };
            let invite = two.board.calls[call].a.invite(to, says, &body);
            two.board.calls[call].send(Who::A, invite);
        }
        two.run(50 * MS);
        two.seen.is_up = true;
        for call in &two.board.calls {
            assert!(call.call.is_some(), "{}", call.ladder());
            assert_eq!(call.relay.connected.len(), 2, "{}", call.ladder());
        }
        two
    }
    fn run(&mut self, time: Duration) {
        let seen = &mut self.seen;
        self.board
            .run(time, |board, call, who| seen.react(board, call, who));
    }
    /// A party asks for something.
    fn ask(&mut self, call: usize, who: Who, method: &str, headers: &str, body: &str) {
        let bytes = self.board.calls[call].party(who).request(method, headers, body);
        self.board.calls[call].send(who, bytes);
    }
    fn refer(&mut self) {
        let named = self.board.calls[1].party(self.by[1].into()).replaces();
        let named = named.replace(';', "%3B").replace('=', "%3D");
        let headers = format!("Refer-To: <sip:dora@example.org?Replaces={named}>\r\n");
        self.ask(0, self.seen.transferor, "REFER", &headers, "");
    }
    fn bye(&mut self, call: usize, who: Who) {
        self.ask(call, who, "BYE", "", "");
    }
    fn ladder(&self) -> String {
        let [first, second] = &self.board.calls;
        format!(
            "{}\n{}\n{:?}",
            first.ladder(),
            second.ladder(),
            self.board.carried
        )
    }
    /// Where the relay of a call sends what is for that side.
    fn sent_to(&self, call: usize, side: Side) -> Option<u16> {
        Some(self.board.calls[call].relay.side(side, 0)?.remote.rtp?.port())
    }
    /// Both calls are as if nobody had asked.
    fn assert_as_before(&self) {
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
    /// Ends what is up, and sees that nothing is left.
    fn end(&mut self) {
        for call in 0..2 {
            let who = if call == 0 {
                self.seen.stays
            } else {
                self.by[1].into()
            };
            if self.board.calls[call].call.is_some() && !self.seen.byes.contains(&(call, who)) {
                self.bye(call, who);
                self.run(MS * 100);
            }
        }
        self.run(100 * SECOND);
        for call in &self.board.calls {
            assert!(call.summary.is_some(), "something is left\n{}", self.ladder());
            call.assert_done();
        }
    }
    /// What the record of a call says of transfers.
    fn transfers(&self, call: usize) -> Vec<String> {
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

const SIDES: [[Side; 2]; 4] = [
    [Side::A, Side::A],
    [Side::A, Side::B],
    [Side::B, Side::A],
    [Side::B, Side::B],
];

#[test]
fn acceptance_27_a_target_without_replaces_is_joined_by_its_own_leg() {
    for by in SIDES {
        let mut two = Two::new(by, WILLING);
        let target = two.board.target;
        let stays = two.seen.stays;
        two.refer();
        two.run(SECOND);
        assert_eq!(two.board.at, 0, "{by:?}\n{}", two.ladder());
        // One offer to each: the target's of the other call, in the session that it knows.
        let offers: Vec<(usize, Who)> = two
            .seen
            .offers
            .iter()
            .map(|(call, who, _)| (*call, *who))
            .collect();
        assert_eq!(offers, [(0, Who::C), (0, stays)], "{}", two.ladder());
        let told = two.board.calls[1]
            .wire
            .iter()
            .filter(|(_, who, inwards, _)| *who == target && !inwards);
        let known: Vec<Sdp> = told
            .filter_map(|(_, _, _, bytes)| description(&b2bua::testing::peer::read(bytes)))
            .collect();
        let (was, is) = (&known.last().unwrap().origin, &two.seen.offers[0].2);
        assert_eq!(is.origin.id, was.id);
        let number = |version: &str| version.parse::<u64>().unwrap();
        assert_eq!(number(&is.origin.version), number(&was.version) + 1);
        let place = (by[0], StreamId(0));
        assert_eq!(is.media[0].port, two.board.calls[0].relay.ports[&place].port());
        // Both ways.
        assert_eq!(
            two.sent_to(0, by[0]),
            Some(port(1, target)),
            "{by:?}\n{}",
            two.ladder()
        );
        assert_eq!(two.sent_to(0, by[0].other()), Some(port(0, stays)));
        assert_eq!(two.seen.told, ["100 Trying", "200 OK"]);
        // The transferor is out of both.
        let mut byes = two.seen.byes.clone();
        byes.sort_by_key(|(call, _)| *call);
        assert_eq!(byes, [(0, by[0].into()), (1, by[1].into())], "{}", two.ladder());
        assert!(two.board.calls[0].call.is_some());

        two.ask(0, Who::C, "INFO", "", "");
        two.run(SECOND);
        assert!(
            two.board.calls[0].party(stays).requests.contains_key("INFO"),
            "{}",
            two.ladder()
        );
        two.bye(0, Who::C);
        two.run(SECOND);
        assert!(two.seen.byes.contains(&(0, stays)), "{}", two.ladder());
        two.end();
        let (remaining, second) = match by[0] {
            Side::A => ("bob", by[1]),
            Side::B => ("alice", by[1]),
        };
        assert_eq!(
            two.transfers(0),
            [format!("{:?} sip:dora@example.org 200", by[0])]
        );
        assert_eq!(
            two.transfers(1),
            [format!("{second:?} sip:{remaining}@example.org 200")]
        );
    }
}

#[test]
fn acceptance_27_where_the_target_refuses_both_calls_go_on() {
    for by in SIDES {
        let mut two = Two::new(
            by,
            Habits {
                target: 488,
                stays: 200,
            },
        );
        two.refer();
        two.run(SECOND);
        assert_eq!(
            two.seen.told,
            ["100 Trying", "488 Not Acceptable Here"],
            "{}",
            two.ladder()
        );
        let ways: Vec<bool> = two.board.carried.iter().map(|(_, arrived)| *arrived).collect();
        assert_eq!(ways, [true, true]);
        assert!(matches!(two.board.carried[1].0, Destined::Home(..)));
        two.assert_as_before();
        assert_eq!(two.seen.offers.len(), 1, "nobody but the target was asked");
        two.end();
        assert_eq!(two.transfers(0).len(), 1);
        assert!(two.transfers(0)[0].ends_with(" 488"));
        assert!(two.transfers(1)[0].ends_with(" 488"));
    }
}

#[test]
fn acceptance_27_where_who_stays_refuses_the_target_is_told_again_what_it_had() {
    for by in SIDES {
        let mut two = Two::new(
            by,
            Habits {
                target: 200,
                stays: 488,
            },
        );
        two.refer();
        two.run(SECOND);
        assert_eq!(
            two.seen.told,
            ["100 Trying", "488 Not Acceptable Here"],
            "{}",
            two.ladder()
        );
        two.assert_as_before();
        let target = two.board.target;
        let offers: Vec<(usize, Who)> = two
            .seen
            .offers
            .iter()
            .map(|(call, who, _)| (*call, *who))
            .collect();
        assert_eq!(
            offers,
            [(0, Who::C), (0, two.seen.stays), (1, target)],
            "{}",
            two.ladder()
        );
        // In one session: each description has the next number.
        let number = |at: usize| two.seen.offers[at].2.origin.version.parse::<u64>().unwrap();
        assert_eq!(number(2), number(0) + 1);
        let back = (by[1].other(), StreamId(0));
        assert_eq!(
            two.seen.offers[2].2.media[0].port,
            two.board.calls[1].relay.ports[&back].port()
        );
        two.end();
    }
}

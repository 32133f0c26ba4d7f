//! The party that calls: many calls at once over UDP, some one by one over connections of their own.

use crate::{
    done::{Done, is_late},
    party::{Heard, Party, fresh},
    server::Server,
};
use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

/// Calls over UDP at the same time.
const AT_ONCE: usize = 150;
/// Of so many calls one goes over TCP.
const OVER_TCP: usize = 20;
/// How long nobody calls who was told that the server does not keep up: its `Retry-After`.
const AWAY: Duration = Duration::from_secs(1);

/// What a call is to become, by its number.
fn kind(number: usize) -> &'static str {
    match number % 40 {
        7 => "silent",
        17 | 27 | 37 => "ringing",
        6 | 18 | 30 => "answer-change",
        12 => "answer-vanish",
        15 | 33 => "answer-transfer",
        24 => "answer-transfer-in-vain",
        n if n % 3 == 0 => "answer",
        n if n % 3 == 1 => "reject",
        _ => "cancel",
    }
}

/// Places that many calls, so many a second or as many as it can, and sees each of them to its end.
pub(crate) fn run(server: &Server, calls: usize, rate: f64) -> Done {
    let began = Instant::now();
    let (udp, tcp) = (server.udp(), server.tcp());
    let over_tcp = calls / OVER_TCP;
    let connected = thread::spawn(move || {
        let mut done = Done::default();
        for number in 0..over_tcp {
            let due = Duration::from_secs_f64((number * OVER_TCP) as f64 / rate);
            thread::sleep(due.saturating_sub(began.elapsed()));
            // Those that time out would take a second each.
            let number = if matches!(kind(number), "silent" | "ringing" | "answer-vanish") {
                0
            } else {
                number
            };
            let mut caller = Caller::new(Party::tcp(tcp));
            caller.place(number);
            caller.attend();
            done.add(caller.done);
        }
        done
    });
    let mut caller = Caller::new(Party::udp("127.0.0.1", udp));
    let mut next = 0;
    while next < calls - over_tcp || !caller.open.is_empty() {
        while next < calls - over_tcp && caller.open.len() < AT_ONCE && caller.is_due(next, rate) {
            caller.place(next);
            next += 1;
        }
        caller.step();
    }
    let mut done = caller.done;
    done.add(connected.join().expect("the calls over TCP end"));
    done
}

struct Call {
    placed: Instant,
    invite: String,
    kind: &'static str,
    /// The number of its last INVITE.
    invited: u32,
    encrypted: bool,
    /// What waits for an answer, and since when it was last sent.
    asked: Option<(String, Instant)>,
    /// Of a transfer: what answered the INVITE, and what it came to, once that was told.
    answer: Option<Heard>,
    told: Option<u16>,
}

struct Caller {
    party: Party,
    open: HashMap<String, Call>,
    done: Done,
    /// Since when nothing came.
    silence: Instant,
    repeated: Instant,
    /// Since when it calls, and until when it does not because the server does not keep up. What is missed is not made up for.
    began: Instant,
    away: Option<Instant>,
}

impl Caller {
    fn new(party: Party) -> Self {
        Self {
            party,
            open: HashMap::new(),
            done: Done::default(),
            silence: Instant::now(),
            repeated: Instant::now(),
            began: Instant::now(),
            away: None,
        }
    }
    /// Whether it is time for the call of this number.
    fn is_due(&self, number: usize, rate: f64) -> bool {
        let away = self.away.is_some_and(|until| Instant::now() < until);
        !away && self.began.elapsed().as_secs_f64() * rate >= number as f64
    }
    /// The server does not keep up.
    fn stay_away(&mut self) {
        let now = Instant::now();
        if self.away.is_none_or(|until| until <= now) {
            self.away = Some(now + AWAY);
            self.began += AWAY;
        }
    }
    fn place(&mut self, number: usize) {
        let (kind, call_id) = (kind(number), fresh("soak"));
        let mut invite = self.party.invite(&call_id, &format!("sip:{kind}@example.org"));
        let encrypted = number.is_multiple_of(2);
        if encrypted {
            invite = with_keys(&invite);
        }
        self.party.send(&invite);
        let call = Call {
            placed: Instant::now(),
            asked: Some((invite.clone(), Instant::now())),
            invite,
            kind,
            invited: 1,
            encrypted,
            answer: None,
            told: None,
        };
        self.open.insert(call_id, call);
    }
    /// Until no call is open.
    fn attend(&mut self) {
        while !self.open.is_empty() {
            self.step();
        }
    }
    fn step(&mut self) {
        match self.party.hear_within(Duration::from_millis(100)) {
            Some(heard) => {
                self.silence = Instant::now();
                self.heard(heard);
            }
            None if self.silence.elapsed() > Duration::from_secs(30) => {
                panic!("{} calls hang, {} are done", self.open.len(), self.done)
            }
            None => {}
        }
        if self.repeated.elapsed() > Duration::from_millis(100) {
            self.repeated = Instant::now();
            self.repeat();
        }
    }
    /// Says again what was not answered, as RFC 3261's timers E and A would: datagrams get lost where a buffer is full.
    fn repeat(&mut self) {
        for call in self.open.values_mut() {
            if let Some((text, since)) = &mut call.asked
                && since.elapsed() > Duration::from_millis(500)
            {
                *since = Instant::now();
                self.party.send(text);
            }
        }
    }
    fn heard(&mut self, heard: Heard) {
        let call_id = heard.field("Call-ID");
        let status = heard.start().split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: u16 = status.unwrap_or(0);
        let method = heard
            .field("CSeq")
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        if heard.0.starts_with("NOTIFY ") || heard.0.starts_with("BYE ") {
            // Said again where our answer came late, when the call may be over.
            self.party.respond(&heard, "200 OK", "");
        }
        if heard.0.starts_with("BYE ") {
            // A transfer that the server has executed: who asked for it is seen off, while it goes by itself.
            if let Some(call) = self.open.get(&call_id).filter(|call| call.told.is_none()) {
                let (kind, age, asked) = (call.kind, call.placed.elapsed(), &call.asked);
                panic!("hung up on: {kind}, placed {age:?} ago, {asked:?}\n{}", heard.0);
            }
            self.done.seen_off += 1;
            return;
        }
        let Some(call) = self.open.get_mut(&call_id) else {
            return;
        };
        let ask = |text: String| Some((text, Instant::now()));
        match (method.as_str(), status) {
            ("INVITE", 180) if call.kind == "cancel" => {
                let cancel = self.party.cancelling(&call.invite);
                self.party.send(&cancel);
                call.asked = ask(cancel);
            }
            ("INVITE", 100..200) => call.asked = None,
            ("INVITE", 200) => {
                let number: u32 = heard
                    .field("CSeq")
                    .split(' ')
                    .next()
                    .and_then(|it| it.parse().ok())
                    .unwrap_or(0);
                self.party.send(&self.party.within("ACK", number, &heard));
                if number != call.invited {
                    return;
                }
                call.invited += 1;
                let next = match (call.kind, number) {
                    ("answer-vanish", _) => {
                        self.done.vanished += 1;
                        self.open.remove(&call_id);
                        return;
                    }
                    ("answer-change", 1 | 2) => {
                        let body = change(&self.party.sdp(), number, call.encrypted);
                        self.party.within_with("INVITE", number + 1, &heard, &body)
                    }
                    ("answer-transfer" | "answer-transfer-in-vain", _) => {
                        call.answer = Some(heard.clone());
                        let target = match call.kind {
                            "answer-transfer" => "answer",
                            _ => "reject",
                        };
                        let refer = self.party.within("REFER", number + 1, &heard);
                        let refer_to = format!(
                            "Refer-To: <sip:{target}@example.org>\r\nReferred-By: <sip:alice@example.org>\r\nContent-Length"
                        );
                        refer.replacen("Content-Length", &refer_to, 1)
                    }
                    _ => self.party.within("BYE", number + 1, &heard),
                };
                self.party.send(&next);
                call.asked = ask(next);
            }
            ("INVITE", 300..) => {
                let (invite, kind) = (call.invite.clone(), call.kind);
                self.party.ack_failure(&invite, &heard);
                match (kind, status) {
                    ("reject", 486) => self.done.rejected += 1,
                    ("cancel", 487) => self.done.cancelled += 1,
                    // On a busy machine others than those that should may be too late.
                    (_, 408 | 480) => self.done.timed_out += 1,
                    (_, 503) => self.done.shed += 1,
                    _ => panic!("{kind}: {}", heard.0),
                }
                self.open.remove(&call_id);
                if status == 503 {
                    self.stay_away();
                }
            }
            ("BYE", 200) => {
                match (call.kind, call.told) {
                    ("answer-change", _) => self.done.changed += 1,
                    (_, None) => self.done.answered += 1,
                    ("answer-transfer", Some(200)) => self.done.transferred += 1,
                    ("answer-transfer-in-vain", Some(486)) => self.done.not_transferred += 1,
                    (_, Some(status)) if is_late(status) => self.done.transferred_late += 1,
                    (kind, Some(status)) => panic!("{kind}: {status}"),
                }
                self.open.remove(&call_id);
            }
            ("CANCEL", 200) => call.asked = None,
            ("REFER", 202) => call.asked = None,
            ("NOTIFY", _) => {
                let Some(answer) = &call.answer else {
                    panic!("news that nobody asked for: {}", heard.0);
                };
                let news = heard.0.split_once("\r\n\r\n").expect("a body").1;
                let status = news.split(' ').nth(1).and_then(|code| code.parse().ok());
                let status = status.expect("the status line that the target answered with");
                if status < 200 || call.told.is_some() {
                    return;
                }
                // What became of it is told once; the transferor goes.
                call.told = Some(status);
                let bye = self.party.within("BYE", 3, answer);
                self.party.send(&bye);
                call.asked = ask(bye);
            }
            _ => panic!("unexpected: {}", heard.0),
        }
    }
}

const CRYPTO: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";

/// What is offered in the call: first hold, then no hold but video.
fn change(sdp: &str, number: u32, encrypted: bool) -> String {
    let crypto = if encrypted { CRYPTO } else { "" };
    let mut body = sdp.replacen(" 1 IN IP4", &format!(" {} IN IP4", number + 1), 1);
    match number {
        1 => body += &format!("a=sendonly\r\n{crypto}"),
        _ => body += &format!("{crypto}m=video 9 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n{crypto}"),
    }
    if encrypted {
        body.replace("RTP/AVP", "RTP/SAVP")
    } else {
        body
    }
}

/// The same INVITE with SDES.
fn with_keys(invite: &str) -> String {
    let (head, body) = invite.split_once("\r\n\r\n").expect("a body");
    let body = body.replace("RTP/AVP", "RTP/SAVP") + CRYPTO;
    let head = head.split("\r\nContent-Length").next().expect("a head");
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

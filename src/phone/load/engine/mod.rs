//! The signalling of all calls on one thread: two sockets, one for the callers and one for the callees.

mod course;
mod opening;

use super::media::{Deck, LineId, Report};
use super::plan::{Fate, Media, Mix};
use super::report::{Packets, Quantiles, Summary};
use crate::phone::audio::{Side, Tally, Voice};
use crate::phone::crypto::Suite;
use crate::phone::message::{self, Inbound};
use crate::phone::session::Local;
use crate::phone::ua::{Me, Ua};
use crate::phone::zrtp::KeyAgreement;
use mio::net::UdpSocket;
use rand::rngs::StdRng;
use rsip::Method;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// After the last word, packets that are still under way get this long before the BYE.
const DRAIN: Duration = Duration::from_millis(250);
/// A caller that cancels early does so this long after its INVITE.
const EARLY_CANCEL: Duration = Duration::from_millis(5);
/// How often it is looked whether a call has its keys.
const LOOK: Duration = Duration::from_millis(20);
/// When a phone has its keys, so has the server; its relay a moment later.
const KEYED: Duration = Duration::from_millis(200);
/// Who has no keys so long after the answer gets none: phones give their handshakes up by then.
const KEYLESS: Duration = Duration::from_secs(11);
/// Faults that are kept word by word.
const FAULTS: usize = 20;

/// What a run consists of.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) server: SocketAddr,
    /// Where the callees find it.
    pub(super) server_of_callees: SocketAddr,
    pub(super) calls: u32,
    pub(super) rate: f64,
    pub(super) hold: Duration,
    pub(super) concurrent: u32,
    pub(super) media: Media,
    pub(super) mix: Mix,
    pub(super) suite: Suite,
    pub(super) key_agreement: KeyAgreement,
}

/// One side of a call.
struct Half {
    ua: Ua,
    local: Local,
    /// When the timer heap is to wake it; other entries of the heap are stale.
    queued: Option<Instant>,
    /// Its audio, while it is open.
    line: Option<LineId>,
}

struct Call {
    fate: Fate,
    placed: Instant,
    caller: Half,
    callee: Option<Half>,
    answered: Option<Instant>,
    /// What is to be told of it, once it is known.
    outcome: Option<Result<(), String>>,
    /// Whether it was ended by us, as planned.
    hanging_up: bool,
    /// Counted as ended.
    closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Caller,
    Callee,
    Cancel,
    Speak,
    Quiet,
    HangUp,
}

/// All calls of a run.
pub(super) struct Engine {
    run: Run,
    pub(super) callers: UdpSocket,
    pub(super) callees: UdpSocket,
    caller: Me,
    callee: Me,
    random: StdRng,
    deck: Option<Deck>,
    /// When it was first seen that a line has its keys.
    keyed: HashMap<LineId, Instant>,
    calls: HashMap<u32, Call>,
    by_call_id: HashMap<(Side, String), u32>,
    wakes: BinaryHeap<Reverse<(Instant, u32, Wake)>>,
    ringing: Vec<Duration>,
    answering: Vec<Duration>,
    keying: Vec<Duration>,
    heard: Tally,
    sent: u64,
    reports: u32,
    lines: u32,
    up: u32,
    open: u32,
    pub(super) summary: Summary,
}

fn side_number(side: Side) -> usize {
    usize::from(side == Side::Callee)
}

impl Engine {
    pub(super) fn new(
        run: Run,
        (callers, callees): (UdpSocket, UdpSocket),
        deck: Option<Deck>,
    ) -> std::io::Result<Self> {
        let me = |user: &str, at: SocketAddr, server| Me {
            user: user.into(),
            at,
            proxy: Some(server),
        };
        Ok(Self {
            caller: me("caller", callers.local_addr()?, run.server),
            callee: me("callee", callees.local_addr()?, run.server_of_callees),
            run,
            callers,
            callees,
            random: rand::make_rng(),
            deck,
            keyed: HashMap::new(),
            calls: HashMap::new(),
            by_call_id: HashMap::new(),
            wakes: BinaryHeap::new(),
            ringing: Vec::new(),
            answering: Vec::new(),
            keying: Vec::new(),
            heard: Tally::default(),
            sent: 0,
            reports: 0,
            lines: 0,
            up: 0,
            open: 0,
            summary: Summary::default(),
        })
    }

    /// Calls that are not ended, and those of them that are answered.
    pub(super) fn open_and_up(&self) -> (u32, u32) {
        (self.open, self.up)
    }

    /// The deck, for its progress.
    pub(super) fn deck(&self) -> Option<&Deck> {
        self.deck.as_ref()
    }

    /// The ports of all audio that is open.
    pub(super) fn audio_ports(&self) -> impl Iterator<Item = u16> {
        let halves = self
            .calls
            .values()
            .flat_map(|call| std::iter::once(&call.caller).chain(&call.callee));
        halves
            .filter(|half| half.line.is_some())
            .map(|half| half.local.port())
    }

    /// Whether every call is over, and every packet counted.
    pub(super) fn is_done(&self) -> bool {
        self.summary.attempted == self.run.calls && self.open == 0 && self.reports == self.lines
    }

    /// Reads what has come for the callers or the callees.
    #[expect(
        clippy::disallowed_methods,
        reason = "a driver: set-up times are taken message by message"
    )]
    pub(super) fn receive(&mut self, side: Side) {
        let mut buffer = [0; 8_192];
        loop {
            let socket = if side == Side::Caller {
                &self.callers
            } else {
                &self.callees
            };
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) => self.datagram(side, &buffer[..length], from, Instant::now()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // An ICMP error for something sent before: its timers deal with that.
                Err(_) => {}
            }
        }
    }

    fn datagram(&mut self, side: Side, datagram: &[u8], from: SocketAddr, now: Instant) {
        if message::is_keepalive(datagram) {
            return;
        }
        let inbound = match Inbound::read(datagram) {
            Ok(inbound) => inbound,
            Err(error) => return self.fault(error.to_string()),
        };
        let key = (side, inbound.call_id.clone());
        if let Some(&number) = self.by_call_id.get(&key) {
            let Some(call) = self.calls.get_mut(&number) else {
                return;
            };
            let half = if side == Side::Caller {
                Some(&mut call.caller)
            } else {
                call.callee.as_mut()
            };
            if let Some(half) = half {
                half.ua.handle(inbound, from, now);
                self.settle(number, now);
            }
        } else if side == Side::Callee && inbound.method() == Some(Method::Invite) && inbound.to_tag.is_none()
        {
            if let Err(error) = self.invited(inbound, from, now) {
                self.fault(error.to_string());
            }
        } else if let Some(method) = inbound.method().filter(|method| *method != Method::Ack) {
            // A call that we have forgotten, or the server asking whether we are there.
            let status = if method == Method::Options { 200 } else { 481 };
            let text = message::respond(
                &inbound,
                (status, message::reason(status)),
                Some("stray"),
                None,
                None,
            );
            self.send(side, &text, from);
        }
    }

    /// Does what is due. Returns when the next thing is.
    pub(super) fn run_timers(&mut self, now: Instant) -> Option<Instant> {
        while let Some(&Reverse((at, number, wake))) = self.wakes.peek() {
            if at > now {
                return Some(at);
            }
            self.wakes.pop();
            self.wake(number, wake, at, now);
        }
        None
    }

    fn wake(&mut self, number: u32, wake: Wake, at: Instant, now: Instant) {
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        let by_caller = number.is_multiple_of(2);
        let half = match wake {
            Wake::Caller | Wake::Cancel => Some(&mut call.caller),
            Wake::Callee => call.callee.as_mut(),
            Wake::HangUp if by_caller => Some(&mut call.caller),
            Wake::HangUp => call.callee.as_mut(),
            Wake::Speak | Wake::Quiet => None,
        };
        match (wake, half) {
            (Wake::Caller | Wake::Callee, Some(half)) if half.queued == Some(at) => {
                half.queued = None;
                half.ua.handle_timeout(now);
            }
            (Wake::Cancel, Some(half)) => half.ua.cancel(now),
            (Wake::HangUp, Some(half)) => {
                half.ua.hang_up(now);
                call.hanging_up = true;
            }
            (Wake::Speak, _) => {
                if let Some(deck) = &self.deck {
                    self.keyed.extend(deck.keyed.try_iter().map(|line| (line, now)));
                }
                let Some(answered) = call.answered.filter(|_| !call.closed) else {
                    return;
                };
                let keyed = call.caller.line.and_then(|line| self.keyed.get(&line));
                match keyed {
                    Some(since) if now - *since >= KEYED => {
                        self.keying.push(*since - answered);
                        for half in std::iter::once(&call.caller).chain(&call.callee) {
                            if let (Some(deck), Some(line)) = (&self.deck, half.line) {
                                let _ = deck.talk(line, true);
                            }
                        }
                        self.wakes
                            .push(Reverse((now + self.run.hold, number, Wake::Quiet)));
                    }
                    None if now - answered >= KEYLESS => {
                        let name = call.fate.name();
                        call.outcome
                            .get_or_insert_with(|| Err(format!("{name}: no keys were agreed on")));
                        self.wakes.push(Reverse((now, number, Wake::HangUp)));
                    }
                    _ => return self.wakes.push(Reverse((now + LOOK, number, Wake::Speak))),
                }
            }
            (Wake::Quiet, _) => {
                for half in std::iter::once(&call.caller).chain(&call.callee) {
                    if let (Some(deck), Some(line)) = (&self.deck, half.line) {
                        let _ = deck.talk(line, false);
                    }
                }
                self.wakes.push(Reverse((now + DRAIN, number, Wake::HangUp)));
            }
            _ => return,
        }
        self.settle(number, now);
    }

    fn send(&mut self, side: Side, text: &str, to: SocketAddr) {
        let socket = if side == Side::Caller {
            &self.callers
        } else {
            &self.callees
        };
        if socket.send_to(text.as_bytes(), to).is_err() {
            // It is sent again by its timer; a measurement it is not any more.
            self.summary.own.unsent += 1;
        }
    }

    /// Takes the reports of audio that was closed.
    pub(super) fn collect(&mut self) {
        let Some(deck) = &self.deck else { return };
        for Report { sent, tally, unsent } in deck.reports.try_iter() {
            self.reports += 1;
            self.sent += sent;
            self.heard += tally;
            self.summary.own.unsent += unsent;
        }
    }

    /// Whatever has not ended by now never will. Gives the summary.
    pub(super) fn finish(mut self) -> Summary {
        let numbers: Vec<u32> = self.calls.keys().copied().collect();
        for number in numbers {
            let Some(mut call) = self.calls.remove(&number) else {
                continue;
            };
            if !call.closed {
                call.outcome = Some(Err(format!("{}: never ended", call.fate.name())));
                self.close(&mut call);
            }
            self.forget(&call);
        }
        if self.deck.is_some() {
            let heard = self.heard;
            let lost = self
                .sent
                .saturating_sub(heard.good + heard.wrong + heard.unreadable + heard.dropped);
            self.summary.packets = Some(Packets {
                sent: self.sent,
                lost,
                heard,
            });
        }
        self.summary.to_ringing_ms = Quantiles::of(std::mem::take(&mut self.ringing));
        self.summary.to_answer_ms = Quantiles::of(std::mem::take(&mut self.answering));
        let agrees = self.run.media.agrees();
        self.summary.to_keys_ms = agrees.then(|| Quantiles::of(std::mem::take(&mut self.keying)));
        self.summary
    }
}

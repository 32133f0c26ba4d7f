//! Feeds any of the four machines the rows of a table, and looks at each millisecond.

use super::super::*;
use crate::sip::Status;

/// One input.
#[derive(Clone, Copy, Debug)]
pub(super) enum In {
    /// A response comes to, or is sent by, the machine.
    Code(u16),
    /// The request comes again.
    Request,
    /// The ACK comes.
    Ack,
    /// Time passes; nothing else.
    Wait,
}

/// What came of it, in order: `send X`, `pass`, `timeout`, `user-ack`; `-` for nothing.
pub(super) type Row = (u64, In, &'static str);

pub(super) trait Machine {
    fn input(&mut self, input: In, now: Instant) -> Vec<String>;
    fn fire(&mut self, now: Instant) -> Option<Fired>;
    fn due(&self) -> Option<Instant>;
    fn is_over(&self) -> bool;
}

pub(super) fn status(code: u16) -> Status {
    Status::new(code).expect("a code")
}

fn sent(bytes: &Bytes) -> String {
    format!("send {}", String::from_utf8_lossy(bytes))
}

fn received(received: Received) -> Vec<String> {
    let mut out: Vec<String> = received.send.iter().map(sent).collect();
    if received.pass {
        out.push("pass".into());
    }
    out
}

impl Machine for ClientInvite {
    fn input(&mut self, input: In, now: Instant) -> Vec<String> {
        match input {
            In::Code(code) => received(self.receive(status(code), now, || Bytes::from_static(b"ACK"))),
            other => panic!("{other:?} at a client"),
        }
    }
    fn fire(&mut self, now: Instant) -> Option<Fired> {
        self.fire(now)
    }
    fn due(&self) -> Option<Instant> {
        self.poll_timeout()
    }
    fn is_over(&self) -> bool {
        self.is_terminated()
    }
}

impl Machine for Client {
    fn input(&mut self, input: In, now: Instant) -> Vec<String> {
        match input {
            In::Code(code) => received(self.receive(status(code), now)),
            other => panic!("{other:?} at a client"),
        }
    }
    fn fire(&mut self, now: Instant) -> Option<Fired> {
        self.fire(now)
    }
    fn due(&self) -> Option<Instant> {
        self.poll_timeout()
    }
    fn is_over(&self) -> bool {
        self.is_terminated()
    }
}

impl Machine for ServerInvite {
    fn input(&mut self, input: In, now: Instant) -> Vec<String> {
        match input {
            In::Code(code) => self
                .respond(status(code), Bytes::from(code.to_string()), now)
                .iter()
                .map(sent)
                .collect(),
            In::Request => self.receive_invite().iter().map(sent).collect(),
            In::Ack => match self.receive_ack(now) {
                AckIs::Passed => vec!["user-ack".into()],
                AckIs::Absorbed => vec![],
            },
            In::Wait => vec![],
        }
    }
    fn fire(&mut self, now: Instant) -> Option<Fired> {
        self.fire(now)
    }
    fn due(&self) -> Option<Instant> {
        self.poll_timeout()
    }
    fn is_over(&self) -> bool {
        self.is_terminated()
    }
}

impl Machine for Server {
    fn input(&mut self, input: In, now: Instant) -> Vec<String> {
        match input {
            In::Code(code) => self
                .respond(status(code), Bytes::from(code.to_string()), now)
                .iter()
                .map(sent)
                .collect(),
            In::Request => self.receive().iter().map(sent).collect(),
            In::Ack | In::Wait => vec![],
        }
    }
    fn fire(&mut self, now: Instant) -> Option<Fired> {
        self.fire(now);
        None
    }
    fn due(&self) -> Option<Instant> {
        self.poll_timeout()
    }
    fn is_over(&self) -> bool {
        self.is_terminated()
    }
}

/// Lets the deadlines until `until` pass, each at its time, and notes what they brought as `TIME what`.
fn run_clock(machine: &mut dyn Machine, start: Instant, until: Instant, log: &mut Vec<String>) {
    while let Some(due) = machine.due().filter(|due| *due <= until) {
        while let Some(fired) = machine.fire(due) {
            let at = due.duration_since(start).as_millis();
            log.push(match fired {
                Fired::Send(bytes) => format!("{at} {}", sent(&bytes)),
                Fired::TimedOut => format!("{at} timeout"),
            });
        }
    }
}

/// Feeds the rows; each row's expectation holds the timer events before it and what the input itself brought.
pub(super) fn check(
    name: &str,
    mut machine: impl Machine,
    start: Instant,
    rows: &[Row],
    ends_at: Option<u64>,
) {
    for (row, (at, input, expected)) in rows.iter().enumerate() {
        let now = start + Duration::from_millis(*at);
        let mut log = Vec::new();
        run_clock(&mut machine, start, now, &mut log);
        if !matches!(input, In::Wait) {
            log.extend(machine.input(*input, now));
        }
        let log = if log.is_empty() {
            "-".into()
        } else {
            log.join(", ")
        };
        assert_eq!(&log, expected, "{name}, row {row}: {input:?} at {at} ms");
    }
    match ends_at {
        Some(at) => {
            let end = start + Duration::from_millis(at);
            if !machine.is_over() {
                assert_eq!(machine.due(), Some(end), "{name}: when the last timer ends");
                assert_eq!(machine.fire(end), None, "{name}: the end is silent");
            }
            assert!(machine.is_over(), "{name}: over at {at} ms");
            assert_eq!(machine.due(), None, "{name}: no timer is left");
        }
        None => assert!(
            !machine.is_over() && machine.due().is_none(),
            "{name}: waits without a timer"
        ),
    }
}

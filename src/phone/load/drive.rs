//! A run: the loop around the engine, and the gauges read beside it.

use super::engine::{Engine, Run};
use super::gauges::Gauges;
use super::media::Deck;
use super::options::Options;
use super::plan::Media;
use super::report::{Asked, Own, Summary};
use crate::phone::Error;
use crate::phone::audio::Side;
use crate::phone::child::{Server, raise_open_files, watch_signals};
use crate::phone::message::{Outline, uri};
use crate::phone::procfs::{Process, dropped_at, dropped_everywhere};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use rustix::process::Signal;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[expect(
    clippy::disallowed_methods,
    reason = "a driver: it reads the clock once per wake"
)]
fn now() -> Instant {
    Instant::now()
}

fn bind(at: SocketAddr) -> Result<UdpSocket, Error> {
    let io = |source| Error::Io {
        what: format!("phones at {at}"),
        source,
    };
    let socket = std::net::UdpSocket::bind(at).map_err(io)?;
    // Bursts of thousands of calls need room; what the kernel grants is enough or shows as drops.
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(8 << 20);
    socket.set_nonblocking(true).map_err(io)?;
    Ok(UdpSocket::from_std(socket))
}

/// Puts the load on a server whose `process` is measured where it is known.
pub(super) fn with(
    options: &Options,
    process: Option<Process>,
    server: Option<&mut Server>,
) -> Result<Summary, Error> {
    let io = |source| Error::Io {
        what: "the generator".into(),
        source,
    };
    let target = options
        .server
        .expect("the command line asks for a server, or one was started");
    let limit = raise_open_files();
    let wanted = if !options.media.flows() {
        0
    } else {
        u64::from(options.calls.min(options.concurrent)) * 2
    };
    if limit < wanted + 64 {
        eprintln!(
            "{wanted} sockets are wanted and {limit} files may be open: expect failures, or raise `ulimit -n`"
        );
    }
    let (callers, callees) = (bind(options.caller)?, bind(options.callee)?);
    let interval = Duration::from_millis(options.packet_interval);
    let deck = if !options.media.flows() {
        None
    } else {
        Some(Deck::start(interval, options.media == Media::DtlsPlain).map_err(io)?)
    };
    let run = Run {
        server: target,
        server_of_callees: options.callee_server.unwrap_or(target),
        calls: options.calls,
        rate: options.rate,
        hold: Duration::from_secs_f64(options.hold),
        concurrent: options.concurrent,
        media: options.media,
        mix: options.mix.clone(),
        suite: options.suite,
        key_agreement: options.zrtp_key_agreement,
    };
    let stop = watch_signals()?;
    if let Some(server) = server {
        wait_for(&callers, &callees, target, server)?;
    }
    let engine = Engine::new(run.clone(), (callers, callees), deck).map_err(io)?;
    let mut drive = Drive {
        engine,
        run,
        process,
        gauges: Gauges::default(),
        began: now(),
        own: Own::default(),
        stop,
        orders: Orders {
            reload_every: options.reload_every.map(Duration::from_secs_f64),
            drain_after: options.drain_after.map(Duration::from_secs_f64),
            ..Orders::default()
        },
    };
    drive.gauges.start(process);
    drive.go().map_err(io)?;
    Ok(drive.finish(options))
}

/// Asks with OPTIONS until the server answers, or, if it only passes datagrams on, until it does that.
fn wait_for(
    socket: &UdpSocket,
    callees: &UdpSocket,
    target: SocketAddr,
    server: &mut Server,
) -> Result<(), Error> {
    let io = |source| Error::Io {
        what: "waiting for the server".into(),
        source,
    };
    let at = socket.local_addr().map_err(io)?;
    let mut poll = Poll::new().map_err(io)?;
    let mut buffer = [0; 2_048];
    // The socket is shared with the run that follows: it is only borrowed, and read without events.
    let mut events = Events::with_capacity(1);
    for attempt in 1..=100_u32 {
        if let Some(status) = server.has_ended() {
            return Err(Error::Message(format!(
                "the server ended at once, with {status}:\n{}",
                server.tail()
            )));
        }
        let text = Outline {
            method: rsip::Method::Options,
            uri: &uri(&format!("sip:{target}"))?,
            at,
            user: "load",
            branch: &format!("z9hG4bKready{attempt}"),
            route: &[],
            from: "<sip:load@phone.invalid>;tag=ready",
            to: &format!("<sip:{target}>"),
            call_id: &format!("ready-{attempt}@phone.invalid"),
            cseq: attempt,
            body: None,
        };
        // Until it listens the kernel may refuse; that is what the loop is for.
        let _ = socket.send_to(text.print().as_bytes(), target);
        poll.poll(&mut events, Some(Duration::from_millis(100)))
            .map_err(io)?;
        let mut ready = false;
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            ready |= from == target && buffer[..length].starts_with(b"SIP/2.0 ");
        }
        while let Ok((_, from)) = callees.recv_from(&mut buffer) {
            ready |= from == target;
        }
        if ready {
            return Ok(());
        }
    }
    Err(Error::Message(format!(
        "the server does not answer at {target}:\n{}",
        server.tail()
    )))
}

struct Drive {
    engine: Engine,
    run: Run,
    process: Option<Process>,
    gauges: Gauges,
    began: Instant,
    own: Own,
    /// A signal has come.
    stop: Arc<AtomicBool>,
    orders: Orders,
}

/// What the server is told while it works.
#[derive(Default)]
struct Orders {
    reload_every: Option<Duration>,
    drain_after: Option<Duration>,
    reloads: u32,
    drained: bool,
}

impl Orders {
    fn give(&mut self, process: Process, passed: Duration) {
        if let Some(every) = self.reload_every
            && passed >= every * (self.reloads + 1)
            && !self.drained
        {
            self.reloads += 1;
            process.signal(Signal::HUP);
        }
        if self.drain_after.is_some_and(|after| passed >= after) && !self.drained {
            self.drained = true;
            process.signal(Signal::TERM);
        }
    }
}

const CALLERS: Token = Token(0);
const CALLEES: Token = Token(1);

impl Drive {
    /// Runs all calls.
    fn go(&mut self) -> std::io::Result<()> {
        let mut poll = Poll::new()?;
        poll.registry()
            .register(&mut self.engine.callers, CALLERS, Interest::READABLE)?;
        poll.registry()
            .register(&mut self.engine.callees, CALLEES, Interest::READABLE)?;
        let mut events = Events::with_capacity(16);
        self.began = now();
        let mut second = 0_u64;
        // The last call, its hold, the longest transaction, and then some.
        let longest =
            Duration::from_secs_f64(f64::from(self.run.calls) / self.run.rate) * 4 + self.run.hold * 2;
        let deadline = self.began + longest + Duration::from_secs(80);
        loop {
            let time = now();
            let next_call = self.place_due(time)?;
            let next_timer = self.engine.run_timers(time);
            self.engine.collect();
            if self.stop.load(Ordering::Relaxed) {
                return Err(std::io::Error::other("ended by a signal"));
            }
            if self.engine.is_done() || time > deadline {
                return Ok(());
            }
            if let Some(process) = self.process {
                self.orders.give(process, time - self.began);
            }
            let next_second = self.began + Duration::from_secs(second);
            if time >= next_second {
                self.tell(second);
                second += 1;
            }
            // Reports of audio come without an event: look for them now and then.
            let patience = time + Duration::from_millis(50);
            let next = [next_call, next_timer, Some(next_second)]
                .into_iter()
                .flatten()
                .fold(patience, Instant::min);
            if let Err(error) = poll.poll(&mut events, Some(next.saturating_duration_since(now())))
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                return Err(error);
            }
            for event in &events {
                let side = if event.token() == CALLERS {
                    Side::Caller
                } else {
                    Side::Callee
                };
                self.engine.receive(side);
            }
        }
    }

    /// Places the calls whose time has come. Gives the time of the next.
    fn place_due(&mut self, time: Instant) -> std::io::Result<Option<Instant>> {
        loop {
            let placed = self.engine.summary.attempted;
            if placed >= self.run.calls {
                return Ok(None);
            }
            let due = self.began + Duration::from_secs_f64(f64::from(placed) / self.run.rate);
            if due > time {
                return Ok(Some(due));
            }
            if self.engine.open_and_up().0 >= self.run.concurrent {
                return Ok(None);
            }
            if self.run.concurrent == u32::MAX && time - due > Duration::from_millis(100) {
                self.own.late_calls += 1;
            }
            self.engine.place(time).map_err(std::io::Error::other)?;
        }
    }

    /// The progress line.
    fn tell(&mut self, second: u64) {
        if let Some(process) = self.process {
            self.gauges.sample(process);
        }
        let (open, up) = self.engine.open_and_up();
        let summary = &self.engine.summary;
        let ended: u32 = summary.as_planned.values().sum();
        let failed: u32 = summary.failed.values().sum();
        let mut line = format!(
            "{second:>4} s  placed {:>6}  open {open:>5}  up {up:>5}  ended {ended:>6}  failed {failed}",
            summary.attempted
        );
        if let Some(done) = self.engine.deck().and_then(Deck::progress) {
            line += &format!("  packets out {} in {}", done.sent, done.received);
            self.own.late_slots = done.late;
            self.own.latest_ms = done.latest.as_millis() as u64;
            self.own.skipped_slots = done.skipped;
        }
        if let Some(cpu) = self.process.and_then(Process::cpu) {
            let cpu = (cpu - self.gauges.cpu_before).as_secs_f64();
            line += &format!("  server {cpu:.2} s CPU, {} MB", self.gauges.memory.2 >> 20);
        }
        eprintln!("{line}");
        self.drops();
    }

    /// Looks for datagrams that found no room. The long table is read only if there were any.
    fn drops(&mut self) {
        let everywhere = dropped_everywhere().unwrap_or(0) - self.gauges.dropped_before;
        if everywhere > self.own.dropped + self.own.dropped_by_others {
            let sockets = [&self.engine.callers, &self.engine.callees];
            let mut ours: HashSet<u16> = sockets
                .iter()
                .filter_map(|socket| socket.local_addr().ok())
                .map(|address| address.port())
                .collect();
            ours.extend(self.engine.audio_ports());
            let (own, _) = dropped_at(&ours);
            self.own.dropped = self.own.dropped.max(own);
            self.own.dropped_by_others = everywhere.saturating_sub(self.own.dropped);
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a driver: it lets the server come to rest"
    )]
    fn finish(mut self, options: &Options) -> Summary {
        let seconds = (now() - self.began).as_secs_f64();
        let cpu = self.process.and_then(Process::cpu);
        self.tell(seconds as u64);
        let mut summary = self.engine.finish();
        if let Some(process) = self.process {
            std::thread::sleep(Duration::from_secs_f64(options.settle));
            self.gauges.sample(process);
        }
        self.own.unsent = summary.own.unsent;
        let ourselves = Process::of(std::process::id());
        self.own.cpu_seconds = ourselves.cpu().unwrap_or_default().as_secs_f64();
        summary.own = self.own;
        summary.seconds = seconds;
        (summary.reloads, summary.drained) = (self.orders.reloads, self.orders.drained);
        summary.asked = Asked {
            calls: options.calls,
            rate: options.rate,
            hold_seconds: options.hold,
            media: format!("{:?}", options.media),
            packet_interval_ms: options.packet_interval,
            suite: options.suite.to_string(),
            zrtp_key_agreement: (options.media == Media::ZrtpSdes)
                .then(|| options.zrtp_key_agreement.to_string()),
        };
        summary.server = cpu.map(|cpu| self.gauges.cost(cpu, &summary));
        summary.judge();
        summary
    }
}

//! The audio of all calls on a thread of its own: no task, no lock and no queue per call.
//!
//! Each side of a call has its own socket. Sending follows a wheel of 1 ms slots, so that calls are spread over
//! the packet interval; receiving is whatever the kernel says is readable.

mod keys;

use crate::phone::audio::{Listener, Talker, Tally, Voice};
use crate::phone::dtls::{self, Handshake, Keys};
use crate::phone::session::Agreed;
use crate::phone::stream::hertz;
use crate::phone::tone::{Codec, Tone};
use crate::phone::zrtp::{self, Zrtp};
use crossbeam_channel::{Receiver, Sender, unbounded};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What is due is done, and what was ordered is obeyed, once in so long.
const SLOT: Duration = Duration::from_millis(1);
/// Slots that are caught up with before listening again: else what is heard meanwhile finds no room.
const CATCH_UP: u32 = 5;
/// Further behind than this nothing is caught up with: the calls fall silent for as long, and it is counted.
const HOPELESS: Duration = Duration::from_millis(100);
/// Sockets that are looked at for each wait.
const EVENTS: usize = 1_024;
/// Sending this much behind its time is not what phones do: it is counted.
const LATE: Duration = Duration::from_millis(20);

/// Names one side of one call.
pub(super) type LineId = usize;

enum Command {
    Open {
        id: LineId,
        socket: UdpSocket,
        them: Voice,
        zrtp: Option<Box<Zrtp>>,
    },
    Agree {
        id: LineId,
        us: Voice,
        agreed: Box<Agreed>,
    },
    Keyed {
        id: LineId,
        us: Voice,
        codec: Codec,
        keys: Box<Keys>,
    },
    Talk(LineId, bool),
    Close(LineId),
    Stop,
}

/// What a side has said and heard when it is closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) sent: u64,
    pub(super) tally: Tally,
    /// Packets that our own kernel did not take.
    pub(super) unsent: u64,
}

/// What the thread has done so far; read while it runs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    /// Packets sent.
    pub(super) sent: u64,
    /// Packets received.
    pub(super) received: u64,
    /// Slots that came too late.
    pub(super) late: u64,
    /// The latest of them.
    pub(super) latest: Duration,
    /// Slots that were left out.
    pub(super) skipped: u64,
}

/// The thread, seen from the signalling's.
pub(super) struct Deck {
    commands: Sender<Command>,
    pub(super) reports: Receiver<Report>,
    /// Lines that have got their keys by a handshake.
    pub(super) keyed: Receiver<LineId>,
    progress: Receiver<Done>,
    /// Where handshakes go on, if there are any.
    _shaking: Option<tokio::runtime::Runtime>,
    thread: Option<JoinHandle<()>>,
}

impl Deck {
    /// Starts the thread; `interval` is the time between two packets of a call. `dtls`: keys may come by it.
    pub(super) fn start(interval: Duration, dtls: bool) -> io::Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let (commands, queue) = unbounded();
        let (report, reports) = unbounded();
        let (tell, progress) = unbounded();
        let (tell_keyed, keyed) = unbounded();
        let shaking = dtls.then(|| {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(1).enable_time().build()
        });
        let shaking = shaking.transpose()?;
        let slots = interval.as_millis().max(1) as usize;
        let machine = Machine {
            poll,
            queue,
            report,
            tell,
            tell_keyed,
            shaking: shaking.as_ref().map(|runtime| runtime.handle().clone()),
            commands: commands.clone(),
            lines: Vec::new(),
            agreeing: Vec::new(),
            wheel: vec![Vec::new(); slots],
            tones: HashMap::new(),
            done: Done::default(),
            buffer: [0; 2_048],
        };
        let thread = thread::Builder::new()
            .name("media".into())
            .spawn(move || machine.run())?;
        Ok(Self {
            commands,
            reports,
            keyed,
            progress,
            _shaking: shaking,
            thread: Some(thread),
        })
    }

    /// Opens a side at a socket, expecting to hear `them`. `zrtp`: its endpoint, if it is to have one.
    pub(super) fn open(
        &self,
        id: LineId,
        socket: UdpSocket,
        them: Voice,
        zrtp: Option<Zrtp>,
    ) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        let zrtp = zrtp.map(Box::new);
        self.send(Command::Open {
            id,
            socket,
            them,
            zrtp,
        })
    }

    /// The session is agreed: read and speak this way.
    pub(super) fn agree(&self, id: LineId, us: Voice, agreed: Agreed) -> io::Result<()> {
        self.send(Command::Agree {
            id,
            us,
            agreed: Box::new(agreed),
        })
    }

    /// Speak, or be quiet.
    pub(super) fn talk(&self, id: LineId, talking: bool) -> io::Result<()> {
        self.send(Command::Talk(id, talking))
    }

    /// Close the side; its report follows.
    pub(super) fn close(&self, id: LineId) -> io::Result<()> {
        self.send(Command::Close(id))
    }

    /// What was done up to now, if there is news.
    pub(super) fn progress(&self) -> Option<Done> {
        self.progress.try_iter().last()
    }

    fn send(&self, command: Command) -> io::Result<()> {
        self.commands
            .send(command)
            .map_err(|_| io::Error::other("the media thread has ended"))
    }
}

impl Drop for Deck {
    fn drop(&mut self) {
        // If it has ended already, all the better.
        let _ = self.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Line {
    socket: UdpSocket,
    them: Voice,
    listener: Listener,
    talker: Option<Talker>,
    remote: Option<SocketAddr>,
    handshake: Option<Handshake>,
    zrtp: Option<Box<Zrtp>>,
    /// Who speaks here and by which codec, where keys come later.
    voice: Option<(Voice, Codec)>,
    slot: usize,
    talking: bool,
    unsent: u64,
}

struct Machine {
    poll: OwnedFd,
    queue: Receiver<Command>,
    report: Sender<Report>,
    tell: Sender<Done>,
    tell_keyed: Sender<LineId>,
    shaking: Option<tokio::runtime::Handle>,
    commands: Sender<Command>,
    /// By their names, which are small numbers.
    lines: Vec<Option<Box<Line>>>,
    /// Those whose ZRTP has no keys yet.
    agreeing: Vec<LineId>,
    /// Which lines send in which millisecond of the packet interval.
    wheel: Vec<Vec<LineId>>,
    tones: HashMap<(u32, u8), Arc<Tone>>,
    done: Done,
    buffer: [u8; 2_048],
}

#[expect(
    clippy::disallowed_methods,
    reason = "a driver: it reads the clock once per slot"
)]
fn now() -> Instant {
    Instant::now()
}

impl Machine {
    fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        let (began, mut slot, mut told) = (now(), 0_u32, now());
        loop {
            let time = now();
            slot = self.speak_due(began, slot, time);
            self.agree_due(time);
            if time - told >= Duration::from_millis(250) {
                told = time;
                // Nobody may be looking.
                let _ = self.tell.send(self.done);
            }
            let wait = (began + SLOT * slot).saturating_duration_since(now());
            let wait = Timespec {
                tv_sec: 0,
                tv_nsec: wait.min(SLOT).subsec_nanos().into(),
            };
            events.clear();
            match epoll::wait(&self.poll, spare_capacity(&mut events), Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "media thread");
                    return;
                }
            }
            for event in &events {
                let event: &epoll::Event = event;
                self.hear(event.data.u64() as LineId);
            }
            while let Ok(command) = self.queue.try_recv() {
                match command {
                    Command::Stop => return,
                    command => self.obey(command),
                }
            }
        }
    }

    /// Sends what is due by `time`, some of it if there is much. Gives the next slot.
    fn speak_due(&mut self, began: Instant, mut slot: u32, time: Instant) -> u32 {
        for _ in 0..CATCH_UP {
            let due = began + SLOT * slot;
            if due > time {
                break;
            }
            let behind = time - due;
            if behind > LATE {
                self.done.late += 1;
                self.done.latest = self.done.latest.max(behind);
            }
            if behind > HOPELESS {
                let skipped = behind.as_millis() as u32;
                self.done.skipped += u64::from(skipped);
                slot += skipped;
            }
            self.speak(slot as usize % self.wheel.len());
            slot += 1;
        }
        slot
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Open {
                id,
                socket,
                them,
                zrtp,
            } => {
                let (key, wanted) = (epoll::EventData::new_u64(id as u64), epoll::EventFlags::IN);
                if let Err(error) = epoll::add(&self.poll, socket.as_fd(), key, wanted) {
                    tracing::error!(%error, "a call without ears");
                }
                let listener = Listener::new(them, self.tone(them, Codec::Pcmu));
                let (emptiest, _) = self
                    .wheel
                    .iter()
                    .enumerate()
                    .min_by_key(|(_, lines)| lines.len())
                    .expect("a wheel has slots");
                self.wheel[emptiest].push(id);
                let line = Line {
                    socket,
                    them,
                    listener,
                    talker: None,
                    remote: None,
                    handshake: None,
                    zrtp,
                    voice: None,
                    slot: emptiest,
                    talking: false,
                    unsent: 0,
                };
                if self.lines.len() <= id {
                    self.lines.resize_with(id + 1, || None);
                }
                self.lines[id] = Some(Box::new(line));
            }
            Command::Agree { id, us, agreed } if agreed.begin_dtls.is_some() => self.shake(id, us, &agreed),
            Command::Keyed { id, us, codec, keys } => {
                self.key(id, us, codec, (Some(&keys.0), Some(&keys.1)));
                // The engine may be gone.
                let _ = self.tell_keyed.send(id);
            }
            Command::Agree { id, us, agreed } if agreed.zrtp.is_some() => self.greet(id, us, &agreed),
            Command::Agree { id, us, agreed } => {
                if let Some(line) = self.line(id) {
                    line.remote = Some(agreed.remote.rtp);
                }
                let keys = (agreed.ours.as_ref(), agreed.theirs.as_ref());
                self.key(id, us, agreed.codec, keys);
            }
            Command::Talk(id, talking) => {
                if let Some(line) = self.line(id) {
                    line.talking = talking;
                }
            }
            Command::Close(id) => {
                while self.hear(id) {}
                if let Some(line) = self.lines.get_mut(id).and_then(Option::take) {
                    self.wheel[line.slot].retain(|other| *other != id);
                    self.agreeing.retain(|other| *other != id);
                    let sent = line.talker.as_ref().map_or(0, |talker| u64::from(talker.sent()));
                    let report = Report {
                        sent,
                        tally: line.listener.tally(),
                        unsent: line.unsent,
                    };
                    // Whoever closed it waits for this; if not, nobody does.
                    let _ = self.report.send(report);
                }
            }
            Command::Stop => {}
        }
    }

    fn tone(&mut self, voice: Voice, codec: Codec) -> Arc<Tone> {
        let hertz = hertz(voice);
        let key = (hertz, codec.payload_type());
        Arc::clone(
            self.tones
                .entry(key)
                .or_insert_with(|| Arc::new(Tone::new(hertz, codec))),
        )
    }

    fn line(&mut self, id: LineId) -> Option<&mut Line> {
        self.lines.get_mut(id)?.as_deref_mut()
    }

    fn speak(&mut self, slot: usize) {
        for id in &self.wheel[slot] {
            let line = self.lines.get_mut(*id).and_then(Option::as_deref_mut);
            let Some(line) = line.filter(|line| line.talking) else {
                continue;
            };
            let (Some(talker), Some(remote)) = (&mut line.talker, line.remote) else {
                continue;
            };
            let Some(packet) = talker.speak() else { continue };
            match line.socket.send_to(&packet, remote) {
                Ok(_) => self.done.sent += 1,
                Err(_) => line.unsent += 1,
            }
        }
    }

    /// Takes one packet, if there is one. A voice has one waiting at a time, and the kernel tells of a socket as
    /// long as it has any: asking for a second would mostly be in vain.
    fn hear(&mut self, id: LineId) -> bool {
        let Some(line) = self.lines.get_mut(id).and_then(Option::as_deref_mut) else {
            return false;
        };
        // An error is an ICMP message for something that was sent, and is gone now that it was read.
        let Ok((length, from)) = line.socket.recv_from(&mut self.buffer) else {
            return false;
        };
        if dtls::is_dtls(&self.buffer[..length]) {
            if let Some(handshake) = &line.handshake {
                handshake.take(&self.buffer[..length]);
            }
            return true;
        }
        if zrtp::is_zrtp(&self.buffer[..length]) {
            if line.remote == Some(from) {
                let datagram = self.buffer[..length].to_vec();
                self.exchange(id, |zrtp, now| zrtp.take(&datagram, now));
            }
            return true;
        }
        self.done.received += 1;
        match line.remote {
            Some(remote) if remote != from => line.listener.stranger(),
            _ => line.listener.hear(&self.buffer[..length]),
        }
        true
    }
}

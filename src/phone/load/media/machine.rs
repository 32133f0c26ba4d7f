//! The thread itself: sockets, the wheel by which it speaks, and what it is told.

use super::{CATCH_UP, Command, Done, EVENTS, HOPELESS, LATE, LineId, Report, SLOT};
use crate::phone::audio::{Listener, Talker, Voice};
use crate::phone::dtls::{self, Handshake};
use crate::phone::stream::hertz;
use crate::phone::tone::{Codec, Tone};
use crate::phone::zrtp::{self, Zrtp};
use crossbeam_channel::{Receiver, Sender};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One side of one call.
pub(super) struct Line {
    pub(super) socket: UdpSocket,
    pub(super) them: Voice,
    pub(super) listener: Listener,
    pub(super) talker: Option<Talker>,
    pub(super) remote: Option<SocketAddr>,
    pub(super) handshake: Option<Handshake>,
    pub(super) zrtp: Option<Box<Zrtp>>,
    /// Who speaks here and by which codec, where keys come later.
    pub(super) voice: Option<(Voice, Codec)>,
    pub(super) slot: usize,
    pub(super) talking: bool,
    pub(super) unsent: u64,
}

/// What the thread says by itself.
pub(super) struct Tells {
    pub(super) report: Sender<Report>,
    pub(super) progress: Sender<Done>,
    pub(super) keyed: Sender<LineId>,
}

/// The state of the thread.
pub(super) struct Machine {
    pub(super) poll: OwnedFd,
    pub(super) queue: Receiver<Command>,
    pub(super) tells: Tells,
    pub(super) shaking: Option<tokio::runtime::Handle>,
    pub(super) commands: Sender<Command>,
    /// By their names, which are small numbers.
    pub(super) lines: Vec<Option<Box<Line>>>,
    /// Those whose ZRTP has no keys yet.
    pub(super) agreeing: Vec<LineId>,
    /// Which lines send in which millisecond of the packet interval.
    pub(super) wheel: Vec<Vec<LineId>>,
    pub(super) tones: HashMap<(u32, u8), Arc<Tone>>,
    pub(super) done: Done,
    pub(super) buffer: [u8; 2_048],
}

#[expect(
    clippy::disallowed_methods,
    reason = "a driver: it reads the clock once per slot"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

impl Machine {
    /// With its orders, and the way by which handshakes give it more; `slots` milliseconds are between two packets.
    pub(super) fn new(
        (queue, commands): (Receiver<Command>, Sender<Command>),
        tells: Tells,
        shaking: Option<tokio::runtime::Handle>,
        slots: usize,
    ) -> io::Result<Self> {
        Ok(Self {
            poll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            queue,
            tells,
            shaking,
            commands,
            lines: Vec::new(),
            agreeing: Vec::new(),
            wheel: vec![Vec::new(); slots],
            tones: HashMap::new(),
            done: Done::default(),
            buffer: [0; 2_048],
        })
    }

    pub(super) fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        let (began, mut slot, mut told) = (now(), 0_u32, now());
        loop {
            let time = now();
            slot = self.speak_due(began, slot, time);
            self.agree_due(time);
            if time - told >= Duration::from_millis(250) {
                told = time;
                // Nobody may be looking.
                let _ = self.tells.progress.send(self.done);
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
                let _ = self.tells.keyed.send(id);
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
                    let _ = self.tells.report.send(report);
                }
            }
            Command::Stop => {}
        }
    }

    pub(super) fn tone(&mut self, voice: Voice, codec: Codec) -> Arc<Tone> {
        let hertz = hertz(voice);
        let key = (hertz, codec.payload_type());
        Arc::clone(
            self.tones
                .entry(key)
                .or_insert_with(|| Arc::new(Tone::new(hertz, codec))),
        )
    }

    pub(super) fn line(&mut self, id: LineId) -> Option<&mut Line> {
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

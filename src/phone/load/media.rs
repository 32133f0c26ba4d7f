//! The audio of all calls on a thread of its own: no task, no lock and no queue per call.
//!
//! Each side of a call has its own socket. Sending follows a wheel of 1 ms slots, so that calls are spread over
//! the packet interval; receiving is whatever the kernel says is readable.

mod keys;
mod machine;

use crate::phone::audio::{Tally, Voice};
use crate::phone::dtls::Keys;
use crate::phone::session::Agreed;
use crate::phone::tone::Codec;
use crate::phone::zrtp::Zrtp;
use crossbeam_channel::{Receiver, Sender, unbounded};
use machine::{Machine, Tells};
use std::io;
use std::net::UdpSocket;
use std::thread::{self, JoinHandle};
use std::time::Duration;

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
        let tells = Tells {
            report,
            progress: tell,
            keyed: tell_keyed,
        };
        let runtime = shaking.as_ref().map(|runtime| runtime.handle().clone());
        let machine = Machine::new((queue, commands.clone()), tells, runtime, slots)?;
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

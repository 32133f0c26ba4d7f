//! A phone on the wire: one SIP socket, its calls, and the person who holds it.
//!
//! A [`Phone`] is a task; the person speaks to it by [`Phone`] and [`Line`] and hears of it by [`Line::next`].
//! Sessions are negotiated by the phone itself, as phones do; holding is one word to it.

mod call;
mod exchange;

use super::Error;
use super::message::Inbound;
use super::session::{Direction, Security};
use super::stream::{Heard, Order, Speech};
use super::tone::Codec;
use super::ua::Me;
use exchange::Exchange;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

/// Orders and happenings waiting on either side of a phone; a person is never behind by so many.
const QUEUE: usize = 64;

/// A message that passed by, for whoever draws the ladder.
#[derive(Clone, Debug)]
pub struct Passed {
    /// The user of the phone.
    pub phone: String,
    /// Whether the phone sent it.
    pub sent: bool,
    /// The message.
    pub message: Inbound,
}

/// Sees each message that a phone sends and gets.
pub type Watcher = Arc<dyn Fn(Passed) + Send + Sync>;

/// What a phone is like.
#[derive(Clone)]
pub struct Settings {
    /// Its user.
    pub user: String,
    /// Where it binds: an address and a port, or port 0.
    pub at: SocketAddr,
    /// How it encrypts.
    pub security: Security,
    /// The codecs that it speaks, in order of preference.
    pub codecs: Vec<Codec>,
    /// What it says.
    pub speech: Speech,
    /// An outbound proxy that all requests go to, contacts and routes notwithstanding.
    pub proxy: Option<SocketAddr>,
    /// Sees its messages.
    pub watcher: Option<Watcher>,
}

/// What a person at the phone notices of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A provisional response: 180 rings, 183 may bring early media.
    Progress(u16),
    /// The far end answered, or accepted what we offered; sound goes this way from our side.
    Answered(Direction),
    /// The far end refused the call or the offer.
    Refused(u16),
    /// The far end offered another session, which the phone accepted; seen from the far end.
    Offered(Direction),
    /// Our answer has arrived.
    Acknowledged,
    /// The caller gave up.
    Cancelled,
    /// The far end hung up.
    HungUp,
    /// Our hanging up was answered.
    Ended(u16),
    /// Nobody reacted.
    TimedOut,
    /// Something was wrong with what the far end sent.
    Fault(String),
    /// The phone itself is gone.
    Gone,
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

enum Command {
    Call {
        target: String,
        hop: SocketAddr,
        number: u32,
        line: oneshot::Sender<Result<Line, Error>>,
    },
    Options {
        hop: SocketAddr,
    },
    Act(u64, Act),
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Ring,
    Early,
    Answer,
    Refuse(u16),
    Cancel,
    HangUp,
    Offer(Direction),
}

/// A phone. It hangs up on nobody when dropped: it just falls silent, as a phone without power does.
pub struct Phone {
    address: SocketAddr,
    commands: mpsc::Sender<Command>,
    incoming: mpsc::Receiver<Line>,
    pongs: mpsc::Receiver<u16>,
}

/// One call at a phone.
pub struct Line {
    id: u64,
    /// The user of the Request-URI by which it came or went.
    pub dialled: String,
    commands: mpsc::Sender<Command>,
    happenings: mpsc::Receiver<Happening>,
    orders: mpsc::Sender<Order>,
}

impl Phone {
    /// Switches a phone on.
    ///
    /// # Errors
    /// [`Error::Io`] if its address cannot be bound.
    pub async fn start(settings: Settings) -> Result<Self, Error> {
        let io = |source| Error::Io {
            what: format!("phone {} at {}", settings.user, settings.at),
            source,
        };
        let socket = UdpSocket::bind(settings.at).await.map_err(io)?;
        let address = socket.local_addr().map_err(io)?;
        let (commands, orders) = mpsc::channel(QUEUE);
        let (lines, incoming) = mpsc::channel(QUEUE);
        let (pong, pongs) = mpsc::channel(QUEUE);
        let me = Me {
            user: settings.user.clone(),
            at: address,
            proxy: settings.proxy,
        };
        let exchange = Exchange::new(me, settings, socket, commands.downgrade(), lines, pong);
        tokio::spawn(exchange.run(orders));
        Ok(Self {
            address,
            commands,
            incoming,
            pongs,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Calls the URI `target` by way of `hop`, as caller of call `number`.
    ///
    /// # Errors
    /// [`Error`] if the URI cannot be read or no ports are free.
    pub async fn call(&self, target: &str, hop: SocketAddr, number: u32) -> Result<Line, Error> {
        let gone = || Error::Message("the phone is gone".into());
        let (line, placed) = oneshot::channel();
        let command = Command::Call {
            target: target.into(),
            hop,
            number,
            line,
        };
        self.commands.send(command).await.map_err(|_| gone())?;
        placed.await.map_err(|_| gone())?
    }

    /// The next call that arrives. It is the callee's of the number at the end of the user dialled.
    pub async fn incoming(&mut self) -> Option<Line> {
        self.incoming.recv().await
    }

    /// Asks `hop` whether it is there and waits for the status of its answer, 408 after `patience`.
    #[expect(
        clippy::disallowed_methods,
        reason = "a phone is a driver: it waits for answers"
    )]
    pub async fn options(&mut self, hop: SocketAddr, patience: Duration) -> u16 {
        while self.pongs.try_recv().is_ok() {}
        if self.commands.send(Command::Options { hop }).await.is_err() {
            return 408;
        }
        tokio::time::timeout(patience, self.pongs.recv())
            .await
            .ok()
            .flatten()
            .unwrap_or(408)
    }
}

impl Line {
    /// What happens next.
    pub async fn next(&mut self) -> Happening {
        self.happenings.recv().await.unwrap_or(Happening::Gone)
    }

    /// Says that it rings: 180.
    pub async fn ring(&self) {
        self.act(Act::Ring).await;
    }

    /// Opens the audio before answering: 183 with a session. To be [heard](Self::talk) it waits until the caller has the
    /// 183: with SDES, what overtakes its key cannot be deciphered by anybody.
    pub async fn speak_early(&self) {
        self.act(Act::Early).await;
    }

    /// Answers.
    pub async fn answer(&self) {
        self.act(Act::Answer).await;
    }

    /// Refuses with a status.
    pub async fn refuse(&self, status: u16) {
        self.act(Act::Refuse(status)).await;
    }

    /// Gives up calling.
    pub async fn cancel(&self) {
        self.act(Act::Cancel).await;
    }

    /// Hangs up.
    pub async fn hang_up(&self) {
        self.act(Act::HangUp).await;
    }

    /// Offers media in this direction: `SendOnly` holds, `SendRecv` resumes.
    pub async fn offer(&self, direction: Direction) {
        self.act(Act::Offer(direction)).await;
    }

    /// Speaks, or is quiet.
    pub async fn talk(&self, talking: bool) {
        // A call whose audio is gone has nothing to say.
        let _ = self.orders.send(Order::Talk(talking)).await;
    }

    /// Mutes the microphone, or no more.
    pub async fn mute(&self, muted: bool) {
        // A call whose audio is gone has nothing to say.
        let _ = self.orders.send(Order::Mute(muted)).await;
    }

    /// What was heard so far. None if the call is gone.
    pub async fn heard(&self) -> Option<Heard> {
        let (to, report) = oneshot::channel();
        self.orders.send(Order::Report(to)).await.ok()?;
        report.await.ok()
    }

    async fn act(&self, act: Act) {
        // If the phone is gone, `next` says so.
        let _ = self.commands.send(Command::Act(self.id, act)).await;
    }
}

/// The number of a call is what its callee's user ends in: `bob-17` is called in call 17.
pub fn number(user: &str) -> u32 {
    let digits = user
        .rsplit(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default();
    digits.parse().unwrap_or(0)
}

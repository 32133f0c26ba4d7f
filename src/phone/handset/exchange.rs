//! The task inside a phone: its socket, its calls, its clock.

use super::call::Call;
use super::{Act, Command, Happening, Line, Passed, QUEUE, Settings, number};
use crate::phone::Error;
use crate::phone::audio::{Side, Voice};
use crate::phone::message::{self, Inbound, Outline};
use crate::phone::session::{Described, Direction, Local, Security};
use crate::phone::stream::{self, Order, Pair, sleep_until};
use crate::phone::ua::{Me, Ua};
use crate::phone::zrtp::Zrtp;
use rand::Rng as _;
use rand::rngs::StdRng;
use rsip::Method;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

pub(super) struct Exchange {
    me: Me,
    settings: Settings,
    socket: UdpSocket,
    random: StdRng,
    next: u64,
    /// By Call-ID.
    calls: HashMap<String, Call>,
    commands: mpsc::WeakSender<Command>,
    lines: mpsc::Sender<Line>,
    pong: mpsc::Sender<u16>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a phone is a driver: it reads the clock once per wake"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

impl Exchange {
    pub(super) fn new(
        me: Me,
        settings: Settings,
        socket: UdpSocket,
        commands: mpsc::WeakSender<Command>,
        lines: mpsc::Sender<Line>,
        pong: mpsc::Sender<u16>,
    ) -> Self {
        let random = rand::make_rng();
        Self {
            me,
            settings,
            socket,
            random,
            next: 0,
            calls: HashMap::new(),
            commands,
            lines,
            pong,
        }
    }

    /// Runs until nobody holds the phone or one of its lines any more.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut buffer = vec![0; 65_536];
        loop {
            let due = self
                .calls
                .values()
                .filter_map(|call| call.ua.poll_timeout())
                .min();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => break,
                },
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok((length, from)) => self.datagram(&buffer[..length], from).await,
                    // An ICMP error for something that was sent before: its timers deal with that.
                    Err(error) => tracing::debug!(%error, "phone socket"),
                },
                () = sleep_until(due) => {
                    for call in self.calls.values_mut() {
                        call.ua.handle_timeout(now());
                    }
                }
            }
            self.settle().await;
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Call {
                target,
                hop,
                number,
                line,
            } => {
                let placed = self.place(&target, hop, number).await;
                // Whoever called has hung up already: the call rings on, unattended.
                let _ = line.send(placed);
            }
            Command::Options { hop } => {
                let token = self.token();
                let uri = message::uri(&format!("sip:{hop}")).expect("a socket address is a host and a port");
                let text = Outline {
                    method: Method::Options,
                    uri: &uri,
                    at: self.me.at,
                    user: &self.me.user,
                    branch: &format!("z9hG4bK{token}"),
                    route: &[],
                    from: &format!("<sip:{}@{}>;tag={token}", self.me.user, self.me.at.ip()),
                    to: &format!("<{uri}>"),
                    call_id: &format!("{token}@phone.invalid"),
                    cseq: 1,
                    body: None,
                };
                self.send(&text.print(), hop).await;
            }
            Command::Act(id, act) => self.act(id, act),
        }
    }

    async fn place(&mut self, target: &str, hop: SocketAddr, number: u32) -> Result<Line, Error> {
        let uri = message::uri(target)?;
        let dialled = uri.user().unwrap_or_default().to_owned();
        let (mut local, orders) = self
            .audio(Voice {
                call: number,
                side: Side::Caller,
            })
            .await?;
        let offer = local.offer(Direction::SendRecv, &mut self.random);
        let ua = Ua::place(
            self.me.clone(),
            (target, uri),
            hop,
            &self.token(),
            Some(&offer),
            now(),
        );
        Ok(self.line(ua, local, orders, None, dialled))
    }

    /// Opens the ports of a call and the task that speaks there.
    async fn audio(&mut self, us: Voice) -> Result<(Local, mpsc::Sender<Order>), Error> {
        let io = |source| Error::Io {
            what: "ports for audio".into(),
            source,
        };
        let pair = Pair::bind(self.me.at.ip()).await.map_err(io)?;
        let at = pair.address().map_err(io)?;
        let other = if us.side == Side::Caller {
            Side::Callee
        } else {
            Side::Caller
        };
        let them = Voice {
            call: us.call,
            side: other,
        };
        let (orders, queue) = mpsc::channel(QUEUE);
        let can_zrtp = matches!(self.settings.security, Security::Zrtp | Security::AsOffered(_));
        let zrtp = can_zrtp.then(|| Zrtp::new(None, now()));
        let hash = zrtp.as_ref().map(Zrtp::hash);
        tokio::spawn(stream::run(
            pair,
            us,
            them,
            self.settings.speech,
            self.random.next_u32(),
            zrtp,
            queue,
        ));
        let (codecs, security) = (self.settings.codecs.clone(), self.settings.security.clone());
        let mut local = Local::new(at, codecs, security, &mut self.random);
        if let Some(hash) = hash {
            local = local.announcing(hash);
        }
        Ok((local, orders))
    }

    fn line(
        &mut self,
        ua: Ua,
        local: Local,
        orders: mpsc::Sender<Order>,
        offer: Option<Described>,
        dialled: String,
    ) -> Line {
        let (happenings, queue) = mpsc::channel(QUEUE);
        self.next += 1;
        let id = self.next;
        let call_id = ua.call_id().to_owned();
        let call = Call {
            id,
            ua,
            local,
            agreed: None,
            offer,
            answer: None,
            happenings,
            orders: orders.clone(),
        };
        self.calls.insert(call_id, call);
        let commands = self
            .commands
            .upgrade()
            .expect("`run` holds the receiver, and ends when no sender is left");
        Line {
            id,
            dialled,
            commands,
            happenings: queue,
            orders,
        }
    }

    fn token(&mut self) -> String {
        format!("{:016x}", self.random.next_u64())
    }

    async fn datagram(&mut self, datagram: &[u8], from: SocketAddr) {
        if message::is_keepalive(datagram) {
            return;
        }
        let inbound = match Inbound::read(datagram) {
            Ok(inbound) => inbound,
            Err(error) => {
                // It belongs to no call that we could tell: so to all of them.
                for call in self.calls.values() {
                    let _ = call.happenings.try_send(Happening::Fault(error.to_string()));
                }
                return;
            }
        };
        self.watch(false, || inbound.clone());
        if let Some(call) = self.calls.get_mut(&inbound.call_id) {
            call.ua.handle(inbound, from, now());
            return;
        }
        match (inbound.method(), inbound.status()) {
            (Some(Method::Invite), _) if inbound.to_tag.is_none() => {
                if let Err(error) = self.invited(&inbound, from).await {
                    tracing::debug!(%error, "call refused");
                    self.reply(&inbound, 488, from).await;
                }
            }
            (Some(Method::Options), _) => self.reply(&inbound, 200, from).await,
            (Some(Method::Ack), _) => {}
            (Some(_), _) => self.reply(&inbound, 481, from).await,
            (None, Some(status)) if inbound.cseq.1 == Method::Options => {
                // Somebody may still be waiting; if not, so be it.
                let _ = self.pong.try_send(status);
            }
            (None, _) => {}
        }
    }

    async fn invited(&mut self, invite: &Inbound, from: SocketAddr) -> Result<(), Error> {
        let dialled = invite.user().unwrap_or_default().to_owned();
        let offer = Described::read(invite.body().unwrap_or_default())?;
        let (local, orders) = self
            .audio(Voice {
                call: number(&dialled),
                side: Side::Callee,
            })
            .await?;
        let ua = Ua::invited(self.me.clone(), invite.clone(), from, &self.token(), now())?;
        let line = self.line(ua, local, orders, Some(offer), dialled);
        // A phone that nobody picks up at keeps ringing nowhere: the queue is bounded, the call is dropped.
        let _ = self.lines.try_send(line);
        Ok(())
    }

    fn act(&mut self, id: u64, act: Act) {
        let Some(call) = self.calls.values_mut().find(|call| call.id == id) else {
            return;
        };
        let now = now();
        match act {
            Act::Ring => call.ua.answer_invite(180, None, now),
            Act::Refuse(status) => call.ua.answer_invite(status, None, now),
            Act::Early | Act::Answer => {
                if let Some(offer) = call.offer.take() {
                    match call.local.answer(&offer, &mut self.random) {
                        Ok((answer, agreed)) => {
                            call.answer = Some(answer);
                            call.agree(agreed);
                        }
                        Err(error) => {
                            tracing::debug!(%error, "the offer is refused");
                            call.ua.answer_invite(488, None, now);
                        }
                    }
                }
                let answer = call.answer.clone();
                let status = if matches!(act, Act::Early) { 183 } else { 200 };
                call.ua.answer_invite(status, answer.as_deref(), now);
            }
            Act::Cancel => call.ua.cancel(now),
            Act::HangUp => {
                call.talk(false);
                call.ua.hang_up(now);
            }
            Act::Offer(direction) => {
                let offer = call.local.offer(direction, &mut self.random);
                call.ua.reoffer(&offer, now);
            }
        }
    }

    /// Sends what is to be sent, tells what is to be told, and forgets what is over.
    async fn settle(&mut self) {
        let mut out = Vec::new();
        for call in self.calls.values_mut() {
            while let Some(event) = call.ua.event() {
                let happening = call.happened(event, &mut self.random);
                if call.happenings.try_send(happening).is_err() {
                    tracing::debug!("nobody listens to this call any more");
                }
            }
            out.extend(std::iter::from_fn(|| call.ua.transmit()));
        }
        for (text, to) in out {
            self.send(&text, to).await;
        }
        self.calls.retain(|_, call| !call.ua.is_over());
    }

    async fn reply(&self, request: &Inbound, status: u16, to: SocketAddr) {
        let text = message::respond(
            request,
            (status, message::reason(status)),
            Some("stray"),
            None,
            None,
        );
        self.send(&text, to).await;
    }

    async fn send(&self, text: &str, to: SocketAddr) {
        self.watch(true, || {
            Inbound::read(text.as_bytes()).expect("rsip reads what rsip has written")
        });
        if let Err(error) = self.socket.send_to(text.as_bytes(), to).await {
            // Its timers send it again.
            tracing::debug!(%error, %to, "phone socket");
        }
    }

    fn watch(&self, sent: bool, message: impl FnOnce() -> Inbound) {
        if let Some(watcher) = &self.settings.watcher {
            watcher(Passed {
                phone: self.me.user.clone(),
                sent,
                message: message(),
            });
        }
    }
}

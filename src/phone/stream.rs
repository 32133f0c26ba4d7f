//! One call's audio at one phone, on its own pair of ports, as a task.

mod ports;

pub(super) use ports::Pair;

use super::Error;
use super::audio::{Listener, Talker, Tally, Voice};
use super::crypto::{Key, Protect, Suite, Unprotect};
use super::dtls::{self, Handshake, Keys};
use super::session::Agreed;
use super::tone::{Codec, Tone};
use super::zrtp::{self, Zrtp};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, interval};

/// Packets between two sender reports: short calls shall have some too.
const REPORT_EVERY: u32 = 25;
/// What a phone says in its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// The tone of its voice.
    Tone,
    /// Another tone, as a negative control.
    WrongTone(u32),
    /// Nothing, as a negative control.
    Silence,
}

/// What one phone heard and said in one call.
#[derive(Clone, Debug)]
pub struct Heard {
    /// What arrived.
    pub tally: Tally,
    /// RTP packets sent.
    pub sent: u64,
    /// What went and came by RTCP.
    pub rtcp: Reports,
    /// The suite by which the far end's packets were protected; none in clear or if no keys were agreed on.
    pub suite: Option<Suite>,
    /// ZRTP's string, as the phone shows it to its user.
    pub sas: Option<String>,
    /// Whether packets can be read and sent: with DTLS, once the handshakes of RTP and RTCP are over, with ZRTP, once
    /// its keys are confirmed.
    pub ready: bool,
    /// The codec.
    pub codec: Option<Codec>,
    /// The strongest frequency of the last second, with its share of the whole.
    pub strongest: Option<(u32, f64)>,
    /// The frequency of the far end's tone.
    pub expected: u32,
    /// The length of the longest gap between two packets.
    pub gap: Duration,
}

/// RTCP packets of one phone in one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reports {
    /// Sent.
    pub sent: u64,
    /// Received, and well-formed once they were opened.
    pub read: u64,
    /// Received, and not.
    pub unreadable: u64,
}

pub(super) enum Order {
    Open(Box<Agreed>),
    Talk(bool),
    Mute(bool),
    Report(oneshot::Sender<Heard>),
}

/// The tone of a voice: each call has its own, and callers lie below callees.
pub fn hertz(voice: Voice) -> u32 {
    let base = if voice.side == super::audio::Side::Caller {
        400
    } else {
        1_000
    };
    base + 10 * (voice.call % 40)
}

/// RTP or RTCP: each has an association of its own (RFC 5764 §4).
#[derive(Clone, Copy, Debug)]
enum Component {
    Rtp,
    Rtcp,
}

/// How a handshake ended.
type Shaken = (Component, Result<Keys, Error>);

/// The handshakes of one association, and what they gave.
struct Dtls {
    /// Whom with, by which certificates, and whether we begin.
    with: (SocketAddr, Vec<String>, bool),
    rtp: Handshake,
    rtcp: Handshake,
    rtp_keys: Option<Keys>,
    rtcp_keys: Option<Keys>,
}

struct Stream {
    pair: Pair,
    us: Voice,
    speech: Speech,
    listener: Listener,
    talker: Option<Talker>,
    rtcp_in: Option<Unprotect>,
    agreed: Option<Box<Agreed>>,
    /// The keys in use: a description that repeats them must not begin a stream anew.
    keys: Option<(Option<Key>, Option<Key>)>,
    dtls: Option<Dtls>,
    zrtp: Option<Zrtp>,
    talking: bool,
    muted: bool,
    rtcp: Reports,
    began: Instant,
    last: Option<Instant>,
    gap: Duration,
    ssrc: u32,
}

/// Runs one call's audio until the orders end.
#[expect(
    clippy::disallowed_methods,
    reason = "a phone is a driver: it keeps the time of its own packets"
)]
pub(super) async fn run(
    pair: Pair,
    us: Voice,
    them: Voice,
    speech: Speech,
    ssrc: u32,
    zrtp: Option<Zrtp>,
    mut orders: mpsc::Receiver<Order>,
) {
    let tone = Arc::new(Tone::new(hertz(them), Codec::Pcmu));
    let mut stream = Stream {
        pair,
        us,
        speech,
        listener: Listener::new(them, tone).recording(),
        talker: None,
        rtcp_in: None,
        agreed: None,
        keys: None,
        dtls: None,
        zrtp,
        talking: false,
        muted: false,
        rtcp: Reports::default(),
        began: Instant::now(),
        last: None,
        gap: Duration::ZERO,
        ssrc,
    };
    let (shaken, mut handshakes) = mpsc::unbounded_channel();
    let mut ticker = interval(Duration::from_millis(20));
    let (mut rtp_buffer, mut rtcp_buffer) = ([0; 2_048], [0; 2_048]);
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                None => break,
                Some(Order::Open(agreed)) => stream.open(agreed, &shaken),
                Some(Order::Talk(talking)) => stream.talking = talking,
                Some(Order::Mute(muted)) => stream.muted = muted,
                // Whoever asked may have gone: then nobody misses the report.
                Some(Order::Report(to)) => drop(to.send(stream.report())),
            },
            Some((component, keys)) = handshakes.recv() => stream.keyed(component, keys),
            Ok((length, from)) = stream.pair.rtp.recv_from(&mut rtp_buffer) => stream.hear(&rtp_buffer[..length], from),
            Ok((length, _)) = stream.pair.rtcp.recv_from(&mut rtcp_buffer) => stream.hear_rtcp(&rtcp_buffer[..length]),
            () = sleep_until(stream.zrtp.as_ref().and_then(Zrtp::poll_timeout)) => stream.exchange(|zrtp, now| zrtp.handle_timeout(now)),
            _ = ticker.tick(), if stream.talking && !stream.muted => stream.speak().await,
        }
    }
}

impl Stream {
    fn open(&mut self, agreed: Box<Agreed>, shaken: &mpsc::UnboundedSender<Shaken>) {
        if let (Some(begin), Some(described)) = (agreed.begin_dtls, &agreed.remote.dtls) {
            // The same association goes on through offers that say the same of it (RFC 8842 §4).
            let with = (agreed.remote.rtp, described.fingerprints.clone(), begin);
            if self.dtls.as_ref().is_none_or(|dtls| dtls.with != with) {
                let shake = |component: Component, socket: &Arc<UdpSocket>, to: SocketAddr| {
                    let (shaken, socket) = (shaken.clone(), Arc::clone(socket));
                    // What is refused is lost, and sent again in time.
                    let send = move |datagram: &[u8]| drop(socket.try_send_to(datagram, to));
                    // The stream may be gone.
                    let done = move |keys| drop(shaken.send((component, keys)));
                    Handshake::begin(begin, with.1.clone(), send, done)
                };
                let rtp = shake(Component::Rtp, &self.pair.rtp, agreed.remote.rtp);
                let rtcp = shake(Component::Rtcp, &self.pair.rtcp, agreed.remote.rtcp);
                self.dtls = Some(Dtls {
                    with,
                    rtp,
                    rtcp,
                    rtp_keys: None,
                    rtcp_keys: None,
                });
                self.keys = None;
            }
            self.agreed = Some(agreed);
            return;
        }
        if let Some(hash) = agreed.zrtp.clone() {
            self.agreed = Some(agreed);
            return self.exchange(|zrtp, now| {
                if let Err(error) = zrtp.begin(&hash, now) {
                    tracing::error!(%error, "no keys");
                }
            });
        }
        let keys = (agreed.ours.clone(), agreed.theirs.clone());
        self.key(&agreed, keys);
        self.agreed = Some(agreed);
    }

    /// Does something about ZRTP, and then what comes of it. What is sent before there are keys is lost: nobody speaks.
    #[expect(
        clippy::disallowed_methods,
        reason = "a phone is a driver: it reads the clock once per wake"
    )]
    fn exchange(&mut self, act: impl FnOnce(&mut Zrtp, std::time::Instant)) {
        let (Some(zrtp), Some(agreed)) = (&mut self.zrtp, &self.agreed) else {
            return;
        };
        act(zrtp, std::time::Instant::now());
        let mut keyed = None;
        while let Some(event) = zrtp.poll() {
            match event {
                // What is refused is lost, and sent again in time.
                zrtp::Event::Send(datagram) => drop(self.pair.rtp.try_send_to(&datagram, agreed.remote.rtp)),
                zrtp::Event::Keyed(keys) => keyed = Some(keys),
                zrtp::Event::Failed(error) => tracing::error!(%error, "no keys"),
            }
        }
        if let (Some(keys), Some(agreed)) = (keyed, self.agreed.clone()) {
            self.key(&agreed, (Some(keys.0), Some(keys.1)));
        }
    }

    /// A handshake is over. Without keys nothing is said and nothing is heard, which will be noticed.
    fn keyed(&mut self, component: Component, keys: Result<Keys, Error>) {
        let keys = match keys {
            Ok(keys) => keys,
            Err(error) => return tracing::error!(%error, ?component, "no keys"),
        };
        let (Some(dtls), Some(agreed)) = (&mut self.dtls, self.agreed.clone()) else {
            return;
        };
        match component {
            Component::Rtp => dtls.rtp_keys = Some(keys),
            Component::Rtcp => dtls.rtcp_keys = Some(keys),
        }
        if let (Some((ours, theirs)), Some((our_rtcp, their_rtcp))) =
            (dtls.rtp_keys.clone(), dtls.rtcp_keys.clone())
        {
            self.key(&agreed, (Some(ours), Some(theirs)));
            self.rtcp_in = Some(Unprotect::new(Some(&their_rtcp)));
            if let Some(talker) = &mut self.talker {
                talker.protect_reports(Protect::new(Some(&our_rtcp)));
            }
        }
    }

    fn key(&mut self, agreed: &Agreed, keys: (Option<Key>, Option<Key>)) {
        if self.keys.as_ref().is_none_or(|before| before.1 != keys.1) {
            self.listener.expect_codec(agreed.codec);
            self.listener.open(Unprotect::new(keys.1.as_ref()));
            self.rtcp_in = Some(Unprotect::new(keys.1.as_ref()));
        }
        if self.keys.as_ref().is_none_or(|before| before.0 != keys.0) {
            let hertz = match self.speech {
                Speech::WrongTone(hertz) => hertz,
                Speech::Tone | Speech::Silence => hertz(self.us),
            };
            let tone = Arc::new(Tone::new(hertz, agreed.codec));
            self.talker = Some(Talker::new(
                self.us,
                tone,
                self.ssrc,
                Protect::new(keys.0.as_ref()),
            ));
        }
        self.keys = Some(keys);
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a phone is a driver: gaps are measured as they are heard"
    )]
    fn hear(&mut self, packet: &[u8], from: SocketAddr) {
        // Before the answer is here there is no handshake yet: who begins will repeat it.
        if dtls::is_dtls(packet) {
            return self.dtls.iter().for_each(|dtls| dtls.rtp.take(packet));
        }
        if zrtp::is_zrtp(packet) {
            if self
                .agreed
                .as_ref()
                .is_some_and(|agreed| agreed.remote.rtp == from)
            {
                self.exchange(|zrtp, now| zrtp.take(packet, now));
            }
            return;
        }
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.gap = self.gap.max(now - last);
        }
        match &self.agreed {
            // Symmetric RTP: from where we send to. Anything else is not this call's.
            Some(agreed) if agreed.remote.rtp != from => self.listener.stranger(),
            _ => self.listener.hear(packet),
        }
    }

    fn hear_rtcp(&mut self, packet: &[u8]) {
        if dtls::is_dtls(packet) {
            return self.dtls.iter().for_each(|dtls| dtls.rtcp.take(packet));
        }
        let Some(open) = &mut self.rtcp_in else { return };
        match open.rtcp(packet) {
            // Version 2, and one of SR, RR, SDES, BYE, APP and feedback.
            Ok(clear) if clear.len() >= 8 && clear[0] >> 6 == 2 && (200..=207).contains(&clear[1]) => {
                self.rtcp.read += 1
            }
            _ => self.rtcp.unreadable += 1,
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a phone is a driver: its reports tell the time"
    )]
    async fn speak(&mut self) {
        let (Some(talker), Some(agreed)) = (&mut self.talker, &self.agreed) else {
            return;
        };
        if self.speech == Speech::Silence {
            return;
        }
        if let Some(packet) = talker.speak() {
            // A refused send is a lost packet, and counted as one by whoever misses it.
            let _ = self.pair.rtp.send_to(&packet, agreed.remote.rtp).await;
        }
        if talker.sent() % REPORT_EVERY == 0
            && let Some(report) = talker.report(Instant::now() - self.began)
            && self.pair.rtcp.send_to(&report, agreed.remote.rtcp).await.is_ok()
        {
            self.rtcp.sent += 1;
        }
    }

    fn report(&mut self) -> Heard {
        Heard {
            tally: self.listener.tally(),
            sent: self.talker.as_ref().map_or(0, |talker| u64::from(talker.sent())),
            rtcp: self.rtcp,
            suite: self
                .keys
                .as_ref()
                .and_then(|(_, theirs)| theirs.as_ref())
                .map(|key| key.suite),
            sas: self.zrtp.as_ref().and_then(Zrtp::sas).map(str::to_owned),
            ready: self.keys.is_some(),
            codec: self.agreed.as_ref().map(|agreed| agreed.codec),
            strongest: self.listener.strongest(),
            expected: self.listener.expected_hertz(),
            gap: self.gap,
        }
    }
}

/// Waits for a time that may never come.
#[expect(
    clippy::disallowed_methods,
    reason = "a phone is a driver: it waits for its timers"
)]
pub(super) async fn sleep_until(due: Option<std::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

//! One call's audio at one phone, on its own pair of ports, as a task.

use super::audio::{Listener, Talker, Tally, Voice};
use super::crypto::{Key, Protect, Suite, Unprotect};
use super::session::Agreed;
use super::tone::{Codec, Tone};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, interval};

/// Packets between two sender reports: short calls shall have some too.
const REPORT_EVERY: u32 = 25;
/// How often a free pair of ports is looked for.
const PAIR_TRIES: usize = 64;

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
    /// The suite by which the far end's packets were protected; none in clear or if no session was agreed.
    pub suite: Option<Suite>,
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
    Report(oneshot::Sender<Heard>),
}

/// The ports of one call: RTP at an even one, RTCP at the next (RFC 3550 §11).
pub(super) struct Pair {
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

impl Pair {
    pub(super) async fn bind(at: IpAddr) -> std::io::Result<Self> {
        let mut last = std::io::Error::other("no pair of ports is free");
        for _ in 0..PAIR_TRIES {
            let rtp = UdpSocket::bind((at, 0)).await?;
            let port = rtp.local_addr()?.port();
            if port % 2 == 0 {
                match UdpSocket::bind((at, port + 1)).await {
                    Ok(rtcp) => return Ok(Self { rtp, rtcp }),
                    Err(error) => last = error,
                }
            }
        }
        Err(last)
    }

    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.rtp.local_addr()
    }
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
    talking: bool,
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
        talking: false,
        rtcp: Reports::default(),
        began: Instant::now(),
        last: None,
        gap: Duration::ZERO,
        ssrc,
    };
    let mut ticker = interval(Duration::from_millis(20));
    let (mut rtp_buffer, mut rtcp_buffer) = ([0; 2_048], [0; 2_048]);
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                None => break,
                Some(Order::Open(agreed)) => stream.open(agreed),
                Some(Order::Talk(talking)) => stream.talking = talking,
                // Whoever asked may have gone: then nobody misses the report.
                Some(Order::Report(to)) => drop(to.send(stream.report())),
            },
            Ok((length, from)) = stream.pair.rtp.recv_from(&mut rtp_buffer) => stream.hear(&rtp_buffer[..length], from),
            Ok((length, _)) = stream.pair.rtcp.recv_from(&mut rtcp_buffer) => stream.hear_rtcp(&rtcp_buffer[..length]),
            _ = ticker.tick(), if stream.talking => stream.speak().await,
        }
    }
}

impl Stream {
    fn open(&mut self, agreed: Box<Agreed>) {
        let keys = (agreed.ours.clone(), agreed.theirs.clone());
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
        self.agreed = Some(agreed);
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a phone is a driver: gaps are measured as they are heard"
    )]
    fn hear(&mut self, packet: &[u8], from: SocketAddr) {
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
                .agreed
                .as_ref()
                .and_then(|agreed| agreed.theirs.as_ref())
                .map(|key| key.suite),
            codec: self.agreed.as_ref().map(|agreed| agreed.codec),
            strongest: self.listener.strongest(),
            expected: self.listener.expected_hertz(),
            gap: self.gap,
        }
    }
}

//! A phone that behaves: answers, holds, resumes, adds video, retries after 491 (RFC 3261 §14.1), and knows what it may send.

mod acts;
mod describe;
mod keying;
mod zrtp;

pub use keying::DtlsPhone;
pub use zrtp::ZrtpPhone;

use super::{
    privacy::description,
    sim::{Sim, Who},
};
use crate::{
    call::Side,
    media::SrtpKey,
    sdp::{Crypto, Sdp},
    sip::{Message, Method, Request, Response},
};
use bytes::Bytes;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// How a phone says hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// `a=sendonly`: music.
    SendOnly,
    /// `a=inactive`
    Inactive,
    /// `c=0.0.0.0` and no attribute, as before RFC 3264.
    BlackHole,
}

/// What a phone has said, and what it wants.
#[derive(Clone, Debug)]
pub(in crate::testing) struct Stand(Option<Sdp>, Option<Hold>, bool);

/// One stream as a phone sees it.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The phone may send.
    pub sends: bool,
    /// The phone will hear.
    pub receives: bool,
    /// Where it sends to.
    pub to: Option<SocketAddr>,
    /// The key that the other side sends with, on a secure phone.
    pub key: Option<Vec<u8>>,
}

/// A phone on one side of a [`Sim`].
#[derive(Debug)]
pub struct Phone {
    /// On which side of the call.
    pub side: Side,
    /// Whose it is.
    pub who: Who,
    /// It has digits in its media (RFC 4733); without them it says and hears them in INFO alone.
    pub events: bool,
    /// Its first RTP port; each further stream is two above.
    pub rtp: SocketAddr,
    /// SDES, with its own key; plain otherwise.
    pub secure: Option<String>,
    /// The one suite that it has.
    pub suite: &'static str,
    /// DTLS-SRTP instead.
    pub dtls: Option<DtlsPhone>,
    /// ZRTP instead.
    pub zrtp: Option<ZrtpPhone>,
    /// It holds the other party.
    pub hold: Option<Hold>,
    /// It writes a direction even when it is `sendrecv`.
    pub writes_sendrecv: bool,
    /// It has, or wants, video.
    pub video: bool,
    /// Time from 180 to 200.
    pub rings: Duration,
    /// 1xx and final answer to an INVITE, unless it answers 200.
    pub refuses: Option<u16>,
    /// What it says to every change of the other party's.
    pub refuses_changes: Option<u16>,
    /// Re-offers by UPDATE instead of re-INVITE.
    pub by_update: bool,
    /// INVITEs without offer.
    pub offerless: bool,
    /// What it may do now.
    pub views: Vec<View>,
    /// The call is answered, for this phone.
    pub up: bool,
    /// It is gone without a word: whatever comes is lost.
    pub gone: bool,
    /// The call is over, for this phone.
    pub ended: bool,
    /// The last final response to a request of its own that was no success.
    pub failed: Option<u16>,
    /// The descriptions that the server sent, in order.
    pub heard: Vec<Sdp>,
    version: u32,
    said: Option<Sdp>,
    /// Its own INVITE or UPDATE has no final response yet.
    asking: bool,
    /// It tries again at that moment.
    retry: Option<Instant>,
    answer_at: Option<(Instant, Request)>,
    last: Option<(Method, u32, Bytes)>,
    dice: u64,
    /// How often it was told 491.
    pub glares: u32,
}

impl Phone {
    /// A plain phone.
    pub fn new(side: Side, seed: u64) -> Self {
        let rtp = match side {
            Side::A => "192.0.2.10:30000",
            Side::B => "192.0.2.200:40000",
        };
        Self {
            side,
            who: side.into(),
            events: true,
            rtp: rtp.parse().expect("a test's own address"),
            secure: None,
            suite: "AES_CM_128_HMAC_SHA1_80",
            dtls: None,
            zrtp: None,
            hold: None,
            writes_sendrecv: true,
            video: false,
            rings: Duration::from_millis(50),
            refuses: None,
            refuses_changes: None,
            by_update: false,
            offerless: false,
            views: Vec::new(),
            up: false,
            gone: false,
            ended: false,
            failed: None,
            heard: Vec::new(),
            version: 0,
            said: None,
            asking: false,
            retry: None,
            answer_at: None,
            last: None,
            dice: seed.wrapping_mul(2) + 1,
            glares: 0,
        }
    }
    /// The phone of the third party, who is to take the place of that side's.
    pub fn third(side: Side, seed: u64) -> Self {
        Self {
            who: Who::C,
            rtp: "192.0.2.150:50000".parse().expect("a test's own address"),
            ..Self::new(side, seed)
        }
    }
    /// The same with SDES and a key of its own.
    #[must_use]
    pub fn secure(mut self) -> Self {
        let letter = match self.who {
            Who::A => "AAAAsecretofalice",
            Who::B => "BBBBsecretofbobby",
            Who::C => "CCCCsecretofcarol",
        };
        self.secure = Some(format!("{letter:x<40}"));
        self
    }
    /// Its own master key, when it is secure.
    pub fn own_key(&self) -> Option<Vec<u8>> {
        let text = format!("1 X inline:{}", self.secure.as_ref()?);
        Some(Crypto::parse(&text).expect("a test's own key").key.to_vec())
    }
    /// Takes a new key, with the next offer.
    pub fn rekey(&mut self) {
        if let Some(key) = &mut self.secure {
            self.version += 1;
            key.replace_range(0..4, &format!("{:A>4}", self.version));
        }
    }

    fn roll(&mut self, bound: u64) -> u64 {
        // xorshift64*: enough to spread retries.
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        (self.dice.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    /// What it has said and wants: to go back to when an offer is refused.
    pub(in crate::testing) fn stand(&self) -> Stand {
        Stand(self.said.clone(), self.hold, self.video)
    }
    /// An offer was refused: what stood before stands.
    pub(in crate::testing) fn stand_back(&mut self, stand: Stand) {
        Stand(self.said, self.hold, self.video) = stand;
    }
    /// Whether it waits for nothing.
    pub fn is_quiet(&self) -> bool {
        !self.asking && self.retry.is_none()
    }
    /// When it wants to act by itself.
    pub fn due(&self) -> Option<Instant> {
        let answer = self.answer_at.as_ref().map(|(at, _)| *at);
        let greets = self.dtls.as_ref().and_then(DtlsPhone::due);
        let zrtp = self.zrtp.as_ref().and_then(ZrtpPhone::due);
        [self.retry, answer, greets, zrtp].into_iter().flatten().min()
    }
    /// Acts, if it is time.
    pub fn tick(&mut self, sim: &mut Sim) {
        if self.retry.is_some_and(|at| at <= sim.now) {
            self.retry = None;
            if !self.ended {
                self.reoffer(sim);
            }
        }
        if let Some((_, request)) = self.answer_at.take_if(|(at, _)| *at <= sim.now) {
            self.answer(sim, &request);
        }
        self.greet(sim);
        self.exchange_zrtp(sim);
    }
    /// Reacts to all that came.
    pub fn react(&mut self, sim: &mut Sim) {
        let came = std::mem::take(&mut sim.party(self.who).inbox);
        if self.gone {
            return;
        }
        for message in came {
            match &message {
                Message::Request(request) => self.request(sim, request, &message),
                Message::Response(response) => self.response(sim, response, &message),
            }
        }
    }

    fn request(&mut self, sim: &mut Sim, request: &Request, message: &Message) {
        let cseq = request.headers.cseq().expect("CSeq");
        if let Some((method, number, bytes)) = &self.last
            && (method, *number) == (&request.method, cseq.number)
        {
            // A repetition.
            return sim.send(self.who, bytes.clone());
        }
        match request.method {
            Method::Ack => {
                if let Some(sdp) = description(message) {
                    self.hear(sdp, sim.now);
                }
            }
            Method::Bye => {
                self.ended = true;
                self.reply(sim, request, 200, "");
            }
            Method::Cancel => {
                self.reply(sim, request, 200, "");
                if let Some((_, invite)) = self.answer_at.take() {
                    self.ended = true;
                    self.reply(sim, &invite, 487, "");
                }
            }
            // RFC 3261 §14.2
            Method::Invite | Method::Update if self.up && self.asking => {
                self.glares += 1;
                self.reply(sim, request, 491, "");
            }
            Method::Invite if !self.up => match self.refuses {
                Some(status) => self.reply(sim, request, status, ""),
                None => {
                    let ringing = sim.party(self.who).respond_to(request, 180, "", "", "");
                    sim.send(self.who, ringing);
                    self.answer_at = Some((sim.now + self.rings, request.clone()));
                }
            },
            Method::Invite | Method::Update => match self.refuses_changes {
                Some(status) => self.reply(sim, request, status, ""),
                None => self.answer(sim, request),
            },
            _ => self.reply(sim, request, 200, ""),
        }
    }
    fn reply(&mut self, sim: &mut Sim, request: &Request, status: u16, body: &str) {
        let bytes = sim.party(self.who).respond_to(request, status, "", "", body);
        let cseq = request.headers.cseq().expect("CSeq");
        self.last = Some((request.method.clone(), cseq.number, bytes.clone()));
        sim.send(self.who, bytes);
    }
    fn answer(&mut self, sim: &mut Sim, request: &Request) {
        let user = sim.party(self.who).user.clone();
        let offer = description(&Message::Request(request.clone()));
        // Like many, it refuses another transport than it is set to.
        if offer.as_ref().is_some_and(|offer| {
            let other = |media: &crate::sdp::Media| {
                let dtls = media.proto.contains("TLS");
                dtls != self.dtls.is_some()
                    || (media.proto.contains("SAVP") && !dtls) != self.secure.is_some()
            };
            offer.media.iter().any(|media| media.is_active() && other(media))
        }) {
            return self.reply(sim, request, 488, "");
        }
        self.show_certificate(sim);
        let body = self.describe(&user, offer.as_ref());
        if let Some(offer) = offer {
            self.hear(offer, sim.now);
        }
        self.up = true;
        self.reply(sim, request, 200, &body);
    }
    fn response(&mut self, sim: &mut Sim, response: &Response, message: &Message) {
        let cseq = response.headers.cseq().expect("CSeq");
        let code = response.status.code();
        if !matches!(cseq.method, Method::Invite | Method::Update) {
            return;
        }
        let invite = cseq.method == Method::Invite;
        match code {
            100..=199 => {
                if let Some(sdp) = description(message) {
                    self.hear(sdp, sim.now);
                }
            }
            200..=299 => {
                self.asking = false;
                self.up = true;
                let body = match description(message) {
                    // Its INVITE had no offer: here is one, and the ACK answers it.
                    Some(offer) if self.offerless && invite => {
                        let user = sim.party(self.who).user.clone();
                        let body = self.describe(&user, Some(&offer));
                        self.hear(offer, sim.now);
                        body
                    }
                    Some(answer) => {
                        self.hear(answer, sim.now);
                        String::new()
                    }
                    None => String::new(),
                };
                if invite {
                    let ack = sim.party(self.who).ack(&body);
                    sim.send(self.who, ack);
                }
            }
            _ => {
                if invite {
                    let ack = sim.party(self.who).ack_failure();
                    sim.send(self.who, ack);
                }
                self.asking = false;
                if code == 491 && self.up {
                    self.glares += 1;
                    // RFC 3261 §14.1: the owner of the Call-ID waits longer.
                    let wait = if sim.party(self.who).is_caller {
                        2_100 + 10 * self.roll(190)
                    } else {
                        10 * self.roll(200)
                    };
                    self.retry = Some(sim.now + Duration::from_millis(wait));
                } else {
                    self.failed = Some(code);
                    self.ended |= !self.up;
                }
            }
        }
    }
}

/// Whether a key is what a phone expects.
pub fn is_key(key: &SrtpKey, expected: Option<&Vec<u8>>) -> bool {
    Some(&key.master.to_vec()) == expected
}

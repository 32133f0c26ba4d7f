//! DTLS-SRTP of a phone: what it says of its certificate, and its ClientHellos.

use super::Phone;
use crate::{
    call::{Encryption, Input},
    media::{Component, MediaEvent, StreamId},
    sdp::{Fingerprint, Sdp},
    testing::{Sim, Who},
};
use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

/// After how long a ClientHello is repeated (RFC 6347 §4.2.4.1).
const REPEATS: Duration = Duration::from_secs(1);

/// DTLS-SRTP of a phone.
#[derive(Clone, Debug)]
pub struct DtlsPhone {
    /// Its certificate: another number is another device.
    pub certificate: u8,
    /// What it answers to `actpass`.
    pub answers: &'static str,
    /// Names its association; 0: it says no `tls-id`.
    pub id: u32,
    /// What the association is made of: its own certificate and name, and the server's.
    association: String,
    /// It begins anew with a stream that comes back; else it has kept the keys of it, as Linphone does.
    pub forgets: bool,
    /// How often it has begun, for its ClientHellos.
    begun: u8,
    /// Streams that it has greeted in this association.
    greeted: Vec<usize>,
    /// Streams that it greets, and when next.
    greets: Option<(Instant, Vec<usize>)>,
}

impl DtlsPhone {
    /// With a certificate of that number.
    pub(super) fn new(certificate: u8) -> Self {
        Self {
            certificate,
            answers: "active",
            id: 1,
            association: String::new(),
            forgets: false,
            begun: 0,
            greeted: Vec::new(),
            greets: None,
        }
    }
    /// Of its certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        let octets = vec![format!("{:02X}", self.certificate); 32];
        format!("sha-256 {}", octets.join(":"))
            .parse()
            .expect("a test's own fingerprint")
    }
    fn own(&self) -> String {
        format!("{}-{}", self.certificate, self.id)
    }
    pub(super) fn due(&self) -> Option<Instant> {
        self.greets.as_ref().map(|(at, _)| *at)
    }
}

impl Phone {
    /// The same, keyed like that.
    #[must_use]
    pub fn keyed(self, mode: Encryption, seed: u64, now: Instant) -> Self {
        match mode {
            Encryption::None => self,
            Encryption::Sdes => self.secure(),
            Encryption::DtlsSrtp => self.dtls(),
            Encryption::Zrtp => self.zrtp(seed, now),
        }
    }
    /// The same with DTLS-SRTP.
    #[must_use]
    pub fn dtls(mut self) -> Self {
        let number = match self.who {
            Who::A => 0xA1,
            Who::B => 0xB1,
            Who::C => 0xC1,
        };
        self.dtls = Some(DtlsPhone::new(number));
        self
    }

    /// From now on that is what handshakes with it show.
    pub fn show_certificate(&self, sim: &mut Sim) {
        let Some(dtls) = &self.dtls else { return };
        for offset in 0..8 {
            let at = std::net::SocketAddr::new(self.rtp.ip(), self.rtp.port() + offset);
            sim.handshakes.certificates.insert(at, dtls.fingerprint());
        }
    }

    /// What its description says of one stream.
    pub(super) fn describe_dtls(&self, out: &mut String, offered: Option<&Sdp>, index: usize) {
        let Some(dtls) = &self.dtls else { return };
        let setup = match offered.and_then(|offer| offer.media[index].attribute("setup").flatten()) {
            None if offered.is_none() => "actpass",
            Some("active") => "passive",
            Some("passive") => "active",
            _ => dtls.answers,
        };
        let _ = write!(out, "a=setup:{setup}\r\na=fingerprint:{}\r\n", dtls.fingerprint());
        if dtls.id > 0 {
            let _ = write!(out, "a=tls-id:phone-{:x}-{:0>20}\r\n", dtls.certificate, dtls.id);
        }
    }

    /// Both descriptions are there: begins, if that is its part and the association is a new one.
    pub(super) fn shake_hands(&mut self, heard: &Sdp, now: Instant) {
        let (Some(dtls), Some(said)) = (&mut self.dtls, &self.said) else {
            return;
        };
        let setup = |sdp: &Sdp| {
            sdp.media
                .first()
                .and_then(|media| media.attribute("setup").flatten())
                .map(str::to_owned)
        };
        let of = |name| {
            heard
                .media
                .first()
                .and_then(|media| media.attribute(name).flatten())
        };
        let association = format!(
            "{} {:?} {:?} {}",
            dtls.own(),
            of("fingerprint"),
            of("tls-id"),
            self.rtp
        );
        let begins = match setup(said).as_deref() {
            Some("active") => true,
            Some("actpass") => setup(heard).as_deref() == Some("passive"),
            _ => false,
        };
        if dtls.association != association {
            dtls.association = association;
            dtls.begun += 1;
            dtls.greeted.clear();
            dtls.greets = None;
        }
        let lines = said.media.iter().zip(&heard.media).enumerate();
        let active: Vec<usize> = lines
            .filter(|(_, (own, theirs))| own.is_active() && theirs.is_active())
            .map(|(index, _)| index)
            .collect();
        if dtls.forgets {
            dtls.greeted.retain(|index| active.contains(index));
        }
        let new = active.into_iter().filter(|index| !dtls.greeted.contains(index));
        let new: Vec<usize> = new.collect();
        dtls.greeted.extend(&new);
        if begins && !new.is_empty() {
            dtls.begun += 1;
            let (_, waiting) = dtls.greets.take().unwrap_or((now, Vec::new()));
            dtls.greets = Some((now, [waiting, new].concat()));
        }
    }

    /// Sends its ClientHellos, until it has been answered.
    pub(super) fn greet(&mut self, sim: &mut Sim) {
        let Some(dtls) = &mut self.dtls else { return };
        let Some((at, streams)) = dtls.greets.take_if(|(at, _)| *at <= sim.now) else {
            return;
        };
        let mut random = [dtls.begun; 32];
        random[0] = dtls.certificate;
        let mut bytes = vec![22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 1, 0, 60];
        bytes.extend([1, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 48, 254, 253]);
        bytes.extend(random);
        bytes.extend([0; 14]);
        let answered = sim.handshakes.is_greeted(self.side, random);
        if answered {
            return;
        }
        dtls.greets = Some((at + REPEATS, streams.clone()));
        for stream in streams {
            for (component, offset) in [(Component::Rtp, 0), (Component::Rtcp, 1)] {
                let mut from = self.rtp;
                from.set_port(self.rtp.port() + 2 * stream as u16 + offset);
                sim.feed(Input::Media(MediaEvent::Control {
                    side: self.side,
                    stream: StreamId(stream),
                    component,
                    from,
                    bytes: bytes.clone(),
                }));
            }
        }
    }
}

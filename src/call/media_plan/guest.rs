//! A party that is to take the place of another: what is said to it while the other is still there, and how the two change
//! places. It is offered the ports of whose place it takes, which carry the other's media until then, or, where its media would live
//! at another address of ours, ports in reserve.

use super::{
    By, LegState, MediaPlan, NatLatching, Session, Side, Voice, asked, formats::Part, not_acceptable,
};
use crate::{
    call::{Encryption, EncryptionPolicy, Env, Failure, MediaPolicy},
    media::{MediaCommand, Protection, Suite},
    sdp::Sdp,
};
use std::net::IpAddr;

/// A party that is to take a leg's place.
#[derive(Debug)]
pub struct Guest {
    pub(super) side: Side,
    pub(super) voice: Voice,
    pub(super) session: Session,
    pub(super) latching: NatLatching,
    yields: bool,
    /// What the party that stays was said to say.
    promised: Sdp,
}

/// A party whose place another has taken: all that lets it come back.
#[derive(Debug)]
pub struct Absent {
    side: Side,
    voice: Voice,
    agreed: Session,
    latching: NatLatching,
    yields: bool,
}

impl Guest {
    /// Whose place it is to take.
    pub fn side(&self) -> Side {
        self.side
    }
    /// What it knows of the party that stays.
    pub fn promised(&self) -> &Sdp {
        &self.promised
    }
    /// Where its media lives.
    pub fn address(&self) -> Option<IpAddr> {
        self.voice.address
    }
    /// A further address that it may send from.
    pub fn trust(&mut self, address: IpAddr) {
        self.voice.trust(address);
    }
}

impl MediaPlan {
    /// A party is going to be called for a leg's place: what it is offered, which is what the party that stays said last, but
    /// that nobody is on hold. `local`: our address on the way to it.
    ///
    /// # Errors
    /// 488 when there is nothing that it could be offered, or not as `policy` wants it keyed.
    pub fn invite_guest(
        &mut self,
        side: Side,
        local: IpAddr,
        (policy, suites): (&MediaPolicy, &[Suite]),
        env: &mut Env<'_>,
    ) -> Result<(Guest, Sdp), Failure> {
        let refuse = |why: &str| Err(not_acceptable(By::Local, why));
        let Some(promised) = self.agreed.leg(side.other()).heard.as_ref().map(Sdp::resumed) else {
            return refuse("nothing is agreed that could be offered");
        };
        let mut voice = self.voice_of_guest(side, local, env);
        let mut session = self.agreed.clone();
        session.forget(side);
        let mode = match policy.encryption {
            EncryptionPolicy::AsCaller => session.leg(side.other()).mode,
            EncryptionPolicy::Only(mode) => Some(mode),
        };
        if mode == Some(Encryption::DtlsSrtp) && self.fingerprint.is_none() {
            return refuse("there is no certificate for DTLS-SRTP");
        }
        let suites = if policy.suites.is_empty() {
            suites
        } else {
            &policy.suites
        };
        *session.leg_mut(side) = LegState::new(mode, suites.to_vec());
        session.leg_mut(side).avpf = policy.avpf;
        std::mem::swap(self.voice_mut(side), &mut voice);
        let offer = self.offer_to(&mut session, side, &promised, env);
        std::mem::swap(self.voice_mut(side), &mut voice);
        if !offer.media.iter().any(crate::sdp::Media::is_active) {
            return refuse("no stream is left that could be offered");
        }
        let guest = Guest {
            side,
            voice,
            session,
            latching: policy.latching,
            yields: policy.clear_without_zrtp,
            promised,
        };
        Ok((guest, offer))
    }

    /// At the ports of whose place it takes, or at its own.
    fn voice_of_guest(&self, side: Side, local: IpAddr, env: &mut Env<'_>) -> Voice {
        let address = Some(self.home(local));
        Voice {
            address,
            id: env.ids.below(1 << 62),
            version: 1,
            ports: self.ports_of_guest(side, address),
            ..Voice::default()
        }
    }

    /// What makes the ports in reserve those that are used, where a voice lives at another address than the one that it follows.
    fn changes_ports(&self, side: Side, next: &Voice) -> Vec<MediaCommand> {
        let apart = self.voice(side).address != next.address;
        apart
            .then_some(MediaCommand::Change { side })
            .into_iter()
            .collect()
    }

    /// A party that has called for a leg's place, and offers nothing: what it is offered, keyed as whose place it takes.
    ///
    /// # Errors
    /// As [`Self::invite_guest`].
    pub fn offer_guest(
        &mut self,
        side: Side,
        local: IpAddr,
        suites: &[Suite],
        env: &mut Env<'_>,
    ) -> Result<(Guest, Sdp), Failure> {
        let mode = self.agreed.encryption(side).unwrap_or(Encryption::None);
        let policy = MediaPolicy {
            encryption: EncryptionPolicy::Only(mode),
            latching: self.latching,
            clear_without_zrtp: self.yields,
            ..MediaPolicy::default()
        };
        self.invite_guest(side, local, (&policy, suites), env)
    }

    /// A party has called for a leg's place, with an offer.
    ///
    /// # Errors
    /// 488 when nothing of the offer can be taken, or when its media would be in clear where whose place it takes has keys.
    pub fn admit_guest(
        &mut self,
        side: Side,
        local: IpAddr,
        offer: &Sdp,
        env: &mut Env<'_>,
    ) -> Result<Guest, Failure> {
        let Some(promised) = self.agreed.leg(side.other()).heard.clone() else {
            return Err(not_acceptable(
                By::Local,
                "nothing is agreed that could be joined",
            ));
        };
        let mut guest = self.guest_at(side, local, promised, env);
        self.hear_guest(&mut guest, offer, env)?;
        Ok(guest)
    }

    /// A party that has called for a leg's place, before it is heard what it offers.
    pub(super) fn guest_at(&self, side: Side, local: IpAddr, promised: Sdp, env: &mut Env<'_>) -> Guest {
        Guest {
            side,
            voice: self.voice_of_guest(side, local, env),
            session: Session::default(),
            latching: self.latching,
            yields: false,
            promised,
        }
    }

    /// Takes the offer of a party that has called for a leg's place, beside what is agreed now. Returns what would be agreed.
    ///
    /// # Errors
    /// As [`Self::admit_guest`].
    pub fn hear_guest(
        &mut self,
        guest: &mut Guest,
        offer: &Sdp,
        env: &mut Env<'_>,
    ) -> Result<Session, Failure> {
        let side = guest.side;
        let had_keys = self
            .agreed
            .encryption(side)
            .is_some_and(|mode| mode != Encryption::None);
        if had_keys && asked(offer) == Encryption::None {
            return Err(not_acceptable(By::Local, "the one before it was encrypted"));
        }
        let mut session = self.agreed.clone();
        session.forget(side);
        *session.leg_mut(side) = LegState::default();
        self.take_offer(&mut session, side, offer, env.ids)?;
        guest.session = session.clone();
        Ok(session)
    }

    /// What a party that has called is answered, now that the one that stays has accepted its offer and said `received`.
    pub fn answer_guest(
        &mut self,
        guest: &mut Guest,
        session: &mut Session,
        received: &Sdp,
        env: &mut Env<'_>,
    ) -> Option<Sdp> {
        // There may be more by now.
        guest.voice.ports = self.ports_of_guest(guest.side, guest.voice.address);
        std::mem::swap(self.voice_mut(guest.side), &mut guest.voice);
        let answer = self.answer_to(session, guest.side, received, env);
        std::mem::swap(self.voice_mut(guest.side), &mut guest.voice);
        answer
    }

    /// The one that has called has its place for good, and both have accepted: nothing of the former party is left.
    pub fn install(&mut self, guest: Guest, session: Session) -> Vec<MediaCommand> {
        self.latching = guest.latching;
        self.yields = guest.yields;
        let mut commands = self.changes_ports(guest.side, &guest.voice);
        *self.voice_mut(guest.side) = guest.voice;
        commands.extend(self.commit(session, true));
        commands.extend(self.release());
        commands
    }

    /// Takes the answer of a party that was called for a leg's place.
    ///
    /// # Errors
    /// 488 when it is not keyed as it was offered.
    pub fn guest_answers(&mut self, guest: &mut Guest, answer: &Sdp) -> Result<(), Failure> {
        std::mem::swap(self.voice_mut(guest.side), &mut guest.voice);
        let taken = self.take_answer(&mut guest.session, guest.side, answer);
        std::mem::swap(self.voice_mut(guest.side), &mut guest.voice);
        taken
    }

    /// The one that was called takes its place: what it sends and is sent goes through the ports from now on, and nothing of the
    /// other's does.
    pub fn seat(&mut self, guest: Guest) -> (Absent, Vec<MediaCommand>) {
        let Guest {
            side,
            mut voice,
            mut session,
            ..
        } = guest;
        let stays = side.other();
        // Who stays may have said something since.
        match &self.agreed.leg(stays).heard {
            Some(heard) if session.leg(stays).heard.as_ref() != Some(heard) => {
                session.hear(stays, heard, Part::Offer);
            }
            _ => {}
        }
        *session.leg_mut(stays) = self.agreed.leg(stays).clone();
        voice.ports = self.ports_of_guest(side, voice.address);
        let mut commands = self.changes_ports(side, &voice);
        let absent = Absent {
            side,
            voice: std::mem::replace(self.voice_mut(side), voice),
            agreed: std::mem::replace(&mut self.agreed, session),
            latching: std::mem::replace(&mut self.latching, guest.latching),
            yields: std::mem::replace(&mut self.yields, guest.yields),
        };
        commands.extend(self.present());
        (absent, commands)
    }

    /// It came to nothing: whose place it was takes it again.
    pub fn unseat(&mut self, absent: Absent) -> Vec<MediaCommand> {
        let mut commands = self.changes_ports(absent.side, &absent.voice);
        *self.voice_mut(absent.side) = absent.voice;
        self.agreed = absent.agreed;
        self.latching = absent.latching;
        self.yields = absent.yields;
        commands.extend(self.present());
        commands
    }

    /// What is agreed, for the relay; no port is closed.
    fn present(&self) -> Vec<MediaCommand> {
        let streams = 0..self.agreed.a.streams.len();
        let active = |&index: &usize| self.agreed.a.is_active(index) && self.agreed.b.is_active(index);
        streams
            .filter(active)
            .flat_map(|index| [Side::A, Side::B].map(|side| self.connect(side, index, true)))
            .flatten()
            .map(|connect| MediaCommand::Connect(Box::new(connect)))
            .collect()
    }

    /// Nobody is at one end for now: it is sent nothing, and nothing is taken from there.
    pub fn mute(&self, side: Side) -> Vec<MediaCommand> {
        let streams = 0..self.agreed.leg(side).streams.len();
        let active = |&index: &usize| self.agreed.a.is_active(index) && self.agreed.b.is_active(index);
        streams
            .filter(active)
            .filter_map(|index| self.connect(side, index, false))
            .map(|mut connect| {
                connect.remote.rtp = None;
                connect.remote.rtcp = None;
                connect.remote.also_from.clear();
                connect.remote.latch_any = false;
                connect.receive = Protection::Blocked;
                connect.send = Protection::Blocked;
                connect.rtcp = None;
                connect.agreement = None;
                MediaCommand::Connect(Box::new(connect))
            })
            .collect()
    }
}

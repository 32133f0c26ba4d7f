//! The media of a leg that leaves its call for another one: it lives at other ports there, and is told of them in the session
//! that its party knows (RFC 3264 §8): the same `o=` with the next version, and no m-line less than before.

use super::{Guest, MediaPlan, Side, Voice, not_acceptable};
use crate::{
    call::{Encryption, EncryptionPolicy, Env, Failure, MediaPolicy, NatLatching, Origin as By},
    media::Suite,
    sdp::{Media, Sdp},
};
use std::net::IpAddr;

/// What goes with a leg: how it is keyed, and what its party was told. Its keys stay behind: others are made for the new ports.
#[derive(Debug)]
pub struct Belongings {
    /// Of `o=`.
    id: u64,
    version: u64,
    said: Option<Sdp>,
    mode: Option<Encryption>,
    suites: Vec<Suite>,
    avpf: Option<bool>,
    latching: NatLatching,
}

impl Guest {
    /// What goes with it when it goes.
    pub fn into_belongings(self) -> Belongings {
        let leg = self.session.leg(self.side);
        Belongings {
            mode: leg.mode,
            suites: leg.suites().to_vec(),
            avpf: leg.avpf,
            latching: self.latching,
            id: self.voice.id,
            version: self.voice.version,
            said: self.voice.said,
        }
    }
}

impl MediaPlan {
    /// What goes with the leg of a side when it goes.
    pub fn belongings(&self, side: Side) -> Belongings {
        let (voice, leg) = (self.voice(side), self.agreed.leg(side));
        Belongings {
            id: voice.id,
            version: voice.version,
            said: voice.said.clone(),
            mode: leg.mode,
            suites: leg.suites().to_vec(),
            avpf: leg.avpf,
            latching: self.latching,
        }
    }

    /// A leg of another call is to have a leg's place: what it is offered, keyed as it was.
    ///
    /// # Errors
    /// As [`Self::invite_guest`], and 488 when its streams are not in the order of this call.
    pub fn adopt_guest(
        &mut self,
        side: Side,
        local: IpAddr,
        belongings: &Belongings,
        env: &mut Env<'_>,
    ) -> Result<(Guest, Sdp), Failure> {
        let policy = MediaPolicy {
            encryption: EncryptionPolicy::Only(belongings.mode.unwrap_or(Encryption::None)),
            avpf: belongings.avpf,
            latching: belongings.latching,
            ..MediaPolicy::default()
        };
        let (mut guest, mut offer) = self.invite_guest(side, local, (&policy, &belongings.suites), env)?;
        if let Some(said) = &belongings.said {
            let mut both = offer.media.iter().zip(&said.media);
            let differ = |(new, old): (&Media, &Media)| {
                new.is_active() && old.is_active() && !new.kind.eq_ignore_ascii_case(&old.kind)
            };
            if both.any(differ) {
                let why = "its streams are in another order than those of the call that it is to join";
                return Err(not_acceptable(By::Local, why));
            }
            let missing = said.media.iter().skip(offer.media.len());
            offer.media.extend(missing.map(Media::refused));
        }
        offer.origin.id = belongings.id.to_string();
        guest.voice.tells_on(belongings);
        let offer = guest.voice.say(offer);
        Ok((guest, offer))
    }

    /// A leg has come back. `told`: its party knows what it was told elsewhere, or may know it.
    pub fn comes_back(&mut self, side: Side, belongings: Belongings, told: bool) {
        let voice = self.voice_mut(side);
        voice.version = voice.version.max(belongings.version);
        if told {
            voice.said = belongings.said;
        }
    }
}

impl Voice {
    /// Goes on with what its party was told elsewhere.
    fn tells_on(&mut self, belongings: &Belongings) {
        self.id = belongings.id;
        self.version = belongings.version;
        self.said.clone_from(&belongings.said);
    }
}

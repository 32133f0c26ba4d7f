//! A leg begins: where its media lives, how it is keyed, from where it may come.

use super::{By, LegState, MediaPlan, Session, Side, Voice, not_acceptable};
use crate::{
    call::{Encryption, EncryptionPolicy, Env, Failure, MediaPolicy},
    media::Suite,
};
use std::net::IpAddr;

impl MediaPlan {
    /// A leg begins (leg B: with each attempt anew): its media lives at the configured address of its family, else where its SIP
    /// does. Ports of a former attempt are forgotten: the relay replaces them when they are opened again, so that nothing of
    /// the former callee comes through.
    pub fn begin(&mut self, side: Side, local: IpAddr, env: &mut Env<'_>) {
        let address = self.home(local);
        // A number that RFC 8866 §5.2 allows and no client chokes on: below 2^62.
        let id = env.ids.below(1 << 62);
        *self.agreed.leg_mut(side) = LegState::default();
        self.agreed.forget(side);
        *self.voice_mut(side) = Voice {
            address: Some(address),
            id,
            version: 1,
            ..Voice::default()
        };
    }
    /// Where the media of a leg lives whose SIP lives there.
    pub(super) fn home(&self, local: IpAddr) -> IpAddr {
        let family = |address: &&IpAddr| address.is_ipv4() == local.is_ipv4();
        self.configured.iter().find(family).copied().unwrap_or(local)
    }
    /// Sets how leg B is keyed. `session` holds what leg A asked for.
    ///
    /// # Errors
    /// 488 for an encryption that this build does not have.
    pub fn apply(
        &mut self,
        policy: &MediaPolicy,
        default_suites: &[Suite],
        session: &mut Session,
    ) -> Result<(), Failure> {
        self.latching = policy.latching;
        let mode = match policy.encryption {
            EncryptionPolicy::AsCaller => session.a.mode,
            EncryptionPolicy::Only(mode) => Some(mode),
        };
        let suites = if policy.suites.is_empty() {
            default_suites
        } else {
            &policy.suites
        };
        session.b = LegState::new(mode, suites.to_vec());
        session.b.avpf = policy.avpf;
        self.yields = policy.clear_without_zrtp;
        session.forget(Side::B);
        match mode {
            Some(Encryption::DtlsSrtp) if self.fingerprint.is_none() => {
                Err(not_acceptable(By::Local, "there is no certificate for DTLS-SRTP"))
            }
            _ => Ok(()),
        }
    }
    /// Further addresses that a leg's peer may send from.
    pub fn trust(&mut self, side: Side, address: IpAddr) {
        self.voice_mut(side).trust(address);
    }
}

impl Voice {
    /// A further address that its peer may send from.
    pub(super) fn trust(&mut self, address: IpAddr) {
        let known = &mut self.also_from;
        if !known.contains(&address) {
            // Two: a phone that moved, and where it was. The newest counts.
            if known.len() == 2 {
                known.remove(0);
            }
            known.push(address);
        }
    }
}

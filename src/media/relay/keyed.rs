//! What protects each direction of one side, and what happens to it when signalling says something new.

use super::{numbering::Numbering, ports::SplitMix};
use crate::media::{
    Protection, SrtpKey,
    packet::{Discard, Packet, RtpHeader, set_rtp_numbers},
    srtp::{Accepted, KeyError, SrtpIn, SrtpOut},
};
use std::time::{Duration, Instant};

/// How long packets under the key before are still taken after a change of keys: until the peer has our answer.
const OLD_KEY: Duration = Duration::from_secs(5);
/// Keys of a direction that are remembered after they were replaced. Should one come back, its indices go on.
const MAX_RETIRED: usize = 8;

/// How packets from one side are opened.
#[derive(Debug, Default)]
pub(crate) enum Open {
    /// Nothing passes: keys are agreed on, but not there yet. There is no clear fallback.
    #[default]
    Blocked,
    /// Plain RTP.
    Clear,
    /// SRTP.
    Srtp(Box<SrtpIn>),
}

/// How packets to one side are sealed.
#[derive(Debug, Default)]
pub(crate) enum Seal {
    /// Nothing passes.
    #[default]
    Blocked,
    /// Plain RTP.
    Clear,
    /// SRTP.
    Srtp(Box<SrtpOut>),
}

/// A key with the context that belongs to it.
#[derive(Debug)]
struct Retired<C> {
    key: SrtpKey,
    context: Box<C>,
}

/// The receiving direction of one side.
#[derive(Debug, Default)]
pub(crate) struct Receiving {
    pub(crate) open: Open,
    key: Option<SrtpKey>,
    /// Earlier keys, the latest last.
    retired: Vec<Retired<SrtpIn>>,
    /// Until when the latest earlier key still counts.
    old_key_until: Option<Instant>,
    spare: Vec<u8>,
}

/// The sending direction of one side.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) seal: Seal,
    pub(crate) numbering: Numbering,
    key: Option<SrtpKey>,
    retired: Vec<Retired<SrtpOut>>,
}

/// Takes the context of a key out of those that were put aside, or makes one. `None`, with the reason logged: the key
/// cannot be used, so nothing passes.
fn recall<C, E: std::fmt::Display>(
    retired: &mut Vec<Retired<C>>,
    key: &SrtpKey,
    make: impl FnOnce(&SrtpKey) -> Result<C, E>,
) -> Option<Box<C>> {
    if let Some(place) = retired.iter().position(|retired| retired.key == *key) {
        return Some(retired.remove(place).context);
    }
    match make(key) {
        Ok(context) => Some(Box::new(context)),
        Err(error) => {
            tracing::warn!(%error, "an SRTP key cannot be used, its direction stays closed");
            None
        }
    }
}

fn put_aside<C>(retired: &mut Vec<Retired<C>>, key: Option<SrtpKey>, context: Box<C>) {
    if let Some(key) = key {
        if retired.len() >= MAX_RETIRED {
            retired.remove(0);
        }
        retired.push(Retired { key, context });
    }
}

impl Receiving {
    /// Takes what was signalled. `moved`: so was another address; packets under the old key are then another device's.
    /// `true`: there is another key than before.
    pub(crate) fn set(&mut self, protection: &Protection, moved: bool, now: Instant) -> bool {
        let key = match protection {
            Protection::Srtp(key) => Some(key),
            Protection::Clear | Protection::Blocked => None,
        };
        if let (Open::Srtp(context), true) = (&mut self.open, key == self.key.as_ref()) {
            context.renew();
            return false;
        }
        let old = std::mem::take(&mut self.open);
        self.old_key_until = None;
        self.open = match protection {
            Protection::Clear => Open::Clear,
            Protection::Blocked => Open::Blocked,
            Protection::Srtp(key) => {
                let context = recall(&mut self.retired, key, |key| {
                    let mut context = SrtpIn::new(key)?;
                    if let Open::Srtp(old) = &old {
                        context.follow(old);
                    }
                    Ok::<_, KeyError>(context)
                });
                context.map_or(Open::Blocked, Open::Srtp)
            }
        };
        let old_key = std::mem::replace(&mut self.key, key.cloned());
        if let Open::Srtp(old) = old {
            put_aside(&mut self.retired, old_key, old);
            if key.is_some() && !moved {
                self.old_key_until = Some(now + OLD_KEY);
            }
            return key.is_some();
        }
        false
    }

    /// Whether this is the key that it has.
    pub(crate) fn is_under(&self, protection: &Protection) -> bool {
        matches!(protection, Protection::Srtp(key) if self.key.as_ref() == Some(key))
    }

    /// Whether this is what opens.
    pub(crate) fn has(&self, protection: &Protection) -> bool {
        match (protection, &self.open) {
            (Protection::Srtp(_), Open::Srtp(_)) => self.is_under(protection),
            (Protection::Clear, Open::Clear) | (Protection::Blocked, Open::Blocked) => true,
            _ => false,
        }
    }

    /// Opens an SRTP packet under the key, or for a while after a change under the one before. `None`, when it was the
    /// old one: that says nothing about where the peer is now.
    #[inline]
    pub(crate) fn open_rtp(
        &mut self,
        packet: &mut Packet,
        now: Instant,
    ) -> Result<(RtpHeader, Option<Accepted>), Discard> {
        let Open::Srtp(context) = &mut self.open else {
            return Err(Discard::NotKeyed);
        };
        if self.old_key_until.is_none() {
            return context
                .open_rtp(packet)
                .map(|accepted| (accepted.header, Some(accepted)));
        }
        self.spare.clear();
        self.spare.extend_from_slice(packet.bytes());
        match context.open_rtp(packet) {
            Ok(accepted) => {
                self.old_key_until = None;
                Ok((accepted.header, Some(accepted)))
            }
            Err(why) => {
                let old = self.old_key(now).ok_or(why)?;
                packet.fill(&self.spare);
                self.retired[old]
                    .context
                    .open_rtp(packet)
                    .map(|accepted| (accepted.header, None))
            }
        }
    }

    /// Opens an SRTCP packet likewise. `true`: under the key, not the one before, and not late.
    pub(crate) fn open_rtcp(&mut self, packet: &mut Packet, now: Instant) -> Result<bool, Discard> {
        let Open::Srtp(context) = &mut self.open else {
            return Err(Discard::NotKeyed);
        };
        if self.old_key_until.is_none() {
            return context.open_rtcp(packet);
        }
        self.spare.clear();
        self.spare.extend_from_slice(packet.bytes());
        match context.open_rtcp(packet) {
            Ok(newest) => Ok(newest),
            Err(why) => {
                let old = self.old_key(now).ok_or(why)?;
                packet.fill(&self.spare);
                self.retired[old].context.open_rtcp(packet).map(|_| false)
            }
        }
    }

    /// Where the key before is, while it counts.
    fn old_key(&mut self, now: Instant) -> Option<usize> {
        if self.old_key_until.is_none_or(|until| now >= until) {
            self.old_key_until = None;
            return None;
        }
        self.retired.len().checked_sub(1)
    }
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            seal: Seal::Blocked,
            numbering: Numbering::new(SplitMix::from_system()),
            key: None,
            retired: Vec::new(),
        }
    }
}

impl Sending {
    /// Takes what was signalled. `renewed`: so was another address, or another key for the other direction; the peer may
    /// begin again.
    pub(crate) fn set(&mut self, protection: &Protection, renewed: bool) {
        let key = match protection {
            Protection::Srtp(key) => Some(key),
            Protection::Clear | Protection::Blocked => None,
        };
        if let (Seal::Srtp(out), true) = (&self.seal, key == self.key.as_ref()) {
            if renewed {
                self.numbering.renew(out);
            }
            return;
        }
        let old_key = std::mem::replace(&mut self.key, key.cloned());
        if let Seal::Srtp(old) = std::mem::take(&mut self.seal) {
            self.numbering.renew(&old);
            put_aside(&mut self.retired, old_key, old);
        }
        self.seal = match protection {
            Protection::Clear => {
                // In the clear sources leave as they are.
                self.numbering = Numbering::new(SplitMix::from_system());
                Seal::Clear
            }
            Protection::Blocked => Seal::Blocked,
            Protection::Srtp(key) => {
                recall(&mut self.retired, key, SrtpOut::new).map_or(Seal::Blocked, Seal::Srtp)
            }
        };
    }

    /// Whether this is what seals.
    pub(crate) fn has(&self, protection: &Protection) -> bool {
        match (protection, &self.seal) {
            (Protection::Srtp(key), Seal::Srtp(_)) => self.key.as_ref() == Some(key),
            (Protection::Clear, Seal::Clear) | (Protection::Blocked, Seal::Blocked) => true,
            _ => false,
        }
    }

    /// The peer has begun again at rollover counter 0, so it will expect that of us.
    pub(crate) fn peer_began_again(&mut self) {
        if let Seal::Srtp(out) = &self.seal {
            self.numbering.renew(out);
        }
    }

    /// Numbers and seals an RTP packet.
    #[inline]
    pub(crate) fn seal_rtp(&mut self, packet: &mut Packet, header: &RtpHeader) -> Result<(), Discard> {
        match &mut self.seal {
            Seal::Blocked => Err(Discard::NotKeyed),
            Seal::Clear => Ok(()),
            Seal::Srtp(out) => {
                let (ssrc, sequence) = self.numbering.number(header, out).ok_or(Discard::IndexReuse)?;
                if self.numbering.changes() {
                    set_rtp_numbers(packet.bytes_mut(), sequence, ssrc);
                }
                out.seal_rtp(packet)
            }
        }
    }

    /// Seals an RTCP packet.
    pub(crate) fn seal_rtcp(&mut self, packet: &mut Packet) -> Result<(), Discard> {
        match &mut self.seal {
            Seal::Blocked => Err(Discard::NotKeyed),
            Seal::Clear => Ok(()),
            Seal::Srtp(out) => out.seal_rtcp(packet),
        }
    }
}

//! SDES (RFC 4568): keys that travel in SDP. Offer and answer of one stream of one leg, from crypto lines to SRTP keys.
//!
//! **When our own sending key changes.** It stays for as long as the stream lives and its suite stays, whatever the peer does
//! with its own key. A receiver keeps the rollover counter of a key that did not change; whether it resets it for a key that did
//! is a matter of taste: RFC 3711 §3.3.1 says no, much of the world (and RFC 4568 §7.1.4, which makes a changed key a new
//! session) says yes, and nothing on the wire tells which. So a re-INVITE by the peer, with a new key or a new port, is answered with
//! the key that it already has. A new key is made when it must be:
//!
//! - the suite changed: the transform and the key's length are others;
//! - another party took the peer's place ([`Sdes::renew`]): it knows no counter of ours, so it must get a key whose counter begins at 0;
//! - the stream was taken out and added again: the counter was forgotten with the ports, and one key must never
//!   protect two packets with one index (RFC 3711 §9.1). For the same reason a key is thrown away when its suite is left.

use super::{SrtpKey, SrtpKeys, Suite};
use crate::{sdp::Crypto, sip::Ids};
use zeroize::Zeroizing;

/// The suites that are offered when a rule names none, best first.
pub const DEFAULT_SUITES: [Suite; 4] = [
    Suite::AeadAes128Gcm,
    Suite::AesCm128HmacSha1_80,
    Suite::AeadAes256Gcm,
    Suite::AesCm256HmacSha1_80,
];

/// The suites that are taken from a caller, who may have only one that we would not offer.
pub const ACCEPTED_SUITES: [Suite; 6] = [
    Suite::AeadAes128Gcm,
    Suite::AesCm128HmacSha1_80,
    Suite::AeadAes256Gcm,
    Suite::AesCm256HmacSha1_80,
    Suite::AesCm128HmacSha1_32,
    Suite::AesCm256HmacSha1_32,
];

/// SRTP's default (RFC 4568 §6.2.1), which every peer has: offered beside the suite in use, for who takes the place of a peer.
const COMMON: Suite = Suite::AesCm128HmacSha1_80;

/// Most crypto lines of one m-line that are looked at.
const MAX_LINES: usize = 32;

/// Why a stream cannot be keyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdesError {
    /// A secure profile without a usable key.
    #[error("no usable a=crypto line")]
    NoCrypto,
    /// Keys, but for no suite that is allowed here.
    #[error("no common crypto suite")]
    NoCommonSuite,
}

/// SDES of one stream of one leg. `Debug` shows no key.
#[derive(Clone, Debug)]
pub struct Sdes {
    /// What is allowed, best first.
    suites: Vec<Suite>,
    /// What the peer agreed to elsewhere.
    preferred: Option<Suite>,
    /// Our sending keys, one a suite; made when first needed.
    own: Vec<SrtpKey>,
    agreed: Option<SrtpKeys>,
    /// Tag and spelling under which the suite in use stands. Linphone takes another tag for another key, and begins its
    /// stream anew.
    spoken: Option<(u32, String)>,
}

impl Sdes {
    /// A stream that may use these suites, best first; [`DEFAULT_SUITES`] when empty.
    pub fn new(suites: &[Suite]) -> Self {
        Self {
            suites: if suites.is_empty() {
                DEFAULT_SUITES.to_vec()
            } else {
                suites.to_vec()
            },
            preferred: None,
            own: Vec::new(),
            agreed: None,
            spoken: None,
        }
    }

    /// The keys, once an answer was given or taken.
    pub fn agreed(&self) -> Option<&SrtpKeys> {
        self.agreed.as_ref()
    }

    /// Another party took the peer's place: our next offer or answer carries new keys.
    pub fn renew(&mut self) {
        self.own.clear();
        self.spoken = None;
    }

    /// Allows these suites from now on, best first; the default ones when empty. The suite in use stays allowed.
    pub fn allow(&mut self, suites: &[Suite]) {
        self.suites = Self::new(suites).suites;
    }

    /// The peer is known to have this suite, though nothing was agreed about this stream yet.
    pub fn prefer(&mut self, suite: Suite) {
        self.preferred = Some(suite);
    }

    fn is_allowed(&self, suite: Suite) -> bool {
        let agreed = self.agreed.as_ref().map(|agreed| agreed.send.suite);
        self.suites.contains(&suite) || agreed.or(self.preferred) == Some(suite)
    }

    /// The lines of our offer: one per suite, then the other spelling of those that have two. To a peer whose suite is known
    /// that one comes first, so that it is chosen again, and of the others only the common one: an offer inside a call shall fit into
    /// a datagram (RFC 3261 §18.1.1). Tags and keys are the same in each offer, and those of the suite in use are what was agreed on.
    pub fn offer(&mut self, ids: &mut Ids) -> Vec<Crypto> {
        let names = self.names().into_iter();
        names
            .map(|(tag, suite, name)| line(tag, &name, &self.own_key(suite, ids)))
            .collect()
    }

    /// Tag, suite and spelling of each line of our offer.
    fn names(&self) -> Vec<(u32, Suite, String)> {
        let agreed = self.agreed.as_ref().map(|agreed| agreed.send.suite);
        let first = agreed.or(self.preferred);
        let more = first.filter(|suite| !self.suites.contains(suite));
        let count = self.suites.len() + usize::from(more.is_some());
        let suites = self.suites.iter().copied().chain(more).enumerate();
        let mut ranked: Vec<(usize, Suite)> = suites
            .filter(|(_, suite)| first.is_none_or(|first| *suite == first || *suite == COMMON))
            .collect();
        ranked.sort_by_key(|&(rank, suite)| (Some(suite) != first, rank));
        let usual = ranked
            .iter()
            .map(|&(rank, suite)| (rank + 1, suite, suite.name()));
        let others = ranked
            .iter()
            .filter_map(|&(rank, suite)| Some((count + rank + 1, suite, suite.other_name()?)));
        let mut names: Vec<(u32, Suite, String)> = usual
            .chain(others)
            .map(|(tag, suite, name)| (tag as u32, suite, name.to_owned()))
            .collect();
        if let (Some((tag, spelling)), Some(suite)) = (&self.spoken, agreed) {
            // Where that tag stood there must be another one; those above all ranks are free.
            names.retain(|(_, _, name)| !name.eq_ignore_ascii_case(spelling));
            for (other, _, _) in &mut names {
                if other == tag {
                    *other += 2 * count as u32;
                }
            }
            names.insert(0, (*tag, suite, spelling.clone()));
        }
        names
    }

    /// Takes the peer's answer to [`Self::offer`].
    ///
    /// A tag that is not the one of its suite is forgiven: some clients always write 1.
    ///
    /// # Errors
    /// When no line of it names a suite that was offered, with a key of the right length.
    pub fn take_answer<'a>(&mut self, lines: impl Iterator<Item = &'a str>) -> Result<(), SdesError> {
        let (_, spelling, receive) = self.choose(lines, None)?;
        let suite = receive.suite;
        let offered = self.names().into_iter();
        let mut offered = offered.filter(|(_, other, _)| *other == suite);
        let said = offered.clone().find(|(_, _, name)| *name == spelling);
        let send = self
            .own
            .iter()
            .find(|key| key.suite == suite)
            .cloned()
            .ok_or(SdesError::NoCommonSuite)?;
        self.spoken = said.or_else(|| offered.next()).map(|(tag, _, name)| (tag, name));
        self.agree(SrtpKeys { send, receive });
        Ok(())
    }

    /// Answers the peer's offer: the suite in use if it is offered again, else the first of the peer's order that is
    /// allowed (RFC 4568 §5.1.2), in the peer's spelling.
    ///
    /// # Errors
    /// When no line can be accepted.
    pub fn answer<'a>(
        &mut self,
        lines: impl Iterator<Item = &'a str>,
        ids: &mut Ids,
    ) -> Result<Crypto, SdesError> {
        let current = self.agreed.as_ref().map(|agreed| agreed.send.suite);
        let (tag, spelling, receive) = self.choose(lines, current)?;
        let send = self.own_key(receive.suite, ids);
        let answer = line(tag, &spelling, &send);
        self.spoken = Some((tag, spelling));
        self.agree(SrtpKeys { send, receive });
        Ok(answer)
    }

    /// The best usable line: tag, suite as spelt, the peer's key.
    fn choose<'a>(
        &self,
        lines: impl Iterator<Item = &'a str>,
        current: Option<Suite>,
    ) -> Result<(u32, String, SrtpKey), SdesError> {
        let mut reason = SdesError::NoCrypto;
        let mut best = None;
        for value in lines.take(MAX_LINES) {
            let crypto = match Crypto::parse(value) {
                Ok(crypto) => crypto,
                Err(error) => {
                    tracing::debug!(%error, "crypto line skipped");
                    continue;
                }
            };
            let suite = crypto.suite.parse::<Suite>().ok();
            let Some(suite) = suite.filter(|suite| self.is_allowed(*suite)) else {
                reason = SdesError::NoCommonSuite;
                continue;
            };
            if crypto.key.len() != suite.master_length() {
                tracing::debug!(%suite, octets = crypto.key.len(), "key of the wrong length skipped");
                continue;
            }
            let key = SrtpKey {
                suite,
                master: crypto.key,
                mki: crypto.mki,
            };
            if Some(suite) == current {
                return Ok((crypto.tag, crypto.suite, key));
            }
            best.get_or_insert((crypto.tag, crypto.suite, key));
        }
        best.ok_or(reason)
    }

    fn agree(&mut self, agreed: SrtpKeys) {
        if let Some(before) = &self.agreed
            && before.send.suite != agreed.send.suite
        {
            let left = before.send.suite;
            self.own.retain(|key| key.suite != left);
        }
        self.agreed = Some(agreed);
    }

    /// Our key of a suite; made now if it was never needed.
    fn own_key(&mut self, suite: Suite, ids: &mut Ids) -> SrtpKey {
        if let Some(key) = self.own.iter().find(|key| key.suite == suite) {
            return key.clone();
        }
        let mut master = Zeroizing::new(vec![0; suite.master_length()]);
        ids.fill(&mut master);
        let key = SrtpKey {
            suite,
            master,
            mki: None,
        };
        self.own.push(key.clone());
        key
    }
}

fn line(tag: u32, name: &str, key: &SrtpKey) -> Crypto {
    Crypto {
        tag,
        suite: name.to_owned(),
        key: key.master.clone(),
        lifetime: None,
        mki: None,
        session: Vec::new(),
    }
}

#[cfg(test)]
#[path = "sdes_tests.rs"]
mod tests;

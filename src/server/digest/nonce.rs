//! Nonces that nobody has to remember: a time, a number, and a seal over both and over whom it was made for.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{
    fmt,
    net::IpAddr,
    time::{Duration, Instant},
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// How long a nonce is good. Who has one uses it for several requests; then it gets another one, without a question to its user.
pub(super) const LIFE: Duration = Duration::from_secs(300);
/// Bytes of the seal.
const SEAL: usize = 12;

/// Makes nonces and knows its own.
pub(super) struct Nonces {
    key: Zeroizing<[u8; 32]>,
    epoch: Instant,
    made: u32,
}

/// Which nonce it is: when it was made, in seconds since the epoch, and the how-manieth. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NonceId {
    pub(super) second: u32,
    pub(super) number: u32,
}

impl Nonces {
    pub(super) fn new(key: Zeroizing<[u8; 32]>, epoch: Instant) -> Self {
        Self { key, epoch, made: 0 }
    }
    /// One for this host.
    pub(super) fn make(&mut self, host: IpAddr, now: Instant) -> String {
        self.made = self.made.wrapping_add(1);
        let id = NonceId {
            second: self.second(now),
            number: self.made,
        };
        let mut bytes = id.to_bytes().to_vec();
        bytes.extend_from_slice(&self.seal(id, host));
        URL_SAFE_NO_PAD.encode(bytes)
    }
    /// Which of ours it is, if it was made for this host and is still good.
    pub(super) fn check(&self, nonce: &str, host: IpAddr, now: Instant) -> Option<NonceId> {
        // No nonce of ours is longer.
        let bytes = URL_SAFE_NO_PAD.decode(nonce.get(..27).filter(|_| nonce.len() == 27)?);
        let bytes = bytes.ok()?;
        let (id, seal) = bytes.split_first_chunk::<8>()?;
        let id = NonceId::of_bytes(*id);
        let is_ours: bool = self.seal(id, host).ct_eq(seal).into();
        let age = self.second(now).checked_sub(id.second)?;
        (is_ours && u64::from(age) < LIFE.as_secs()).then_some(id)
    }
    /// Those made before that second are too old now.
    pub(super) fn oldest(&self, now: Instant) -> u32 {
        self.second(now).saturating_sub(LIFE.as_secs() as u32)
    }
    fn second(&self, now: Instant) -> u32 {
        let seconds = now.saturating_duration_since(self.epoch).as_secs();
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }
    fn seal(&self, id: NonceId, host: IpAddr) -> [u8; SEAL] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.key).expect("HMAC takes keys of any length");
        mac.update(&id.to_bytes());
        match host.to_canonical() {
            IpAddr::V4(ip) => mac.update(&ip.octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        let mut seal = [0; SEAL];
        for (to, from) in seal.iter_mut().zip(mac.finalize().into_bytes()) {
            *to = from;
        }
        seal
    }
}

impl NonceId {
    fn to_bytes(self) -> [u8; 8] {
        ((u64::from(self.second) << 32) | u64::from(self.number)).to_be_bytes()
    }
    fn of_bytes(bytes: [u8; 8]) -> Self {
        let both = u64::from_be_bytes(bytes);
        Self {
            second: (both >> 32) as u32,
            number: both as u32,
        }
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonces")
    }
}

//! Fresh identifiers and keys: tags, branches, Call-IDs, SDES keys. Seeded in tests, from the system otherwise.

use rand::{
    Rng, SeedableRng,
    rngs::{StdRng, SysRng},
};

/// A source of identifiers. Machines receive it in [`crate::call::Env`] and never keep it.
///
/// A ChaCha stream, so that who sees tags and branches learns nothing of keys or of the next ones.
pub struct Ids(StdRng);

impl Ids {
    /// Seeded by the operating system.
    ///
    /// # Panics
    /// When the operating system has no randomness to give: nothing safe can be done without.
    pub fn from_system() -> Self {
        Self(StdRng::try_from_rng(&mut SysRng).expect("the operating system gives randomness"))
    }
    /// The same sequence for the same seed: for tests only.
    pub fn seeded(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }
    /// A generator of its own for another task, independent of this one.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(StdRng::from_rng(&mut self.0))
    }
    /// A From or To tag: 80 random bits (RFC 3261 §19.3 asks for 32).
    pub fn tag(&mut self) -> String {
        self.word("", 16)
    }
    /// A branch with the magic cookie `z9hG4bK` (RFC 3261 §8.1.1.7) and 100 random bits.
    pub fn branch(&mut self) -> String {
        self.word("z9hG4bK", 20)
    }
    /// A Call-ID with no host in it: 120 random bits.
    pub fn call_id(&mut self) -> String {
        self.word("", 24)
    }
    /// A client nonce for digest authentication: 80 random bits.
    pub fn cnonce(&mut self) -> String {
        self.word("", 16)
    }
    /// Random bytes for keys.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
    /// A number below `bound` (which is at least 1), each equally likely.
    pub fn below(&mut self, bound: u64) -> u64 {
        let bound = bound.max(1);
        // Numbers below `rejected` would make the small remainders likelier (Lemire's bound without the multiplication).
        let rejected = bound.wrapping_neg() % bound;
        loop {
            let number = self.0.next_u64();
            if number >= rejected {
                return number % bound;
            }
        }
    }

    /// `prefix` and `length` characters of 5 random bits each.
    fn word(&mut self, prefix: &str, length: usize) -> String {
        // Lower case only: some peers compare what they should not without case.
        const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mut random = [0_u8; 24];
        let random = &mut random[..length.min(24)];
        self.0.fill_bytes(random);
        let mut word = String::with_capacity(prefix.len() + random.len());
        word.push_str(prefix);
        word.extend(
            random
                .iter()
                .map(|byte| char::from(ALPHABET[usize::from(byte % 32)])),
        );
        word
    }
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ids(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_same_seed_gives_the_same_identifiers() {
        let (mut one, mut two) = (Ids::seeded(7), Ids::seeded(7));
        assert_eq!(one.tag(), two.tag());
        assert_eq!(one.branch(), two.branch());
        assert_eq!(one.fork().call_id(), two.fork().call_id());
        assert_ne!(Ids::seeded(8).tag(), Ids::seeded(7).tag());
    }

    #[test]
    fn identifiers_are_distinct_tokens() {
        let mut ids = Ids::from_system();
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            for id in [ids.tag(), ids.branch(), ids.call_id(), ids.cnonce()] {
                assert!(id.len() >= 16 && id.bytes().all(|b| b.is_ascii_alphanumeric()));
                assert!(seen.insert(id));
            }
            assert!(ids.branch().starts_with("z9hG4bK"));
        }
    }

    #[test]
    fn below_reaches_each_number_and_no_more() {
        let mut ids = Ids::seeded(1);
        let seen: HashSet<u64> = (0..400).map(|_| ids.below(10)).collect();
        assert_eq!(seen, (0..10).collect());
        assert_eq!(ids.below(1), 0);
        assert_eq!(ids.below(0), 0);
    }
}

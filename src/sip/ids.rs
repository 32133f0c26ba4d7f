//! Fresh identifiers and keys: tags, branches, Call-IDs, SDES keys. Seeded in tests, from the system otherwise.

/// A source of identifiers. Machines receive it in [`crate::call::Env`] and never keep it.
pub struct Ids {}

impl Ids {
    /// Seeded by the operating system.
    pub fn from_system() -> Self {
        todo!()
    }
    /// The same sequence for the same seed: for tests only.
    pub fn seeded(seed: u64) -> Self {
        let _ = seed;
        todo!()
    }
    /// A From or To tag: at least 64 random bits (RFC 3261 §19.3 asks for 32).
    pub fn tag(&mut self) -> String {
        todo!()
    }
    /// A branch with the magic cookie `z9hG4bK` (RFC 3261 §8.1.1.7).
    pub fn branch(&mut self) -> String {
        todo!()
    }
    /// A Call-ID with no host in it.
    pub fn call_id(&mut self) -> String {
        todo!()
    }
    /// Random bytes for keys.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        let _ = bytes;
        todo!()
    }
    /// A number below `bound` (which is at least 1).
    pub fn below(&mut self, bound: u64) -> u64 {
        let _ = bound;
        todo!()
    }
}

//! The payload type numbers of one leg.

use super::Id;

/// The numbers of one leg, the latest last. No number is twice in a list; a format may have several.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    /// What we said: its peer sends by these.
    pub(super) ours: Vec<(u8, Id)>,
    /// What its peer said: we send by these.
    pub(super) theirs: Vec<(u8, Id)>,
}

pub(super) fn meaning(numbers: &[(u8, Id)], number: u8) -> Option<Id> {
    numbers
        .iter()
        .find(|entry| entry.0 == number)
        .map(|entry| entry.1)
}
pub(super) fn latest(numbers: &[(u8, Id)], id: Id) -> Option<u8> {
    numbers.iter().rfind(|entry| entry.1 == id).map(|entry| entry.0)
}
pub(super) fn set(numbers: &mut Vec<(u8, Id)>, number: u8, id: Id) {
    numbers.retain(|entry| entry.0 != number);
    numbers.push((number, id));
}

impl Numbers {
    /// What a number in a packet from its peer stands for: by the RFC what we said; many send by what they said themselves.
    pub(super) fn comes_as(&self, number: u8) -> Option<Id> {
        meaning(&self.ours, number).or_else(|| meaning(&self.theirs, number))
    }
    /// Whether a number can be said for a format and never meant another one.
    pub(super) fn is_free(&self, number: u8, id: Id) -> bool {
        [&self.ours, &self.theirs]
            .into_iter()
            .all(|list| meaning(list, number).is_none_or(|other| other == id))
    }
    pub(super) fn names(&self, id: Id) -> bool {
        self.ours.iter().chain(&self.theirs).any(|entry| entry.1 == id)
    }
}

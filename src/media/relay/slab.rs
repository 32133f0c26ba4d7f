//! The streams of a relay thread, where sockets find them.

use super::flow::Stream;

/// Streams by number: what a socket's key says. A freed place is used again.
#[derive(Default)]
pub(super) struct Slab {
    places: Vec<Option<Stream>>,
    free: Vec<usize>,
}

impl Slab {
    pub(super) fn insert(&mut self, stream: Stream) -> usize {
        if let Some(place) = self.free.pop() {
            self.places[place] = Some(stream);
            return place;
        }
        self.places.push(Some(stream));
        self.places.len() - 1
    }

    #[inline]
    pub(super) fn get(&mut self, place: usize) -> Option<&mut Stream> {
        self.places.get_mut(place)?.as_mut()
    }

    pub(super) fn remove(&mut self, place: usize) -> Option<Stream> {
        let stream = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        Some(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_place_is_used_again() {
        let mut slab = Slab::default();
        let places: Vec<_> = (0..3).map(|_| slab.insert(Stream::default())).collect();
        assert_eq!(places, [0, 1, 2]);
        assert!(slab.remove(1).is_some());
        assert!(slab.remove(1).is_none());
        assert!(slab.get(1).is_none());
        assert_eq!(slab.insert(Stream::default()), 1);
        assert!(slab.get(9).is_none());
    }
}

//! News of mailboxes that wait to be passed on.

use crate::app::AccountKey;
use std::collections::{HashMap, VecDeque};

/// News that are being passed on at one moment; others wait, the last of each account.
const PASSED_ON_AT_ONCE: usize = 64;

/// News that are to be passed on: of each account one at a time, and of those that wait the last. A summary says all that there is,
/// so that an older one is worth nothing.
pub(super) struct Post<T> {
    /// Accounts with news on their way, and what has come since.
    out: HashMap<AccountKey, Option<T>>,
    /// Accounts whose turn comes.
    queue: VecDeque<AccountKey>,
    waiting: HashMap<AccountKey, T>,
}

impl<T> Default for Post<T> {
    fn default() -> Self {
        Self {
            out: HashMap::new(),
            queue: VecDeque::new(),
            waiting: HashMap::new(),
        }
    }
}

impl<T> Post<T> {
    /// These are the news of an account now.
    pub(super) fn put(&mut self, key: AccountKey, news: T) {
        if let Some(next) = self.out.get_mut(&key) {
            *next = Some(news);
        } else if self.waiting.insert(key.clone(), news).is_none() {
            self.queue.push_back(key);
        }
    }
    /// Those that were on their way are no more.
    pub(super) fn delivered(&mut self, key: AccountKey) {
        if let Some(Some(next)) = self.out.remove(&key) {
            self.put(key, next);
        }
    }
    /// The next ones that may go.
    pub(super) fn next(&mut self) -> Option<(AccountKey, T)> {
        if self.out.len() >= PASSED_ON_AT_ONCE {
            return None;
        }
        let key = self.queue.pop_front()?;
        let news = self.waiting.remove(&key)?;
        self.out.insert(key.clone(), None);
        Some((key, news))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> AccountKey {
        AccountKey::new("pool", name)
    }

    #[test]
    fn of_each_account_one_is_on_its_way_and_the_last_of_the_others_follows() {
        let mut post = Post::default();
        for news in 1..=3 {
            post.put(key("a"), news);
        }
        assert_eq!(post.next(), Some((key("a"), 3)));
        post.put(key("a"), 4);
        post.put(key("a"), 5);
        post.put(key("b"), 6);
        assert_eq!(post.next(), Some((key("b"), 6)));
        assert_eq!(post.next(), None, "a has news on their way");
        post.delivered(key("b"));
        post.delivered(key("a"));
        assert_eq!(post.next(), Some((key("a"), 5)));
        post.delivered(key("a"));
        post.delivered(key("a"));
        assert_eq!(post.next(), None);
        assert!(post.out.is_empty() && post.queue.is_empty() && post.waiting.is_empty());
    }

    #[test]
    fn only_so_many_are_on_their_way_and_the_others_go_in_their_order() {
        let mut post = Post::default();
        (0..1000).for_each(|news| post.put(key(&news.to_string()), news));
        let first: Vec<i32> = std::iter::from_fn(|| post.next()).map(|(_, news)| news).collect();
        assert_eq!(first, (0..64).collect::<Vec<_>>());
        post.delivered(key("10"));
        assert_eq!(post.next(), Some((key("64"), 64)));
        assert_eq!(post.next(), None);
    }
}

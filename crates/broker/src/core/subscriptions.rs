//! The subscriptions of one client by its own ids.

use std::{
    collections::{BTreeMap, HashMap},
    hash::BuildHasher,
    sync::Arc,
};

use super::subscription::Subscription;

/// What a client of the type `P` has subscribed to.
pub(super) struct Subscriptions<P> {
    /// In an order of its own, so that whatever is done to all of them is replayed by a seed.
    by_sid: BTreeMap<Box<[u8]>, Arc<Subscription<P>>>,
    /// How many there are to each pattern, under its hash; counted only for a client that has many.
    same: Option<HashMap<u64, usize, foldhash::fast::RandomState>>,
    hasher: foldhash::fast::RandomState,
}

impl<P> Default for Subscriptions<P> {
    fn default() -> Self {
        Self { by_sid: BTreeMap::new(), same: None, hasher: foldhash::fast::RandomState::default() }
    }
}

impl<P> Subscriptions<P> {
    pub(super) fn len(&self) -> usize {
        self.by_sid.len()
    }

    pub(super) fn get(&self, sid: &[u8]) -> Option<&Arc<Subscription<P>>> {
        self.by_sid.get(sid)
    }

    pub(super) fn contains(&self, sid: &[u8]) -> bool {
        self.by_sid.contains_key(sid)
    }

    pub(super) fn insert(&mut self, subscription: &Arc<Subscription<P>>) {
        self.by_sid.insert(subscription.sid.clone(), Arc::clone(subscription));
        if let Some(same) = &mut self.same {
            *same.entry(self.hasher.hash_one(&subscription.subject)).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, sid: &[u8]) -> Option<Arc<Subscription<P>>> {
        let subscription = self.by_sid.remove(sid)?;
        if let Some(same) = &mut self.same {
            let hash = self.hasher.hash_one(&subscription.subject);
            if let Some(count) = same.get_mut(&hash) {
                *count -= 1;
                if *count == 0 {
                    same.remove(&hash);
                }
            }
        }
        Some(subscription)
    }

    /// Removes this very subscription. Another one to which its client has given the same id since stays.
    pub(super) fn forget(&mut self, subscription: &Arc<Subscription<P>>) {
        if self.get(&subscription.sid).is_some_and(|there| Arc::ptr_eq(there, subscription)) {
            self.remove(&subscription.sid);
        }
    }

    /// True if there are `max` to the pattern `subject`.
    pub(super) fn has_same(&mut self, subject: &[u8], max: usize) -> bool {
        if self.by_sid.len() < max {
            return false;
        }
        let hasher = &self.hasher;
        let same = self.same.get_or_insert_with(|| {
            let mut same: HashMap<_, usize, _> = HashMap::default();
            for subscription in self.by_sid.values() {
                *same.entry(hasher.hash_one(&subscription.subject)).or_default() += 1;
            }
            same
        });
        // The key of the table is a boxed slice, whose hash is that of the slice.
        same.get(&hasher.hash_one(subject)).is_some_and(|count| *count >= max)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Subscription<P>>> {
        self.by_sid.values()
    }

    /// Takes some out, at most `count`; fewer only if none are left.
    pub(super) fn take(&mut self, count: usize) -> Vec<Arc<Subscription<P>>> {
        self.same = None;
        std::iter::from_fn(|| self.by_sid.pop_first()).map(|(_, subscription)| subscription).take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription() -> Arc<Subscription<()>> {
        Arc::new(Subscription::new(Arc::new(()), b"x", None, b"1", Vec::new()))
    }

    #[test]
    fn whoever_forgets_late_leaves_the_next_subscription_with_that_id_alone() {
        let (first, second) = (subscription(), subscription());
        let mut subscriptions = Subscriptions::default();
        subscriptions.insert(&first);
        subscriptions.remove(b"1");
        subscriptions.insert(&second);
        subscriptions.forget(&first);
        assert!(subscriptions.get(b"1").is_some_and(|there| Arc::ptr_eq(there, &second)));
        subscriptions.forget(&second);
        assert_eq!(subscriptions.len(), 0);
    }
}

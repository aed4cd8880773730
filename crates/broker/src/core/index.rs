//! Which subscriptions want a subject: a tree with one level per token.
//!
//! Every level has a map for literal tokens, a branch for `*` and a list for `>`. A subscription knows its place in its list, so it
//! is removed without a search, however many share its pattern.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use super::peer::Subscription;

/// The tree.
#[derive(Default)]
pub(super) struct Index {
    root: Level,
    len: usize,
}

#[derive(Default)]
struct Level {
    literal: HashMap<Box<[u8]>, Self, foldhash::fast::RandomState>,
    star: Option<Box<Self>>,
    /// Patterns that end here.
    here: Vec<Arc<Subscription>>,
    /// Patterns that end with `>` after this level.
    rest: Vec<Arc<Subscription>>,
}

/// Who wants a subject: each plain subscription, and one of each queue group.
#[derive(Default)]
pub(super) struct Matched {
    pub(super) plain: Vec<Target>,
    pub(super) groups: Vec<Vec<Target>>,
}

/// A subscription that wants a subject, and what a worker knows of it.
pub(super) struct Target {
    pub(super) subscription: Arc<Subscription>,
    /// The number of its client's stage.
    pub(super) stage: u32,
    /// How its frames begin, `MSG <subject> <sid> `; empty if nobody made it ready.
    pub(super) head: Box<[u8]>,
}

impl Target {
    fn new(subscription: &Arc<Subscription>) -> Self {
        Self { subscription: Arc::clone(subscription), stage: 0, head: Box::default() }
    }
}

impl Matched {
    /// Everybody, members of groups included.
    pub(super) fn targets(&mut self) -> impl Iterator<Item = &mut Target> {
        self.plain.iter_mut().chain(self.groups.iter_mut().flatten())
    }

    fn extend(&mut self, subscriptions: &[Arc<Subscription>]) {
        for subscription in subscriptions {
            let Some(queue) = &subscription.queue else {
                self.plain.push(Target::new(subscription));
                continue;
            };
            let group = self.groups.iter_mut().find(|group| group[0].subscription.queue.as_ref() == Some(queue));
            match group {
                Some(group) => group.push(Target::new(subscription)),
                None => self.groups.push(vec![Target::new(subscription)]),
            }
        }
    }
}

impl Index {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, subscription: &Arc<Subscription>) {
        let mut level = &mut self.root;
        let mut to_rest = false;
        for token in subscription.subject.split(|b| *b == b'.') {
            match token {
                b">" => to_rest = true,
                b"*" => level = level.star.get_or_insert_default(),
                _ => level = level.literal.entry(token.into()).or_default(),
            }
        }
        let list = if to_rest { &mut level.rest } else { &mut level.here };
        subscription.slot.store(list.len(), Ordering::Relaxed);
        list.push(Arc::clone(subscription));
        self.len += 1;
    }

    /// Removes it; false if it was not there.
    pub(super) fn remove(&mut self, subscription: &Arc<Subscription>) -> bool {
        let tokens: Vec<&[u8]> = subscription.subject.split(|b| *b == b'.').collect();
        let removed = self.root.remove(&tokens, subscription);
        self.len -= usize::from(removed);
        removed
    }

    pub(super) fn matches(&self, subject: &[u8]) -> Matched {
        let mut found = Matched::default();
        let tokens: Vec<&[u8]> = subject.split(|b| *b == b'.').collect();
        self.root.collect(&tokens, &mut found);
        found
    }
}

impl Level {
    fn is_empty(&self) -> bool {
        self.literal.is_empty() && self.star.is_none() && self.here.is_empty() && self.rest.is_empty()
    }

    fn collect(&self, tokens: &[&[u8]], found: &mut Matched) {
        let Some((first, others)) = tokens.split_first() else {
            found.extend(&self.here);
            return;
        };
        found.extend(&self.rest);
        if let Some(level) = self.literal.get(*first) {
            level.collect(others, found);
        }
        if let Some(level) = &self.star {
            level.collect(others, found);
        }
    }

    /// Removes the subscription and, on the way back, every level it leaves empty.
    fn remove(&mut self, tokens: &[&[u8]], subscription: &Arc<Subscription>) -> bool {
        let Some((first, others)) = tokens.split_first() else {
            return take(&mut self.here, subscription);
        };
        match *first {
            b">" => take(&mut self.rest, subscription),
            b"*" => {
                let Some(level) = &mut self.star else {
                    return false;
                };
                let removed = level.remove(others, subscription);
                if level.is_empty() {
                    self.star = None;
                }
                removed
            }
            token => {
                let Some(level) = self.literal.get_mut(token) else {
                    return false;
                };
                let removed = level.remove(others, subscription);
                if level.is_empty() {
                    self.literal.remove(token);
                }
                removed
            }
        }
    }
}

fn take(list: &mut Vec<Arc<Subscription>>, subscription: &Arc<Subscription>) -> bool {
    // Relaxed is enough: slots are read and written under the index's write lock alone.
    let slot = subscription.slot.load(Ordering::Relaxed);
    if !list.get(slot).is_some_and(|found| Arc::ptr_eq(found, subscription)) {
        return false;
    }
    list.swap_remove(slot);
    if let Some(moved) = list.get(slot) {
        moved.slot.store(slot, Ordering::Relaxed);
    }
    if list.is_empty() {
        *list = Vec::new();
    }
    true
}

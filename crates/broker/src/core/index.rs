//! Which subscriptions want a subject: a tree with one level per token.
//!
//! Every level has a map for literal tokens, a branch for `*` and a list for `>`. A subscription knows its place in its list, so it
//! is removed without a search, however many share its pattern.

use std::{
    collections::{HashMap, hash_map::Entry},
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
    /// How many levels were looked at to find them.
    pub(super) steps: usize,
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

    /// Bytes of its lists.
    pub(super) fn size(&self) -> usize {
        let members = self.groups.iter().map(|group| group.len() + 1).sum::<usize>();
        let heads = self.plain.iter().chain(self.groups.iter().flatten()).map(|target| target.head.len());
        (self.plain.len() + members) * size_of::<Target>() + heads.sum::<usize>()
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

    /// Puts it in, and says how many levels that added.
    pub(super) fn insert(&mut self, subscription: &Arc<Subscription>) -> usize {
        let mut level = &mut self.root;
        let mut to_rest = false;
        let mut added = 0;
        for token in subscription.subject.split(|b| *b == b'.') {
            match token {
                b">" => to_rest = true,
                b"*" => {
                    added += usize::from(level.star.is_none());
                    level = level.star.get_or_insert_default();
                }
                _ => {
                    let entry = level.literal.entry(token.into());
                    added += usize::from(matches!(entry, Entry::Vacant(_)));
                    level = entry.or_default();
                }
            }
        }
        let list = if to_rest { &mut level.rest } else { &mut level.here };
        subscription.slot.store(list.len(), Ordering::Relaxed);
        list.push(Arc::clone(subscription));
        self.len += 1;
        added
    }

    /// Removes it, and says how many levels went with it; `None` if it was not there.
    pub(super) fn remove(&mut self, subscription: &Arc<Subscription>) -> Option<usize> {
        let tokens: Vec<&[u8]> = subscription.subject.split(|b| *b == b'.').collect();
        let levels = self.root.remove(&tokens, subscription)?;
        self.len -= 1;
        Some(levels)
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
        found.steps += 1;
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

    /// Removes the subscription and, on the way back, every level it leaves empty; says how many those were.
    fn remove(&mut self, tokens: &[&[u8]], subscription: &Arc<Subscription>) -> Option<usize> {
        let Some((first, others)) = tokens.split_first() else {
            return take(&mut self.here, subscription).then_some(0);
        };
        match *first {
            b">" => take(&mut self.rest, subscription).then_some(0),
            b"*" => {
                let level = self.star.as_mut()?;
                let levels = level.remove(others, subscription)?;
                if !level.is_empty() {
                    return Some(levels);
                }
                self.star = None;
                Some(levels + 1)
            }
            token => {
                let level = self.literal.get_mut(token)?;
                let levels = level.remove(others, subscription)?;
                if !level.is_empty() {
                    return Some(levels);
                }
                self.literal.remove(token);
                // A table keeps the size it once had; one that has become far too large is given back in part.
                if self.literal.capacity() > 64 && self.literal.len() < self.literal.capacity() / 8 {
                    self.literal.shrink_to(2 * self.literal.len());
                }
                Some(levels + 1)
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
    if list.capacity() > 64 && list.len() < list.capacity() / 8 {
        list.shrink_to(2 * list.len());
    }
    if let Some(moved) = list.get(slot) {
        moved.slot.store(slot, Ordering::Relaxed);
    }
    if list.is_empty() {
        *list = Vec::new();
    }
    true
}

//! One level of the index: the patterns that end there, and whether any go on below.
//!
//! A level nobody needs is taken out: no pattern ends at it and none goes on. Whoever finds the last of either gone does that, and nobody
//! can add one meanwhile: the number of levels below then says [`GONE`], and it goes from zero to that in one step.

use std::sync::{
    Arc, PoisonError, RwLock, RwLockWriteGuard,
    atomic::{AtomicUsize, Ordering},
};

use super::{matched::Matched, peer::Subscription};

/// As a number of levels below: the level is in the index no more.
const GONE: usize = usize::MAX;

/// A place in the index. The edges that lead to others are in [`Edges`](super::edges::Edges).
pub(super) struct Level {
    pub(super) id: u64,
    /// How many levels hang below it, or will in a moment.
    below: AtomicUsize,
    lists: RwLock<Lists>,
    /// Whether a search has to look at the list of those who want the rest: mostly not, and then it takes no lock.
    wants_rest: AtomicUsize,
}

#[derive(Default)]
struct Lists {
    /// Patterns that end here.
    here: Vec<Arc<Subscription>>,
    /// Patterns that end with `>` after this level.
    rest: Vec<Arc<Subscription>>,
}

/// Which of a level's lists a subscription is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Here,
    Rest,
}

impl Level {
    pub(super) fn new(id: u64) -> Self {
        Self { id, below: AtomicUsize::new(0), lists: RwLock::default(), wants_rest: AtomicUsize::new(0) }
    }

    /// True if patterns may go on below.
    // Relaxed is enough, here and throughout: whoever must see a subscription has seen the generation that counted it, which comes after
    // (`Changes::note`); and of two who change the number at a time, one comes first.
    pub(super) fn goes_on(&self) -> bool {
        self.below.load(Ordering::Relaxed) > 0
    }

    /// Counts one more level below, so that this one stays. False if it is gone already.
    pub(super) fn adopt(&self) -> bool {
        let more = |below| (below != GONE).then(|| below + 1);
        self.below.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Counts one less. Whoever does so has to see whether the level is needed still.
    pub(super) fn disown(&self) {
        self.below.fetch_sub(1, Ordering::Relaxed);
    }

    /// Waits until a level that is gone is out of the index: whoever takes it out holds its lock until that is done.
    pub(super) fn wait_until_out(&self) {
        drop(self.write());
    }

    /// Puts a subscription at the end of a list. False if the level is gone: then it is out of the index when this returns.
    pub(super) fn push(&self, ending: Ending, subscription: &Arc<Subscription>) -> bool {
        let mut lists = self.write();
        if self.below.load(Ordering::Relaxed) == GONE {
            return false;
        }
        let list = lists.of(ending);
        // It knows its place, so that it is taken out without a search however many share its pattern.
        subscription.slot.store(list.len(), Ordering::Relaxed);
        list.push(Arc::clone(subscription));
        self.wants_rest.store(lists.rest.len(), Ordering::Relaxed);
        true
    }

    /// Takes a subscription out of its list. False if it is not there.
    pub(super) fn take(&self, ending: Ending, subscription: &Arc<Subscription>) -> bool {
        let mut lists = self.write();
        let was_there = take(lists.of(ending), subscription);
        self.wants_rest.store(lists.rest.len(), Ordering::Relaxed);
        was_there
    }

    /// Ends the level if nobody needs it, and has `take_out` take it out of the index before anybody can tell. False if it stays.
    pub(super) fn end(&self, take_out: impl FnOnce()) -> bool {
        let lists = self.write();
        let is_bare = lists.here.is_empty() && lists.rest.is_empty();
        if !is_bare || self.below.compare_exchange(0, GONE, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return false;
        }
        take_out();
        true
    }

    /// Adds those whose patterns end here.
    pub(super) fn collect_here(&self, found: &mut Matched) {
        found.extend(&self.lists.read().unwrap_or_else(PoisonError::into_inner).here);
    }

    /// Adds those whose patterns end with `>` after this level.
    pub(super) fn collect_rest(&self, found: &mut Matched) {
        if self.wants_rest.load(Ordering::Relaxed) > 0 {
            found.extend(&self.lists.read().unwrap_or_else(PoisonError::into_inner).rest);
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Lists> {
        self.lists.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lists {
    const fn of(&mut self, ending: Ending) -> &mut Vec<Arc<Subscription>> {
        match ending {
            Ending::Here => &mut self.here,
            Ending::Rest => &mut self.rest,
        }
    }
}

fn take(list: &mut Vec<Arc<Subscription>>, subscription: &Arc<Subscription>) -> bool {
    // Relaxed is enough: slots are read and written under the lock of their list alone.
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

//! Whether other reactors still have something under way for a subscription that has just ended.
//!
//! A reactor gathers what one turn earns before it goes to the outboxes. Who ends a subscription on another reactor and then asks by `PING`
//! whether all has come must not be answered before such a turn has put there what it took for that subscription: a client that drains
//! takes nothing more after the answer, and a message for a queue group has no second receiver by then.

use std::sync::{
    Arc, Mutex, Weak,
    atomic::{AtomicU64, Ordering, fence},
};

use super::lock::lock;

/// The turns of all reactors.
#[derive(Default)]
pub(super) struct Turns(Mutex<Vec<Weak<AtomicU64>>>);

/// The turns of one reactor: odd while something is gathered.
pub(super) struct Turn {
    number: Arc<AtomicU64>,
    is_on: bool,
}

/// Turns that were on at one moment.
#[derive(Default)]
pub(super) struct UnderWay(Vec<(Weak<AtomicU64>, u64)>);

impl Turns {
    pub(super) fn join(&self) -> Turn {
        let number = Arc::new(AtomicU64::new(0));
        let mut all = lock(&self.0);
        all.retain(|turn| turn.strong_count() > 0);
        all.push(Arc::downgrade(&number));
        Turn { number, is_on: false }
    }

    /// The turns of others in which a subscription that the caller has ended may still have been taken to be there.
    pub(super) fn under_way(&self, own: &Turn) -> UnderWay {
        // Pairs with the fence in `begin`: either the turn is seen here, or it sees that the subscription has ended.
        fence(Ordering::SeqCst);
        let all = lock(&self.0);
        let others = all.iter().filter(|turn| !std::ptr::eq(turn.as_ptr(), Arc::as_ptr(&own.number)));
        let numbers = others.filter_map(|turn| Some((turn.clone(), turn.upgrade()?.load(Ordering::Acquire))));
        UnderWay(numbers.filter(|(_, number)| number % 2 == 1).collect())
    }
}

impl Turn {
    /// Something is about to be gathered.
    #[inline]
    pub(super) fn begin(&mut self) {
        if !std::mem::replace(&mut self.is_on, true) {
            self.number.fetch_add(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
        }
    }

    /// All that was gathered is where it belongs.
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.is_on) {
            self.number.fetch_add(1, Ordering::Release);
        }
    }
}

impl UnderWay {
    /// True if one of them is still on.
    pub(super) fn is_on(&mut self) -> bool {
        // Acquire pairs with the Release in `end`.
        self.0.retain(|(turn, number)| turn.upgrade().is_some_and(|turn| turn.load(Ordering::Acquire) == *number));
        !self.0.is_empty()
    }
}

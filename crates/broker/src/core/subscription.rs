//! One client's wish to receive a subject.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use crosstie_core::{SubjectPattern, matches};

use super::lock::lock;

/// What was subscribed, by which `P`, and how far it has got. Shared by the index, the match caches and its client.
pub(super) struct Subscription<P> {
    pub(super) peer: Arc<P>,
    pub(super) subject: Box<[u8]>,
    pub(super) queue: Option<Box<[u8]>>,
    pub(super) sid: Box<[u8]>,
    /// Subjects inside the pattern that its client may not see. A reload may change them.
    hidden: Mutex<Vec<SubjectPattern>>,
    hides_some: AtomicBool,
    /// How many those were when it began, which is what its client is charged with until it ends.
    pub(super) hidden_at_first: usize,
    /// Its place in the index's list.
    pub(super) slot: AtomicUsize,
    delivered: AtomicU64,
    /// After how many deliveries it ends; zero: never.
    max: AtomicU64,
    ended: AtomicBool,
}

/// Whether a subscription takes one more message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It does.
    Taken,
    /// It does, and that was the last one.
    Last,
    /// It does not.
    Refused,
}

impl<P> Subscription<P> {
    pub(super) fn new(
        peer: Arc<P>,
        subject: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
        hidden: Vec<SubjectPattern>,
    ) -> Self {
        Self {
            peer,
            subject: subject.into(),
            queue: queue.map(Into::into),
            sid: sid.into(),
            hides_some: AtomicBool::new(!hidden.is_empty()),
            hidden_at_first: hidden.len(),
            hidden: Mutex::new(hidden),
            slot: AtomicUsize::new(0),
            delivered: AtomicU64::new(0),
            max: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        }
    }

    /// True if its client may not see `subject`, although the pattern matches.
    pub(super) fn hides(&self, subject: &[u8]) -> bool {
        // Relaxed is enough: the lock orders the patterns, and a change is seen soon.
        self.hides_some.load(Ordering::Relaxed)
            && lock(&self.hidden).iter().any(|pattern| matches(pattern.as_bytes(), subject))
    }

    /// From now on its client may not see `hidden`, and nothing else is hidden.
    pub(super) fn hide(&self, hidden: Vec<SubjectPattern>) {
        let mut patterns = lock(&self.hidden);
        self.hides_some.store(!hidden.is_empty(), Ordering::Relaxed);
        *patterns = hidden;
    }

    /// Counts one delivery, unless the subscription has ended.
    // Pairs with `limit`: of a delivery and a maximum that meet, at least one sees the other, so somebody ends the subscription. That needs
    // one order of all four accesses; on x86 the loads cost nothing more, and the addition is locked anyway.
    pub(super) fn claim(&self) -> Claim {
        if self.has_ended() {
            return Claim::Refused;
        }
        let count = self.delivered.fetch_add(1, Ordering::SeqCst) + 1;
        match self.max.load(Ordering::SeqCst) {
            0 => Claim::Taken,
            max if count < max => Claim::Taken,
            max if count == max => Claim::Last,
            _ => Claim::Refused,
        }
    }

    /// Ends it after `max` deliveries in all. False if it has had as many already.
    pub(super) fn limit(&self, max: u64) -> bool {
        self.max.store(max, Ordering::SeqCst);
        self.delivered.load(Ordering::SeqCst) < max
    }

    /// Takes no more messages.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub(super) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    pub(super) fn max(&self) -> Option<u64> {
        Some(self.max.load(Ordering::Relaxed)).filter(|max| *max > 0)
    }
}

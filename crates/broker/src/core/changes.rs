//! What has changed in the index lately, so that a look-up stays good while others subscribe to something else.
//!
//! Every subscription that begins or ends is a change with a number, the generation. Whoever remembers what a subject found asks which
//! patterns have come or gone since: if none of them matches the subject, what was found still holds. So a client that subscribes and
//! unsubscribes without end costs the others a few comparisons, instead of a search under the lock that it holds most of the time.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use crosstie_core::matches;

use super::lock::lock;

/// How many changes are known by their patterns.
const KNOWN: usize = 512;
/// A longer pattern is not kept: it stands for every subject.
const MAX_PATTERN: usize = 128;

/// The latest changes of an index.
pub(super) struct Changes {
    /// The patterns of the last generations, the latest at the end.
    patterns: Mutex<VecDeque<Box<[u8]>>>,
    generation: AtomicU64,
}

impl Changes {
    pub(super) fn new() -> Self {
        Self { patterns: Mutex::default(), generation: AtomicU64::new(1) }
    }

    /// Notes that a subscription to `pattern` has come or gone.
    pub(super) fn note(&self, pattern: &[u8]) {
        let kept = if pattern.len() <= MAX_PATTERN { pattern } else { b">" };
        // It is allocated before the lock is taken, and another is freed after: the lock is held for a moment only.
        let kept = kept.into();
        let mut patterns = lock(&self.patterns);
        let forgotten = if patterns.len() == KNOWN { patterns.pop_front() } else { None };
        patterns.push_back(kept);
        // Release pairs with the Acquire in `generation`: whoever sees the new generation sees the new index. The lock keeps it in step
        // with the patterns.
        self.generation.fetch_add(1, Ordering::Release);
        drop(patterns);
        drop(forgotten);
    }

    /// Goes up with every change.
    pub(super) fn generation(&self) -> u64 {
        // Acquire pairs with the Release in `note`. A subscription made on another connection a moment ago may be missed, as on any wire;
        // one made on this connection cannot be.
        self.generation.load(Ordering::Acquire)
    }

    /// The generation up to which what was found for `subject` at generation `since` holds: that of now, or none. Adds to `effort` what
    /// it took to find out.
    pub(super) fn hold(&self, since: u64, subject: &[u8], effort: &mut u64) -> Option<u64> {
        if since == self.generation() {
            return Some(since);
        }
        // Whoever notes a change just now may be put aside: a search takes less long than to wait for that.
        let patterns = self.patterns.try_lock().ok()?;
        let now = self.generation.load(Ordering::Relaxed);
        let missed = usize::try_from(now - since).ok().filter(|missed| *missed <= patterns.len())?;
        // A comparison is a hundredth of a microsecond for what differs at once, and goes on to the end of the shorter one at the most.
        *effort += (1 + missed * (4 + subject.len().min(MAX_PATTERN)) / 64) as u64;
        let concerns = patterns.iter().rev().take(missed).any(|pattern| matches(pattern, subject));
        (!concerns).then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(changes: &Changes, since: u64, subject: &[u8]) -> Option<u64> {
        changes.hold(since, subject, &mut 0)
    }

    #[test]
    fn what_was_found_holds_until_a_pattern_that_matches_comes_or_goes() {
        let changes = Changes::new();
        let since = changes.generation();
        assert_eq!(hold(&changes, since, b"a.b"), Some(since));
        changes.note(b"a.c");
        changes.note(b"x.>");
        assert_eq!(hold(&changes, since, b"a.b"), Some(since + 2));
        changes.note(b"a.*");
        assert_eq!(hold(&changes, since, b"a.b"), None);
        assert_eq!(hold(&changes, since + 2, b"a.b"), None);
        assert_eq!(hold(&changes, since + 3, b"a.b"), Some(since + 3));
        assert_eq!(hold(&changes, since, b"c"), Some(since + 3));
    }

    #[test]
    fn nothing_is_known_of_changes_long_ago_and_of_long_patterns() {
        let changes = Changes::new();
        let since = changes.generation();
        changes.note(b"a");
        for _ in 0..KNOWN - 1 {
            changes.note(b"x");
        }
        assert!(hold(&changes, since, b"b").is_some() && hold(&changes, since, b"a").is_none());
        changes.note(b"x");
        assert_eq!(hold(&changes, since, b"b"), None, "the first change is forgotten, and might have concerned it");
        let since = changes.generation();
        changes.note(&[b'y'; MAX_PATTERN + 1]);
        assert_eq!(hold(&changes, since, b"b"), None);
    }
}

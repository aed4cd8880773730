//! Which subscriptions want a subject: a tree with one level per token, which any reactor searches and changes at any time.
//!
//! From each level an edge per token leads to the next, `*` among them; patterns end at a level, or with `>` after it. No lock is held for
//! longer than one step of a walk takes, and none above the place where something changes: a client that subscribes without end holds
//! up nobody who publishes to other subjects. So what a search finds is not what held at one moment, but it is right for every
//! subscription that was there all the while or was not, and whoever remembers it asks what has changed since (see `changes`).

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use super::{
    edges::{Edges, Grown},
    level::{Ending, Level},
    matched::Matched,
    peer::Subscription,
};

/// The tree.
pub(super) struct Index {
    root: Arc<Level>,
    edges: Edges,
    next_id: AtomicU64,
    len: AtomicUsize,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            root: Arc::new(Level::new(0)),
            edges: Edges::new(),
            next_id: AtomicU64::new(1),
            len: AtomicUsize::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Puts it in, and says how many levels that added.
    pub(super) fn insert(&self, subscription: &Arc<Subscription>) -> usize {
        let (tokens, ending) = parts(&subscription.subject);
        let mut added = 0;
        // Where it meets with a level that somebody else has taken out meanwhile, it begins anew. Levels it has added by then are
        // found again, unless they were needed by somebody else, who then took them out.
        while !self.try_insert(&tokens, ending, subscription, &mut added) {}
        self.len.fetch_add(1, Ordering::Relaxed);
        added
    }

    fn try_insert(
        &self,
        tokens: &[&[u8]],
        ending: Ending,
        subscription: &Arc<Subscription>,
        added: &mut usize,
    ) -> bool {
        let mut level = Arc::clone(&self.root);
        for token in tokens {
            level = match self.edges.get(level.id, token) {
                Some(level) => level,
                None => {
                    let new = Level::new(self.next_id.fetch_add(1, Ordering::Relaxed));
                    match self.edges.insert(&level, token, new) {
                        Grown::New(level) => {
                            *added += 1;
                            level
                        }
                        Grown::Known(level) => level,
                        Grown::TooLate => {
                            level.wait_until_out();
                            return false;
                        }
                    }
                }
            };
        }
        level.push(ending, subscription)
    }

    /// Removes it, and says how many levels went with it; `None` if it was not there.
    pub(super) fn remove(&self, subscription: &Arc<Subscription>) -> Option<usize> {
        let (tokens, ending) = parts(&subscription.subject);
        let walked = self.walk(&tokens);
        let last = walked.last().filter(|_| walked.len() > tokens.len())?;
        if !last.take(ending, subscription) {
            return None;
        }
        self.len.fetch_sub(1, Ordering::Relaxed);
        Some(self.prune(&walked, &tokens))
    }

    /// The levels along `tokens`, the root first, as far as there are any.
    fn walk(&self, tokens: &[&[u8]]) -> Vec<Arc<Level>> {
        let mut walked = Vec::with_capacity(tokens.len() + 1);
        walked.push(Arc::clone(&self.root));
        for token in tokens {
            let Some(next) = walked.last().and_then(|level| self.edges.get(level.id, token)) else { break };
            walked.push(next);
        }
        walked
    }

    /// Takes out the levels at the end of `walked` that nobody needs any more, and says how many those were.
    fn prune(&self, walked: &[Arc<Level>], tokens: &[&[u8]]) -> usize {
        let mut removed = 0;
        for (pair, token) in walked.windows(2).zip(tokens).rev() {
            let [above, level] = pair else { break };
            if !level.end(|| self.edges.remove(above.id, token)) {
                break;
            }
            above.disown();
            removed += 1;
        }
        removed
    }

    pub(super) fn matches(&self, subject: &[u8]) -> Matched {
        let mut found = Matched::default();
        let tokens: Vec<&[u8]> = subject.split(|b| *b == b'.').collect();
        self.collect(&self.root, &tokens, &mut found);
        found
    }

    fn collect(&self, level: &Level, tokens: &[&[u8]], found: &mut Matched) {
        found.steps += 1;
        let Some((first, others)) = tokens.split_first() else {
            level.collect_here(found);
            return;
        };
        level.collect_rest(found);
        if !level.goes_on() {
            return;
        }
        // Whoever publishes to `*` means that token, and no pattern has it but as the wildcard, which is next.
        if *first != b"*"
            && let Some(next) = self.edges.get(level.id, first)
        {
            self.collect(&next, others, found);
        }
        if let Some(next) = self.edges.get(level.id, b"*") {
            self.collect(&next, others, found);
        }
    }
}

/// The tokens of a pattern that lead to a level, and how it ends there.
fn parts(pattern: &[u8]) -> (Vec<&[u8]>, Ending) {
    let mut tokens: Vec<&[u8]> = pattern.split(|b| *b == b'.').collect();
    let ending = if tokens.pop_if(|last| *last == b">").is_some() { Ending::Rest } else { Ending::Here };
    (tokens, ending)
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicIsize, thread};

    use crosstie_core::{Randomness, Seeded, matches};

    use super::*;
    use crate::core::peer::nobody;

    const PATTERNS: [&[u8]; 12] =
        [b"a", b"a.b", b"a.*", b"a.>", b"a.b.c", b"a.*.c", b"*", b"*.b.>", b">", b"b", b"b.b", b"a.b.d.e"];
    const SUBJECTS: [&[u8]; 9] = [b"a", b"a.b", b"a.b.c", b"a.x.c", b"b", b"b.b", b"b.b.b", b"a.b.d.e", b"a.*"];

    fn subscription(pattern: &[u8], queue: Option<&[u8]>) -> Arc<Subscription> {
        Arc::new(Subscription::new(nobody(1), pattern, queue, b"1", Vec::new()))
    }

    /// How many are found of `sought`.
    fn count(index: &Index, subject: &[u8], sought: &Arc<Subscription>) -> usize {
        let mut matched = index.matches(subject);
        matched.targets().filter(|target| Arc::ptr_eq(&target.subscription, sought)).count()
    }

    #[test]
    fn it_finds_what_a_comparison_with_each_pattern_finds() {
        let index = Index::new();
        let mut random = Seeded::new(1);
        let mut choose = |most: usize| (random.next_u64() % most as u64) as usize;
        let mut there: Vec<Arc<Subscription>> = Vec::new();
        let (mut added, mut removed) = (0, 0);
        for _ in 0..5_000 {
            if there.is_empty() || choose(5) < 2 {
                let queue = [None, Some(&b"q"[..])][choose(2)];
                let new = subscription(PATTERNS[choose(PATTERNS.len())], queue);
                added += index.insert(&new);
                there.push(new);
            } else if choose(2) == 0 {
                let old = there.swap_remove(choose(there.len()));
                removed += index.remove(&old).expect("it is there");
                assert_eq!(index.remove(&old), None);
            }
            let subject = SUBJECTS[choose(SUBJECTS.len())];
            let mut found: Vec<_> =
                index.matches(subject).targets().map(|target| Arc::as_ptr(&target.subscription)).collect();
            let wanted = there.iter().filter(|subscription| matches(&subscription.subject, subject));
            let mut wanted: Vec<_> = wanted.map(Arc::as_ptr).collect();
            found.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(found, wanted, "{}", subject.escape_ascii());
        }
        assert_eq!(index.len(), there.len());
        for old in there {
            removed += index.remove(&old).expect("it is there");
        }
        assert_eq!((index.edges.len(), index.root.goes_on(), removed), (0, false, added));
    }

    #[test]
    fn whoever_subscribes_is_found_at_once_while_others_come_and_go_on_the_same_levels() {
        const WAYS: [(&[u8], &[u8]); 5] = [
            (b"a.b.c.d", b"a.b.c.d"),
            (b"a.b", b"a.b"),
            (b"a.*.c", b"a.b.c"),
            (b"a.b.>", b"a.b.c.d"),
            (b"x.y.z", b"x.y.z"),
        ];
        let (index, levels) = (Index::new(), AtomicIsize::new(0));
        thread::scope(|scope| {
            for number in 0..4 {
                let (index, levels) = (&index, &levels);
                scope.spawn(move || {
                    for round in 0..8_000 {
                        let (pattern, subject) = WAYS[(round * (number + 1) + number) % WAYS.len()];
                        let own = subscription(pattern, None);
                        levels.fetch_add(index.insert(&own) as isize, Ordering::Relaxed);
                        assert_eq!(count(index, subject, &own), 1, "inserted");
                        let removed = index.remove(&own).expect("it is there");
                        levels.fetch_sub(removed as isize, Ordering::Relaxed);
                        assert_eq!(count(index, subject, &own), 0, "removed");
                    }
                });
            }
        });
        let left = (index.len(), index.edges.len(), index.root.goes_on(), levels.into_inner());
        assert_eq!(left, (0, 0, false, 0));
    }
}

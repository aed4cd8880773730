//! Since when bytes wait to be written, so that the delays of what waits together pass together.

use std::{collections::VecDeque, time::Instant};

/// How much more was offered when.
pub(super) struct Offered {
    stamps: VecDeque<(usize, Instant)>,
    known: usize,
}

impl Offered {
    pub(super) const fn new() -> Self {
        Self { stamps: VecDeque::new(), known: 0 }
    }

    /// Since when the first of `len` bytes that are offered now waits.
    pub(super) fn since(&mut self, len: usize, now: Instant) -> Instant {
        if len > self.known {
            self.stamps.push_back((len, now));
            self.known = len;
        } else if len < self.known {
            // Whoever offers less has given up what it offered before: that waits no more.
            self.known = len;
            let last = self.stamps.iter().find(|(end, _)| *end >= len).map_or(now, |(_, at)| *at);
            self.stamps.retain(|(end, _)| *end < len);
            if len > 0 {
                self.stamps.push_back((len, last));
            }
        }
        self.stamps.front().map_or(now, |(_, at)| *at)
    }

    /// So many of them went.
    pub(super) fn went(&mut self, count: usize) {
        self.known = self.known.saturating_sub(count);
        while self.stamps.front().is_some_and(|(end, _)| *end <= count) {
            self.stamps.pop_front();
        }
        for (end, _) in &mut self.stamps {
            *end -= count;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_offered_together_waits_since_then() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut offered = Offered::new();
        assert_eq!(offered.since(100, at(1)), at(1));
        assert_eq!(offered.since(150, at(2)), at(1), "the first of them waits since then");
        offered.went(100);
        assert_eq!(offered.since(50, at(3)), at(2), "the rest came later");
        offered.went(50);
        assert_eq!(offered.since(10, at(4)), at(4), "what is new has not waited");
        assert_eq!(offered.since(4, at(5)), at(4), "less than before has waited as long");
    }
}

//! How long to look before sleeping.

/// What a process does when it finds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitPolicy {
    /// Looks again and again and never sleeps: the lowest latency, for a whole processor.
    Busy,
    /// Looks for some microseconds, then sleeps. It learns: when looking did not help, the next look is shorter; and it does not look at all where
    /// the other side cannot run meanwhile, because both are bound to one processor.
    #[default]
    Adaptive,
    /// Sleeps at once: the least processor time.
    Park,
}

/// Looks of [`WaitPolicy::Adaptive`] at most. A look takes 5 to 20 ns, a wake-up from sleep 2 µs and more.
const LONGEST: u32 = 1024;
/// Looks when looking has not helped lately.
const SHORTEST: u32 = 16;
/// Of so many waits that begin with a short look, one begins with a long one, to find out whether times have changed.
const RETRY_AFTER: u32 = 32;

/// How often to look before the next sleep.
#[derive(Debug)]
pub(crate) struct SpinBudget {
    policy: WaitPolicy,
    looks: u32,
    short: u32,
}

impl SpinBudget {
    pub(crate) const fn new(policy: WaitPolicy) -> Self {
        Self { policy, looks: LONGEST, short: 0 }
    }

    pub(crate) const fn is_busy(&self) -> bool {
        matches!(self.policy, WaitPolicy::Busy)
    }

    /// The number of looks to take now; `alone` says that the other side cannot run while we look.
    pub(crate) fn looks(&mut self, alone: bool) -> u32 {
        match self.policy {
            WaitPolicy::Busy => LONGEST,
            WaitPolicy::Park => 0,
            WaitPolicy::Adaptive if alone => 0,
            WaitPolicy::Adaptive => {
                if self.looks == SHORTEST {
                    self.short += 1;
                    if self.short == RETRY_AFTER {
                        self.short = 0;
                        return LONGEST;
                    }
                }
                self.looks
            }
        }
    }

    /// Looking was enough.
    #[inline]
    pub(crate) fn helped(&mut self) {
        self.looks = LONGEST;
    }

    /// It came to sleeping all the same.
    pub(crate) fn in_vain(&mut self) {
        self.looks = (self.looks / 4).max(SHORTEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_in_vain_grows_short_and_is_tried_again() {
        let mut budget = SpinBudget::new(WaitPolicy::Adaptive);
        for _ in 0..8 {
            budget.looks(false);
            budget.in_vain();
        }
        let looks: Vec<_> = (0..RETRY_AFTER).map(|_| budget.looks(false)).collect();
        assert_eq!(looks.iter().filter(|looks| **looks == LONGEST).count(), 1);
        assert_eq!(looks.iter().filter(|looks| **looks == SHORTEST).count(), looks.len() - 1);
        budget.helped();
        assert_eq!(budget.looks(false), LONGEST);
    }

    #[test]
    fn nobody_looks_while_the_other_has_no_processor() {
        assert_eq!(SpinBudget::new(WaitPolicy::Adaptive).looks(true), 0);
        assert_eq!(SpinBudget::new(WaitPolicy::Park).looks(false), 0);
    }
}

//! What a judge says: which rule was broken, when, and how.

use std::fmt;

use crosstie_core::Mono;

/// The rules that hold in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// What one publisher sends over one connection reaches a subscription in its order, and nothing comes twice.
    Order,
    /// Nobody receives what it did not subscribe to, and everything arrives as it was written.
    Subscribed,
    /// A message reaches one member of a queue group: never two, and one unless a fault excuses it.
    OneMember,
    /// What no fault excuses is not lost.
    Delivery,
    /// Once the faults are over, every client is connected again and hears every probe.
    Healing,
    /// A request ends, and truthfully.
    Requests,
    /// What is held stays within its limit.
    Bounds,
}

/// One broken rule.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which one.
    pub rule: Rule,
    /// When, in virtual time.
    pub at: Mono,
    /// What was seen, and what was expected.
    pub text: String,
}

impl Violation {
    pub(crate) fn new(rule: Rule, at: Mono, text: impl Into<String>) -> Self {
        Self { rule, at, text: text.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} ns: {}", self.rule, self.at.as_nanos(), self.text)
    }
}

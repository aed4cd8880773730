//! What happens next: events ordered by time, and by the order they were planned in where the times are equal.

use std::collections::BTreeMap;

use crosstie_core::Mono;

/// A queue of events in virtual time.
///
/// It holds whatever is planned; whoever plans bounds the number.
#[derive(Debug)]
pub struct Agenda<E> {
    now: Mono,
    planned: u64,
    events: BTreeMap<(Mono, u64), E>,
}

impl<E> Agenda<E> {
    /// An empty agenda at time zero.
    pub const fn new() -> Self {
        Self { now: Mono::ZERO, planned: 0, events: BTreeMap::new() }
    }

    /// The time of the event taken last.
    pub const fn now(&self) -> Mono {
        self.now
    }

    /// Plans an event. One in the past happens now, since virtual time never runs backwards.
    pub fn plan(&mut self, at: Mono, event: E) {
        self.events.insert((at.max(self.now), self.planned), event);
        self.planned += 1;
    }

    /// The next event; time moves on to it.
    pub fn take(&mut self) -> Option<E> {
        let ((at, _), event) = self.events.pop_first()?;
        self.now = at;
        Some(event)
    }
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_planned() {
        let mut agenda = Agenda::new();
        for (at, name) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b')] {
            agenda.plan(Mono::from_nanos(at), name);
        }
        let order: String = std::iter::from_fn(|| agenda.take()).collect();
        assert_eq!(order, "abcd");
        agenda.plan(Mono::from_nanos(2), 'e');
        assert_eq!(agenda.take(), Some('e'));
        assert_eq!(agenda.now(), Mono::from_nanos(5));
    }
}

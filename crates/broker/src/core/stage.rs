//! What one reactor has for its clients before it goes to their outboxes.
//!
//! An outbox is shared and locked, and two reactors that deliver to the same clients would meet at it with every message. So a reactor
//! gathers what one read earns each client here, where nobody else looks, and takes the client's lock once for all of it.
//!
//! A stage is found by its number, which a remembered look-up holds for each of its receivers: nothing is searched for per delivery.

use std::{collections::HashMap, sync::Arc};

use super::{
    outbox::{Load, Spares},
    peer::Peer,
};

/// What the numbers of stages hold for: one reactor, and no longer than it knows them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch {
    reactor: u64,
    count: u64,
}

/// The stages of one reactor.
pub(super) struct Stages {
    stages: Vec<Stage>,
    /// The number of each client's stage.
    numbers: HashMap<u64, u32, foldhash::fast::RandomState>,
    /// Those that hold something, in the order they were filled.
    filled: Vec<u32>,
    /// Changes when the numbers do.
    epoch: Epoch,
}

struct Stage {
    peer: Arc<Peer>,
    load: Load,
}

impl Stages {
    /// None yet, for the reactor of that number.
    pub(super) fn new(reactor: u64) -> Self {
        let epoch = Epoch { reactor, count: 0 };
        Self { stages: Vec::new(), numbers: HashMap::default(), filled: Vec::new(), epoch }
    }

    /// The number of the client's stage, which holds until [`Stages::forget`].
    pub(super) fn number(&mut self, peer: &Arc<Peer>) -> u32 {
        let stages = &mut self.stages;
        *self.numbers.entry(peer.id).or_insert_with(|| {
            stages.push(Stage { peer: Arc::clone(peer), load: Load::default() });
            u32::try_from(stages.len() - 1).expect("descriptors end long before 2³² clients")
        })
    }

    /// The numbers hold as long as this stays the same. A message that is only half delivered may go on at another reactor, whose numbers
    /// are others.
    pub(super) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How many bytes wait in a stage.
    #[inline]
    pub(super) fn waiting(&self, number: u32) -> usize {
        self.stages[number as usize].load.size
    }

    /// A stage to put frames into, at least one.
    #[inline]
    pub(super) fn fill(&mut self, number: u32, spares: &mut Spares) -> &mut Load {
        let load = &mut self.stages[number as usize].load;
        if load.size == 0 {
            load.begin(spares);
            self.filled.push(number);
        }
        load
    }

    /// The numbers of those that hold something, to be emptied by [`Stages::empty`]. One that was emptied and filled again comes twice.
    pub(super) fn take_filled(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.filled)
    }

    /// Takes what a stage holds, for its client; `None` if that is nothing.
    pub(super) fn empty(&mut self, number: u32) -> Option<(Arc<Peer>, Load)> {
        let stage = &mut self.stages[number as usize];
        (stage.load.size > 0).then(|| (Arc::clone(&stage.peer), std::mem::take(&mut stage.load)))
    }

    /// Gives back an empty list of numbers, whose room is used again.
    pub(super) fn reuse(&mut self, filled: Vec<u32>) {
        if self.filled.is_empty() {
            self.filled = filled;
        }
    }

    /// Forgets all numbers, and lets go of the clients for whom there is nothing.
    pub(super) fn forget(&mut self) {
        self.epoch.count += 1;
        self.stages.retain(|stage| stage.load.size > 0);
        self.numbers.clear();
        self.filled.clear();
        for (number, stage) in (0..).zip(&self.stages) {
            self.numbers.insert(stage.peer.id, number);
            self.filled.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::peer::nobody as peer;

    /// Whose stages hold something, and how many bytes.
    fn emptied(stages: &mut Stages) -> Vec<(u64, usize)> {
        let filled = stages.take_filled();
        filled.into_iter().filter_map(|number| stages.empty(number)).map(|(peer, load)| (peer.id, load.size)).collect()
    }

    #[test]
    fn what_was_filled_is_emptied_once_and_in_order() {
        let (mut stages, mut spares) = (Stages::new(0), Spares::default());
        let peers = [peer(7), peer(8), peer(9)];
        let numbers = peers.each_ref().map(|peer| stages.number(peer));
        assert_eq!(stages.number(&peers[1]), numbers[1]);
        for number in [numbers[2], numbers[0], numbers[2]] {
            stages.fill(number, &mut spares).add(&[b"ab"], None, 0);
        }
        stages.empty(numbers[0]);
        stages.fill(numbers[0], &mut spares).add(&[b"c"], None, 0);
        assert_eq!(emptied(&mut stages), [(9, 4), (7, 1)]);
        assert_eq!(emptied(&mut stages), []);
    }

    #[test]
    fn forgetting_keeps_what_is_still_to_go_and_lets_go_of_the_rest() {
        let (mut stages, mut spares) = (Stages::new(0), Spares::default());
        let (idle, busy) = (peer(1), peer(2));
        stages.number(&idle);
        let number = stages.number(&busy);
        stages.fill(number, &mut spares).add(&[b"abc"], None, 0);
        stages.forget();
        assert_eq!(Arc::strong_count(&idle), 1);
        assert_eq!(stages.number(&idle), 1);
        assert_eq!(emptied(&mut stages), [(2, 3)]);
    }
}

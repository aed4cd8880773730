//! What a search of the index finds.

use std::sync::Arc;

use super::peer::Subscription;

/// Who wants a subject: each plain subscription, and one of each queue group.
#[derive(Default)]
pub(super) struct Matched {
    pub(super) plain: Vec<Target>,
    pub(super) groups: Vec<Vec<Target>>,
    /// How many levels were looked at to find them.
    pub(super) steps: usize,
}

/// A subscription that wants a subject, and what a worker knows of it.
pub(super) struct Target {
    pub(super) subscription: Arc<Subscription>,
    /// The number of its client's stage.
    pub(super) stage: u32,
    /// How its frames begin, `MSG <subject> <sid> `; empty if nobody made it ready.
    pub(super) head: Box<[u8]>,
}

impl Target {
    fn new(subscription: &Arc<Subscription>) -> Self {
        Self { subscription: Arc::clone(subscription), stage: 0, head: Box::default() }
    }
}

impl Matched {
    /// Everybody, members of groups included.
    pub(super) fn targets(&mut self) -> impl Iterator<Item = &mut Target> {
        self.plain.iter_mut().chain(self.groups.iter_mut().flatten())
    }

    /// Bytes of its lists.
    pub(super) fn size(&self) -> usize {
        let members = self.groups.iter().map(|group| group.len() + 1).sum::<usize>();
        let heads = self.plain.iter().chain(self.groups.iter().flatten()).map(|target| target.head.len());
        (self.plain.len() + members) * size_of::<Target>() + heads.sum::<usize>()
    }

    pub(super) fn extend(&mut self, subscriptions: &[Arc<Subscription>]) {
        for subscription in subscriptions {
            let Some(queue) = &subscription.queue else {
                self.plain.push(Target::new(subscription));
                continue;
            };
            let group = self.groups.iter_mut().find(|group| group[0].subscription.queue.as_ref() == Some(queue));
            match group {
                Some(group) => group.push(Target::new(subscription)),
                None => self.groups.push(vec![Target::new(subscription)]),
            }
        }
    }
}

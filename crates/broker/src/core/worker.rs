//! What one reactor keeps for itself while it carries messages: caches, scratch space, and a list of whom to write to.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crosstie_core::Randomness;

use super::{
    counters::Tally,
    directory::Directory,
    in_force::{InForce, View},
    index::Matched,
    outbox::Spares,
    peer::Peer,
    stage::Stages,
};

/// What a remembered look-up takes up besides its subject and its list.
const ENTRY: usize = 128;

/// One reactor's own part of the broker. Nothing in it is shared, so nothing in it is locked.
pub struct Worker {
    matches: HashMap<Box<[u8]>, Arc<Matched>, foldhash::fast::RandomState>,
    /// The subject looked up last: a stream of messages mostly has one.
    last: Option<(Box<[u8]>, Arc<Matched>)>,
    /// What the matches take up, apart from the subscriptions that they share.
    remembered_bytes: usize,
    generation: u64,
    /// The options in force, as of the last look.
    pub(super) options: View,
    pub(super) random: Box<dyn Randomness>,
    pub(super) spares: Spares,
    /// What was delivered since the last flush.
    pub(super) stages: Stages,
    /// Clients that have something to be written.
    pub(super) touched: Vec<Arc<Peer>>,
    /// Those of earlier turns, who wait until others have had theirs.
    pub(super) backlog: VecDeque<Arc<Peer>>,
    /// What was done since somebody asked, in tenths of a microsecond or so; and after how much input is left for later.
    pub(super) effort: u64,
    allowance: u64,
    /// Bytes appended since the last flush.
    pub(super) unflushed: usize,
    /// What the input of this turn has earned others, measured as `MAX_TURN` is.
    pub(super) spent: usize,
    /// One of the backlog is far behind.
    pub(super) is_stalled: bool,
    /// What was flushed in the middle of a fan-out met somebody who is far behind.
    pub(super) crowded: bool,
    /// The frame being delivered, where its parts are not found ready: up to the subscription's id, and what follows up to the body.
    pub(super) head: Vec<u8>,
    pub(super) tail: Vec<u8>,
    pub(super) tally: Tally,
}

impl Worker {
    /// How many subjects are remembered; beyond it all are forgotten.
    const MAX_MATCHES: usize = 4096;
    /// How many bytes of ready-made heads are kept for one subject; those beyond are put together for each message.
    const MAX_HEADS: usize = 16 * 1024;
    /// How many bytes that may take up: a subject that a hundred thousand want is remembered with all of them.
    const MAX_BYTES: usize = 4 * 1024 * 1024;

    pub(super) fn new(options: View, random: Box<dyn Randomness>) -> Self {
        Self {
            matches: HashMap::default(),
            last: None,
            remembered_bytes: 0,
            generation: 0,
            options,
            random,
            spares: Spares::default(),
            stages: Stages::default(),
            touched: Vec::new(),
            backlog: VecDeque::new(),
            effort: 0,
            allowance: u64::MAX,
            unflushed: 0,
            spent: 0,
            is_stalled: false,
            crowded: false,
            head: Vec::with_capacity(256),
            tail: Vec::with_capacity(256),
            tally: Tally::default(),
        }
    }

    /// Lets [`Core::input`](super::Core::input) do no more than about `allowance` at a time from now on, and counts anew.
    pub fn allow(&mut self, allowance: u64) {
        (self.allowance, self.effort) = (allowance, 0);
    }

    /// What was done since [`Worker::allow`], in units of a tenth of a microsecond or so. It is counted, not measured, so that a seed
    /// replays it, and that nobody is charged for a thread that had to wait.
    pub const fn effort(&self) -> u64 {
        self.effort
    }

    /// True if what is appended need not be written before more is: whoever limits the effort sees to it.
    pub(super) const fn is_allowed_so_much(&self) -> bool {
        self.allowance < u64::MAX
    }

    pub(super) const fn has_done_enough(&self) -> bool {
        self.effort > self.allowance
    }

    /// How much effort is left of what is allowed.
    pub(super) const fn left(&self) -> u64 {
        self.allowance.saturating_sub(self.effort)
    }

    /// Takes up the options in force, if they have changed.
    pub(super) fn heed(&mut self, in_force: &InForce) {
        if !in_force.is_current(&self.options) {
            self.options = in_force.view();
        }
    }

    /// Who wants `subject`.
    pub(super) fn lookup(&mut self, directory: &Directory, subject: &[u8]) -> Arc<Matched> {
        self.forget_if_changed(directory);
        if let Some((_, matched)) = self.last.as_ref().filter(|(last, _)| **last == *subject) {
            self.tally.hits += 1;
            return Arc::clone(matched);
        }
        let matched = match self.matches.get(subject) {
            Some(matched) => {
                self.tally.hits += 1;
                Arc::clone(matched)
            }
            None => {
                self.tally.misses += 1;
                let mut matched = directory.matches(subject);
                self.effort += (matched.steps + matched.size() / 16) as u64 + 4;
                let fanout = matched.targets().count() as u64;
                self.tally.fanout += fanout;
                self.tally.max_fanout = self.tally.max_fanout.max(fanout);
                let more =
                    ENTRY + subject.len() + matched.size() + (fanout as usize * subject.len()).min(Self::MAX_HEADS);
                if self.matches.len() >= Self::MAX_MATCHES || self.remembered_bytes + more > Self::MAX_BYTES {
                    self.matches.clear();
                    self.last = None;
                    self.stages.forget();
                    self.remembered_bytes = 0;
                }
                self.remembered_bytes += more;
                self.make_ready(&mut matched, subject);
                let matched = Arc::new(matched);
                self.matches.insert(subject.into(), Arc::clone(&matched));
                matched
            }
        };
        self.last = Some((subject.into(), Arc::clone(&matched)));
        matched
    }

    /// Notes the stages of those who want `subject`, and how their frames begin.
    fn make_ready(&mut self, matched: &mut Matched, subject: &[u8]) {
        let mut room = Self::MAX_HEADS;
        for target in matched.targets() {
            target.stage = self.stages.number(&target.subscription.peer);
            let head = [b"MSG ", subject, b" ", &target.subscription.sid, b" "];
            let len: usize = head.iter().map(|part| part.len()).sum();
            if len <= room {
                room -= len;
                target.head = head.concat().into();
            }
        }
    }

    /// Forgets every look-up that is out of date, and with them the connections they keep alive.
    pub(super) fn forget_if_changed(&mut self, directory: &Directory) {
        let generation = directory.generation();
        if generation != self.generation {
            self.matches.clear();
            self.remembered_bytes = 0;
            self.last = None;
            // Only the look-ups know the stages by their numbers.
            self.stages.forget();
            self.generation = generation;
        }
    }

    /// How many subjects are remembered.
    pub(super) fn remembered(&self) -> usize {
        self.matches.len()
    }

    /// Notes that something waits for `peer`.
    pub(super) fn touch(&mut self, peer: &Arc<Peer>) {
        self.touched.push(Arc::clone(peer));
    }
}

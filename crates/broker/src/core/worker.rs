//! What one reactor keeps for itself while it carries messages: caches, scratch space, and a list of whom to write to.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crosstie_core::Randomness;

use super::{
    changes::Changes,
    counters::Tally,
    directory::Directory,
    in_force::{InForce, View},
    matched::Matched,
    outbox::Spares,
    peer::Peer,
    quiet::Turn,
    stage::Stages,
};

/// What a remembered look-up takes up besides its subject and its list.
const ENTRY: usize = 128;

/// Those whom a worker keeps waiting while it serves one client.
pub trait Company: Send {
    /// True if somebody else waits for a turn now.
    fn is_waiting(&mut self) -> bool;
}

/// One reactor's own part of the broker. Nothing in it is shared, so nothing in it is locked.
pub struct Worker {
    matches: HashMap<Box<[u8]>, Found, foldhash::fast::RandomState>,
    /// The subject looked up last: a stream of messages mostly has one.
    last: Option<(Box<[u8]>, Found)>,
    /// What the matches take up, apart from the subscriptions that they share.
    remembered_bytes: usize,
    /// As of which generation of the index all was forgotten.
    forgot: u64,
    /// The options in force, as of the last look.
    pub(super) options: View,
    pub(super) random: Box<dyn Randomness>,
    pub(super) spares: Spares,
    /// What was delivered since the last flush.
    pub(super) stages: Stages,
    /// On while they hold something.
    pub(super) turn: Turn,
    /// Clients that have something to be written.
    pub(super) touched: Vec<Arc<Peer>>,
    /// Those of earlier turns, who wait until others have had theirs.
    pub(super) backlog: VecDeque<Arc<Peer>>,
    /// What was done since somebody asked, in tenths of a microsecond or so; and after how much input is left for later.
    pub(super) effort: u64,
    allowance: u64,
    /// As long as nobody waits, the allowance grows by this much, up to that much.
    step: u64,
    most: u64,
    company: Option<Box<dyn Company>>,
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

/// What a look-up found.
#[derive(Clone)]
struct Found {
    matched: Arc<Matched>,
    /// The generation of the index as of which that holds.
    generation: u64,
    /// What remembering it takes up.
    bytes: usize,
}

impl Found {
    /// True if nothing that concerns `subject` has changed since.
    fn holds(&mut self, changes: &Changes, subject: &[u8], effort: &mut u64) -> bool {
        changes.hold(self.generation, subject, effort).map(|now| self.generation = now).is_some()
    }
}

impl Worker {
    /// How many subjects are remembered; beyond it all are forgotten.
    const MAX_MATCHES: usize = 4096;
    /// How many bytes of ready-made heads are kept for one subject; those beyond are put together for each message.
    const MAX_HEADS: usize = 16 * 1024;
    /// How many bytes that may take up: a subject that a hundred thousand want is remembered with all of them.
    const MAX_BYTES: usize = 4 * 1024 * 1024;

    /// `number` tells it from all others.
    pub(super) fn new(number: u64, options: View, random: Box<dyn Randomness>, turn: Turn) -> Self {
        Self {
            matches: HashMap::default(),
            last: None,
            remembered_bytes: 0,
            forgot: 0,
            options,
            random,
            spares: Spares::default(),
            stages: Stages::new(number),
            turn,
            touched: Vec::new(),
            backlog: VecDeque::new(),
            effort: 0,
            allowance: u64::MAX,
            step: u64::MAX,
            most: u64::MAX,
            company: None,
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
    pub const fn allow(&mut self, allowance: u64) {
        self.allow_alone(allowance, allowance);
    }

    /// As [`Worker::allow`], but goes on up to `most` as long as nobody waits, as the company given by [`Worker::keep`] tells.
    pub const fn allow_alone(&mut self, allowance: u64, most: u64) {
        (self.allowance, self.step, self.most, self.effort) = (allowance, allowance, most, 0);
    }

    /// Who is to be asked whether somebody waits.
    pub fn keep(&mut self, company: Box<dyn Company>) {
        self.company = Some(company);
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

    /// True if others have their turn now. `is_behind` is asked whether anything is left to do between turns.
    pub(super) fn has_done_enough(&mut self, is_behind: impl FnOnce(&Self) -> bool) -> bool {
        self.effort > self.allowance && self.is_called_away(is_behind)
    }

    /// Takes another allowance, unless there is none or somebody waits: at a socket, or for what is done between two turns, of which no
    /// socket tells.
    #[cold]
    fn is_called_away(&mut self, is_behind: impl FnOnce(&Self) -> bool) -> bool {
        let may_go_on = self.effort < self.most
            && !is_behind(self)
            && self.company.as_mut().is_some_and(|company| !company.is_waiting());
        if may_go_on {
            self.allowance = self.effort.saturating_add(self.step).min(self.most);
        }
        !may_go_on
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
        if let Some((_, found)) = self.last.as_mut().filter(|(last, _)| **last == *subject)
            && found.holds(&directory.changes, subject, &mut self.effort)
        {
            self.tally.hits += 1;
            return Arc::clone(&found.matched);
        }
        let known = self
            .matches
            .get_mut(subject)
            .and_then(|found| found.holds(&directory.changes, subject, &mut self.effort).then(|| found.clone()));
        self.tally.hits += u64::from(known.is_some());
        let found = known.unwrap_or_else(|| self.search(directory, subject));
        let matched = Arc::clone(&found.matched);
        self.last = Some((subject.into(), found));
        matched
    }

    /// Finds in the index who wants `subject`, and remembers it.
    fn search(&mut self, directory: &Directory, subject: &[u8]) -> Found {
        self.tally.misses += 1;
        // What changes from here on may be in what is found already, or not.
        let generation = directory.changes.generation();
        let mut matched = directory.matches(subject);
        self.effort += (matched.steps + matched.size() / 16) as u64 + 4;
        let fanout = matched.targets().count() as u64;
        self.tally.fanout += fanout;
        self.tally.max_fanout = self.tally.max_fanout.max(fanout);
        let bytes = ENTRY + subject.len() + matched.size() + (fanout as usize * subject.len()).min(Self::MAX_HEADS);
        if let Some(before) = self.matches.remove(subject) {
            self.remembered_bytes -= before.bytes;
        }
        if self.matches.len() >= Self::MAX_MATCHES || self.remembered_bytes + bytes > Self::MAX_BYTES {
            self.forget_all();
        }
        self.remembered_bytes += bytes;
        self.make_ready(&mut matched, subject);
        let found = Found { matched: Arc::new(matched), generation, bytes };
        self.matches.insert(subject.into(), found.clone());
        found
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

    /// Forgets every look-up if one may be out of date, and with them the connections they keep alive.
    pub(super) fn forget_if_changed(&mut self, directory: &Directory) {
        let generation = directory.changes.generation();
        if generation != self.forgot {
            self.forget_all();
            self.forgot = generation;
        }
    }

    /// Forgets every look-up, and with them the connections they keep alive.
    pub(super) fn forget_all(&mut self) {
        self.matches.clear();
        self.remembered_bytes = 0;
        self.last = None;
        // Only the look-ups know the stages by their numbers.
        self.stages.forget();
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

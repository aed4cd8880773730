//! Models of the locks under loom and shuttle: two or three actors in every interleaving, one of which dies before any of its accesses.
//!
//! loom tries all interleavings with at most `LOOM_MAX_PREEMPTIONS` preemptions (2 unless set) and all values that the orderings allow to be
//! read. shuttle tries `CROSSTIE_SCHEDULES` random schedules without that bound, but with sequentially consistent memory.
//!
//! What the kernel and the watchers do is modelled here: a death releases the dead one's byte, and if anybody watches, the dead one is reaped.
//! If nobody does, nobody is told, as it is when the death comes before the pidfd is open.

#[cfg(not(shuttle))]
use loom::{
    sync::{Arc, Mutex},
    thread,
};
#[cfg(shuttle)]
use shuttle::{
    sync::{Arc, Mutex},
    thread,
};

use std::sync::atomic::{AtomicU32 as PlainU32, Ordering::SeqCst};

use crosstie_core::Deadline;

use super::*;
use crate::{
    layout::LockCell,
    sync::{
        AtomicU32, AtomicU64,
        Ordering::{Relaxed, Release},
        life, modelled_wake_all as wake_all,
    },
};

/// What lies in the segment, what the kernel knows, and what the oracle keeps count of.
struct World {
    cell: LockCell,
    counts: Vec<AtomicU64>,
    words: [Vec<AtomicU64>; 2],
    journal: Vec<AtomicU64>,
    membership: AtomicU32,
    kernel: Mutex<Kernel>,
    undoes: Undoes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Undoes {
    Nothing,
    Copies,
    Journal,
}

#[derive(Default)]
struct Kernel {
    /// Those that died and have not been reaped.
    dead: Vec<u32>,
    /// Who reaps whom.
    reapers: Vec<(u32, u32)>,
    is_watched: bool,
    /// Deaths while holding, or with something counted.
    deaths: u32,
    /// Deaths that somebody was told of and lived on.
    told: u32,
    /// Acts that were finished.
    acts: u64,
}

/// Words of a value.
const LENGTH: usize = 2;

impl World {
    fn new(undoes: Undoes, actors: u32) -> Arc<Self> {
        let words = |count| (0..count).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
        Arc::new(Self {
            cell: LockCell::default(),
            counts: words(actors as usize),
            words: [words(LENGTH), words(if undoes == Undoes::Copies { LENGTH } else { 0 })],
            journal: words(if undoes == Undoes::Journal { 8 } else { 2 }),
            membership: AtomicU32::new(0),
            kernel: Mutex::new(Kernel::default()),
            undoes,
        })
    }

    fn copies(&self) -> Copies<'_> {
        Copies::new(&self.cell, [&self.words[0], &self.words[1]])
    }

    fn journal(&self) -> Journal<'_> {
        Journal::new(&self.journal, &self.words[0])
    }

    fn undo(&self) -> Undo<'_> {
        match self.undoes {
            Undoes::Nothing => Undo::Nothing,
            Undoes::Copies => Undo::Copies(self.copies()),
            Undoes::Journal => Undo::Journal(self.journal()),
        }
    }

    /// Under the dead one's byte, which the caller has.
    fn recover(&self, slot: u32) {
        recover(&self.cell, holder(slot), self.undo(), self.undoes != Undoes::Nothing);
        recover_count(&self.cell, &self.counts[slot as usize - 1], 1);
    }

    fn announce(&self) {
        self.membership.fetch_add(1, Release);
        wake_all(&self.membership);
    }

    /// What happens when the process in `slot` ends: the kernel's part, and then the watchers'.
    fn end(&self, slot: u32) {
        let mut kernel = self.kernel.lock().unwrap();
        let holds = holder_of(self.cell.word.peek()) == Some(holder(slot)) && self.undoes != Undoes::Nothing;
        let counts = self.counts[slot as usize - 1].peek() & 0xf_ffff != 0;
        kernel.deaths += u32::from(holds) + u32::from(counts);
        kernel.dead.push(slot);
        kernel.reapers.retain(|(reaper, _)| *reaper != slot);
        let is_watched = kernel.is_watched;
        drop(kernel);
        if is_watched {
            self.reap(slot, 0);
        }
    }

    fn reap(&self, slot: u32, reaper: u32) -> bool {
        let mut kernel = self.kernel.lock().unwrap();
        if !kernel.dead.contains(&slot) || kernel.reapers.iter().any(|(_, reaped)| *reaped == slot) {
            return false;
        }
        kernel.reapers.push((reaper, slot));
        drop(kernel);
        self.recover(slot);
        let mut kernel = self.kernel.lock().unwrap();
        kernel.dead.retain(|dead| *dead != slot);
        kernel.reapers.retain(|(_, reaped)| *reaped != slot);
        drop(kernel);
        self.announce();
        true
    }

    /// Reaps whoever is left and looks whether the books balance.
    fn close(&self) {
        let left = self.kernel.lock().unwrap().dead.clone();
        for slot in left {
            self.reap(slot, 0);
        }
        assert_eq!(holder_of(self.cell.word.peek()), None, "the lock is stuck");
        assert!(self.counts.iter().all(|count| count.peek() & 0xf_ffff == 0), "a count is left behind");
        assert_eq!(self.cell.telling.peek(), 0, "nobody can be told any more");
        let kernel = self.kernel.lock().unwrap();
        let counted: u64 = self.counts.iter().map(|count| (count.peek() & 0xffff_ffff) >> 20).sum();
        let untold = u32::try_from((self.cell.death.peek() >> 33) + counted).unwrap();
        assert_eq!(kernel.told + untold, kernel.deaths, "a death was told not once");
    }
}

fn holder(slot: u32) -> Holder {
    Holder::new(slot, 1)
}

/// An actor in a slot.
struct Actor<'a> {
    world: &'a World,
    slot: u32,
    /// How often a deadline has not passed yet.
    patience: PlainU32,
}

impl<'a> Actor<'a> {
    fn new(world: &'a World, slot: u32) -> Self {
        Self { world, slot, patience: PlainU32::new(u32::MAX) }
    }

    fn me(&self) -> Holder {
        holder(self.slot)
    }

    fn wait(&self) -> Wait<'_, Self> {
        Wait::new(self, Deadline::NEVER)
    }

    fn mine(&self) -> &AtomicU64 {
        &self.world.counts[self.slot as usize - 1]
    }

    fn finish(&self, told: Option<Told>) {
        let mut kernel = self.world.kernel.lock().unwrap();
        kernel.acts += 1;
        kernel.told += told.map_or(0, |told| told.deaths.count);
    }
}

impl Peers for Actor<'_> {
    fn reap(&self, slot: u32) -> bool {
        self.world.reap(slot, self.slot)
    }

    fn membership(&self) -> &AtomicU32 {
        &self.world.membership
    }

    fn watch(&self) -> Deadline {
        self.world.kernel.lock().unwrap().is_watched = true;
        Deadline::NEVER
    }

    fn list(&self) {}

    fn unlist(&self) {}

    fn short_wait(&self) -> Option<Deadline> {
        None
    }

    fn spins(&self) -> u32 {
        0
    }

    fn is_past(&self, _deadline: Deadline) -> bool {
        self.patience.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_err()
    }
}

/// Tries the interleavings of `model`, given for each run the access before which its mortal actor dies; until it dies no more.
fn explore_deaths(model: impl Fn(u32, &dyn Fn(bool)) + Send + Sync + 'static) {
    let model = std::sync::Arc::new(model);
    for after in 0.. {
        let died = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (model, noted) = (model.clone(), died.clone());
        explore(move || model(after, &|it_died| noted.store(noted.load(SeqCst) | it_died, SeqCst)));
        if !died.load(SeqCst) {
            assert!(after > 0, "the mortal actor of this model never acts");
            return;
        }
    }
}

#[cfg(not(shuttle))]
fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(model);
}

#[cfg(shuttle)]
fn explore(model: impl Fn() + Send + Sync + 'static) {
    let schedules =
        std::env::var("CROSSTIE_SCHEDULES").map_or(100, |text| text.parse().expect("a number of schedules"));
    shuttle::check_random(model, schedules);
}

/// Runs `act` in a thread as an actor that dies before access `after`.
fn spawn_mortal(
    world: &Arc<World>,
    slot: u32,
    after: u32,
    act: impl Fn(&Actor<'_>) + Send + 'static,
) -> thread::JoinHandle<bool> {
    let world = world.clone();
    thread::spawn(move || {
        let actor = Actor::new(&world, slot);
        let died = life::mortal(after, || act(&actor)).is_none();
        if died {
            world.end(slot);
        }
        died
    })
}

fn spawn(world: &Arc<World>, slot: u32, act: impl Fn(&Actor<'_>) + Send + 'static) -> thread::JoinHandle<bool> {
    spawn_mortal(world, slot, u32::MAX, act)
}

/// Locks, adds one to both words of the copies, unlocks.
fn add_one(actor: &Actor<'_>) {
    let World { cell, .. } = actor.world;
    if try_take(cell, actor.me()).is_err() {
        take(cell, actor.me(), &mut actor.wait()).unwrap();
    }
    enter(cell, 1);
    let told = untold(cell);
    let copies = actor.world.copies();
    let old: Vec<u64> = copies.current().iter().map(|word| word.load(Relaxed)).collect();
    assert_eq!(old[0], old[1], "the committed value is torn");
    copies.announce();
    copies.commit(&[old[0] + 1, old[1] + 1]);
    if let Some(told) = &told {
        acknowledge(cell, told, &[]);
    }
    actor.finish(told);
    release(cell);
}

#[test]
fn mutex_survives_the_death_of_one_of_two() {
    explore_deaths(|after, note| {
        let world = World::new(Undoes::Copies, 2);
        let one = spawn_mortal(&world, 1, after, add_one);
        let two = spawn(&world, 2, add_one);
        note(one.join().unwrap());
        two.join().unwrap();
        world.close();
        let kernel = world.kernel.lock().unwrap();
        let committed = world.copies().current()[0].peek();
        // One that dies between its commit and its note of it has committed all the same.
        assert!((kernel.acts..=2).contains(&committed), "{} acts, {committed} committed", kernel.acts);
    });
}

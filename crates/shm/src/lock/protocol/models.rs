//! Models of the locks under loom and shuttle: two or three actors in every interleaving, one of which dies before any of its accesses.
//!
//! loom tries all interleavings with at most `LOOM_MAX_PREEMPTIONS` preemptions (unless set: 2 with two actors, 1 with three) and all values that the orderings allow to be
//! read. shuttle tries `CROSSTIE_SCHEDULES` random schedules without that bound, but with sequentially consistent memory.
//!
//! What the kernel and the watchers do is modelled here: a death releases the dead one's byte, and if anybody watches, the dead one is reaped.
//! If nobody does, nobody is told, as it is when the death comes before the pidfd is open.

mod armed;

use std::sync::atomic::{AtomicBool, AtomicU32 as PlainU32, Ordering::SeqCst};

use crosstie_core::Deadline;

use super::*;
use crate::{
    layout::LockCell,
    models::{Arc, Mutex, explore_within as explore, thread},
    sync::{
        AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
        futex_wait, futex_wake, life, modelled_wake_all as wake_all,
    },
};

/// What lies in the segment, what the kernel knows, and what the oracle keeps count of.
struct World {
    cell: LockCell,
    counts: Vec<AtomicU64>,
    words: [Vec<AtomicU64>; 2],
    journal: Vec<AtomicU64>,
    membership: AtomicU32,
    /// What each actor waits for that armed.
    descriptors: Vec<AtomicU32>,
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
    /// Who is just striking out so many.
    striking: Vec<(u32, u32)>,
    /// Deaths that were told to one who died while it struck them out: before or after, nobody can say.
    unsure: u32,
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
            journal: words(if undoes == Undoes::Journal { 12 } else { 2 }),
            membership: AtomicU32::new(0),
            descriptors: (0..actors).map(|_| AtomicU32::new(0)).collect(),
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
        // The threads that listen sleep on the membership as well, and tell all who armed.
        for descriptor in &self.descriptors {
            descriptor.fetch_add(1, Release);
            wake_all(descriptor);
        }
    }

    /// From here on each death is seen; those that came before are found.
    fn watch(&self) {
        let mut kernel = self.kernel.lock().unwrap();
        kernel.is_watched = true;
        let dead = kernel.dead.clone();
        drop(kernel);
        for slot in dead {
            self.reap(slot, 0);
        }
    }

    /// What happens when the process in `slot` ends: the kernel's part, and then the watchers'.
    fn end(&self, slot: u32) {
        let mut kernel = self.kernel.lock().unwrap();
        let holds = holder_of(self.cell.word.peek()) == Some(holder(slot)) && self.undoes != Undoes::Nothing;
        let counts = self.counts[slot as usize - 1].peek() & 0xf_ffff != 0;
        kernel.deaths += u32::from(holds) + u32::from(counts);
        kernel.unsure += kernel.striking.iter().filter(|(who, _)| *who == slot).map(|(_, count)| count).sum::<u32>();
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
        let known = kernel.told + untold;
        assert!(
            (known..=known + kernel.unsure).contains(&kernel.deaths),
            "{} deaths, {} told, {untold} to tell, {} unsure",
            kernel.deaths,
            kernel.told,
            kernel.unsure
        );
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

    /// Strikes out what was told and notes that the act is done.
    fn finish(&self, told: Option<Told>) {
        if let Some(told) = &told {
            self.world.kernel.lock().unwrap().striking.push((self.slot, told.deaths.count));
            acknowledge(&self.world.cell, told, &self.world.counts);
        }
        let mut kernel = self.world.kernel.lock().unwrap();
        kernel.striking.retain(|(who, _)| *who != self.slot);
        kernel.acts += 1;
        kernel.told += told.map_or(0, |told| told.deaths.count);
    }
}

impl Bells for Actor<'_> {
    fn ring_all(&self) {
        for descriptor in &self.world.descriptors {
            descriptor.fetch_add(1, Release);
            futex_wake(descriptor, u32::MAX);
        }
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

    /// It only looks earlier.
    fn is_time_to_look(&self) -> bool {
        false
    }

    fn is_past(&self, _deadline: Deadline) -> bool {
        self.patience.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_err()
    }
}

/// Tries the interleavings of `model`, given for each run the access before which its mortal actor dies; until it dies no more.
#[cfg(not(shuttle))]
fn explore_deaths(preemptions: usize, model: impl Fn(u32, &dyn Fn(bool)) + Send + Sync + 'static) {
    let model = std::sync::Arc::new(model);
    for after in 0.. {
        let died = std::sync::Arc::new(AtomicBool::new(false));
        let (model, noted) = (model.clone(), died.clone());
        explore(preemptions, move || model(after, &|it_died| noted.store(noted.load(SeqCst) | it_died, SeqCst)));
        if !died.load(SeqCst) {
            assert!(after > 0, "the mortal actor of this model never acts");
            return;
        }
    }
}

/// Tries random schedules of `model`, given for each the access before which its mortal actor dies.
#[cfg(shuttle)]
fn explore_deaths(preemptions: usize, model: impl Fn(u32, &dyn Fn(bool)) + Send + Sync + 'static) {
    use shuttle::rand::Rng;
    explore(preemptions, move || model(shuttle::rand::thread_rng().gen_range(0..60), &|_| {}));
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

/// The death of who lives.
const NEVER: u32 = u32::MAX;

/// What an actor does.
type Act = fn(&Actor<'_>);

/// Runs `acts` all at once, each in an actor of its own, of whom the first dies before access `after`, and closes the world. True if it died.
fn play<const ACTORS: usize>(world: &Arc<World>, after: u32, acts: [Act; ACTORS]) -> bool {
    let deaths = std::iter::once(after).chain(std::iter::repeat(NEVER));
    let start = |((slot, act), after)| spawn_mortal(world, slot, after, act);
    let actors: Vec<_> = (1..).zip(acts).zip(deaths).map(start).collect();
    let died = actors.into_iter().map(|actor| actor.join().unwrap()).fold(false, |any, died| any | died);
    world.close();
    died
}

/// Takes the word, waiting for it.
fn lock(actor: &Actor<'_>) {
    let cell = &actor.world.cell;
    if try_take(cell, actor.me()).is_err() {
        take(cell, actor.me(), &mut actor.wait()).unwrap();
    }
    enter(cell, 1);
}

fn unlock(actor: &Actor<'_>, told: Option<Told>) {
    let cell = &actor.world.cell;
    actor.finish(told);
    leave(cell);
    release(cell, actor);
}

/// Adds one to both words of the copies.
fn commit_one_more(world: &World) {
    let copies = world.copies();
    let old: Vec<u64> = copies.current().iter().map(|word| word.load(Relaxed)).collect();
    assert_eq!(old[0], old[1], "the committed value is torn");
    copies.announce();
    copies.commit(&[old[0] + 1, old[1] + 1]);
}

/// Adds one to both words where they are.
fn add_in_place(world: &World) {
    for word in &world.words[0] {
        word.store(word.load(Relaxed) + 1, Relaxed);
    }
}

fn assert_whole(world: &World) -> u64 {
    let [one, two] = [0, 1].map(|at| world.words[0][at].load(Relaxed));
    assert_eq!(one, two, "the value is torn");
    one
}

/// Locks, changes the copies, unlocks.
fn change_copies(actor: &Actor<'_>) {
    lock(actor);
    let told = untold(&actor.world.cell);
    commit_one_more(actor.world);
    unlock(actor, told);
}

/// Locks, changes the value in place under the journal, unlocks.
fn change_in_place(actor: &Actor<'_>) {
    lock(actor);
    let (world, journal) = (actor.world, actor.world.journal());
    let told = untold(&world.cell);
    assert_whole(world);
    journal.keep(0, 1).unwrap();
    world.words[0][0].store(world.words[0][0].load(Relaxed) + 1, Relaxed);
    journal.keep(1, 1).unwrap();
    world.words[0][1].store(world.words[0][1].load(Relaxed) + 1, Relaxed);
    journal.commit();
    unlock(actor, told);
}

/// Locks and unlocks.
fn pass_through(actor: &Actor<'_>) {
    lock(actor);
    let told = untold(&actor.world.cell);
    unlock(actor, told);
}

/// What was committed is what was done, but for what the mortal one did and could not note any more.
fn assert_committed(world: &World, committed: u64, at_most: u64) {
    let acts = world.kernel.lock().unwrap().acts;
    assert!((acts..=at_most).contains(&committed), "{acts} acts, {committed} committed");
}

#[test]
fn a_mutex_and_its_copies_survive_one_of_two() {
    explore_deaths(2, |after, note| {
        let world = World::new(Undoes::Copies, 2);
        note(play(&world, after, [change_copies, change_copies]));
        assert_committed(&world, world.copies().current()[0].peek(), 2);
    });
}

#[test]
fn a_mutex_survives_one_of_three() {
    explore_deaths(1, |after, note| {
        let world = World::new(Undoes::Copies, 3);
        note(play(&world, after, [pass_through, pass_through, pass_through]));
    });
}

#[test]
fn a_journal_puts_back_what_one_of_two_had_begun() {
    explore_deaths(2, |after, note| {
        let world = World::new(Undoes::Journal, 2);
        note(play(&world, after, [change_in_place, change_in_place]));
        assert_committed(&world, assert_whole(&world), 2);
    });
}

/// Participant 3 has died in the middle of a change, and nobody has noticed.
fn with_a_dead_holder(undoes: Undoes) -> Arc<World> {
    let world = World::new(undoes, 3);
    world.cell.word.store(holder(3).word(), Relaxed);
    match undoes {
        Undoes::Nothing => {}
        Undoes::Copies => world.copies().announce(),
        Undoes::Journal => {
            world.journal().keep(0, 1).unwrap();
            world.words[0][0].store(77, Relaxed);
            world.journal().keep(0, 2).unwrap();
            world.words[0][0].store(78, Relaxed);
        }
    }
    world.end(3);
    world
}

#[test]
fn a_recovery_survives_the_death_of_who_recovers() {
    for undoes in [Undoes::Copies, Undoes::Journal] {
        explore_deaths(1, move |after, note| {
            let world = with_a_dead_holder(undoes);
            let change = if undoes == Undoes::Copies { change_copies } else { change_in_place };
            note(play(&world, after, [change, change]));
            let value =
                if undoes == Undoes::Copies { world.copies().current()[0].peek() } else { assert_whole(&world) };
            assert_committed(&world, value, 2);
        });
    }
}

#[test]
fn a_snapshot_is_whole_and_of_its_version() {
    explore_deaths(2, |after, note| {
        let world = World::new(Undoes::Copies, 2);
        let write: Act = |actor| (0..3).for_each(|_| change_copies(actor));
        let read: Act = |actor| {
            let mut value = [0; LENGTH];
            if let Some(version) = actor.world.copies().snapshot(&mut value) {
                assert_eq!(value, [version; LENGTH], "the snapshot is torn");
            }
        };
        note(play(&world, after, [write, read]));
    });
}

fn read_in_place(actor: &Actor<'_>) {
    let world = actor.world;
    if try_read(&world.cell, actor.mine(), actor).is_err() {
        read(&world.cell, actor.mine(), &mut actor.wait()).unwrap();
    }
    let told = claim(&world.cell, actor.me(), &world.counts);
    assert_whole(world);
    actor.finish(told);
    read_done(&world.cell, actor.mine(), actor);
}

/// Enters as the writer, runs `change`, and leaves.
fn write_with(actor: &Actor<'_>, change: impl Fn(&World)) {
    let world = actor.world;
    if try_write(&world.cell, actor.me(), &world.counts, actor).is_err() {
        write(&world.cell, actor.me(), &world.counts, &mut actor.wait()).unwrap();
    }
    enter(&world.cell, 1);
    let told = claim(&world.cell, actor.me(), &world.counts);
    change(world);
    actor.finish(told);
    leave(&world.cell);
    write_done(&world.cell, actor);
}

fn write_under_journal(actor: &Actor<'_>) {
    write_with(actor, |world| {
        world.journal().keep(0, LENGTH).unwrap();
        add_in_place(world);
        world.journal().commit();
    });
}

fn write_in_place(actor: &Actor<'_>) {
    write_with(actor, add_in_place);
}

#[test]
fn a_writer_survives_a_reader() {
    explore_deaths(2, |after, note| {
        let world = World::new(Undoes::Copies, 2);
        note(play(&world, after, [read_in_place, write_in_place]));
        assert_eq!(assert_whole(&world), 1);
    });
}

#[test]
fn a_reader_survives_a_writer() {
    explore_deaths(2, |after, note| {
        let world = World::new(Undoes::Journal, 2);
        note(play(&world, after, [write_under_journal, read_in_place]));
        assert_whole(&world);
    });
}

#[test]
fn two_readers_and_a_writer_pass() {
    explore_deaths(1, |after, note| {
        let world = World::new(Undoes::Copies, 3);
        note(play(&world, after, [read_in_place, read_in_place, write_in_place]));
    });
}

#[test]
fn two_writers_wait_for_a_reader() {
    explore_deaths(1, |after, note| {
        let world = World::new(Undoes::Copies, 3);
        note(play(&world, after, [read_in_place, write_in_place, write_in_place]));
        assert_eq!(assert_whole(&world), 2);
    });
}

#[test]
fn one_of_two_readers_is_told() {
    explore_deaths(1, |after, note| {
        let world = with_a_dead_holder(Undoes::Copies);
        note(play(&world, after, [read_in_place, read_in_place]));
    });
}

/// Takes one permit, adds one where it is, gives the permit back.
fn use_permit(actor: &Actor<'_>) {
    let world = actor.world;
    if try_acquire(&world.cell, actor.me(), &world.counts, 1, actor).is_err() {
        acquire(&world.cell, actor.me(), &world.counts, 1, &mut actor.wait()).unwrap();
    }
    use_it(actor);
}

/// With one permit.
fn use_it(actor: &Actor<'_>) {
    let world = actor.world;
    let told = claim(&world.cell, actor.me(), &world.counts);
    world.words[0][0].store(world.words[0][0].load(Relaxed) + 1, Relaxed);
    actor.finish(told);
    give_back(&world.cell, actor.mine(), 1, actor);
}

#[test]
fn one_permit_is_out_once_whoever_dies() {
    explore_deaths(2, |after, note| {
        let world = World::new(Undoes::Nothing, 2);
        world.cell.permits.store(1, Relaxed);
        note(play(&world, after, [use_permit, use_permit]));
        assert_committed(&world, world.words[0][0].peek(), 2);
    });
}

#[test]
fn who_gives_up_takes_no_wake_from_the_patient() {
    explore_deaths(1, |after, note| {
        let world = World::new(Undoes::Copies, 3);
        let give_up: Act = |actor| {
            actor.patience.store(1, SeqCst);
            let cell = &actor.world.cell;
            if take(cell, actor.me(), &mut actor.wait()).is_ok() {
                release(cell, actor);
            }
        };
        note(play(&world, after, [give_up, pass_through, pass_through]));
    });
}

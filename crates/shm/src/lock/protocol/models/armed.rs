//! Models of waiting for a lock by descriptor: who armed is told of what it waits for, whoever gives it back and whoever dies.
//!
//! The descriptor is a word here that the bells of an actor count up and on which it sleeps. What lies between the two in life, the bits of a
//! participant and the thread that listens, has models of its own (`wait::models`).

use super::{super::armed::ask_for_word, *};

/// What an actor waits for.
#[derive(Clone, Copy)]
enum Wanted {
    Word,
    ToRead,
    ToWrite,
    Permits(u32),
}

impl Actor<'_> {
    /// Tries without waiting, as who polls does: what the dead have is no reason not to get it.
    fn attempt(&self, wanted: Wanted) -> Result<(), InTheWay> {
        let (cell, counts) = (&self.world.cell, &self.world.counts);
        match wanted {
            Wanted::Word => try_take(cell, self.me()).map_err(|_| InTheWay::Word),
            Wanted::ToRead => try_read(cell, self.mine(), self).map_err(|_| InTheWay::Word),
            Wanted::ToWrite => try_write(cell, self.me(), counts, self),
            Wanted::Permits(permits) => try_acquire(cell, self.me(), counts, permits, self),
        }
    }

    /// Waits by descriptor until it has what it wants.
    fn wait_armed(&self, wanted: Wanted) {
        self.wait_with(wanted, |for_counts, attempt| attempt_armed(&self.world.cell, for_counts, attempt));
    }

    fn wait_with(
        &self,
        wanted: Wanted,
        poll: impl Fn(bool, &dyn Fn() -> Result<(), InTheWay>) -> Result<(), InTheWay>,
    ) {
        let descriptor = &self.world.descriptors[self.slot as usize - 1];
        let for_counts = matches!(wanted, Wanted::ToWrite | Wanted::Permits(_));
        loop {
            let rung = descriptor.load(Acquire);
            if poll(for_counts, &|| self.attempt(wanted)).is_ok() {
                return;
            }
            // The thread that listens watches from here on, and looks at those whose death came before.
            self.world.watch();
            futex_wait(descriptor, rung, Deadline::NEVER);
        }
    }
}

/// Waits for the lock by descriptor, changes the copies, unlocks.
fn poll_and_change(actor: &Actor<'_>) {
    actor.wait_armed(Wanted::Word);
    enter(&actor.world.cell, 1);
    let told = untold(&actor.world.cell);
    commit_one_more(actor.world);
    unlock(actor, told);
}

fn poll_and_read(actor: &Actor<'_>) {
    actor.wait_armed(Wanted::ToRead);
    let told = claim(&actor.world.cell, actor.me(), &actor.world.counts);
    assert_whole(actor.world);
    actor.finish(told);
    read_done(&actor.world.cell, actor.mine(), actor);
}

fn poll_and_write(actor: &Actor<'_>) {
    actor.wait_armed(Wanted::ToWrite);
    enter(&actor.world.cell, 1);
    let told = claim(&actor.world.cell, actor.me(), &actor.world.counts);
    add_in_place(actor.world);
    actor.finish(told);
    leave(&actor.world.cell);
    write_done(&actor.world.cell, actor);
}

fn poll_and_use_permit(actor: &Actor<'_>) {
    actor.wait_armed(Wanted::Permits(1));
    use_it(actor);
}

/// Two of them, of which the first dies; what `check` says of the world in the end.
fn pass(
    preemptions: usize,
    undoes: Undoes,
    permits: u32,
    acts: [Act; 2],
    check: impl Fn(&World) + Copy + Send + Sync + 'static,
) {
    explore_deaths(preemptions, move |after, note| {
        let world = World::new(undoes, 2);
        world.cell.permits.store(permits, Relaxed);
        note(play(&world, after, acts));
        check(&world);
    });
}

#[test]
fn who_armed_for_a_mutex_gets_it() {
    let check = |world: &World| assert_committed(world, world.copies().current()[0].peek(), 2);
    pass(2, Undoes::Copies, 0, [change_copies, poll_and_change], check);
}

#[test]
fn who_armed_for_a_mutex_and_dies_is_in_nobodys_way() {
    let check = |world: &World| assert_committed(world, world.copies().current()[0].peek(), 2);
    pass(2, Undoes::Copies, 0, [poll_and_change, change_copies], check);
}

#[test]
fn two_who_armed_for_a_mutex_get_it() {
    pass_by_three(poll_and_change);
}

#[test]
fn who_sleeps_and_who_armed_do_not_hide_each_other() {
    pass_by_three(pass_through);
}

/// One passes who may die, the second as it is told, the third armed.
fn pass_by_three(second: Act) {
    explore_deaths(1, move |after, note| {
        let world = World::new(Undoes::Copies, 3);
        note(play(&world, after, [pass_through, second, poll_and_change]));
    });
}

#[test]
fn who_armed_for_a_permit_gets_it() {
    let check = |world: &World| assert_committed(world, world.words[0][0].peek(), 2);
    pass(2, Undoes::Nothing, 1, [use_permit, poll_and_use_permit], check);
}

/// Nothing is given back here: a permit is free all the time, and somebody is only looking at it.
#[test]
fn who_armed_while_another_asked_for_too_many_gets_a_permit() {
    explore(2, || {
        let world = World::new(Undoes::Nothing, 2);
        world.cell.permits.store(1, Relaxed);
        let ask: Act = |actor| drop(actor.attempt(Wanted::Permits(2)));
        play(&world, NEVER, [ask, poll_and_use_permit]);
    });
}

#[test]
fn who_armed_to_read_gets_in_after_a_writer() {
    pass(1, Undoes::Journal, 0, [write_under_journal, poll_and_read], |_| ());
}

#[test]
fn who_armed_to_write_gets_in_after_a_reader() {
    pass(1, Undoes::Copies, 0, [read_in_place, poll_and_write], |world| assert_eq!(assert_whole(world), 1));
}

/// Who tries to write keeps readers out for a moment, and leaves it again if there are others.
#[test]
fn who_armed_to_read_gets_in_after_one_who_could_not_write() {
    explore(1, || {
        let world = World::new(Undoes::Copies, 3);
        let look_in: Act = |actor| {
            if actor.attempt(Wanted::ToWrite).is_ok() {
                write_done(&actor.world.cell, actor);
            }
        };
        play(&world, NEVER, [read_in_place, look_in, poll_and_read]);
    });
}

/// As the path was once: it armed, asked, and tried once more. A word that is free when it is asked for and taken when it is tried was asked for
/// in vain.
#[test]
#[should_panic(expected = "deadlock")]
fn control_a_single_try_after_asking_misses_the_lock() {
    explore(2, || {
        let world = World::new(Undoes::Nothing, 2);
        let one = spawn_mortal(&world, 1, NEVER, pass_through);
        let two = Actor::new(&world, 2);
        two.wait_with(Wanted::Word, |_, attempt| {
            world.cell.armed.store(1, Relaxed);
            let _ = ask_for_word(&world.cell);
            attempt()
        });
        release(&world.cell, &two);
        one.join().unwrap();
    });
}

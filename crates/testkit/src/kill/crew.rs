//! The processes of one trial: how they work, are replaced, are called off, and what must be true when they are gone.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crosstie_sys::trial::{Act, Child, Ended, act_on_signals, fork, fork_in_own_namespace, is_asleep, take_away};
use crosstie_sys::{CrashPlan, Planned, plan_crash};

use super::board::{Board, Fault, Seat};
use super::clock::now_ns;
use super::descriptors::open_descriptors;
use super::patience::{MOST, Patience};
use super::place::Place;
use super::report::Report;
use super::structure::{Options, Structure, Tally, Told};

/// All the processes of one trial.
pub(super) struct Crew<'a> {
    structure: &'a dyn Structure,
    board: &'a Board,
    place: Place,
    bound: Duration,
    children: Vec<Option<Child>>,
    /// Those that have become another program: as good as dead for the structure, but still there.
    lingering: Vec<Child>,
    /// Those that hold on to what a dead parent had.
    orphans: Vec<i32>,
    tally: Tally,
    progress: Vec<(u64, Patience)>,
}

/// How a process is put into its seat.
#[derive(Clone, Copy, Debug)]
pub(super) enum Post {
    /// It works until it is killed or called off.
    Plain,
    /// The same, as process 1 of a PID namespace of its own.
    OwnNamespace,
    /// It does something to itself at the so-manieth crash point.
    AtPoint(u64, Act),
}

/// Descriptors that a process keeps for all its structures together, once it has waited for one: a poller, and one for each that it watches.
const OF_THE_PROCESS: usize = 8;

/// Pauses between two looks at a condition.
const LOOK: Duration = Duration::from_micros(30);

impl<'a> Crew<'a> {
    /// Sets the structure up in a folder of its own, with a wiped board.
    pub(super) fn new(structure: &'a dyn Structure, board: &'a Board, options: &Options) -> Result<Self, String> {
        board.wipe();
        // Who is called stuck is for this process to say, which knows what the others had of the processors.
        board.set_patience(options.bound * MOST);
        let place =
            Place::new(&options.root, structure.name()).map_err(|error| format!("no folder for the trial: {error}"))?;
        let mut crew = Self {
            structure,
            board,
            place,
            bound: options.bound,
            children: (0..board.seats() - 1).map(|_| None).collect(),
            lingering: Vec::new(),
            orphans: Vec::new(),
            tally: Tally::default(),
            progress: vec![(0, Patience::new(options.bound)); board.seats() - 1],
        };
        crew.alone("setting up", |structure, place, _| structure.set_up(place))?;
        Ok(crew)
    }

    pub(super) fn seats(&self) -> usize {
        self.children.len()
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    pub(super) fn place(&self) -> &Path {
        self.place.path()
    }

    pub(super) fn board(&self) -> &'a Board {
        self.board
    }

    pub(super) fn bound(&self) -> Duration {
        self.bound
    }

    pub(super) fn is_manned(&self, index: usize) -> bool {
        self.children[index].is_some()
    }

    /// Waits until the process of a seat has done two more steps, the second of which began after this call; reports it if it has not.
    pub(super) fn await_steps_of(&self, index: usize) {
        let seat = self.board.seat(index);
        let done = seat.done();
        if !self.await_fairly(|| self.board.has_faults() || seat.done() >= done + 2) {
            let place = self.children[index].as_ref().map_or("it is gone", |child| whereabouts(child.pid()));
            seat.fault(Fault::Stuck, &format!("seat {index} has not moved for {:?}; {place}", self.bound));
        }
    }

    pub(super) fn structure(&self) -> &'a dyn Structure {
        self.structure
    }

    pub(super) fn seat(&self, index: usize) -> Seat {
        self.board.seat(index)
    }

    /// Runs one thing in a process of its own, to its end.
    pub(super) fn alone(
        &mut self,
        what: &str,
        body: impl FnOnce(&dyn Structure, &Path, Seat) -> Result<(), String>,
    ) -> Result<(), String> {
        let seat = self.board.seat(self.board.seats() - 1);
        let mut child = fork(|| {
            match body(self.structure, self.place.path(), seat) {
                Ok(()) => {}
                Err(why) => seat.fault(Fault::Broken, &format!("{what}: {why}")),
            }
            0
        })
        .map_err(|error| format!("no process for {what}: {error}"))?;
        self.await_end(&mut child, seat, what);
        Ok(())
    }

    /// The processes that are there.
    fn pids(&self) -> impl Iterator<Item = i32> {
        self.children.iter().flatten().map(Child::pid)
    }

    /// Looks again and again until the condition holds; false if it does not although everybody could go on.
    pub(super) fn await_fairly(&self, mut holds: impl FnMut() -> bool) -> bool {
        let mut patience = Patience::new(self.bound);
        loop {
            if holds() {
                return true;
            }
            if patience.is_over(self.pids()) {
                return false;
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits until a process has ended; `None` if it does not although everybody could go on.
    pub(super) fn wait_fairly(&self, child: &mut Child, bound: Duration) -> io::Result<Option<Ended>> {
        let mut patience = Patience::new(bound);
        loop {
            let ended = child.wait_until(Instant::now() + bound / 8)?;
            if ended.is_some() || patience.is_over(self.pids().chain([child.pid()])) {
                return Ok(ended);
            }
        }
    }

    /// Waits for a process that should end by itself.
    pub(super) fn await_end(&self, child: &mut Child, seat: Seat, what: &str) {
        match self.wait_fairly(child, self.bound) {
            Ok(Some(Ended::Exited(0))) => {}
            Ok(Some(how)) => {
                seat.fault(Fault::Broken, &format!("{what}: expected the process to leave with 0, got {how:?}"))
            }
            Ok(None) => seat.fault(
                Fault::Stuck,
                &format!("{what} was not done after {:?}; {}", self.bound, whereabouts(child.pid())),
            ),
            Err(error) => seat.fault(Fault::Broken, &format!("{what}: {error}")),
        }
    }

    /// Puts a new process into a seat.
    pub(super) fn man(&mut self, index: usize, seed: u64, post: Post) -> Result<(), String> {
        let seat = self.board.seat(index);
        seat.sits_down();
        let (structure, place) = (self.structure, self.place.path());
        let body = || {
            if let Post::AtPoint(at_hit, act) = post {
                plan_crash(CrashPlan { at_hit, planned: Planned::Act(act), name_goes_to: seat.point_cells() });
            }
            work(structure, place, seat, seed);
            0
        };
        let child = match post {
            Post::OwnNamespace => fork_in_own_namespace(self.board.pid_cell(), body),
            Post::Plain | Post::AtPoint(..) => fork(body),
        };
        self.children[index] = Some(child.map_err(|error| format!("no process for seat {index}: {error}"))?);
        self.progress[index] = (0, Patience::new(self.bound));
        Ok(())
    }

    pub(super) fn child(&mut self, index: usize) -> &mut Child {
        self.children[index].as_mut().expect("a manned seat has a child")
    }

    /// Has the process of a seat meet its end by `act`, and takes note of what it held. Returns the instant of the death if it surely held something.
    pub(super) fn end(&mut self, index: usize, act: Act) -> Option<u64> {
        let seat = self.board.seat(index);
        let mut child = self.children[index].take().expect("a manned seat has a child");
        seat.gets_up();
        let at = now_ns();
        let outcome = match act {
            Act::Exec => child.signal(act.signal()).map(|()| {
                await_until(self.bound, || {
                    !child.try_wait().is_ok_and(|ended| ended.is_none()) || has_become_another(child.pid())
                })
            }),
            Act::Kill | Act::Stop => child.kill().map(|how| {
                if !seat.point().is_empty() || is_a_kill(how) {
                    return true;
                }
                seat.fault(Fault::Broken, &format!("seat {index} had ended by itself: {how:?}"));
                true
            }),
            Act::Exit => child
                .signal(act.signal())
                .and_then(|()| child.wait_until(Instant::now() + self.bound))
                .map(|ended| ended.is_some()),
            // One that waits for something comes to no crash point, nor to anything that it has unmapped; then it is killed, as it would be after the fork.
            Act::Fork | Act::Unmap => child
                .signal(act.signal())
                .and_then(|()| child.wait_until(Instant::now() + self.bound / 50))
                .and_then(|ended| if ended.is_some() { Ok(true) } else { child.kill().map(|_| true) }),
        };
        match outcome {
            Ok(true) => {}
            Ok(false) => seat.fault(
                Fault::Broken,
                &format!("seat {index} did not {act:?} when told to; {}", whereabouts(child.pid())),
            ),
            Err(error) => seat.fault(Fault::Broken, &format!("seat {index} could not be told to {act:?}: {error}")),
        }
        if act == Act::Exec {
            self.lingering.push(child);
        }
        self.bury(index, at)
    }

    /// Whether the process of a seat is gone.
    pub(super) fn has_ended(&mut self, index: usize) -> bool {
        self.children[index].as_mut().is_some_and(|child| child.try_wait().is_ok_and(|how| how.is_some()))
    }

    /// Reports a process that ended and should not have.
    pub(super) fn report_own_end(&mut self, index: usize) {
        let how = self.child(index).try_wait();
        self.board.seat(index).fault(Fault::Broken, &format!("seat {index} ended by itself: {how:?}"));
    }

    /// Waits until everyone has done something; reports who has not.
    pub(super) fn await_a_step_of_each(&mut self) {
        let seats: Vec<Seat> = (0..self.seats()).map(|index| self.board.seat(index)).collect();
        if !self.await_fairly(|| self.board.has_faults() || seats.iter().all(|seat| seat.done() > 0)) {
            for seat in seats.iter().filter(|seat| seat.done() == 0) {
                let place = self.children[seat.index].as_ref().map_or("it is gone", |child| whereabouts(child.pid()));
                seat.fault(Fault::Stuck, &format!("seat {} has done nothing in {:?}; {place}", seat.index, self.bound));
            }
        }
    }

    /// Takes note of what the dead process of a seat held. Its cells do not change any more.
    pub(super) fn bury(&mut self, index: usize, at: u64) -> Option<u64> {
        let seat = self.board.seat(index);
        seat.gets_up();
        seat.is_vacated();
        self.children[index] = None;
        let orphan = seat.left_behind().swap(0, std::sync::atomic::Ordering::AcqRel);
        if let Ok(orphan @ 1..) = i32::try_from(orphan) {
            self.orphans.push(orphan);
        }
        self.tally.deaths += 1;
        if seat.is_inside() {
            self.tally.deaths_inside += 1;
            Some(at)
        } else {
            if seat.begun() > seat.done() {
                self.tally.deaths_perhaps_inside += 1;
                self.tally.told_again += seat.told_last();
            }
            None
        }
    }

    /// Waits until the death at `at` was told; says how long that took. Reports it if nobody tells.
    pub(super) fn await_telling(&self, told_before: u64, at: u64) -> Option<u64> {
        if self.await_fairly(|| self.board.told() > told_before || self.board.has_faults()) {
            let told_at = (0..self.seats()).map(|seat| self.board.seat(seat).told_at()).max().unwrap_or(0);
            return (told_at > 0).then(|| told_at.saturating_sub(at));
        }
        self.board.seat(0).fault(Fault::Told, &format!("nobody told of a holder that died {:?} ago", self.bound));
        None
    }

    /// Looks which seats have moved; reports one that has not for too long. True for a seat that is not to be disturbed, because it may be stuck.
    pub(super) fn look_for_stuck(&mut self) -> Vec<bool> {
        let mut rests = vec![false; self.seats()];
        let pids: Vec<i32> = self.pids().collect();
        for (index, rests) in rests.iter_mut().enumerate() {
            let Some(child) = &self.children[index] else { continue };
            let seat = self.board.seat(index);
            let (last, patience) = &mut self.progress[index];
            if seat.begun() != *last {
                (*last, *patience) = (seat.begun(), Patience::new(self.bound));
            } else if patience.is_over(pids.iter().copied()) {
                let (place, waited) = (whereabouts(child.pid()), patience.waited());
                seat.fault(Fault::Stuck, &format!("seat {index} has not moved for {waited:?}; {place}"));
            } else {
                *rests = patience.waited() > self.bound / 100;
            }
        }
        rests
    }

    /// A stopped process goes on from here: it could not move until now.
    pub(super) fn forgive(&mut self, index: usize) {
        self.progress[index].1 = Patience::new(self.bound);
    }

    /// Calls everyone off, asks the oracle, and looks for what is left. Takes over what was found.
    pub(super) fn finish(mut self, report: &mut Report, seed: u64) -> bool {
        let nobody = self.board.seat(self.board.seats() - 1);
        if !self.board.has_faults() {
            self.board.finish();
            for index in 0..self.seats() {
                if let Some(mut child) = self.children[index].take() {
                    self.await_end(&mut child, self.board.seat(index), &format!("seat {index} leaving"));
                }
            }
        }
        if !self.board.has_faults() {
            let tally = self.tally;
            if let Err(why) = self.alone("the oracle", |structure, place, seat| structure.check(place, seat, &tally)) {
                nobody.fault(Fault::Broken, &why);
            }
            self.check_telling(nobody);
            let left = self.place.files();
            if !left.is_empty() {
                nobody.fault(Fault::LeftBehind, &format!("files: {}", left.join(" ")));
            }
        }
        self.children.clear();
        self.lingering.clear();
        for orphan in self.orphans.drain(..) {
            if let Err(error) = take_away(orphan) {
                nobody.fault(Fault::Broken, &format!("process {orphan} does not go away: {error}"));
            }
        }
        report.kills += self.tally.deaths;
        report.inside += self.tally.deaths_inside;
        report.perhaps += self.tally.deaths_perhaps_inside;
        report.told += self.board.told();
        report.note(self.board, seed)
    }

    fn check_telling(&self, seat: Seat) {
        let Tally { deaths, deaths_inside: inside, deaths_perhaps_inside: perhaps, told_again } = self.tally;
        let told = self.board.told();
        let most = match self.structure.told() {
            Told::Never => return,
            Told::Once => inside + perhaps + told_again,
            Told::AtMostOnce => deaths + told_again,
        };
        if told > most {
            seat.fault(Fault::Told, &format!("{told} times, though at most {most} can have died holding something"));
        }
    }
}

/// What the process of a seat does until it is killed or called off.
fn work(structure: &dyn Structure, place: &Path, seat: Seat, seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let broken = |what: &str, why: &str| seat.fault(Fault::Broken, &format!("seat {} {what}: {why}", seat.index));
    if let Err(error) = act_on_signals(seat.left_behind()) {
        broken("taking signals", &error.to_string());
    }
    let before = open_descriptors();
    match structure.join(place, seat) {
        Err(why) => broken("joining", &why),
        Ok(mut victim) => {
            while !seat.is_finishing() {
                seat.begins();
                let outcome = victim.step(seat, &mut chance);
                if let Err(why) = outcome {
                    broken("working", &why);
                    return;
                }
                seat.has_done();
            }
            drop(victim);
            let after = open_descriptors();
            if after > before + OF_THE_PROCESS {
                seat.fault(
                    Fault::LeftBehind,
                    &format!("seat {} joined with {before} descriptors and left with {after}", seat.index),
                );
            }
        }
    }
}

/// A kill, seen directly or through the process that stands in for one in a namespace.
fn is_a_kill(how: Ended) -> bool {
    matches!(how, Ended::Killed(9) | Ended::Exited(137))
}

/// Looks again and again until the condition holds; false if it does not in time.
pub(super) fn await_until(bound: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + bound;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(LOOK);
    }
}

fn has_become_another(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep")
}

fn whereabouts(pid: i32) -> &'static str {
    if is_asleep(pid) { "it sleeps in the kernel" } else { "it runs, or waits for a processor" }
}

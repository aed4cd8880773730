//! What the others find when a process ends: killed, stopped, forked, replaced by another program, at every named point and in its own
//! PID namespace.
//!
//! Processes are forked without exec, so this runs in one thread and without the usual harness. A name as argument runs the tests
//! that contain it.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crosstie_shm::{
    Act, Directory, Element, Error, Expect, Keeper, Kind, Life, LockOutcome, Mutex, Notifier, Participant,
    ParticipantState, ReceiveError, Ring, Segment, SegmentName, Spec, State, deadline_after, remove, sweep,
};
use crosstie_sys::{
    CrashPlan, Planned, ProcessHandle, plan_crash,
    trial::{Act as End, Child, Ended, fork, fork_in_own_namespace, shared_cells, tick},
};

/// How long a condition may take that takes no time at all.
const PATIENCE: Duration = Duration::from_secs(60);

const TESTS: &[(&str, fn())] = &[
    ("a_killed_process_is_dead_and_is_reaped_once", a_killed_process_is_dead_and_is_reaped_once),
    ("control_whoever_is_not_reaped_stays_dead", control_whoever_is_not_reaped_stays_dead),
    ("a_stopped_process_is_alive", a_stopped_process_is_alive),
    ("control_a_judge_by_silence_takes_the_stopped_for_dead", control_a_judge_by_silence_takes_the_stopped_for_dead),
    ("a_child_of_fork_is_no_participant", a_child_of_fork_is_no_participant),
    ("a_child_of_fork_does_not_keep_its_parent_alive", a_child_of_fork_does_not_keep_its_parent_alive),
    ("control_an_inherited_description_keeps_a_lock_alive", control_an_inherited_description_keeps_a_lock_alive),
    ("exec_ends_the_participation", exec_ends_the_participation),
    ("who_waits_is_told_of_another_program", who_waits_is_told_of_another_program),
    (
        "control_a_handle_of_the_process_does_not_tell_of_another_program",
        control_a_handle_of_the_process_does_not_tell_of_another_program,
    ),
    ("a_child_of_fork_waits_by_a_notifier_of_its_own", a_child_of_fork_waits_by_a_notifier_of_its_own),
    ("who_waits_by_descriptor_is_told_across_pid_namespaces", who_waits_by_descriptor_is_told_across_pid_namespaces),
    ("equal_process_ids_are_not_confused", equal_process_ids_are_not_confused),
    ("control_a_judge_by_process_id_takes_the_dead_for_alive", control_a_judge_by_process_id_takes_the_dead_for_alive),
    ("whoever_dies_while_joining_or_reaping_is_reaped", whoever_dies_while_joining_or_reaping_is_reaped),
    ("whoever_dies_while_leaving_is_reaped", whoever_dies_while_leaving_is_reaped),
    ("a_segment_appears_whole_or_not_at_all", a_segment_appears_whole_or_not_at_all),
    (
        "control_a_file_that_is_filled_after_it_has_a_name_is_seen_half",
        control_a_file_that_is_filled_after_it_has_a_name_is_seen_half,
    ),
    ("a_replacement_is_finished_by_the_next_who_opens", a_replacement_is_finished_by_the_next_who_opens),
    ("the_last_acts_of_a_killed_process_are_readable", the_last_acts_of_a_killed_process_are_readable),
    ("sweeping_after_all_are_killed_leaves_nothing", sweeping_after_all_are_killed_leaves_nothing),
    ("memory_that_was_handed_over_tells_of_deaths_too", memory_that_was_handed_over_tells_of_deaths_too),
    ("joining_and_leaving_leave_no_descriptors", joining_and_leaving_leave_no_descriptors),
];

fn main() -> ExitCode {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    if std::env::args().any(|argument| argument == "--list") {
        for (name, _) in TESTS {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    // A wait for a child looks at the clock once per tick.
    tick(Duration::from_millis(20)).unwrap();
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(&wanted)) {
        let outcome = std::panic::catch_unwind(test);
        println!("test {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        failed += u32::from(outcome.is_err());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn spec() -> Spec {
    Spec::new(Kind::Locks, Element::bytes()).participants(8).locks(1).data(4096)
}

fn segment() -> Segment {
    Segment::anonymous("deaths", &spec(), |_| Ok(())).unwrap()
}

fn name() -> SegmentName {
    "deaths".parse().unwrap()
}

fn place() -> (tempfile::TempDir, Directory) {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::at(folder.path().join("segments")).unwrap();
    (folder, directory)
}

/// Waits until `is_so`, which another process brings about.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < limit, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// A child that joins and then does nothing until it is ended.
fn idle_member(segment: &Segment) -> Child {
    let before = segment.membership().load(Ordering::Acquire);
    let child = fork(|| {
        let _member = Participant::join(segment, "idle").unwrap();
        loop {
            std::thread::park();
        }
    })
    .unwrap();
    until("the child has joined", || segment.membership().load(Ordering::Acquire) != before);
    child
}

fn only_other(segment: &Segment, me: &Participant) -> crosstie_shm::ParticipantInfo {
    let all = Keeper::of(segment).unwrap().participants().unwrap();
    let mut others = all.into_iter().filter(|info| info.id != me.id());
    let other = others.next().expect("there is another participant");
    assert!(others.next().is_none());
    other
}

fn a_killed_process_is_dead_and_is_reaped_once() {
    let segment = segment();
    let me = Participant::join(&segment, "me").unwrap();
    let mut child = idle_member(&segment);
    let other = only_other(&segment, &me);
    assert_eq!(
        (other.life, other.pid, other.name.as_str()),
        (Life::Alive, u32::try_from(child.pid()).unwrap(), "idle")
    );
    assert_eq!(me.life(other.id).unwrap(), Life::Alive);
    assert_eq!(me.reap(other.id.slot).unwrap(), None, "who lives is not reaped");

    child.kill().unwrap();
    assert_eq!(me.life(other.id).unwrap(), Life::Dead, "the kernel let go of the lock before we were told of the end");
    assert_eq!(me.reap_dead().unwrap(), [other.id]);
    assert_eq!(me.reap_dead().unwrap(), []);
    assert_eq!(me.life(other.id).unwrap(), Life::Gone);
    let acts: Vec<_> = segment.events(me.id().slot).iter().map(|event| event.act).collect();
    assert_eq!(acts, [Act::Joined, Act::ReapBegan, Act::Reaped]);
}

fn control_whoever_is_not_reaped_stays_dead() {
    let segment = segment();
    let me = Participant::join(&segment, "me").unwrap();
    let mut child = idle_member(&segment);
    let other = only_other(&segment, &me);
    child.kill().unwrap();
    assert_eq!(only_other(&segment, &me).life, Life::Dead);
    assert_eq!(only_other(&segment, &me).id, other.id, "nobody but who reaps changes the slot");
}

fn control_a_judge_by_silence_takes_the_stopped_for_dead() {
    let beats = shared_cells(1).unwrap();
    let child = fork(|| {
        loop {
            beats[0].fetch_add(1, Ordering::Relaxed);
        }
    })
    .unwrap();
    until("it is heard", || beats[0].load(Ordering::Relaxed) > 0);
    child.signal(End::Stop.signal()).unwrap();
    until("it stands still", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.pid())).unwrap();
        stat.rsplit(") ").next().unwrap().starts_with('T')
    });
    let before = beats[0].load(Ordering::Relaxed);
    let limit = Instant::now() + Duration::from_millis(50);
    until("its patience is at an end", || Instant::now() > limit);
    assert_eq!(beats[0].load(Ordering::Relaxed), before, "silent for the whole time, and yet alive");
    child.go_on().unwrap();
    until("it is heard again", || beats[0].load(Ordering::Relaxed) > before);
}

fn a_stopped_process_is_alive() {
    let segment = segment();
    let me = Participant::join(&segment, "me").unwrap();
    let mut child = idle_member(&segment);
    let other = only_other(&segment, &me);
    child.signal(End::Stop.signal()).unwrap();
    until("the child stands still", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.pid())).unwrap();
        stat.rsplit(") ").next().unwrap().starts_with('T')
    });
    assert_eq!(me.life(other.id).unwrap(), Life::Alive);
    assert_eq!(me.reap_dead().unwrap(), []);
    child.kill().unwrap();
    assert_eq!(me.life(other.id).unwrap(), Life::Dead);
}

fn a_child_of_fork_is_no_participant() {
    let segment = segment();
    let me = Participant::join(&segment, "me").unwrap();
    let mut child = fork(|| {
        let is_forked = |outcome: Result<(), Error>| u8::from(matches!(outcome, Err(Error::Forked { .. })));
        let all = is_forked(me.check())
            + is_forked(me.life(me.id()).map(drop))
            + is_forked(me.reap_dead().map(drop))
            + u8::from(!me.is_ours());
        // Joining anew is how a child takes part.
        let own = Participant::join(&segment, "child").unwrap();
        let is_own = u8::from(own.id().slot != me.id().slot && own.check().is_ok());
        drop(own);
        drop(me.clone());
        all + is_own
    })
    .unwrap();
    assert_eq!(child.wait_until(Instant::now() + PATIENCE).unwrap(), Some(Ended::Exited(5)));
    // What the child dropped was not ours to it.
    me.check().unwrap();
    assert_eq!(me.slot().state(), ParticipantState::Live);
    let other = Participant::join(&segment, "other").unwrap();
    assert_eq!(other.life(me.id()).unwrap(), Life::Alive);
}

fn a_child_of_fork_does_not_keep_its_parent_alive() {
    let segment = segment();
    let me = Participant::join(&segment, "me").unwrap();
    let mut child = idle_and_forking(&segment);
    let other = only_other(&segment, &me);
    assert_eq!(me.life(other.id).unwrap(), Life::Alive);
    child.signal(End::Fork.signal()).unwrap();
    assert_eq!(child.wait_until(Instant::now() + PATIENCE).unwrap(), Some(Ended::Killed(9)));
    // The grandchild lets go of it before it does anything else, which may be after its parent has ended.
    until("the grandchild has let go", || me.life(other.id).unwrap() == Life::Dead);
}

/// A member that forks a child which stays, and is killed, when it is told to.
fn idle_and_forking(segment: &Segment) -> Child {
    let cells = shared_cells(1).unwrap();
    let before = segment.membership().load(Ordering::Acquire);
    let child = fork(|| {
        crosstie_sys::trial::act_on_signals(&cells[0]).unwrap();
        let _member = Participant::join(segment, "forking").unwrap();
        forks_when_told()
    })
    .unwrap();
    until("the child has joined", || segment.membership().load(Ordering::Acquire) != before);
    child
}

/// Waits to be told; whoever is told to fork does so at a named point.
fn forks_when_told() -> ! {
    loop {
        crosstie_sys::crash_point!("deaths.waits");
        std::thread::yield_now();
    }
}

fn control_an_inherited_description_keeps_a_lock_alive() {
    use crosstie_sys::{range_lock, trial::take_away};

    let file = tempfile::tempfile().unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    let reopened = || std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let mine = reopened();
    let cells = shared_cells(1).unwrap();
    let mut child = fork(|| {
        crosstie_sys::trial::act_on_signals(&cells[0]).unwrap();
        // A plain descriptor: nothing closes it in the grandchild.
        let plain = reopened();
        assert!(range_lock::try_lock(&plain, 7).unwrap());
        forks_when_told()
    })
    .unwrap();
    until("the child has the lock", || range_lock::is_locked_elsewhere(&mine, 7).unwrap());
    child.signal(End::Fork.signal()).unwrap();
    assert_eq!(child.wait_until(Instant::now() + PATIENCE).unwrap(), Some(Ended::Killed(9)));
    assert!(range_lock::is_locked_elsewhere(&mine, 7).unwrap(), "the grandchild has the description still");
    take_away(i32::try_from(cells[0].load(Ordering::Acquire)).unwrap()).unwrap();
    until("the grandchild has ended", || !range_lock::is_locked_elsewhere(&mine, 7).unwrap());
}

fn exec_ends_the_participation() {
    let segment = segment();
    let me = Participant::join(&segment, "me").unwrap();
    let mut child = idle_and_forking(&segment);
    let other = only_other(&segment, &me);
    child.signal(End::Exec.signal()).unwrap();
    until("the other program runs", || me.life(other.id).unwrap() == Life::Dead);
    assert_eq!(child.try_wait().unwrap(), None, "the process lives on as another program");
    assert_eq!(me.reap_dead().unwrap(), [other.id]);
    child.kill().unwrap();
}

/// Within a second, by a look of whoever waits.
fn who_waits_is_told_of_another_program() {
    let (_folder, directory) = place();
    let cells = shared_cells(2).unwrap();
    let name: SegmentName = "exec".parse().unwrap();
    let mutex = Mutex::create(&directory, &name, 0_u64).unwrap();
    let opened = || Mutex::<u64>::open(&directory, &name).unwrap();
    let soon = || deadline_after(PATIENCE);
    let mut holder = fork(|| {
        crosstie_sys::trial::act_on_signals(&cells[1]).unwrap();
        let mutex = opened();
        std::mem::forget(mutex.lock(soon()).unwrap().guard);
        cells[0].store(1, Ordering::Release);
        forks_when_told()
    })
    .unwrap();
    until("it is held", || cells[0].load(Ordering::Acquire) == 1);
    let mut waiter = fork(|| {
        let outcome = opened().lock(soon()).unwrap().outcome;
        u8::from(matches!(outcome, LockOutcome::Recovered(_)))
    })
    .unwrap();
    until("it is waited for", || !mutex.participant().segment().locks().unwrap()[0].waiters.is_empty());
    let began = Instant::now();
    holder.signal(End::Exec.signal()).unwrap();
    assert_eq!(waiter.wait_until(began + PATIENCE).unwrap(), Some(Ended::Exited(1)), "it was told");
    assert_eq!(holder.try_wait().unwrap(), None, "the process lives on as another program");
    holder.kill().unwrap();
}

fn control_a_handle_of_the_process_does_not_tell_of_another_program() {
    let segment = segment();
    let me = Participant::join(&segment, "me").unwrap();
    let mut child = idle_and_forking(&segment);
    let other = only_other(&segment, &me);
    let handle = ProcessHandle::open(other.pid).unwrap().unwrap();
    child.signal(End::Exec.signal()).unwrap();
    until("the other program runs", || me.life(other.id).unwrap() == Life::Dead);
    assert!(!handle.has_ended().unwrap());
    child.kill().unwrap();
    assert!(handle.has_ended().unwrap());
}

/// What a child does that arms `ring` by descriptor, says so, and goes on when it was told: the next message, or 100 for a dead sender.
fn waits_by_descriptor(directory: &Directory, is_armed: &AtomicU64) -> u8 {
    let ring = Ring::<u64>::open(directory, &name()).unwrap();
    let (mut receiver, notifier) = (ring.receiver().unwrap(), Notifier::new().unwrap());
    while !receiver.arm(&notifier, 7).unwrap() {
        is_armed.fetch_add(1, Ordering::Release);
        assert_eq!(notifier.wait(deadline_after(PATIENCE)).unwrap(), [7]);
    }
    match receiver.receive(deadline_after(Duration::ZERO)) {
        Ok(message) => u8::try_from(message).unwrap(),
        Err(ReceiveError::PeerDied { .. }) => 100,
        Err(other) => panic!("{other}"),
    }
}

fn a_child_of_fork_waits_by_a_notifier_of_its_own() {
    let (_folder, directory) = place();
    let ring = Ring::<u64>::create(&directory, &name(), 4).unwrap();
    let (mut sender, cells, parents) = (ring.sender().unwrap(), shared_cells(1).unwrap(), Notifier::new().unwrap());
    let mut child = fork(|| {
        let is_refused = matches!(parents.take_ready(), Err(Error::Forked { .. }));
        let is_refused = is_refused && matches!(parents.wait(deadline_after(PATIENCE)), Err(Error::Forked { .. }));
        waits_by_descriptor(&directory, &cells[0]) + 10 * u8::from(is_refused)
    })
    .unwrap();
    until("the child has armed", || cells[0].load(Ordering::Acquire) > 0);
    sender.try_send(5).unwrap();
    assert_eq!(child.wait_until(Instant::now() + PATIENCE).unwrap(), Some(Ended::Exited(15)));
    // The control: what the child did is nothing of the parent's.
    assert_eq!(parents.take_ready().unwrap(), [0; 0]);
}

/// A message from another namespace, and a death there, which no handle of the process can tell of.
fn who_waits_by_descriptor_is_told_across_pid_namespaces() {
    const TIMES: u32 = 2;
    let cells = shared_cells(3).unwrap();
    for (round, dies) in (0..TIMES).map(|round| (round, round % 2 == 1)) {
        cells.iter().for_each(|cell| cell.store(0, Ordering::Release));
        let (_folder, directory) = place();
        let ring = Ring::<u64>::create(&directory, &name(), 4).unwrap();
        let sends = || {
            let mut sender = Ring::<u64>::open(&directory, &name()).unwrap().sender().unwrap();
            cells[2].store(1, Ordering::Release);
            while cells[2].load(Ordering::Acquire) != 2 {
                std::thread::yield_now();
            }
            sender.try_send(9).unwrap();
            loop {
                std::thread::park();
            }
        };
        let Ok(mut sender) = fork_in_own_namespace(&cells[0], sends) else {
            println!("NOT RUN: PID namespaces are not allowed here");
            return;
        };
        until("the sender is there", || cells[2].load(Ordering::Acquire) == 1);
        let mut waiter = fork_in_own_namespace(&cells[0], || waits_by_descriptor(&directory, &cells[1])).unwrap();
        until("it has armed", || cells[1].load(Ordering::Acquire) > 0);
        let began = Instant::now();
        if dies {
            sender.kill().unwrap();
        } else {
            cells[2].store(2, Ordering::Release);
        }
        let told = waiter.wait_until(began + PATIENCE).unwrap();
        assert_eq!(told, Some(Ended::Exited(if dies { 100 } else { 9 })), "round {round}");
        drop(ring);
    }
}

fn equal_process_ids_are_not_confused() {
    let segment = segment();
    let me = Participant::join(&segment, "me").unwrap();
    let cells = shared_cells(2).unwrap();
    let mut children = Vec::new();
    for (at, cell) in cells.iter().enumerate() {
        let before = segment.membership().load(Ordering::Acquire);
        let body = || {
            let _member = Participant::join(&segment, "first of its namespace").unwrap();
            loop {
                std::thread::park();
            }
        };
        match fork_in_own_namespace(cell, body) {
            Ok(child) => children.push(child),
            Err(error) => {
                println!("NOT RUN: PID namespaces are not allowed here: {error}");
                return;
            }
        }
        until(&format!("child {at} has joined"), || segment.membership().load(Ordering::Acquire) != before);
    }
    let others = |life| {
        let all = Keeper::of(&segment).unwrap().participants().unwrap();
        all.into_iter().filter(|info| info.id != me.id() && info.life == life).collect::<Vec<_>>()
    };
    let both = others(Life::Alive);
    assert_eq!(both.len(), 2);
    assert_eq!((both[0].pid, both[1].pid), (1, 1), "each is process 1 where it lives");
    assert_ne!(both[0].namespace, both[1].namespace);
    children[0].kill().unwrap();
    until("one is dead", || others(Life::Dead).len() == 1);
    assert_eq!(me.reap_dead().unwrap(), [both[0].id], "the one that died, not the one with the same number");
    assert_eq!(others(Life::Alive), [both[1].clone()]);
}

fn control_a_judge_by_process_id_takes_the_dead_for_alive() {
    let segment = segment();
    let me = Participant::join(&segment, "me").unwrap();
    let cells = shared_cells(1).unwrap();
    let before = segment.membership().load(Ordering::Acquire);
    let body = || {
        let _member = Participant::join(&segment, "first of its namespace").unwrap();
        loop {
            std::thread::park();
        }
    };
    let Ok(mut child) = fork_in_own_namespace(&cells[0], body) else {
        println!("NOT RUN: PID namespaces are not allowed here");
        return;
    };
    until("the child has joined", || segment.membership().load(Ordering::Acquire) != before);
    child.kill().unwrap();
    until("the kernel says that it is dead", || only_other(&segment, &me).life == Life::Dead);
    let number = only_other(&segment, &me).pid;
    assert!(std::path::Path::new(&format!("/proc/{number}")).exists(), "somebody here has the number {number}");
}

/// Runs `body` again and again in a child that dies at its first named point, at its second, and so on, until one gets through. `check` looks at
/// what each of the dead left.
fn at_every_point(mut body: impl FnMut(), mut check: impl FnMut(&str)) -> Vec<String> {
    let mut points = Vec::new();
    for at_hit in 1.. {
        let name_goes_to = shared_cells(8).unwrap();
        let mut child = fork(|| {
            plan_crash(CrashPlan { at_hit, planned: Planned::Act(End::Kill), name_goes_to });
            body();
            0
        })
        .unwrap();
        match child.wait_until(Instant::now() + PATIENCE).unwrap() {
            Some(Ended::Exited(0)) => break,
            Some(Ended::Killed(9)) => {}
            other => panic!("the child ended with {other:?} at point {at_hit}"),
        }
        let bytes: Vec<u8> = name_goes_to.iter().flat_map(|cell| cell.load(Ordering::Acquire).to_le_bytes()).collect();
        let name = String::from_utf8(bytes).unwrap().trim_end_matches('\0').to_owned();
        check(&name);
        points.push(name);
    }
    points
}

fn whoever_dies_while_joining_or_reaping_is_reaped() {
    let segment = segment();
    let points = at_every_point(
        || {
            // There is somebody to be reaped each time; the member of the last round, or of this one.
            let mut idle = fork(|| {
                std::mem::forget(Participant::join(&segment, "soon dead").unwrap());
                0
            })
            .unwrap();
            idle.wait_until(Instant::now() + PATIENCE).unwrap();
            let me = Participant::join(&segment, "doomed").unwrap();
            me.reap_dead().unwrap();
        },
        |point| {
            let me = Participant::join(&segment, "after").unwrap();
            me.reap_dead().unwrap();
            let left = Keeper::of(&segment).unwrap().participants().unwrap();
            assert_eq!(left.len(), 1, "after a death at {point}: {left:?}");
            assert_eq!(left[0].id, me.id());
        },
    );
    for point in
        ["participant.join.filled", "participant.join.live", "participant.reap.begun", "participant.reap.recovered"]
    {
        assert!(points.iter().any(|passed| passed == point), "{point} is not among {points:?}");
    }
}

fn whoever_dies_while_leaving_is_reaped() {
    let segment = segment();
    let points = at_every_point(
        || drop(Participant::join(&segment, "leaving").unwrap()),
        |point| {
            let keeper = Keeper::of(&segment).unwrap();
            keeper.reap_dead().unwrap();
            assert_eq!(keeper.participants().unwrap(), [], "after a death at {point}");
        },
    );
    assert!(points.iter().filter(|point| *point == "participant.reap.begun").count() >= 1, "{points:?}");
}

fn a_segment_appears_whole_or_not_at_all() {
    let (_folder, directory) = place();
    let points = at_every_point(
        || {
            Segment::create(&directory, &name(), &spec(), |segment| {
                segment.data().record::<AtomicU64>(0)?.store(42, Ordering::Relaxed);
                Ok(())
            })
            .map(drop)
            .unwrap();
        },
        |point| {
            match Segment::open(&directory, &name(), &spec().expectation()) {
                Ok(segment) => {
                    let filled = segment.data().record::<AtomicU64>(0).unwrap();
                    assert_eq!(filled.load(Ordering::Relaxed), 42, "after a death at {point}");
                    remove(&directory, &name(), false).unwrap();
                }
                Err(Error::NotFound { .. }) => {}
                Err(error) => panic!("after a death at {point}: {error}"),
            }
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "after a death at {point}");
        },
    );
    assert_eq!(points, ["segment.create.filled", "segment.create.linked"]);
}

fn control_a_file_that_is_filled_after_it_has_a_name_is_seen_half() {
    use std::os::unix::fs::{FileExt, OpenOptionsExt};

    let (_folder, directory) = place();
    let mut child = fork(|| {
        let mut options = std::fs::File::options();
        let file = options.write(true).create_new(true).mode(0o600).open(directory.path().join("deaths@1")).unwrap();
        file.write_all_at(b"XTIE-SEG", 0).unwrap();
        file.set_len(16 * 4096).unwrap();
        End::Kill.perform();
        0
    })
    .unwrap();
    assert_eq!(child.wait_until(Instant::now() + PATIENCE).unwrap(), Some(Ended::Killed(9)));
    let seen = Segment::open(&directory, &name(), &spec().expectation());
    assert!(matches!(seen, Err(Error::Refused { .. })), "{seen:?}");
}

fn a_replacement_is_finished_by_the_next_who_opens() {
    let (_folder, directory) = place();
    let old = Segment::create(&directory, &name(), &spec(), |_| Ok(())).unwrap();
    let newer = spec().elements(2);
    at_every_point(
        || {
            let old = Segment::open(&directory, &name(), &Expect::any()).unwrap();
            if old.header().elements == 1 {
                old.replace(&directory, &name(), &newer, |_| Ok(())).unwrap();
            }
        },
        |point| {
            let found = Segment::open(&directory, &name(), &Expect::any()).unwrap();
            match found.header().generation {
                1 => assert_eq!(old.state(), State::Ready, "after a death at {point}"),
                by => assert_eq!(old.state(), State::Retired { by: Some(by) }, "after a death at {point}"),
            }
        },
    );
    let told = old.check().unwrap_err();
    assert!(matches!(told, Error::Retired { by: 2, .. }), "{told}");
    assert!(matches!(Participant::join(&old, "late"), Err(Error::Retired { by: 2, .. })));
}

fn the_last_acts_of_a_killed_process_are_readable() {
    let segment = segment();
    let mut child = fork(|| {
        let me = Participant::join(&segment, "writer").unwrap();
        for number in 0..1000 {
            me.record(Act::Noted, 3, [number, 2 * number]);
        }
        End::Kill.perform();
        0
    })
    .unwrap();
    assert_eq!(child.wait_until(Instant::now() + PATIENCE).unwrap(), Some(Ended::Killed(9)));
    let events = segment.events(1);
    assert_eq!(events.len(), 256);
    for (event, number) in events.iter().zip(1000 - 256..) {
        assert_eq!((event.act, event.object, event.detail), (Act::Noted, 3, [number, 2 * number]));
        assert_eq!(u64::from(event.sequence), number + 2, "joining was the first");
    }
    assert!(events.is_sorted_by_key(|event| event.time));
}

fn sweeping_after_all_are_killed_leaves_nothing() {
    let (_folder, directory) = place();
    let segment = Segment::create(&directory, &name(), &spec(), |_| Ok(())).unwrap();
    let other = Segment::create(&directory, &"other".parse().unwrap(), &spec(), |_| Ok(())).unwrap();
    let mut children = [idle_member(&segment), idle_member(&segment), idle_member(&other)];
    let swept = sweep(&directory).unwrap();
    assert!(swept.iter().all(|swept| !swept.outcome.is_removed()), "{swept:?}");
    for child in &mut children {
        child.kill().unwrap();
    }
    let swept = sweep(&directory).unwrap();
    assert!(swept.iter().all(|swept| swept.outcome.is_removed()), "{swept:?}");
    assert_eq!(swept.iter().map(|swept| swept.reaped.len()).sum::<usize>(), 3);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    assert!(matches!(Participant::join(&segment, "late"), Err(Error::Removed { .. })));
    // The name is free again, from the first generation on.
    let again = Segment::create(&directory, &name(), &spec(), |_| Ok(())).unwrap();
    assert_eq!(again.header().generation, 1);
}

fn memory_that_was_handed_over_tells_of_deaths_too() {
    let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut child = fork(|| {
        // Made after the fork: the parent gets it through the socket or not at all.
        let made = Segment::anonymous("handed", &spec(), |_| Ok(())).unwrap();
        let _member = Participant::join(&made, "maker").unwrap();
        made.send(&there).unwrap();
        loop {
            std::thread::park();
        }
    })
    .unwrap();
    here.set_read_timeout(Some(PATIENCE)).unwrap();
    let came = Segment::receive(&here, &spec().expectation()).unwrap();
    let me = Participant::join(&came, "me").unwrap();
    let maker = only_other(&came, &me);
    assert_eq!((maker.life, maker.id.slot), (Life::Alive, 1));
    child.kill().unwrap();
    assert_eq!(me.life(maker.id).unwrap(), Life::Dead, "the description that was sent holds no lock");
    assert_eq!(me.reap_dead().unwrap(), [maker.id]);
}

fn joining_and_leaving_leave_no_descriptors() {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let segment = segment();
    drop(Participant::join(&segment, "first").unwrap());
    let before = count();
    for _ in 0..200 {
        let member = Participant::join(&segment, "again").unwrap();
        Keeper::of(&segment).unwrap().reap_dead().unwrap();
        drop(member);
    }
    assert_eq!(count(), before);
    drop(segment);
    assert_eq!(count(), before - 1);
}

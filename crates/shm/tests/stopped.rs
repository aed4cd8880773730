//! A sender that is stopped at each step of ringing, and what whoever armed is told meanwhile.
//!
//! In a program of its own: the thread that listens looks at everything anew when another object is armed for the first time.

mod processes;

use std::{
    sync::atomic::Ordering::SeqCst,
    thread,
    time::{Duration, Instant},
};

use crosstie_shm::{Notifier, ParticipantSlot, Receiver, Ring, deadline_after};
use crosstie_sys::{CrashPlan, Planned, plan_crash, trial};

use processes::{Other, name, place, soon};

/// Not a test: what [`Other`] runs.
#[test]
#[ignore = "run by the other tests, as a process of its own"]
fn actor() {
    let Ok(path) = std::env::var("ACTOR_DIRECTORY") else { return };
    let directory = crosstie_shm::Directory::at(path).unwrap();
    let mut sender = Ring::<u64>::open(&directory, &name("ring")).unwrap().sender().unwrap();
    println!("> ready");
    for order in std::io::stdin().lines() {
        let at_hit = order.unwrap().parse().unwrap();
        plan_crash(CrashPlan { at_hit, planned: Planned::Act(trial::Act::Stop), name_goes_to: &[] });
        sender.try_send(1).unwrap();
    }
}

/// A step of sending behind which the sender is stopped, and what it has done by then.
struct Step {
    number: u32,
    is_stored: bool,
    /// `None` where the thread that listens may have taken the bit by its own clock.
    is_bit_set: Option<bool>,
}

/// Written, stored, the flag taken down, the bit set, the word of the bell changed. What is left is to wake.
const STEPS: [Step; 5] = [
    Step { number: 1, is_stored: false, is_bit_set: Some(false) },
    Step { number: 2, is_stored: true, is_bit_set: Some(false) },
    Step { number: 3, is_stored: true, is_bit_set: Some(false) },
    Step { number: 4, is_stored: true, is_bit_set: Some(true) },
    Step { number: 5, is_stored: true, is_bit_set: None },
];

/// A receiver that armed, and the process that will send.
struct Run {
    step: Step,
    ring: Ring<u64>,
    receiver: Receiver<u64>,
    notifier: Notifier,
    other: Other,
    _folder: tempfile::TempDir,
}

impl Run {
    fn begin(step: Step) -> Self {
        let (folder, directory) = place();
        let ring = Ring::<u64>::create(&directory, &name("ring"), 2).unwrap();
        let mut receiver = ring.receiver().unwrap();
        let notifier = Notifier::new().unwrap();
        let mut other = Other::start(&directory);
        other.hear();
        assert!(!receiver.arm(&notifier, 1).unwrap());
        Self { step, ring, receiver, notifier, other, _folder: folder }
    }

    /// What the segment says of this process.
    fn slot(&self) -> &ParticipantSlot {
        self.ring.segment().participant(1).expect("who made the ring is its first")
    }

    /// It stands behind this very step: not before it, and not one further.
    fn check_where_it_stopped(&self) {
        let Step { number, is_stored, is_bit_set } = self.step;
        assert_eq!(!self.receiver.is_empty().unwrap(), is_stored, "step {number}");
        let bits = self.slot().ready.each_ref().map(|word| word.load(SeqCst));
        assert!(is_bit_set.is_none_or(|is_set| is_set == (bits != [0; 2])), "step {number}: {bits:?}");
    }

    /// What was stored is told while its sender stands still, and what was not is not.
    fn check_what_is_told(&mut self) {
        let number = self.step.number;
        // Longer than the thread sleeps at most.
        let until = Instant::now() + Duration::from_millis(1500);
        while !self.receiver.arm(&self.notifier, 1).unwrap() {
            let deadline = if self.step.is_stored { soon() } else { deadline_after(Duration::from_millis(1500)) };
            let keys = self.notifier.wait(deadline).unwrap();
            assert!(keys == [1] || !self.step.is_stored, "step {number}: not told");
            if !self.step.is_stored && Instant::now() >= until {
                break;
            }
        }
        assert_eq!(self.receiver.try_receive().ok(), self.step.is_stored.then_some(1), "step {number}");
        assert!(self.other.is_stopped(), "step {number}: somebody has let the sender go on");
    }
}

#[test]
fn a_sender_that_is_stopped_before_it_rings_delays_the_wake_and_no_more() {
    let mut runs = STEPS.map(Run::begin);
    // The thread that listens has looked at all of them and takes no bits before it is rung.
    let until = Instant::now() + Duration::from_secs(60);
    while runs.iter().any(|run| run.slot().bell.load(SeqCst) & 1 == 0) {
        assert!(Instant::now() < until, "nobody listens");
        thread::yield_now();
    }
    for run in &mut runs {
        run.other.tell(&run.step.number.to_string());
    }
    runs.iter().for_each(|run| run.other.wait_until_stopped());
    runs.iter().for_each(Run::check_where_it_stopped);
    thread::scope(|scope| {
        for run in &mut runs {
            scope.spawn(|| run.check_what_is_told());
        }
    });
}

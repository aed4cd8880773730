//! loom's atomics, and a futex made of loom's lock and condition.
//!
//! The comparison and the going to sleep happen under one lock that every wake takes too, as in the kernel. So a wake that is lost
//! in the algorithm is a deadlock in the model, and loom tells it. Deadlines never pass here.

use crosstie_core::Deadline;
use loom::sync::{Condvar, Mutex};

use super::Wake;

pub use loom::hint::spin_loop;
pub use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
pub use loom::thread::yield_now;

loom::lazy_static! {
    /// One bed for all sleepers of a model: everyone wakes and looks at their own word.
    static ref BED: Bed = Bed { wakes: Mutex::new(Vec::new()), changed: Condvar::new() };
}

/// For each word somebody sleeps on: its address, how many sleep, how many of them may get up.
struct Bed {
    wakes: Mutex<Vec<Sleepers>>,
    changed: Condvar,
}

struct Sleepers {
    word: usize,
    asleep: u32,
    called: u32,
}

/// Sleeps while `word` is `expected`, until woken.
pub fn futex_wait(word: &AtomicU32, expected: u32, _deadline: Deadline) -> Wake {
    let address = std::ptr::from_ref(word).addr();
    let mut wakes = BED.wakes.lock().expect("no sleeper panics");
    if word.load(super::Ordering::Relaxed) != expected {
        return Wake::Changed;
    }
    match wakes.iter_mut().find(|sleepers| sleepers.word == address) {
        Some(sleepers) => sleepers.asleep += 1,
        None => wakes.push(Sleepers { word: address, asleep: 1, called: 0 }),
    }
    loop {
        wakes = BED.changed.wait(wakes).expect("no sleeper panics");
        let sleepers = wakes.iter_mut().find(|sleepers| sleepers.word == address).expect("it was put in above");
        if sleepers.called > 0 {
            sleepers.called -= 1;
            sleepers.asleep -= 1;
            return Wake::Woken;
        }
    }
}

/// Wakes at most `count` of those who sleep on `word`; returns how many that were.
pub fn futex_wake(word: &AtomicU32, count: u32) -> usize {
    let address = std::ptr::from_ref(word).addr();
    let mut wakes = BED.wakes.lock().expect("no sleeper panics");
    let Some(sleepers) = wakes.iter_mut().find(|sleepers| sleepers.word == address) else { return 0 };
    let woken = count.min(sleepers.asleep - sleepers.called);
    sleepers.called += woken;
    BED.changed.notify_all();
    woken as usize
}

//! The atomics of loom or shuttle, each access a step at which an actor may die, and a futex made of their lock and condition.
//!
//! The comparison and the going to sleep happen under one lock that every wake takes too, as in the kernel. So a wake that is lost
//! in the algorithm is a deadlock in the model, and loom tells it. Deadlines never pass here.

use crosstie_core::Deadline;

#[cfg(not(shuttle))]
use loom::{lazy_static, sync};
#[cfg(shuttle)]
use shuttle::{lazy_static, sync};

use self::sync::{Condvar, Mutex};
use super::{Ordering, Wake, life::step};

#[cfg(not(shuttle))]
pub use loom::{hint::spin_loop, sync::atomic::fence, thread::yield_now};
#[cfg(shuttle)]
pub use shuttle::{hint::spin_loop, sync::atomic::fence, thread::yield_now};

macro_rules! atomic {
    ($(#[$doc:meta] $name:ident of $number:ty;)*) => {$(
        #[$doc]
        #[derive(Debug)]
        pub struct $name(sync::atomic::$name);

        impl Default for $name {
            fn default() -> Self {
                Self::new(0)
            }
        }

        #[allow(missing_docs, reason = "they are those of the standard library")]
        impl $name {
            pub fn new(value: $number) -> Self {
                Self(sync::atomic::$name::new(value))
            }

            /// What it holds, for the machinery of a model: no step.
            pub(crate) fn peek(&self) -> $number {
                self.0.load(Ordering::Acquire)
            }

            pub fn load(&self, ordering: Ordering) -> $number {
                step();
                self.0.load(ordering)
            }

            pub fn store(&self, value: $number, ordering: Ordering) {
                step();
                self.0.store(value, ordering);
            }

            pub fn swap(&self, value: $number, ordering: Ordering) -> $number {
                step();
                self.0.swap(value, ordering)
            }

            /// # Errors
            ///
            /// What it holds instead.
            pub fn compare_exchange(
                &self,
                current: $number,
                new: $number,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$number, $number> {
                step();
                self.0.compare_exchange(current, new, success, failure)
            }

            /// # Errors
            ///
            /// What it holds instead, or the same without a reason.
            pub fn compare_exchange_weak(
                &self,
                current: $number,
                new: $number,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$number, $number> {
                step();
                self.0.compare_exchange_weak(current, new, success, failure)
            }

            pub fn fetch_add(&self, value: $number, ordering: Ordering) -> $number {
                step();
                self.0.fetch_add(value, ordering)
            }

            pub fn fetch_sub(&self, value: $number, ordering: Ordering) -> $number {
                step();
                self.0.fetch_sub(value, ordering)
            }

            pub fn fetch_or(&self, value: $number, ordering: Ordering) -> $number {
                step();
                self.0.fetch_or(value, ordering)
            }

            pub fn fetch_and(&self, value: $number, ordering: Ordering) -> $number {
                step();
                self.0.fetch_and(value, ordering)
            }

            pub fn fetch_max(&self, value: $number, ordering: Ordering) -> $number {
                step();
                self.0.fetch_max(value, ordering)
            }
        }
    )*};
}

atomic! {
    /// A word of 32 bits.
    AtomicU32 of u32;
    /// A word of 64 bits.
    AtomicU64 of u64;
}

lazy_static! {
    /// One bed for all sleepers of a model: everyone wakes and looks whether it was meant.
    static ref BED: Bed = Bed { sleepers: Mutex::new(Vec::new()), changed: Condvar::new() };
}

struct Bed {
    sleepers: Mutex<Vec<Sleeper>>,
    changed: Condvar,
}

/// Somebody who sleeps on one word or two, by their addresses.
struct Sleeper {
    number: u64,
    words: [usize; 2],
    is_called: bool,
}

/// Sleeps while `word` is `expected`, until woken.
pub fn futex_wait(word: &AtomicU32, expected: u32, deadline: Deadline) -> Wake {
    futex_wait_two((word, expected), (word, expected), deadline)
}

/// Sleeps while both words have their expected values, until one of them is woken.
pub fn futex_wait_two(one: (&AtomicU32, u32), two: (&AtomicU32, u32), _deadline: Deadline) -> Wake {
    step();
    let mut sleepers = BED.sleepers.lock().expect("no sleeper panics");
    if one.0.peek() != one.1 || two.0.peek() != two.1 {
        return Wake::Changed;
    }
    let number = sleepers.iter().map(|sleeper| sleeper.number + 1).max().unwrap_or(0);
    sleepers.push(Sleeper { number, words: [address(one.0), address(two.0)], is_called: false });
    loop {
        sleepers = BED.changed.wait(sleepers).expect("no sleeper panics");
        let at = sleepers.iter().position(|sleeper| sleeper.number == number).expect("it was put in above");
        if sleepers[at].is_called {
            sleepers.remove(at);
            return Wake::Woken;
        }
    }
}

/// Wakes at most `count` of those who sleep on `word`, the longest first; returns how many that were.
pub fn futex_wake(word: &AtomicU32, count: u32) -> usize {
    step();
    wake(address(word), count)
}

/// The same for the machinery of a model: no step.
pub(crate) fn wake_all(word: &AtomicU32) {
    wake(address(word), u32::MAX);
}

fn wake(word: usize, count: u32) -> usize {
    let mut sleepers = BED.sleepers.lock().expect("no sleeper panics");
    let mut woken = 0;
    for sleeper in sleepers.iter_mut() {
        if woken < count as usize && !sleeper.is_called && sleeper.words.contains(&word) {
            sleeper.is_called = true;
            woken += 1;
        }
    }
    if woken > 0 {
        BED.changed.notify_all();
    }
    woken
}

fn address(word: &AtomicU32) -> usize {
    std::ptr::from_ref(word).addr()
}

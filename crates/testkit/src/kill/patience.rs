//! How long nothing may move before it is called stuck, told apart from a machine that has no processor for those who could move.

use std::fs;
use std::time::{Duration, Instant};

/// A wait for something that should come. Its time is that of the clock, less what those it waits for waited for a processor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    bound: Duration,
    began: Instant,
    /// When half of the time was over, and how long all of them had waited for processors by then.
    half: Option<(Instant, Duration)>,
}

/// Of so many times its bound a wait is called too long whatever others did: who runs in circles may wait for a processor as well.
pub(super) const MOST: u32 = 5;

impl Patience {
    pub(super) fn new(bound: Duration) -> Self {
        Self { bound, began: Instant::now(), half: None }
    }

    /// Since when it waits.
    pub(super) fn waited(&self) -> Duration {
        self.began.elapsed()
    }

    /// True once it has waited too long for these processes, and this one.
    pub(super) fn is_over(&mut self, pids: impl IntoIterator<Item = i32>) -> bool {
        let (waited, half) = (self.waited(), self.bound / 2);
        // Nearly every wait ends before that, and costs nothing.
        if waited <= half {
            return false;
        }
        let delayed = own_id().into_iter().chain(pids).map(delay).sum();
        let (since, before) = *self.half.get_or_insert_with(|| (Instant::now(), delayed));
        // One that has ended meanwhile takes its delays along.
        let delayed = delayed.saturating_sub(before);
        since.elapsed().saturating_sub(delayed) > half || waited > self.bound * MOST
    }
}

fn own_id() -> Option<i32> {
    i32::try_from(std::process::id()).ok()
}

/// How long the threads of a process have waited for a processor, in all; nothing where the kernel does not say.
fn delay(pid: i32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').nth(1)?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_nothing_excuses_is_over_after_its_bound_and_not_before() {
        let mut patience = Patience::new(Duration::from_millis(40));
        assert!(!patience.is_over([]));
        while !patience.is_over([]) {
            assert!(patience.waited() < Duration::from_secs(60), "it is never over");
            std::thread::yield_now();
        }
        assert!(patience.waited() > Duration::from_millis(40));
    }

    #[test]
    fn a_process_that_is_not_there_has_waited_for_nothing() {
        assert_eq!(delay(i32::MAX), Duration::ZERO);
    }
}

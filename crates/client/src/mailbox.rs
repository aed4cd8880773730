//! A bounded queue that a driver fills and a user empties, waiting either way: as a future or as a blocked thread.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// The queue. One side puts, one side takes.
pub(crate) struct Mailbox<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

struct State<T> {
    queue: VecDeque<T>,
    capacity: usize,
    closed: bool,
    dropped: u64,
    waker: Option<Waker>,
}

/// What a wait with a limit ended with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    Item(T),
    /// There will be no more.
    Closed,
    /// The time is up.
    TimedOut,
}

impl<T> Mailbox<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State { queue: VecDeque::new(), capacity, closed: false, dropped: 0, waker: None };
        Self { state: Mutex::new(state), filled: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item. False if it is full or closed; the item is dropped and counted then.
    pub(crate) fn put(&self, item: T) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        if state.queue.len() >= state.capacity {
            state.dropped += 1;
            return false;
        }
        state.queue.push_back(item);
        self.wake(state);
        true
    }

    /// Lets the user take what is there, and no more after that.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.wake(state);
    }

    fn wake(&self, mut state: MutexGuard<'_, State<T>>) {
        let waker = state.waker.take();
        drop(state);
        self.filled.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// How many items did not fit.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    pub(crate) fn try_take(&self) -> Option<T> {
        self.lock().queue.pop_front()
    }

    /// The next item as a future would take it; `None` if there will be no more.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.lock();
        match state.queue.pop_front() {
            Some(item) => Poll::Ready(Some(item)),
            None if state.closed => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The next item, waited for.
    pub(crate) async fn take(&self) -> Option<T> {
        std::future::poll_fn(|cx| self.poll_take(cx)).await
    }

    /// The next item; blocks the thread until `until`, or without limit.
    pub(crate) fn take_blocking(&self, until: Option<Instant>) -> Taken<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.queue.pop_front() {
                return Taken::Item(item);
            }
            if state.closed {
                return Taken::Closed;
            }
            // An hour at a time where there is no limit: a wait without any would look the same.
            let left = until.map_or(Duration::from_secs(3600), |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Taken::TimedOut;
            }
            state = self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let mailbox = Mailbox::new(1);
        assert!(mailbox.put(1) && !mailbox.put(2));
        assert_eq!((mailbox.dropped(), mailbox.try_take(), mailbox.try_take()), (1, Some(1), None));
    }

    #[test]
    fn what_was_there_before_the_end_is_still_taken() {
        let mailbox = Mailbox::new(2);
        mailbox.put('a');
        mailbox.close();
        assert!(!mailbox.put('b'));
        assert_eq!(mailbox.take_blocking(None), Taken::Item('a'));
        assert_eq!(mailbox.take_blocking(None), Taken::Closed);
    }

    #[test]
    fn a_blocked_thread_gives_up_in_time() {
        let mailbox = Mailbox::<u8>::new(1);
        assert_eq!(mailbox.take_blocking(Some(Instant::now() + Duration::from_millis(5))), Taken::TimedOut);
    }
}

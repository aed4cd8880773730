//! A bounded queue that a driver fills and a user empties, waiting either way: as a future or as a blocked thread.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// A bounded queue: one side puts, one side takes.
pub struct Mailbox<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

struct State<T> {
    queue: VecDeque<T>,
    capacity: usize,
    closed: bool,
    /// The future that waits, and those beside it where there are several: whoever takes nothing waits again.
    waiting: Option<(u64, Waker)>,
    others: Vec<(u64, Waker)>,
    /// What the next future that waits is known by.
    next_place: u64,
    /// Threads that wait. Waking costs a system call even where nobody sleeps, so it is done only for these.
    sleepers: usize,
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
        let state = State {
            queue: VecDeque::new(),
            capacity,
            closed: false,
            waiting: None,
            others: Vec::new(),
            next_place: 0,
            sleepers: 0,
        };
        Self { state: Mutex::new(state), filled: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item. False if it is full or closed; the item is dropped then.
    pub(crate) fn put(&self, item: T) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        if state.queue.len() >= state.capacity {
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

    /// True if nothing is there and nothing will come.
    pub fn has_ended(&self) -> bool {
        let state = self.lock();
        state.closed && state.queue.is_empty()
    }

    fn wake(&self, mut state: MutexGuard<'_, State<T>>) {
        let (waiting, others) = (state.waiting.take(), std::mem::take(&mut state.others));
        let someone_sleeps = state.sleepers > 0;
        drop(state);
        if someone_sleeps {
            self.filled.notify_all();
        }
        for (_, waker) in waiting.into_iter().chain(others) {
            waker.wake();
        }
    }

    /// An item that is there already.
    pub fn try_take(&self) -> Option<T> {
        self.lock().queue.pop_front()
    }

    /// The next item as a future would take it; `None` if there will be no more. `place` is where it waits.
    fn poll_take(&self, place: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.lock();
        if let Some(place) = place.take() {
            state.leave(place);
        }
        match state.queue.pop_front() {
            Some(item) => Poll::Ready(Some(item)),
            None if state.closed => Poll::Ready(None),
            None => {
                *place = Some(state.wait(cx.waker().clone()));
                Poll::Pending
            }
        }
    }

    /// The next item, waited for.
    pub(crate) async fn take(&self) -> Option<T> {
        let mut waiting = Waiting { mailbox: self, place: None };
        poll_fn(|cx| self.poll_take(&mut waiting.place, cx)).await
    }

    /// The next item; blocks the thread until `until`, or without limit.
    pub(crate) fn take_blocking(&self, until: Option<Instant>) -> Taken<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.queue.pop_front() {
                return Taken::Item(item);
            }
            state = match self.sleep(state, until) {
                Ok(state) => state,
                Err(taken) => return taken,
            };
        }
    }

    /// Sleeps once on an empty queue.
    fn sleep<'a, U>(
        &self,
        mut state: MutexGuard<'a, State<T>>,
        until: Option<Instant>,
    ) -> Result<MutexGuard<'a, State<T>>, Taken<U>> {
        if state.closed {
            return Err(Taken::Closed);
        }
        // An hour at a time where there is no limit: a wait without any would look the same.
        let left = until.map_or(Duration::from_secs(3600), |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Err(Taken::TimedOut);
        }
        state.sleepers += 1;
        let mut state = self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        state.sleepers -= 1;
        Ok(state)
    }
}

impl<T> State<T> {
    fn wait(&mut self, waker: Waker) -> u64 {
        let place = self.next_place;
        self.next_place += 1;
        if self.waiting.is_none() {
            self.waiting = Some((place, waker));
        } else {
            self.others.push((place, waker));
        }
        place
    }

    fn leave(&mut self, place: u64) {
        if self.waiting.as_ref().is_some_and(|(taken, _)| *taken == place) {
            self.waiting = None;
        } else {
            self.others.retain(|(taken, _)| *taken != place);
        }
    }
}

/// A future that waits; one that is dropped leaves its place.
struct Waiting<'a, T> {
    mailbox: &'a Mailbox<T>,
    place: Option<u64>,
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.mailbox.lock().leave(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_does_not_fit_is_dropped() {
        let mailbox = Mailbox::new(1);
        assert!(mailbox.put(1) && !mailbox.put(2));
        assert_eq!((mailbox.try_take(), mailbox.try_take()), (Some(1), None));
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

    #[test]
    fn a_sleeping_thread_is_woken() {
        let mailbox = Arc::new(Mailbox::new(4));
        let sleeping = Arc::clone(&mailbox);
        let limit = Instant::now() + Duration::from_secs(10);
        let sleeper = std::thread::spawn(move || sleeping.take_blocking(Some(limit)));
        while mailbox.lock().sleepers == 0 {
            std::thread::yield_now();
        }
        mailbox.put(1);
        assert_eq!(sleeper.join().unwrap(), Taken::Item(1));
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Count(std::sync::atomic::AtomicUsize);

    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn of_two_that_wait_none_sleeps_for_ever() {
        let mailbox = Mailbox::new(4);
        let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
        let mut takes = counts.each_ref().map(|_| Box::pin(mailbox.take()));
        for (take, count) in takes.iter_mut().zip(&counts) {
            let waker = Waker::from(Arc::clone(count));
            assert_eq!(take.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
        }
        mailbox.put(1);
        mailbox.close();
        let woken = counts.each_ref().map(|count| count.0.load(std::sync::atomic::Ordering::Relaxed));
        assert_eq!(woken, [1, 1]);
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(takes.each_mut().map(|take| take.as_mut().poll(&mut cx)), [Poll::Ready(Some(1)), Poll::Ready(None)]);
    }

    #[test]
    fn who_gives_up_waiting_leaves_nothing_behind() {
        let mailbox = Mailbox::<u8>::new(4);
        for _ in 0..10 {
            let mut takes = [Box::pin(mailbox.take()), Box::pin(mailbox.take())];
            for take in &mut takes {
                assert_eq!(take.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
            }
        }
        let state = mailbox.lock();
        assert!(state.waiting.is_none() && state.others.is_empty());
    }
}

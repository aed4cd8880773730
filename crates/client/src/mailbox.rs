//! A bounded queue that a driver fills and a user empties, waiting either way: as a future or as a blocked thread.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
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
    dropped: u64,
    waker: Option<Waker>,
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
        let state = State { queue: VecDeque::new(), capacity, closed: false, dropped: 0, waker: None, sleepers: 0 };
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

    /// Adds all of `items` that fit, in order, with one wake-up for all. False if some did not fit; they are dropped and counted then.
    pub(crate) fn put_all(&self, items: &mut Vec<T>) -> bool {
        let mut state = self.lock();
        if state.closed {
            items.clear();
            return true;
        }
        let fitting = items.len().min(state.capacity.saturating_sub(state.queue.len()));
        let too_many = items.len() - fitting;
        state.dropped += too_many as u64;
        state.queue.extend(items.drain(..fitting));
        items.clear();
        self.wake(state);
        too_many == 0
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
        let waker = state.waker.take();
        let someone_sleeps = state.sleepers > 0;
        drop(state);
        if someone_sleeps {
            self.filled.notify_all();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// An item that is there already.
    pub fn try_take(&self) -> Option<T> {
        self.lock().queue.pop_front()
    }

    /// The next item as a future would take it; `None` if there will be no more.
    fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
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
        poll_fn(|cx| self.poll_take(cx)).await
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
    /// Moves some items into `batch`, which is empty. False if there are none.
    fn move_some(&mut self, batch: &mut VecDeque<T>) -> bool {
        if self.queue.len() <= BATCH {
            std::mem::swap(&mut self.queue, batch);
        } else {
            batch.extend(self.queue.drain(..BATCH));
        }
        !batch.is_empty()
    }
}

/// How many items a user takes at once. A mailbox and its user hold together at most this many more than its capacity.
const BATCH: usize = 256;

/// The user's end of a mailbox that is much used: it takes many items at once, so that the two sides seldom meet at the lock.
pub(crate) struct Outlet<T> {
    mailbox: Arc<Mailbox<T>>,
    batch: VecDeque<T>,
}

impl<T> Outlet<T> {
    pub(crate) const fn new(mailbox: Arc<Mailbox<T>>) -> Self {
        Self { mailbox, batch: VecDeque::new() }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.mailbox.lock().dropped
    }

    pub(crate) fn try_take(&mut self) -> Option<T> {
        if self.batch.is_empty() {
            self.mailbox.lock().move_some(&mut self.batch);
        }
        self.batch.pop_front()
    }

    pub(crate) async fn take(&mut self) -> Option<T> {
        poll_fn(|cx| {
            if self.batch.is_empty() {
                let mut state = self.mailbox.lock();
                if !state.move_some(&mut self.batch) && !state.closed {
                    state.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
            Poll::Ready(self.batch.pop_front())
        })
        .await
    }

    pub(crate) fn take_blocking(&mut self, until: Option<Instant>) -> Taken<T> {
        if self.batch.is_empty() {
            let mut state = self.mailbox.lock();
            while !state.move_some(&mut self.batch) {
                state = match self.mailbox.sleep(state, until) {
                    Ok(state) => state,
                    Err(taken) => return taken,
                };
            }
        }
        self.batch.pop_front().map_or(Taken::Closed, Taken::Item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let mailbox = Arc::new(Mailbox::new(1));
        assert!(mailbox.put(1) && !mailbox.put(2));
        let mut outlet = Outlet::new(mailbox);
        assert_eq!((outlet.dropped(), outlet.try_take(), outlet.try_take()), (1, Some(1), None));
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
    fn many_are_put_and_taken_at_once_in_order() {
        let mailbox = Arc::new(Mailbox::new(300));
        let mut outlet = Outlet::new(Arc::clone(&mailbox));
        assert!(mailbox.put_all(&mut (0..290).collect()));
        assert!(!mailbox.put_all(&mut (290..310).collect()), "ten fit, ten do not");
        mailbox.close();
        let taken: Vec<_> = std::iter::from_fn(|| outlet.try_take()).collect();
        assert_eq!((taken, outlet.dropped()), ((0..300).collect(), 10));
        assert_eq!(outlet.take_blocking(None), Taken::Closed);
    }

    #[test]
    fn a_sleeping_thread_is_woken() {
        let mailbox = Arc::new(Mailbox::new(4));
        let mut outlet = Outlet::new(Arc::clone(&mailbox));
        let limit = Instant::now() + Duration::from_secs(10);
        let sleeper = std::thread::spawn(move || outlet.take_blocking(Some(limit)));
        while mailbox.lock().sleepers == 0 {
            std::thread::yield_now();
        }
        mailbox.put_all(&mut vec![1]);
        assert_eq!(sleeper.join().unwrap(), Taken::Item(1));
    }
}

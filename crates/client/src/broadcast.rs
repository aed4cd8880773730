//! A bounded record of what has happened, which any number of readers follow, each at its own pace.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use crate::mailbox::Taken;

/// The side that tells. What it holds is bounded by its capacity, however many readers there are.
pub(crate) struct Broadcast<T> {
    record: Arc<Record<T>>,
}

struct Record<T> {
    state: Mutex<State<T>>,
    told: Condvar,
}

struct State<T> {
    kept: VecDeque<T>,
    /// The number of the first that is kept, counted from 0.
    first: u64,
    capacity: usize,
    closed: bool,
    /// The futures that wait, by their reader.
    waiting: Vec<(u64, Waker)>,
    readers: u64,
}

impl<T: Clone> Broadcast<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State {
            kept: VecDeque::new(),
            first: 0,
            capacity: capacity.max(1),
            closed: false,
            waiting: Vec::new(),
            readers: 0,
        };
        Self { record: Arc::new(Record { state: Mutex::new(state), told: Condvar::new() }) }
    }

    /// Tells every reader. Beyond the capacity the oldest is forgotten; readers that have not come to it miss it.
    pub(crate) fn put(&self, item: T) {
        let mut state = self.record.lock();
        if state.closed {
            return;
        }
        if state.kept.len() == state.capacity {
            state.kept.pop_front();
            state.first += 1;
        }
        state.kept.push_back(item);
        self.record.wake(state);
    }

    /// Lets readers read what is there, and no more after that.
    pub(crate) fn close(&self) {
        let mut state = self.record.lock();
        state.closed = true;
        self.record.wake(state);
    }

    /// A reader that begins with the oldest that is kept.
    pub(crate) fn reader(&self) -> Reader<T> {
        let mut state = self.record.lock();
        state.readers += 1;
        Reader { record: Arc::clone(&self.record), id: state.readers, next: 0 }
    }
}

impl<T> Record<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, mut state: MutexGuard<'_, State<T>>) {
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.told.notify_all();
        for (_, waker) in waiting {
            waker.wake();
        }
    }
}

/// One who follows: it reads everything that is kept, in order, whatever others have read.
pub struct Reader<T> {
    record: Arc<Record<T>>,
    id: u64,
    /// The number of the one to be read next.
    next: u64,
}

impl<T: Clone> Reader<T> {
    /// One that is there already.
    pub fn try_next(&mut self) -> Option<T> {
        self.read(&self.record.lock()).map(|(item, next)| {
            self.next = next;
            item
        })
    }

    /// What comes next, and the number of the one after it.
    fn read(&self, state: &State<T>) -> Option<(T, u64)> {
        let at = self.next.max(state.first);
        let item = state.kept.get(usize::try_from(at - state.first).ok()?)?;
        Some((item.clone(), at + 1))
    }

    /// The next, waited for; `None` if there will be no more. Dropping the future loses none.
    pub(crate) async fn next(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.record.lock();
        if let Some((item, next)) = self.read(&state) {
            drop(state);
            self.next = next;
            return Poll::Ready(Some(item));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        // One place for each reader: what a dropped future has left behind is replaced.
        state.waiting.retain(|(reader, _)| *reader != self.id);
        state.waiting.push((self.id, cx.waker().clone()));
        Poll::Pending
    }

    /// The next; blocks the thread until `until`, or without limit.
    pub(crate) fn next_blocking(&mut self, until: Option<Instant>) -> Taken<T> {
        let mut state = self.record.lock();
        loop {
            if let Some((item, next)) = self.read(&state) {
                drop(state);
                self.next = next;
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
            state = self.record.told.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        self.record.lock().waiting.retain(|(reader, _)| *reader != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(reader: &mut Reader<u32>) -> Vec<u32> {
        std::iter::from_fn(|| reader.try_next()).collect()
    }

    #[test]
    fn every_reader_reads_everything_whatever_others_have_read() {
        let broadcast = Broadcast::new(10);
        broadcast.put(1);
        let mut early = broadcast.reader();
        assert_eq!(all(&mut early), [1]);
        broadcast.put(2);
        let mut late = broadcast.reader();
        assert_eq!((all(&mut early), all(&mut late)), (vec![2], vec![1, 2]));
        assert_eq!((early.try_next(), late.try_next()), (None, None));
    }

    #[test]
    fn the_oldest_are_forgotten_beyond_the_capacity() {
        let broadcast = Broadcast::new(3);
        let mut slow = broadcast.reader();
        for number in 0..10 {
            broadcast.put(number);
        }
        assert_eq!(broadcast.record.lock().kept.len(), 3);
        assert_eq!(all(&mut slow), [7, 8, 9]);
        broadcast.put(10);
        assert_eq!(all(&mut slow), [10]);
    }

    #[test]
    fn whoever_waits_is_woken_by_the_next_and_by_the_end() {
        let broadcast = Broadcast::new(3);
        let mut blocked = broadcast.reader();
        assert_eq!(blocked.next_blocking(Some(Instant::now())), Taken::TimedOut);
        let (mut waiting, mut cx) = (broadcast.reader(), Context::from_waker(Waker::noop()));
        assert_eq!(waiting.poll_next(&mut cx), Poll::Pending);
        assert_eq!(waiting.poll_next(&mut cx), Poll::Pending);
        assert_eq!(broadcast.record.lock().waiting.len(), 1, "one place for each reader");
        let sleeper = std::thread::spawn(move || (blocked.next_blocking(None), blocked.next_blocking(None)));
        broadcast.put(1);
        broadcast.close();
        broadcast.put(2);
        assert_eq!(sleeper.join().unwrap(), (Taken::Item(1), Taken::Closed));
        assert_eq!(waiting.poll_next(&mut cx), Poll::Ready(Some(1)));
        assert_eq!(waiting.poll_next(&mut cx), Poll::Ready(None));
    }

    #[test]
    fn a_reader_that_is_gone_waits_no_more() {
        let broadcast = Broadcast::<u32>::new(3);
        let mut reader = broadcast.reader();
        assert_eq!(reader.poll_next(&mut Context::from_waker(Waker::noop())), Poll::Pending);
        drop(reader);
        assert!(broadcast.record.lock().waiting.is_empty());
    }
}

//! Two ends of a connection in this process, and names under which they find each other.

use std::{
    collections::{HashMap, VecDeque},
    io::{self, IoSlice},
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use crosstie_core::{ByteTransport, instant_after};
use crosstie_sys::{Interest, Signal};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::{Armed, AsyncStream, Transport, or_pending};

/// One end. What one end writes the other reads; each direction holds a bounded number of bytes.
pub struct MemoryTransport {
    inbound: Arc<Pipe>,
    outbound: Arc<Pipe>,
}

/// One direction.
struct Pipe {
    state: Mutex<State>,
    /// Something has changed: bytes came, room came, or the end.
    changed: Condvar,
    /// The same, for a reader who waits for several things, once there has been one.
    bell: OnceLock<Signal>,
}

struct State {
    bytes: VecDeque<u8>,
    capacity: usize,
    closed: bool,
    /// The task that waits for bytes, and the one that waits for room.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn new(capacity: usize) -> Arc<Self> {
        let state = State { bytes: VecDeque::new(), capacity, closed: false, reader: None, writer: None };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new(), bell: OnceLock::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls whoever waits.
    fn tell(&self, mut state: MutexGuard<'_, State>) {
        let tasks = [state.reader.take(), state.writer.take()];
        drop(state);
        self.changed.notify_all();
        if let Some(bell) = self.bell.get() {
            // An eventfd can be written.
            let _ = bell.ring();
        }
        tasks.into_iter().flatten().for_each(Waker::wake);
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.tell(state);
    }
}

impl State {
    fn is_readable(&self) -> bool {
        self.closed || !self.bytes.is_empty()
    }

    fn is_writable(&self) -> bool {
        self.closed || self.bytes.len() < self.capacity
    }
}

/// Two ends that are connected, with room for `capacity` bytes on the way in each direction.
///
/// ```
/// use std::io::IoSlice;
/// use crosstie_core::ByteTransport;
///
/// let (a, b) = crosstie_net::memory_pair(1024);
/// a.try_write(&[IoSlice::new(b"hello")])?;
/// let mut buf = [0; 16];
/// assert_eq!(b.try_read(&mut buf)?, 5);
/// # Ok::<_, std::io::Error>(())
/// ```
pub fn memory_pair(capacity: usize) -> (MemoryTransport, MemoryTransport) {
    let (there, back) = (Pipe::new(capacity), Pipe::new(capacity));
    let first = MemoryTransport { inbound: Arc::clone(&back), outbound: Arc::clone(&there) };
    (first, MemoryTransport { inbound: there, outbound: back })
}

impl ByteTransport for MemoryTransport {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut inbound = self.inbound.lock();
        if inbound.bytes.is_empty() {
            return if inbound.closed { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        // What is there lies in two pieces at most; each read takes from the first.
        let mut count = io::Read::read(&mut inbound.bytes, buf)?;
        count += io::Read::read(&mut inbound.bytes, &mut buf[count..])?;
        self.inbound.tell(inbound);
        Ok(count)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut outbound = self.outbound.lock();
        if outbound.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = outbound.capacity - outbound.bytes.len();
        let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
        if room == 0 && wanted > 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut left = room;
        for slice in slices {
            let fits = slice.len().min(left);
            outbound.bytes.extend(&slice[..fits]);
            left -= fits;
        }
        self.outbound.tell(outbound);
        Ok(wanted.min(room))
    }

    fn shutdown(&self) {
        self.inbound.close();
        self.outbound.close();
    }
}

impl Transport for MemoryTransport {
    fn wait_ready(&self, interest: Interest, timeout: Option<Duration>) -> io::Result<bool> {
        // Of two directions the one that is read decides: a thread waits for one of them at a time.
        let (pipe, is_ready): (_, fn(&State) -> bool) = match interest {
            Interest::Write => (&self.outbound, State::is_writable),
            _ => (&self.inbound, State::is_readable),
        };
        let until = timeout.map(|timeout| instant_after(Instant::now(), timeout));
        let mut state = pipe.lock();
        while !is_ready(&state) {
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return Ok(false),
                Some(left) => pipe.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => pipe.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        Ok(true)
    }

    fn arm_reading(&self) -> io::Result<Armed<'_>> {
        let bell = match self.inbound.bell.get() {
            Some(bell) => bell,
            None => {
                let bell = Signal::new()?;
                self.inbound.bell.get_or_init(|| bell)
            }
        };
        // Before the look, so that what comes after it rings.
        bell.silence()?;
        if self.inbound.lock().is_readable() { Ok(Armed::ready()) } else { Ok(Armed::of(bell.as_fd())) }
    }

    fn into_async(self: Box<Self>) -> io::Result<Box<dyn AsyncStream>> {
        Ok(self)
    }

    fn end_writing(&self) -> io::Result<()> {
        // What was written before is still read; only more is not taken.
        self.outbound.close();
        Ok(())
    }
}

impl AsyncRead for MemoryTransport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.inbound.lock();
        if !state.is_readable() {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        drop(state);
        or_pending(self.try_read(buf.initialize_unfilled()), cx).map_ok(|count| buf.advance(count))
    }
}

impl AsyncWrite for MemoryTransport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.outbound.lock();
        if !state.is_writable() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        drop(state);
        or_pending(self.try_write(&[IoSlice::new(bytes)]), cx)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.end_writing())
    }
}

impl Drop for MemoryTransport {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// How many bytes are on the way at most in each direction of a connection by name.
pub(crate) const CAPACITY: usize = 64 * 1024;
/// How many connections by one name may wait to be accepted.
const BACKLOG: usize = 128;

static NAMES: Mutex<Option<HashMap<String, Arc<Waiting>>>> = Mutex::new(None);

struct Waiting {
    queue: Mutex<VecDeque<MemoryTransport>>,
    came: Condvar,
    /// Rings while somebody waits to be accepted, for those who wait for several things.
    bell: Signal,
}

/// A listener under a name of this process, `mem:NAME`. The name is free again when it is dropped.
pub struct MemoryListener {
    name: String,
    waiting: Arc<Waiting>,
}

impl MemoryListener {
    /// Listens under a name.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if somebody does already.
    pub fn bind(name: &str) -> io::Result<Self> {
        let waiting = Arc::new(Waiting { queue: Mutex::default(), came: Condvar::new(), bell: Signal::new()? });
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        let names = names.get_or_insert_default();
        if names.contains_key(name) {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("'mem:{name}' has a listener already")));
        }
        names.insert(name.to_owned(), Arc::clone(&waiting));
        Ok(Self { name: name.to_owned(), waiting })
    }

    /// Accepts a connection, waiting for it at most `timeout`. Blocks meanwhile.
    ///
    /// # Errors
    ///
    /// `TimedOut` if none came.
    pub fn accept(&self, timeout: Duration) -> io::Result<MemoryTransport> {
        let queue = self.waiting.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.waiting.came.wait_timeout_while(queue, timeout, |queue| queue.is_empty());
        self.next(waited.unwrap_or_else(PoisonError::into_inner).0).ok_or_else(|| io::ErrorKind::TimedOut.into())
    }

    /// Accepts a connection that waits; `None` if none does. The descriptor is readable while one does.
    pub fn try_accept(&self) -> Option<MemoryTransport> {
        self.next(self.waiting.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn next(&self, mut queue: MutexGuard<'_, VecDeque<MemoryTransport>>) -> Option<MemoryTransport> {
        let first = queue.pop_front();
        if queue.is_empty() {
            // Under the lock, so that nobody who comes meanwhile is silenced.
            self.waiting.bell.silence().expect("an eventfd can be read");
        }
        first
    }
}

impl AsFd for MemoryListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waiting.bell.as_fd()
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = names.as_mut() {
            names.remove(&self.name);
        }
    }
}

/// Connects to whoever listens under a name. It does not wait for being accepted.
pub(crate) fn connect(name: &str) -> io::Result<MemoryTransport> {
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(waiting) = names.as_ref().and_then(|names| names.get(name)) else {
        let text = format!("nobody in this process listens on 'mem:{name}'");
        return Err(io::Error::new(io::ErrorKind::ConnectionRefused, text));
    };
    let mut queue = waiting.queue.lock().unwrap_or_else(PoisonError::into_inner);
    if queue.len() >= BACKLOG {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let (here, there) = memory_pair(CAPACITY);
    waiting.bell.ring()?;
    queue.push_back(there);
    waiting.came.notify_one();
    Ok(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_in_order_and_no_more_than_fit() {
        let (a, b) = memory_pair(4);
        assert_eq!(a.try_write(&[IoSlice::new(b"ab"), IoSlice::new(b"cde")]).unwrap(), 4);
        assert_eq!(a.try_write(&[IoSlice::new(b"e")]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let mut buf = [0; 8];
        assert_eq!(b.try_read(&mut buf).unwrap(), 4);
        assert_eq!(&buf[..4], b"abcd");
        assert_eq!(b.try_read(&mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn what_was_written_before_the_end_is_still_read() {
        let (a, b) = memory_pair(4);
        a.try_write(&[IoSlice::new(b"x")]).unwrap();
        drop(a);
        let mut buf = [0; 8];
        assert_eq!((b.try_read(&mut buf).unwrap(), b.try_read(&mut buf).unwrap()), (1, 0));
        assert_eq!(b.try_write(&[IoSlice::new(b"y")]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_name_has_one_listener_and_is_free_when_it_is_gone() {
        assert_eq!(connect("one-listener").err().unwrap().kind(), io::ErrorKind::ConnectionRefused);
        let listener = MemoryListener::bind("one-listener").unwrap();
        assert_eq!(MemoryListener::bind("one-listener").err().unwrap().kind(), io::ErrorKind::AddrInUse);
        let kept: Vec<_> = (0..BACKLOG).map(|_| connect("one-listener").unwrap()).collect();
        assert_eq!(connect("one-listener").err().unwrap().kind(), io::ErrorKind::WouldBlock, "no more may wait");
        drop(listener);
        assert_eq!(kept[0].try_read(&mut [0]).unwrap(), 0, "those that waited are told");
        MemoryListener::bind("one-listener").unwrap();
    }
}

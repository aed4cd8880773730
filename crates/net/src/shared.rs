//! Shared memory on tokio: the waits of [`crosstie_shm`] as futures, each with a deadline.
//!
//! An object is polled with the task's own waker, which a thread of the process calls (see `Receiver::poll_receive`), so that
//! no descriptor is needed for a single object. For several at once in one task there is [`AsyncNotifier`].
//!
//! # Cancel safety
//!
//! Every future here may be dropped at any `await`, in `select!` or by a time-out: a message, a buffer, a permit is taken in the very poll that returns it, and not
//! before. What was armed stays armed for at most one wake, which then finds nobody.
//!
//! # Deadlines
//!
//! They are on the monotonic clock of [`crosstie_shm::now`], as [`deadline_after`](crosstie_shm::deadline_after) makes them. The runtime's timer keeps them,
//! to the millisecond; a future is polled at least once, however late it is.

use std::{
    future::poll_fn,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use crosstie_core::Deadline;
use crosstie_shm::{
    Acquired, ByteReceiver, ByteSender, Error, Frame, LockError, Mutex, MutexGuard, Notifier, Permit, Pool, PoolLoan,
    ReadGuard, Reader, ReceiveError, Receiver, Region, RegionGuard, RwLock, Semaphore, SendError, Sender, ShmSafe,
    TxGuard, TxRegion, WriteGuard,
};
use tokio::io::{Interest, unix::AsyncFd};

/// The next message, waiting for it until `deadline`.
///
/// ```
/// use std::time::Duration;
/// use crosstie_shm::{Ring, deadline_after};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let ring = Ring::<u64>::anonymous(8)?;
/// let (mut sender, mut receiver) = (ring.sender()?, ring.receiver()?);
/// let soon = deadline_after(Duration::from_secs(5));
/// let (sent, came) = tokio::join!(
///     crosstie_net::shared::send(&mut sender, 7, soon),
///     crosstie_net::shared::receive(&mut receiver, soon),
/// );
/// sent?;
/// assert_eq!(came?, 7);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`ReceiveError`]: `TimedOut`, `Closed`, `PeerDied`, `Failed`.
pub async fn receive<T: ShmSafe>(receiver: &mut Receiver<T>, deadline: Deadline) -> Result<T, ReceiveError> {
    until(deadline, |cx| receiver.poll_receive(cx)).await.unwrap_or(Err(ReceiveError::TimedOut))
}

/// The next frame where it lies, waiting for it until `deadline`. It is taken out of the ring when the frame is dropped.
///
/// # Errors
///
/// [`ReceiveError`]: `TimedOut`, `Closed`, `PeerDied`, `Failed`.
pub async fn receive_frame(receiver: &mut ByteReceiver, deadline: Deadline) -> Result<Frame<'_>, ReceiveError> {
    until(deadline, |cx| receiver.poll_ready(cx)).await.unwrap_or(Err(ReceiveError::TimedOut))?;
    receiver.try_receive()
}

/// Sends `message`, waiting for room until `deadline`. A future that is dropped before it is done has sent nothing.
///
/// # Errors
///
/// [`SendError`] with the message: `TimedOut`, `Closed`, `PeerDied`, `Failed`.
pub async fn send<T: ShmSafe>(sender: &mut Sender<T>, message: T, deadline: Deadline) -> Result<(), SendError<T>> {
    match until(deadline, |cx| sender.poll_room(cx)).await {
        Some(Ok(())) => sender.try_send(message),
        Some(Err(SendError::PeerDied { by, .. })) => Err(SendError::PeerDied { message, by }),
        Some(Err(SendError::Failed { error, .. })) => Err(SendError::Failed { message, error }),
        Some(Err(SendError::Closed(()))) => Err(SendError::Closed(message)),
        Some(Err(SendError::Full(()) | SendError::TimedOut(()))) | None => Err(SendError::TimedOut(message)),
    }
}

/// Sends `frame`, waiting for room until `deadline`. A future that is dropped before it is done has sent nothing.
///
/// # Errors
///
/// [`SendError`]: `TimedOut`, `Closed`, `PeerDied`, `Failed`.
pub async fn send_frame(sender: &mut ByteSender, frame: &[u8], deadline: Deadline) -> Result<(), SendError<()>> {
    until(deadline, |cx| sender.poll_room(frame.len(), cx)).await.unwrap_or(Err(SendError::TimedOut(())))?;
    sender.try_send(frame)
}

/// Waits until there is a newer version than `version` (0 before the first), and says which.
///
/// # Errors
///
/// [`ReceiveError`]: `TimedOut`, `Closed`, `PeerDied`, `Failed`.
pub async fn newer<T: ShmSafe>(reader: &mut Reader<T>, version: u64, deadline: Deadline) -> Result<u64, ReceiveError> {
    until(deadline, |cx| reader.poll_newer(version, cx)).await.unwrap_or(Err(ReceiveError::TimedOut))
}

/// A buffer for `len` bytes, waiting until `deadline` for one to be returned; `None` if none was.
///
/// # Errors
///
/// As [`Pool::try_loan`].
pub async fn loan(pool: &Pool, len: usize, deadline: Deadline) -> Result<Option<PoolLoan>, Error> {
    let mut waiting = pool.waiting();
    until(deadline, |cx| waiting.poll_loan(len, cx)).await.transpose()
}

/// `permits` at once, waiting until `deadline` for so many to be free.
///
/// # Errors
///
/// [`LockError`]: `TimedOut`, `TooMany`, `Segment`.
pub async fn acquire(
    semaphore: &Semaphore,
    permits: u32,
    deadline: Deadline,
) -> Result<Acquired<Permit<'_>>, LockError> {
    let mut waiting = semaphore.waiting();
    let outcome = until(deadline, |cx| waiting.poll_acquire(permits, cx)).await;
    outcome.unwrap_or(Err(LockError::TimedOut { by: None }))
}

/// The lock of `mutex`, waiting for it until `deadline`.
///
/// The guard belongs to the thread and is not `Send`: it cannot be held over an `await` in a task that may move, and should not be in any other.
///
/// # Errors
///
/// [`LockError`]: `TimedOut`, `Segment`.
pub async fn lock<T: ShmSafe>(mutex: &Mutex<T>, deadline: Deadline) -> Result<Acquired<MutexGuard<'_, T>>, LockError> {
    let mut waiting = mutex.waiting();
    until(deadline, |cx| waiting.poll_lock(cx)).await.unwrap_or(Err(LockError::TimedOut { by: None }))
}

/// The lock of `region`, waiting for it until `deadline`; as [`lock`].
///
/// # Errors
///
/// [`LockError`]: `TimedOut`, `Segment`.
pub async fn lock_region<T: ShmSafe>(
    region: &Region<T>,
    deadline: Deadline,
) -> Result<Acquired<RegionGuard<'_, T>>, LockError> {
    let mut waiting = region.waiting();
    until(deadline, |cx| waiting.poll_lock(cx)).await.unwrap_or(Err(LockError::TimedOut { by: None }))
}

/// The lock of the transactional `region`, waiting for it until `deadline`; as [`lock`].
///
/// # Errors
///
/// [`LockError`]: `TimedOut`, `Segment`.
pub async fn lock_tx_region<T: ShmSafe>(
    region: &TxRegion<T>,
    deadline: Deadline,
) -> Result<Acquired<TxGuard<'_, T>>, LockError> {
    let mut waiting = region.waiting();
    until(deadline, |cx| waiting.poll_lock(cx)).await.unwrap_or(Err(LockError::TimedOut { by: None }))
}

/// `lock` for reading, waiting until `deadline` for a writer to leave. What is said of the guard of [`lock`] holds for this one.
///
/// # Errors
///
/// [`LockError`]: `TimedOut`, `Segment`.
pub async fn read<T: ShmSafe>(lock: &RwLock<T>, deadline: Deadline) -> Result<Acquired<ReadGuard<'_, T>>, LockError> {
    let mut waiting = lock.waiting();
    until(deadline, |cx| waiting.poll_read(cx)).await.unwrap_or(Err(LockError::TimedOut { by: None }))
}

/// `lock` for writing, waiting until `deadline` for everyone to leave. It keeps no readers out while it waits.
///
/// # Errors
///
/// [`LockError`]: `TimedOut`, `Segment`.
pub async fn write<T: ShmSafe>(lock: &RwLock<T>, deadline: Deadline) -> Result<Acquired<WriteGuard<'_, T>>, LockError> {
    let mut waiting = lock.waiting();
    until(deadline, |cx| waiting.poll_write(cx)).await.unwrap_or(Err(LockError::TimedOut { by: None }))
}

/// A [`Notifier`] for a task that waits for several objects: each is armed under a key of its own.
///
/// ```
/// use std::time::Duration;
/// use crosstie_net::shared::AsyncNotifier;
/// use crosstie_shm::{Ring, deadline_after};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let (orders, prices) = (Ring::<u64>::anonymous(8)?, Ring::<u64>::anonymous(8)?);
/// let (mut first, mut second) = (orders.receiver()?, prices.receiver()?);
/// let mut elsewhere = prices.sender()?;
/// let mut notifier = AsyncNotifier::new()?;
/// assert!(!first.arm(notifier.notifier(), 1)? && !second.arm(notifier.notifier(), 2)?);
/// elsewhere.try_send(7)?;
/// assert_eq!(notifier.ready(deadline_after(Duration::from_secs(5))).await?, [2]);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AsyncNotifier(AsyncFd<Notifier>);

impl AsyncNotifier {
    /// A new one, in the runtime of the calling task.
    ///
    /// # Errors
    ///
    /// As [`Notifier::new`]; the operating system's.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O.
    pub fn new() -> Result<Self, Error> {
        let notifier = Notifier::new()?;
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe; a notifier has its descriptor open for as long as it lives"
        )]
        let registered = AsyncFd::with_interest(notifier, Interest::READABLE);
        Ok(Self(registered.map_err(|source| system("registering a descriptor with the runtime", source))?))
    }

    /// What objects are armed with.
    pub fn notifier(&self) -> &Notifier {
        self.0.get_ref()
    }

    /// The keys that were rung, in order; waits for one until `deadline`, and gives none if none was.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, it has taken no key.
    ///
    /// # Errors
    ///
    /// As [`Notifier::take_ready`]; the operating system's.
    pub async fn ready(&mut self, deadline: Deadline) -> Result<Vec<u64>, Error> {
        let rung = until(deadline, |cx| {
            loop {
                let keys = self.notifier().take_ready()?;
                if !keys.is_empty() {
                    return Poll::Ready(Ok(keys));
                }
                match self.0.poll_read_ready(cx) {
                    Poll::Pending => return Poll::Pending,
                    // It was readable before the keys were taken, or will be: looked at again, with the readiness that is known taken back.
                    Poll::Ready(Ok(mut guard)) => guard.clear_ready(),
                    Poll::Ready(Err(source)) => return Poll::Ready(Err(system("waiting for a descriptor", source))),
                }
            }
        });
        rung.await.unwrap_or_else(|| Ok(Vec::new()))
    }
}

fn system(doing: &str, source: std::io::Error) -> Error {
    Error::System { doing: doing.to_owned(), source }
}

/// Polls until there is something or `deadline` has passed; `None` then.
async fn until<R>(deadline: Deadline, mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> Option<R> {
    let mut result = pin!(poll_fn(|cx| poll(cx)));
    let Some(instant) = deadline.instant() else { return Some(result.await) };
    let left: Duration = instant.since(crosstie_shm::now());
    // The result is polled first, so that what is there is had however late it is.
    tokio::time::timeout(left, result.as_mut()).await.ok()
}

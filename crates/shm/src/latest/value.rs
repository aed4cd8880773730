//! `Latest<T>`: the value, its writer and its readers.

use std::{
    marker::PhantomData,
    ops::Deref,
    task::{Context, Poll},
    time::Duration,
};

use crosstie_core::{Deadline, Mono};
use crosstie_sys::{Incarnation, processors};

use super::{
    cells::{Cells, MAX_READERS, Version},
    shape::{Parts, bytes, owner_slot, owner_word},
};
use crate::{
    clock,
    error::{Error, Result},
    header::Kind,
    layout::ParticipantId,
    name::SegmentName,
    notifier::{Alarm, Armer, Notifier},
    participant::{Life, Participant, program_name},
    ring::{Corrupt, ReceiveError, Seat, Taken, address, damaged, is_ready, load, store},
    schema::ShmSafe,
    segment::{Directory, Expect, Segment, Spec},
    sync::{AtomicU64, Ordering::*},
    wait::{Bell, Fence, Notified, Peer, WaitEnd, WaitPolicy, Waiter},
};

/// One value that one process writes and others read, without either ever waiting for the other.
///
/// A read takes a bounded number of steps, however fast the writer writes, and gives a whole value: the newest when it began, or a newer one. A
/// write takes a bounded number of steps, however many read and however slowly. There are two more buffers than readers, so the
/// memory is (readers + 2) × the size of the value.
///
/// # What survives which death
///
/// A writer may be killed at any instruction: readers see its last whole value, and the next to write goes on from there. A reader that is killed
/// keeps one buffer until its slot is reaped, which stops nobody.
///
/// ```
/// use crosstie_shm::Latest;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let price = Latest::<[u64; 4]>::anonymous(8)?;
/// let (mut writer, mut reader) = (price.writer()?, price.reader()?);
/// assert!(reader.read()?.is_none(), "nothing was written yet");
/// writer.write(&[1, 2, 3, 4])?;
/// let found = reader.read()?.expect("it was written");
/// assert_eq!((*found, found.version()), ([1, 2, 3, 4], 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Latest<T> {
    participant: Participant,
    parts: Parts,
    of: PhantomData<fn(T) -> T>,
}

impl<T: ShmSafe> Latest<T> {
    const IS_ALIGNED: () = assert!(align_of::<T>() <= 8, "values are aligned to at most 8 bytes");

    /// What the segment of a value with at most so many readers at a time is.
    ///
    /// # Errors
    ///
    /// [`Error::Spec`] if it is not 1 to 254 readers.
    pub fn spec(readers: u32) -> Result<Spec> {
        let () = Self::IS_ALIGNED;
        if readers == 0 || readers > MAX_READERS {
            return Err(Error::Spec { what: format!("1 to {MAX_READERS} readers, came {readers}") });
        }
        // Room for the writer and for some to look.
        let spec = Spec::new(Kind::Latest, T::element()).participants(readers + 4);
        Ok(spec.data(bytes(size_of::<T>() as u64, readers)))
    }

    /// A new value called `name` in `directory`.
    ///
    /// # Errors
    ///
    /// As [`Self::spec`] and [`Participant::create`].
    pub fn create(directory: &Directory, name: &SegmentName, readers: u32) -> Result<Self> {
        Self::within(Participant::create(directory, name, &Self::spec(readers)?, |_| Ok(()), &program_name())?)
    }

    /// The value called `name` in `directory`.
    ///
    /// # Errors
    ///
    /// As [`Participant::open`].
    pub fn open(directory: &Directory, name: &SegmentName) -> Result<Self> {
        Self::within(Participant::open(directory, name, &Self::expect(), &program_name())?)
    }

    /// The value called `name` in `directory`, made if there is none. `readers` counts only then.
    ///
    /// # Errors
    ///
    /// As [`Self::spec`] and [`Participant::enter`].
    pub fn open_or_create(directory: &Directory, name: &SegmentName, readers: u32) -> Result<Self> {
        let spec = Self::spec(readers)?;
        Self::within(Participant::enter(directory, name, &Self::expect(), &spec, |_| Ok(()), &program_name())?)
    }

    /// A new value without a name. Its [segment](Self::segment) is handed to other processes over a Unix socket.
    ///
    /// # Errors
    ///
    /// As [`Self::spec`] and [`Segment::anonymous`].
    pub fn anonymous(readers: u32) -> Result<Self> {
        Self::of(&Segment::anonymous("latest", &Self::spec(readers)?, |_| Ok(()))?)
    }

    /// What to expect of a segment that is opened or received to be such a value.
    pub fn expect() -> Expect {
        Expect::kind(Kind::Latest).element(T::element())
    }

    /// The value in `segment`, which this process joins.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if it is no such value; as [`Participant::join`].
    pub fn of(segment: &Segment) -> Result<Self> {
        segment.require(&Self::expect())?;
        Self::within(Participant::join(segment, &program_name())?)
    }

    /// The value in the segment of `participant`, which is what was expected of it.
    fn within(participant: Participant) -> Result<Self> {
        let () = Self::IS_ALIGNED;
        let parts = Parts::of(participant.segment())?;
        Ok(Self { participant, parts, of: PhantomData })
    }

    /// The segment that it is in.
    pub fn segment(&self) -> &Segment {
        self.participant.segment()
    }

    /// The writing end. It goes on where the last writer left off.
    ///
    /// # Errors
    ///
    /// [`Error::SeatTaken`] if a process that lives has it.
    pub fn writer(&self) -> Result<Writer<T>> {
        self.participant.check()?;
        let incarnation = Incarnation::current().map_err(Error::system("telling this process from its children"))?;
        let (processors, seat) = (processors::allowed(), &self.parts.control.writer.0);
        let fence = Fence::choose(processors);
        // What cannot be found out is no proof of death.
        let is_alive = |owner| self.participant.life(owner).is_ok_and(|life| life == Life::Alive);
        seat.take(self.participant.id(), fence, processors, is_alive).map_err(|by| Error::SeatTaken {
            segment: self.segment().label().to_owned(),
            seat: "writer",
            by,
        })?;
        // SAFETY: the writer has the participant beside it, and with it the segment.
        let cells = unsafe { self.parts.cells() };
        let writer = Writer { participant: self.participant.clone(), cells, incarnation, fence, of: PhantomData };
        writer.cells.resume().map_err(|word| writer.damaged(word))?;
        Ok(writer)
    }

    /// One of the reading ends.
    ///
    /// # Errors
    ///
    /// [`Error::NoPlaceToRead`] if processes that live have all of them.
    pub fn reader(&self) -> Result<Reader<T>> {
        self.participant.check()?;
        let incarnation = Incarnation::current().map_err(Error::system("telling this process from its children"))?;
        // SAFETY: the reader has the participant beside it, and with it the segment.
        let cells = unsafe { self.parts.cells() };
        let me = owner_word(self.participant.id());
        let take = || {
            // Acquire: pairs with the Release of who freed the row.
            let is_taken = |owner: &AtomicU64| owner.compare_exchange(0, me, Acquire, Relaxed).is_ok();
            cells.readers.iter().position(|reader| is_taken(&reader.owner))
        };
        let mut row = take();
        if row.is_none() {
            self.participant.reap_dead()?;
            row = take();
        }
        let readers = u32::try_from(cells.readers.len()).expect("at most 254");
        let segment = || self.segment().label().to_owned();
        let row = row.ok_or_else(|| Error::NoPlaceToRead { segment: segment(), readers })?;
        Ok(Reader {
            waiter: Waiter::among_others(WaitPolicy::default(), processors::allowed()),
            participant: self.participant.clone(),
            cells,
            row,
            incarnation,
            armer: Armer::new(),
            of: PhantomData,
        })
    }
}

/// The bit of the value that a segment holds.
const NEWER: u32 = 0;

/// The writing end of a [`Latest`].
#[derive(Debug)]
pub struct Writer<T> {
    participant: Participant,
    cells: Cells<'static>,
    incarnation: Incarnation,
    fence: Fence,
    of: PhantomData<fn(T)>,
}

impl<T: ShmSafe> Writer<T> {
    /// Makes `value` the latest; says which version it is. Never waits; a system call only if somebody sleeps.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`]; [`Error::Retired`] and its kin; [`Error::Corrupt`].
    pub fn write(&mut self, value: &T) -> Result<u64> {
        self.participant.check()?;
        let (buffer, words) = self.cells.place().map_err(|word| self.damaged(word))?;
        words[0].store(clock::now().as_nanos(), Relaxed);
        store(&words[1..], value);
        let version = self.cells.publish(buffer).map_err(|word| self.damaged(word))?;
        self.notify();
        Ok(version.number())
    }
}

impl<T> Writer<T> {
    #[inline]
    fn notify(&self) {
        if self.cells.control.changed.notify(self.fence) == Notified::Ring {
            self.ring();
        }
    }

    /// Rings for every process that reads. One that did not arm finds that out by itself.
    #[cold]
    fn ring(&self) {
        for reader in self.cells.readers {
            if let Some(slot) = self.participant.segment().participant(owner_slot(reader.owner.load(Acquire))) {
                Bell::of(slot).ring(NEWER);
            }
        }
    }

    #[cold]
    fn damaged(&self, word: u64) -> Error {
        damaged(&self.participant, Corrupt::of("a buffer number", word, self.cells.readers.len() as u64 + 2))
    }
}

impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        // In the child of a fork the seat is the parent's.
        if self.incarnation.is_current() {
            self.cells.control.writer.0.leave(self.participant.id());
            self.notify();
        }
    }
}

/// A reading end of a [`Latest`].
#[derive(Debug)]
pub struct Reader<T> {
    participant: Participant,
    cells: Cells<'static>,
    row: usize,
    incarnation: Incarnation,
    waiter: Waiter,
    armer: Armer,
    of: PhantomData<fn() -> T>,
}

impl<T: ShmSafe> Reader<T> {
    /// The same end with another way to wait.
    #[must_use]
    pub fn with_policy(mut self, policy: WaitPolicy) -> Self {
        self.waiter = Waiter::among_others(policy, processors::allowed());
        self
    }

    /// The latest value where it lies, which stays as it is until the snapshot is dropped; `None` if nothing was written yet. Wait-free.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`]; [`Error::Retired`] and its kin; [`Error::Corrupt`].
    #[inline]
    pub fn read(&mut self) -> Result<Option<Snapshot<'_, T>>> {
        self.participant.check()?;
        match self.cells.open(self.row) {
            Ok(Some((version, words))) => Ok(Some(Snapshot { version, words, reader: self })),
            Ok(None) => Ok(None),
            Err(word) => Err(self.damaged(word)),
        }
    }

    /// A copy of the latest value; `None` if nothing was written yet. Wait-free.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    #[inline]
    pub fn load(&mut self) -> Result<Option<T>> {
        // Word by word: this way a value is whole even for who does not trust the writer to keep its hands off.
        Ok(self.read()?.map(|found| load(&found.words[1..])))
    }

    /// Waits until there is a newer version than `version` (0 before the first), and says which.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]: `TimedOut`; `Closed` and `PeerDied` if the writer left or died, and nothing newer is there; `Failed`.
    ///
    /// # Blocking
    ///
    /// While there is none.
    pub fn wait_newer(&mut self, version: u64, deadline: Deadline) -> Result<u64, ReceiveError> {
        self.participant.check()?;
        let Self { participant, cells, waiter, .. } = self;
        let writer = TheWriter { seat: &cells.control.writer.0, participant };
        let outcome = waiter.wait(&cells.control.changed, &writer, clock::now, deadline, || match cells.latest() {
            Ok(Some(found)) if found.number() > version => Some(Ok(found.number())),
            Ok(_) => participant.check().err().map(|error| Err(ReceiveError::Failed(error))),
            Err(word) => {
                let what = Corrupt::of("a buffer number", word, cells.readers.len() as u64 + 2);
                Some(Err(damaged(participant, what).into()))
            }
        });
        match outcome {
            Ok(found) => found,
            Err(WaitEnd::TimedOut) => Err(ReceiveError::TimedOut),
            Err(WaitEnd::Left) => Err(ReceiveError::Closed),
            Err(WaitEnd::Died) => Err(ReceiveError::PeerDied { by: self.writer().expect("who died was there") }),
        }
    }

    /// Which version is newer than `version`, or the task of `cx` is woken when it is worth another look: there is one, the writer left or died, the
    /// segment is of no more use, or for no reason. See [`Receiver::poll_receive`](crate::Receiver::poll_receive).
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]: `Closed` and `PeerDied` if the writer left or died, and nothing newer is there; `Failed`.
    pub fn poll_newer(&mut self, version: u64, cx: &Context<'_>) -> Poll<Result<u64, ReceiveError>> {
        self.poll_with(version, Alarm::Task(cx.waker().clone()))
    }

    /// Arms for a version newer than `version`: `key` is rung in `notifier` once when it is worth another look. True if there is one now, or
    /// the writer is gone.
    ///
    /// # Errors
    ///
    /// What is wrong with the segment.
    pub fn arm(&mut self, version: u64, notifier: &Notifier, key: u64) -> Result<bool> {
        is_ready(self.poll_with(version, Alarm::Key(notifier.clone(), key)), ReceiveError::failure)
    }

    fn poll_with(&mut self, version: u64, alarm: Alarm) -> Poll<Result<u64, ReceiveError>> {
        let mut alarm = Some(alarm);
        let mut has_died = false;
        loop {
            self.participant.check()?;
            // Leaving comes after the last write.
            let has_left = self.cells.control.writer.0.has_left();
            match self.cells.latest() {
                Ok(Some(found)) if found.number() > version => {
                    self.armer.disarm();
                    return Poll::Ready(Ok(found.number()));
                }
                Ok(_) if has_left => return Poll::Ready(Err(ReceiveError::Closed)),
                Ok(_) if has_died => {
                    let by = self.writer().expect("who died was there");
                    return Poll::Ready(Err(ReceiveError::PeerDied { by }));
                }
                Ok(_) => {}
                Err(word) => return Poll::Ready(Err(self.damaged(word).into())),
            }
            let writer = TheWriter { seat: &self.cells.control.writer.0, participant: &self.participant };
            if let Some(alarm) = alarm.take() {
                self.armer.arm(&self.participant, NEWER, alarm)?;
                self.cells.control.changed.arm(|| writer.fence());
            } else if writer.has_died() {
                has_died = true;
            } else {
                return Poll::Pending;
            }
        }
    }

    /// Who writes, or was the last to.
    pub fn writer(&self) -> Option<ParticipantId> {
        match self.cells.control.writer.0.taken() {
            Taken::Never => None,
            Taken::By(writer) | Taken::LeftBy(writer) => Some(writer),
        }
    }

    #[cold]
    fn damaged(&self, word: u64) -> Error {
        damaged(&self.participant, Corrupt::of("a buffer number", word, self.cells.readers.len() as u64 + 2))
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        // In the child of a fork the row is the parent's.
        if self.incarnation.is_current() {
            // Release: pairs with the Acquire of who takes the row.
            self.cells.readers[self.row].owner.store(0, Release);
        }
    }
}

/// A value of a [`Latest`] where it lies. The writer leaves it alone until this is dropped.
#[derive(Debug)]
pub struct Snapshot<'a, T> {
    version: Version,
    words: &'static [AtomicU64],
    reader: &'a mut Reader<T>,
}

impl<T> Snapshot<'_, T> {
    /// Which version it is, counted from 1.
    pub const fn version(&self) -> u64 {
        self.version.number()
    }

    /// When it was written, on the clock of [`now`](crate::now).
    pub fn written(&self) -> Mono {
        Mono::from_nanos(self.words[0].load(Relaxed))
    }

    /// How long ago it was written.
    pub fn age(&self) -> Duration {
        clock::now().since(self.written())
    }
}

impl<T: ShmSafe> Deref for Snapshot<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the buffer is as long as a `T`, aligned to 8 bytes, and whatever is in it is a `T` (`ShmSafe`); while the reader's row claims it
        // nobody writes it, as all who map the segment promise.
        unsafe { &*address(&self.words[1..]).cast() }
    }
}

impl<T> Drop for Snapshot<'_, T> {
    fn drop(&mut self) {
        self.reader.cells.close(self.reader.row);
    }
}

/// The writer, as a reader that waits sees it.
struct TheWriter<'a> {
    seat: &'a Seat,
    participant: &'a Participant,
}

impl Peer for TheWriter<'_> {
    fn has_left(&self) -> bool {
        self.seat.has_left()
    }

    fn has_died(&self) -> bool {
        match self.seat.taken() {
            // What cannot be found out is no proof of death.
            Taken::By(writer) => self.participant.life(writer).is_ok_and(|life| life != Life::Alive),
            Taken::Never | Taken::LeftBy(_) => false,
        }
    }

    fn fence(&self) -> Fence {
        self.seat.fence()
    }

    fn processors(&self) -> u64 {
        self.seat.processors()
    }
}

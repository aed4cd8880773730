//! `Ring<T>`: messages of one size between two processes.

use std::{
    marker::PhantomData,
    ops::{Deref, DerefMut},
    task::{Context, Poll},
};

use crosstie_core::Deadline;

use super::{
    control::Control,
    end::{End, PARTICIPANTS, Role, damaged},
    error::{ReceiveError, SendError, is_ready},
    held::hold,
    slots::{Consumer, Producer, Slots, stride},
    words,
};
use crate::{
    error::{Error, Result},
    header::Kind,
    layout::ParticipantId,
    name::SegmentName,
    notifier::{Alarm, Notifier},
    participant::{Participant, program_name},
    schema::ShmSafe,
    segment::{Directory, Expect, Pinned, Segment, Spec},
    sync::AtomicU64,
    wait::WaitPolicy,
};

/// A ring of messages of one type, from one sending process to one receiving process.
///
/// The messages lie in the ring itself, each in a slot of its own: a message of up to 56 bytes moves one cache line from processor to processor, and
/// nothing else. Sending and receiving make no system call unless the other side sleeps.
///
/// # What survives which death
///
/// Either process may be killed at any instruction. The next one to take its seat goes on where it left off.
///
/// * A message is sent or it is not; nothing torn is ever received. A sender that dies in [`Sender::send`] may have sent the message; the
///   successor sees by [`Sender::sent`] how many were sent since the ring was made.
/// * A message is taken just before [`Receiver::receive`] returns it: a receiver that dies then takes it along, at most once. One that looks
///   with [`Receiver::peek`] takes the message when the [`Sample`] is dropped: a receiver that dies before leaves it to its successor, at least once.
///   With [`Receiver::taken`] a receiver can store how far it has come beside its results.
///
/// ```
/// use crosstie_shm::{Ring, WaitPolicy, deadline_after};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Without a name, for the example: processes hand the segment over a Unix socket, or give it a name with `Ring::create`.
/// let ring = Ring::<[u64; 6]>::anonymous(1024)?;
/// let (mut sender, mut receiver) = (ring.sender()?, ring.receiver()?);
/// sender.send([1, 2, 3, 4, 5, 6], deadline_after(Duration::from_secs(1)))?;
/// assert_eq!(receiver.receive(deadline_after(Duration::from_secs(1)))?, [1, 2, 3, 4, 5, 6]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Ring<T> {
    participant: Participant,
    control: Pinned<Control>,
    words: Pinned<[AtomicU64]>,
    capacity: u64,
    of: PhantomData<fn(T) -> T>,
}

impl<T: ShmSafe> Ring<T> {
    /// Words of a slot.
    const STRIDE: usize = {
        assert!(align_of::<T>() <= 8, "messages of a ring are aligned to at most 8 bytes");
        stride(size_of::<T>())
    };

    /// What the segment of a ring of `capacity` slots is. The slots take their size times `capacity` bytes and are never fewer or more.
    ///
    /// # Errors
    ///
    /// [`Error::Spec`] if the capacity is not a power of two.
    pub fn spec(capacity: u32) -> Result<Spec> {
        if !capacity.is_power_of_two() {
            return Err(Error::Spec { what: format!("a power of two of slots, came {capacity}") });
        }
        let slots = u64::from(capacity) * Self::STRIDE as u64 * 8;
        let spec = Spec::new(Kind::Ring, T::element()).elements(capacity).participants(PARTICIPANTS);
        Ok(spec.data(size_of::<Control>() as u64 + slots))
    }

    /// A new ring called `name` in `directory`.
    ///
    /// # Errors
    ///
    /// As [`Self::spec`] and [`Participant::create`].
    pub fn create(directory: &Directory, name: &SegmentName, capacity: u32) -> Result<Self> {
        Self::within(Participant::create(directory, name, &Self::spec(capacity)?, |_| Ok(()), &program_name())?)
    }

    /// The ring called `name` in `directory`.
    ///
    /// # Errors
    ///
    /// As [`Participant::open`].
    pub fn open(directory: &Directory, name: &SegmentName) -> Result<Self> {
        Self::within(Participant::open(directory, name, &Self::expect(), &program_name())?)
    }

    /// The ring called `name` in `directory`, made if there is none. `capacity` counts only then.
    ///
    /// # Errors
    ///
    /// As [`Self::spec`] and [`Participant::enter`].
    pub fn open_or_create(directory: &Directory, name: &SegmentName, capacity: u32) -> Result<Self> {
        let spec = Self::spec(capacity)?;
        Self::within(Participant::enter(directory, name, &Self::expect(), &spec, |_| Ok(()), &program_name())?)
    }

    /// A new ring without a name. Its [segment](Self::segment) is handed to the other process over a Unix socket.
    ///
    /// # Errors
    ///
    /// As [`Self::spec`] and [`Segment::anonymous`].
    pub fn anonymous(capacity: u32) -> Result<Self> {
        Self::of(&Segment::anonymous("ring", &Self::spec(capacity)?, |_| Ok(()))?)
    }

    /// What to expect of a segment that is opened or received to be such a ring.
    pub fn expect() -> Expect {
        Expect::kind(Kind::Ring).element(T::element())
    }

    /// The ring in `segment`, which this process joins.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if it is no such ring; as [`Participant::join`].
    pub fn of(segment: &Segment) -> Result<Self> {
        segment.require(&Self::expect())?;
        Self::within(Participant::join(segment, &program_name())?)
    }

    /// The ring in the segment of `participant`, which is what was expected of it.
    fn within(participant: Participant) -> Result<Self> {
        let segment = participant.segment();
        let capacity = u64::from(segment.header().elements);
        if !capacity.is_power_of_two() {
            return Err(segment.corrupt(format!("a power of two of slots, came {capacity}")));
        }
        let data = segment.data();
        let count = usize::try_from(capacity).ok().and_then(|capacity| capacity.checked_mul(Self::STRIDE));
        let count = count.ok_or_else(|| segment.corrupt("slots that fit into memory"))?;
        Ok(Self {
            participant,
            control: data.record(0)?,
            words: data.records(size_of::<Control>() as u64, count)?,
            capacity,
            of: PhantomData,
        })
    }

    /// The segment that it is in.
    pub fn segment(&self) -> &Segment {
        self.participant.segment()
    }

    /// How many messages it has room for.
    pub const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The sending end. It goes on where the last sender left off.
    ///
    /// # Errors
    ///
    /// [`Error::SeatTaken`] if a process that lives has it; [`Error::Corrupt`] if the positions in the ring cannot be.
    pub fn sender(&self) -> Result<Sender<T>> {
        let end = End::take(&self.participant, &self.control, Role::Sender, WaitPolicy::default())?;
        let (control, slots) = self.held();
        let producer = Producer::resume(control, slots).map_err(|what| damaged(&self.participant, what))?;
        Ok(Sender { end, producer, of: PhantomData })
    }

    /// The receiving end. It goes on where the last receiver left off.
    ///
    /// # Errors
    ///
    /// As [`Self::sender`].
    pub fn receiver(&self) -> Result<Receiver<T>> {
        let end = End::take(&self.participant, &self.control, Role::Receiver, WaitPolicy::default())?;
        let (control, slots) = self.held();
        let consumer = Consumer::resume(control, slots).map_err(|what| damaged(&self.participant, what))?;
        Ok(Receiver { end, consumer, of: PhantomData })
    }

    fn held(&self) -> (&'static Control, Slots<'static>) {
        // SAFETY: both go into a value beside an `End`, which has a participant and thus a handle of the segment.
        let (control, words) = unsafe { (hold(&*self.control), hold(&*self.words)) };
        (control, Slots::new(words, Self::STRIDE, self.capacity))
    }
}

/// The sending end of a [`Ring`].
#[derive(Debug)]
pub struct Sender<T> {
    end: End,
    producer: Producer<'static>,
    of: PhantomData<fn(T)>,
}

impl<T: ShmSafe> Sender<T> {
    /// The same end with another way to wait for room.
    #[must_use]
    pub fn with_policy(mut self, policy: WaitPolicy) -> Self {
        self.end.set_policy(policy);
        self
    }

    /// Sends `message` if there is room.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the message: `Full`, `Closed`, `Failed`.
    #[inline]
    pub fn try_send(&mut self, message: T) -> Result<(), SendError<T>> {
        if let Err(error) = self.end.check() {
            return Err(SendError::Failed { message, error });
        }
        if self.end.peer_has_left() {
            return Err(SendError::Closed(message));
        }
        match self.producer.push(|words| words::store(words, &message)) {
            Ok(true) => {
                self.end.notify();
                Ok(())
            }
            Ok(false) => Err(SendError::Full(message)),
            Err(what) => Err(SendError::Failed { message, error: self.end.damaged(what) }),
        }
    }

    /// Sends `message`, waiting for room until `deadline`.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the message: `TimedOut`, `Closed`, `PeerDied`, `Failed`.
    ///
    /// # Blocking
    ///
    /// While the ring is full.
    #[inline]
    pub fn send(&mut self, message: T, deadline: Deadline) -> Result<(), SendError<T>> {
        match self.try_send(message) {
            Err(SendError::Full(message)) => match self.wait_for_room(deadline) {
                Ok(()) => self.try_send(message),
                Err(error) => Err(error.map(|()| message)),
            },
            outcome => {
                self.end.flows();
                outcome
            }
        }
    }

    /// Sends as many of `messages` as there is room for, from the first on, and wakes the receiver once; says how many.
    ///
    /// # Errors
    ///
    /// [`SendError`]: `Closed`, `Failed`. Some of the messages may have been sent before it [`Failed`](SendError::Failed).
    pub fn try_send_many(&mut self, messages: &[T]) -> Result<usize, SendError<()>> {
        self.end.check().map_err(|error| SendError::Failed { message: (), error })?;
        if self.end.peer_has_left() {
            return Err(SendError::Closed(()));
        }
        let mut sent = 0;
        for message in messages {
            match self.producer.push(|words| words::store(words, message)) {
                Ok(true) => sent += 1,
                Ok(false) => break,
                Err(what) => return Err(SendError::Failed { message: (), error: self.end.damaged(what) }),
            }
        }
        if sent > 0 {
            self.end.notify();
        }
        Ok(sent)
    }

    /// The next slot, to write the message where it will be received from; `None` if the ring is full.
    ///
    /// What an earlier message left is in it: any value of `T`.
    ///
    /// # Errors
    ///
    /// [`SendError`]: `Closed`, `Failed`.
    pub fn try_loan(&mut self) -> Result<Option<Loan<'_, T>>, SendError<()>> {
        let failed = |error| SendError::Failed { message: (), error };
        self.end.check().map_err(failed)?;
        if self.end.peer_has_left() {
            return Err(SendError::Closed(()));
        }
        match self.producer.has_room() {
            Ok(true) => Ok(Some(Loan { place: words::address(self.producer.next()).cast(), sender: self })),
            Ok(false) => Ok(None),
            Err(what) => Err(failed(self.end.damaged(what))),
        }
    }

    /// Waits until there is room for a message.
    ///
    /// # Errors
    ///
    /// [`SendError`]: `TimedOut`, `Closed`, `PeerDied`, `Failed`.
    ///
    /// # Blocking
    ///
    /// While the ring is full.
    pub fn wait_for_room(&mut self, deadline: Deadline) -> Result<(), SendError<()>> {
        let Self { end, producer, .. } = self;
        end.wait_to_send(deadline, || producer.has_room())
    }

    /// Looks whether there is room; if not, the task of `cx` is woken when it is worth another look. See [`Receiver::poll_receive`].
    ///
    /// # Errors
    ///
    /// [`SendError`]: `Closed`, `PeerDied`, `Failed`.
    pub fn poll_room(&mut self, cx: &Context<'_>) -> Poll<Result<(), SendError<()>>> {
        self.poll_with(Alarm::Task(cx.waker().clone()))
    }

    /// Arms for room: `key` is rung in `notifier` once when it is worth another look. True if there is room now, or the receiver is gone:
    /// then nothing is armed.
    ///
    /// # Errors
    ///
    /// What is wrong with the ring.
    pub fn arm(&mut self, notifier: &Notifier, key: u64) -> Result<bool> {
        is_ready(self.poll_with(Alarm::Key(notifier.clone(), key)), SendError::failure)
    }

    fn poll_with(&mut self, alarm: Alarm) -> Poll<Result<(), SendError<()>>> {
        let Self { end, producer, .. } = self;
        end.poll_to_send(alarm, || producer.has_room())
    }

    /// Messages sent since the ring was made, by this sender and those before it.
    pub const fn sent(&self) -> u64 {
        self.producer.sent()
    }

    /// True if the receiver's process ended without leaving. One system call.
    pub fn receiver_has_died(&self) -> bool {
        self.end.peer_has_died()
    }

    /// Who receives, or was the last to.
    pub fn receiver(&self) -> Option<ParticipantId> {
        self.end.peer()
    }
}

/// A slot of a [`Ring`] to write a message into. Dropped without [`send`](Self::send), nothing was sent.
#[derive(Debug)]
pub struct Loan<'a, T> {
    place: *mut T,
    sender: &'a mut Sender<T>,
}

impl<T: ShmSafe> Loan<'_, T> {
    /// Sends what was written.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if somebody damaged the ring meanwhile.
    pub fn send(self) -> Result<()> {
        let Sender { end, producer, .. } = self.sender;
        // There is room: the loan has borrowed the sender since it was seen.
        producer.push(|_| ()).map_err(|what| end.damaged(what))?;
        end.notify();
        Ok(())
    }
}

impl<T: ShmSafe> Deref for Loan<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: a free slot is the sender's alone, whose only sender is borrowed; it is as long as a `T`, aligned to 8 bytes, and whatever
        // is in it is a `T` (`ShmSafe`). That no other process writes it is what all who map the segment promise.
        unsafe { &*self.place }
    }
}

impl<T: ShmSafe> DerefMut for Loan<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { &mut *self.place }
    }
}

/// The receiving end of a [`Ring`].
#[derive(Debug)]
pub struct Receiver<T> {
    end: End,
    consumer: Consumer<'static>,
    of: PhantomData<fn() -> T>,
}

impl<T: ShmSafe> Receiver<T> {
    /// The same end with another way to wait for messages.
    #[must_use]
    pub fn with_policy(mut self, policy: WaitPolicy) -> Self {
        self.end.set_policy(policy);
        self
    }

    /// The next message, if one is there.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]: `Empty`, `Closed`, `Failed`. That the sender died is told by acts that wait, and by [`Self::sender_has_died`].
    #[inline]
    pub fn try_receive(&mut self) -> Result<T, ReceiveError> {
        self.end.check()?;
        self.is_there()?;
        self.take_next()
    }

    /// The next message, waiting for it until `deadline`.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]: `TimedOut`, `Closed`, `PeerDied`, `Failed`.
    ///
    /// # Blocking
    ///
    /// While the ring is empty.
    #[inline]
    pub fn receive(&mut self, deadline: Deadline) -> Result<T, ReceiveError> {
        if self.is_there()? {
            self.end.flows();
        } else {
            self.wait(deadline)?;
        }
        self.end.check()?;
        self.take_next()
    }

    #[inline]
    fn is_there(&mut self) -> Result<bool, ReceiveError> {
        self.consumer.look_ahead().map_err(|what| self.end.damaged(what).into())
    }

    #[inline]
    fn take_next(&mut self) -> Result<T, ReceiveError> {
        match self.consumer.peek() {
            Ok(Some(words)) => {
                let message = words::load(words);
                self.consumer.take(1);
                self.end.notify();
                Ok(message)
            }
            Ok(None) => Err(self.nothing()),
            Err(what) => Err(self.end.damaged(what).into()),
        }
    }

    /// At most `limit` messages that are there, put at the end of `into`; says how many. The sender is told once.
    ///
    /// # Errors
    ///
    /// As [`Self::try_receive`].
    pub fn try_receive_many(&mut self, into: &mut Vec<T>, limit: usize) -> Result<usize, ReceiveError> {
        self.end.check()?;
        let mut count = 0;
        while count < limit as u64 {
            match self.consumer.peek_at(count) {
                Ok(Some(words)) => into.push(words::load(words)),
                Ok(None) => break,
                Err(what) => return Err(self.end.damaged(what).into()),
            }
            count += 1;
        }
        if count == 0 && limit > 0 {
            return Err(self.nothing());
        }
        self.consumer.take(count);
        self.end.notify();
        #[allow(clippy::cast_possible_truncation, reason = "it is at most `limit`")]
        Ok(count as usize)
    }

    /// The next message where it lies, if one is there. It is taken out of the ring when the sample is dropped.
    ///
    /// # Errors
    ///
    /// As [`Self::try_receive`].
    pub fn peek(&mut self) -> Result<Sample<'_, T>, ReceiveError> {
        self.end.check()?;
        match self.consumer.peek() {
            Ok(Some(words)) => Ok(Sample { place: words::address(words).cast(), receiver: self }),
            Ok(None) => Err(self.nothing()),
            Err(what) => Err(self.end.damaged(what).into()),
        }
    }

    /// Waits until there is a message.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]: `TimedOut`, `Closed`, `PeerDied`, `Failed`.
    ///
    /// # Blocking
    ///
    /// While the ring is empty.
    pub fn wait(&mut self, deadline: Deadline) -> Result<(), ReceiveError> {
        let Self { end, consumer, .. } = self;
        end.wait_to_receive(deadline, || consumer.peek().map(|found| found.is_some()))
    }

    /// The next message, or the task of `cx` is woken when it is worth another look: a message has come, the sender left or died, the segment is
    /// of no more use, or for no reason. The task of the last call is the one that is woken.
    ///
    /// Any runtime will do: a thread of this process calls the waker. It is to be called again after the wake, not before; a deadline is the runtime's
    /// to keep. Nothing is taken unless it is returned.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]: `Closed`, `PeerDied`, `Failed`.
    pub fn poll_receive(&mut self, cx: &Context<'_>) -> Poll<Result<T, ReceiveError>> {
        match self.try_receive() {
            Err(ReceiveError::Empty) => {}
            outcome => return Poll::Ready(outcome),
        }
        match self.poll_ready(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(self.try_receive()),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }

    /// As [`Self::poll_receive`], but leaves the message in the ring.
    ///
    /// # Errors
    ///
    /// As [`Self::poll_receive`].
    pub fn poll_ready(&mut self, cx: &Context<'_>) -> Poll<Result<(), ReceiveError>> {
        self.poll_with(Alarm::Task(cx.waker().clone()))
    }

    /// Arms: `key` is rung in `notifier` once when it is worth another look. True if there is a message now, or the sender is gone: then
    /// nothing is armed. Arming anew replaces what was armed before.
    ///
    /// # Errors
    ///
    /// What is wrong with the ring.
    pub fn arm(&mut self, notifier: &Notifier, key: u64) -> Result<bool> {
        is_ready(self.poll_with(Alarm::Key(notifier.clone(), key)), ReceiveError::failure)
    }

    fn poll_with(&mut self, alarm: Alarm) -> Poll<Result<(), ReceiveError>> {
        let Self { end, consumer, .. } = self;
        end.poll_to_receive(alarm, || consumer.peek().map(|found| found.is_some()))
    }

    pub(super) const fn end_ref(&self) -> &End {
        &self.end
    }

    /// True if there is no message now.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::Failed`].
    #[inline]
    pub fn is_empty(&self) -> Result<bool, ReceiveError> {
        match self.consumer.peek() {
            Ok(found) => Ok(found.is_none()),
            Err(what) => Err(self.end.damaged(what).into()),
        }
    }

    /// Messages taken since the ring was made, by this receiver and those before it.
    pub const fn taken(&self) -> u64 {
        self.consumer.taken()
    }

    /// True if the sender's process ended without leaving. One system call. What it sent before is still received.
    pub fn sender_has_died(&self) -> bool {
        self.end.peer_has_died()
    }

    /// Who sends, or was the last to.
    pub fn sender(&self) -> Option<ParticipantId> {
        self.end.peer()
    }

    /// Why there is nothing: whoever left or died may have sent something just before.
    #[cold]
    fn nothing(&self) -> ReceiveError {
        self.end.nothing(|| self.consumer.peek().map(|found| found.is_some()))
    }
}

/// A message where it lies in a [`Ring`]. It is taken out when this value is dropped; a process that dies before leaves it to its successor.
#[derive(Debug)]
pub struct Sample<'a, T: ShmSafe> {
    place: *const T,
    receiver: &'a mut Receiver<T>,
}

impl<T: ShmSafe> Sample<'_, T> {
    /// Leaves the message in the ring: the next look finds it again.
    pub fn leave(self) {
        std::mem::forget(self);
    }
}

impl<T: ShmSafe> Deref for Sample<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: a full slot is the receiver's alone, whose only receiver is borrowed; it is as long as a `T`, aligned to 8 bytes, and whatever is in
        // it is a `T` (`ShmSafe`). That no other process writes it is what all who map the segment promise.
        unsafe { &*self.place }
    }
}

impl<T: ShmSafe> Drop for Sample<'_, T> {
    fn drop(&mut self) {
        self.receiver.consumer.take(1);
        self.receiver.end.notify();
    }
}

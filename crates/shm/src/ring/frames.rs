//! `ByteRing`: frames of any length between two processes.

use std::{
    ops::{Deref, DerefMut},
    task::{Context, Poll},
};

use crosstie_core::Deadline;

use super::{
    bytes,
    bytes::{Consumer, Frames, Place, Producer},
    control::Control,
    end::{End, PARTICIPANTS, Role, damaged},
    error::{ReceiveError, SendError, is_ready},
    held::hold,
    words,
};
use crate::{
    error::{Error, Result},
    header::Kind,
    layout::ParticipantId,
    name::SegmentName,
    notifier::{Alarm, Notifier},
    participant::{Participant, program_name},
    schema::Element,
    segment::{Directory, Expect, Pinned, Segment, Spec},
    sync::AtomicU64,
    wait::WaitPolicy,
};

/// The smallest ring in bytes.
const SMALLEST: u32 = 64;

/// A ring of frames of bytes, each of its own length, from one sending process to one receiving process.
///
/// What survives which death is as in a [`Ring`](crate::Ring): a frame is sent or it is not, and it is taken when the [`Frame`] is
/// dropped; a receiver that dies before leaves it to its successor.
///
/// ```
/// use crosstie_shm::{ByteRing, deadline_after};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ring = ByteRing::anonymous(4096)?;
/// let (mut sender, mut receiver) = (ring.sender()?, ring.receiver()?);
/// sender.send(b"hello", deadline_after(Duration::from_secs(1)))?;
/// assert_eq!(&*receiver.receive(deadline_after(Duration::from_secs(1)))?, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ByteRing {
    participant: Participant,
    control: Pinned<Control>,
    words: Pinned<[AtomicU64]>,
}

impl ByteRing {
    /// What the segment of a ring of `bytes` bytes is. Each frame takes its length, padded to 8, and 8 more.
    ///
    /// # Errors
    ///
    /// [`Error::Spec`] if the size is not a power of two of at least 64.
    pub fn spec(bytes: u32) -> Result<Spec> {
        if !bytes.is_power_of_two() || bytes < SMALLEST {
            return Err(Error::Spec { what: format!("a power of two of at least {SMALLEST} bytes, came {bytes}") });
        }
        let spec = Spec::new(Kind::Ring, Element::bytes()).elements(bytes).participants(PARTICIPANTS);
        Ok(spec.data(size_of::<Control>() as u64 + u64::from(bytes)))
    }

    /// A new ring called `name` in `directory`.
    ///
    /// # Errors
    ///
    /// As [`Self::spec`] and [`Participant::create`].
    pub fn create(directory: &Directory, name: &SegmentName, bytes: u32) -> Result<Self> {
        Self::within(Participant::create(directory, name, &Self::spec(bytes)?, |_| Ok(()), &program_name())?)
    }

    /// The ring called `name` in `directory`.
    ///
    /// # Errors
    ///
    /// As [`Participant::open`].
    pub fn open(directory: &Directory, name: &SegmentName) -> Result<Self> {
        Self::within(Participant::open(directory, name, &Self::expect(), &program_name())?)
    }

    /// The ring called `name` in `directory`, made if there is none. `bytes` counts only then.
    ///
    /// # Errors
    ///
    /// As [`Self::spec`] and [`Participant::enter`].
    pub fn open_or_create(directory: &Directory, name: &SegmentName, bytes: u32) -> Result<Self> {
        let spec = Self::spec(bytes)?;
        Self::within(Participant::enter(directory, name, &Self::expect(), &spec, |_| Ok(()), &program_name())?)
    }

    /// A new ring without a name. Its [segment](Self::segment) is handed to the other process over a Unix socket.
    ///
    /// # Errors
    ///
    /// As [`Self::spec`] and [`Segment::anonymous`].
    pub fn anonymous(bytes: u32) -> Result<Self> {
        Self::of(&Segment::anonymous("ring", &Self::spec(bytes)?, |_| Ok(()))?)
    }

    /// What to expect of a segment that is opened or received to be such a ring.
    pub fn expect() -> Expect {
        Expect::kind(Kind::Ring).element(Element::bytes())
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
        let bytes = segment.header().elements;
        if !bytes.is_power_of_two() || bytes < SMALLEST {
            return Err(segment.corrupt(format!("a power of two of at least {SMALLEST} bytes, came {bytes}")));
        }
        let data = segment.data();
        Ok(Self {
            participant,
            control: data.record(0)?,
            words: data.records(size_of::<Control>() as u64, bytes as usize / 8)?,
        })
    }

    /// The segment that it is in.
    pub fn segment(&self) -> &Segment {
        self.participant.segment()
    }

    /// The longest frame: half of the ring, less 16 bytes.
    pub fn longest(&self) -> usize {
        longest(&Frames::new(&self.words))
    }

    /// The sending end. It goes on where the last sender left off.
    ///
    /// # Errors
    ///
    /// [`Error::SeatTaken`] if a process that lives has it; [`Error::Corrupt`] if what is in the ring cannot be.
    pub fn sender(&self) -> Result<ByteSender> {
        let end = End::take(&self.participant, &self.control, Role::Sender, WaitPolicy::default())?;
        let (control, frames) = self.held();
        let producer = Producer::resume(control, frames).map_err(|what| damaged(&self.participant, what))?;
        Ok(ByteSender { end, producer, longest: longest(&frames) })
    }

    /// The receiving end. It goes on where the last receiver left off.
    ///
    /// # Errors
    ///
    /// As [`Self::sender`].
    pub fn receiver(&self) -> Result<ByteReceiver> {
        let end = End::take(&self.participant, &self.control, Role::Receiver, WaitPolicy::default())?;
        let (control, frames) = self.held();
        let consumer = Consumer::resume(control, frames).map_err(|what| damaged(&self.participant, what))?;
        Ok(ByteReceiver { end, consumer })
    }

    fn held(&self) -> (&'static Control, Frames<'static>) {
        // SAFETY: both go into a value beside an `End`, which has a participant and thus a handle of the segment.
        let (control, words) = unsafe { (hold(&*self.control), hold(&*self.words)) };
        (control, Frames::new(words))
    }
}

fn longest(frames: &Frames<'_>) -> usize {
    usize::try_from(frames.longest()).expect("it is shorter than the memory")
}

/// The sending end of a [`ByteRing`].
#[derive(Debug)]
pub struct ByteSender {
    end: End,
    producer: Producer<'static>,
    longest: usize,
}

impl ByteSender {
    /// The same end with another way to wait for room.
    #[must_use]
    pub fn with_policy(mut self, policy: WaitPolicy) -> Self {
        self.end.set_policy(policy);
        self
    }

    /// Sends `frame` if there is room.
    ///
    /// # Errors
    ///
    /// [`SendError`]: `Full`, `Closed`, `Failed`, which it is as well for a frame longer than [`ByteRing::longest`].
    pub fn try_send(&mut self, frame: &[u8]) -> Result<(), SendError<()>> {
        match self.try_loan(frame.len())? {
            Some(mut loan) => {
                loan.copy_from_slice(frame);
                loan.send();
                Ok(())
            }
            None => Err(SendError::Full(())),
        }
    }

    /// Sends `frame`, waiting for room until `deadline`.
    ///
    /// # Errors
    ///
    /// [`SendError`]: `TimedOut`, `Closed`, `PeerDied`, `Failed`.
    ///
    /// # Blocking
    ///
    /// While there is no room.
    pub fn send(&mut self, frame: &[u8], deadline: Deadline) -> Result<(), SendError<()>> {
        let mut loan = self.loan(frame.len(), deadline)?;
        loan.copy_from_slice(frame);
        loan.send();
        Ok(())
    }

    /// Room for a frame of `len` bytes, to write it where it will be received from; `None` if there is not enough.
    ///
    /// What earlier frames left is in it.
    ///
    /// # Errors
    ///
    /// [`SendError`]: `Closed`, `Failed`, which it is as well for a frame longer than [`ByteRing::longest`].
    pub fn try_loan(&mut self, len: usize) -> Result<Option<FrameLoan<'_>>, SendError<()>> {
        let failed = |error| SendError::Failed { message: (), error };
        self.end.check().map_err(failed)?;
        if len > self.longest {
            let what = format!("a frame of at most {} bytes, came {len}; make the ring larger", self.longest);
            return Err(failed(Error::Spec { what }));
        }
        if self.end.peer_has_left() {
            return Err(SendError::Closed(()));
        }
        match self.producer.place(len as u64) {
            Ok(Some(place)) => Ok(Some(FrameLoan { bytes: words::address(place.words), len, place, sender: self })),
            Ok(None) => Ok(None),
            Err(what) => Err(failed(self.end.damaged(what))),
        }
    }

    /// Room for a frame of `len` bytes, waiting for it until `deadline`.
    ///
    /// # Errors
    ///
    /// [`SendError`]: `TimedOut`, `Closed`, `PeerDied`, `Failed`.
    ///
    /// # Blocking
    ///
    /// While there is no room.
    pub fn loan(&mut self, len: usize, deadline: Deadline) -> Result<FrameLoan<'_>, SendError<()>> {
        if self.try_loan(len)?.is_none() {
            let Self { end, producer, .. } = self;
            end.wait_to_send(deadline, || producer.place(len as u64).map(|place| place.is_some()))?;
        }
        // There is room now, and only we take any.
        self.try_loan(len)?.ok_or(SendError::Full(()))
    }

    /// Looks whether there is room for a frame of `len` bytes; if not, the task of `cx` is woken when it is worth another look. See
    /// [`Receiver::poll_receive`](crate::Receiver::poll_receive).
    ///
    /// # Errors
    ///
    /// [`SendError`]: `Closed`, `PeerDied`, `Failed`.
    pub fn poll_room(&mut self, len: usize, cx: &Context<'_>) -> Poll<Result<(), SendError<()>>> {
        self.poll_with(len, Alarm::Task(cx.waker().clone()))
    }

    /// Arms for room for a frame of `len` bytes: `key` is rung in `notifier` once when it is worth another look. True if there is room now, or
    /// the receiver is gone: then nothing is armed.
    ///
    /// # Errors
    ///
    /// What is wrong with the ring.
    pub fn arm(&mut self, len: usize, notifier: &Notifier, key: u64) -> Result<bool> {
        is_ready(self.poll_with(len, Alarm::Key(notifier.clone(), key)), SendError::failure)
    }

    fn poll_with(&mut self, len: usize, alarm: Alarm) -> Poll<Result<(), SendError<()>>> {
        let Self { end, producer, longest } = self;
        if len > *longest {
            let what = format!("a frame of at most {longest} bytes, came {len}; make the ring larger");
            return Poll::Ready(Err(SendError::Failed { message: (), error: Error::Spec { what } }));
        }
        end.poll_to_send(alarm, || producer.place(len as u64).map(|place| place.is_some()))
    }

    /// Who receives, or was the last to.
    pub fn receiver(&self) -> Option<ParticipantId> {
        self.end.peer()
    }

    /// True if the receiver's process ended without leaving. One system call.
    pub fn receiver_has_died(&self) -> bool {
        self.end.peer_has_died()
    }
}

/// Room in a [`ByteRing`] to write a frame into. Dropped without [`send`](Self::send), nothing was sent.
#[derive(Debug)]
pub struct FrameLoan<'a> {
    bytes: *mut u8,
    len: usize,
    place: Place<'static>,
    sender: &'a mut ByteSender,
}

impl FrameLoan<'_> {
    /// Sends what was written.
    pub fn send(self) {
        let len = self.len;
        self.send_first(len);
    }

    /// Sends the first `len` bytes of what was written.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn send_first(self, len: usize) {
        assert!(len <= self.len, "a frame is no longer than its loan of {} bytes", self.len);
        self.sender.producer.send(&self.place, len as u64);
        self.sender.end.notify();
    }
}

impl Deref for FrameLoan<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: what lies behind the last frame is the sender's alone, whose only sender is borrowed; the place has `len` bytes in the
        // ring. That no other process writes it is what all who map the segment promise.
        unsafe { std::slice::from_raw_parts(self.bytes, self.len) }
    }
}

impl DerefMut for FrameLoan<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`.
        unsafe { std::slice::from_raw_parts_mut(self.bytes, self.len) }
    }
}

/// The receiving end of a [`ByteRing`].
#[derive(Debug)]
pub struct ByteReceiver {
    end: End,
    consumer: Consumer<'static>,
}

impl ByteReceiver {
    /// The same end with another way to wait for frames.
    #[must_use]
    pub fn with_policy(mut self, policy: WaitPolicy) -> Self {
        self.end.set_policy(policy);
        self
    }

    /// The next frame where it lies, if one is there. It is taken out of the ring when the frame is dropped.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]: `Empty`, `Closed`, `Failed`. That the sender died is told by acts that wait, and by [`Self::sender_has_died`].
    pub fn try_receive(&mut self) -> Result<Frame<'_>, ReceiveError> {
        self.end.check()?;
        match self.consumer.peek() {
            Ok(Some(found)) => {
                let len = usize::try_from(found.length).expect("it lies in memory");
                Ok(Frame { bytes: words::address(found.words), len, found, receiver: self })
            }
            Ok(None) => {
                let Self { end, consumer } = self;
                Err(end.nothing(|| consumer.peek().map(|found| found.is_some())))
            }
            Err(what) => Err(self.end.damaged(what).into()),
        }
    }

    /// The next frame where it lies, waiting for it until `deadline`.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]: `TimedOut`, `Closed`, `PeerDied`, `Failed`.
    ///
    /// # Blocking
    ///
    /// While there is none.
    pub fn receive(&mut self, deadline: Deadline) -> Result<Frame<'_>, ReceiveError> {
        let is_empty = match self.consumer.peek() {
            Ok(found) => found.is_none(),
            Err(what) => return Err(self.end.damaged(what).into()),
        };
        if is_empty {
            self.wait(deadline)?;
        }
        self.try_receive()
    }

    pub(super) const fn end_ref(&self) -> &End {
        &self.end
    }

    /// True if there is no frame now.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::Failed`].
    pub fn is_empty(&mut self) -> Result<bool, ReceiveError> {
        match self.consumer.peek() {
            Ok(found) => Ok(found.is_none()),
            Err(what) => Err(self.end.damaged(what).into()),
        }
    }

    /// Waits until there is a frame.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]: `TimedOut`, `Closed`, `PeerDied`, `Failed`.
    ///
    /// # Blocking
    ///
    /// While there is none.
    pub fn wait(&mut self, deadline: Deadline) -> Result<(), ReceiveError> {
        let Self { end, consumer } = self;
        end.wait_to_receive(deadline, || consumer.peek().map(|found| found.is_some()))
    }

    /// Looks whether there is a frame; if not, the task of `cx` is woken when it is worth another look. See
    /// [`Receiver::poll_receive`](crate::Receiver::poll_receive).
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]: `Closed`, `PeerDied`, `Failed`.
    pub fn poll_ready(&mut self, cx: &Context<'_>) -> Poll<Result<(), ReceiveError>> {
        self.poll_with(Alarm::Task(cx.waker().clone()))
    }

    /// Arms: `key` is rung in `notifier` once when it is worth another look. True if there is a frame now, or the sender is gone: then nothing is
    /// armed.
    ///
    /// # Errors
    ///
    /// What is wrong with the ring.
    pub fn arm(&mut self, notifier: &Notifier, key: u64) -> Result<bool> {
        is_ready(self.poll_with(Alarm::Key(notifier.clone(), key)), ReceiveError::failure)
    }

    fn poll_with(&mut self, alarm: Alarm) -> Poll<Result<(), ReceiveError>> {
        let Self { end, consumer } = self;
        end.poll_to_receive(alarm, || consumer.peek().map(|found| found.is_some()))
    }

    /// Who sends, or was the last to.
    pub fn sender(&self) -> Option<ParticipantId> {
        self.end.peer()
    }

    /// True if the sender's process ended without leaving. One system call. What it sent before is still received.
    pub fn sender_has_died(&self) -> bool {
        self.end.peer_has_died()
    }
}

/// A frame where it lies in a [`ByteRing`]. It is taken out when this value is dropped; a process that dies before leaves it to its successor.
#[derive(Debug)]
pub struct Frame<'a> {
    bytes: *const u8,
    len: usize,
    found: bytes::Frame<'static>,
    receiver: &'a mut ByteReceiver,
}

impl Frame<'_> {
    /// Leaves the frame in the ring: the next look finds it again.
    pub fn leave(self) {
        std::mem::forget(self);
    }
}

impl Deref for Frame<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: a frame in the ring is the receiver's alone, whose only receiver is borrowed; `peek` checked that its bytes lie in the
        // ring. That no other process writes it is what all who map the segment promise.
        unsafe { std::slice::from_raw_parts(self.bytes, self.len) }
    }
}

impl Drop for Frame<'_> {
    fn drop(&mut self) {
        self.receiver.consumer.take(&self.found);
        self.receiver.end.notify();
    }
}

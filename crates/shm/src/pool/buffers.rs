//! `Pool`: buffers that are loaned, written, given and read where they lie.

use std::{
    ops::{Deref, DerefMut},
    ptr::NonNull,
    sync::{Arc, atomic::AtomicU32},
    task::{Context, Poll},
};

use crosstie_core::Deadline;
use crosstie_sys::{Incarnation, processors};

use super::{
    cells::{Cell, MAX_SLOT, Refused, withdraw},
    known::Known,
    shape::{Parts, Placed, SizeClass, fill, lay_out},
};
use crate::{
    clock,
    error::{Error, Result},
    header::Kind,
    layout::{ParticipantId, ParticipantState},
    name::SegmentName,
    notifier::{Alarm, Armer, Notifier, ring_everyone},
    participant::{Participant, program_name},
    schema::{Element, ShmSafe},
    segment::{Directory, Expect, Segment, Spec},
    sync::Ordering::*,
    wait::{Fence, Notified, Peer, WaitEnd, WaitPolicy, Waiter},
};

/// Participants of a pool.
const PARTICIPANTS: u32 = 32;

/// Buffers in shared memory that processes loan, write, give to each other and read where they lie.
///
/// A large message is written once, by the one who makes it, and read where it was written; what is sent is a [`Token`] of 16 bytes, through a
/// [`Ring`](crate::Ring), a socket or whatever else. Each participant that holds a buffer has a bit of its own on it. A buffer is free
/// when no bit is left, so what a dead process held is free as soon as it is reaped, and nothing else is.
///
/// # What survives which death
///
/// * What a dead process had loaned, was given or held is returned exactly, when its slot is reaped: by whoever joins next, waits for a buffer, or
///   calls [`reap`](Participant::reap_dead).
/// * What it had given to others stays theirs. If it died after giving a buffer and before its token arrived, the receiver
///   holds a buffer that it does not know of; it returns those with [`Pool::settle`] once it has received all that came.
/// * A token that was on its way to a receiver that died is void ([`Error::Loan`] from [`Pool::accept`]): the buffer went with its holder.
///
/// ```
/// use crosstie_shm::{Pool, SizeClass};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ours = Pool::anonymous(&[SizeClass { bytes: 4096, buffers: 8 }])?;
/// let theirs = Pool::of(ours.segment())?; // as another process would
///
/// let mut loan = ours.try_loan(11)?.expect("no buffer is taken");
/// loan.copy_from_slice(b"hello there");
/// let token = loan.give(theirs.id())?; // send this
/// let sample = theirs.accept(token)?;
/// assert_eq!(&*sample, b"hello there");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    participant: Participant,
    parts: Parts,
    incarnation: Incarnation,
    fence: Fence,
    processors: u64,
    /// Which buffers values of this process hold.
    known: Box<[Known]>,
    /// For each class, where to look next.
    cursors: Box<[AtomicU32]>,
}

/// What stands for a buffer on its way to whom it was given: 16 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The number of the buffer.
    pub buffer: u32,
    /// Which loan of it.
    pub generation: u32,
    /// How many of its bytes are meant.
    pub len: u64,
}

// SAFETY: two u32 and a u64 in this order leave no padding, and every pattern of bits is a value.
unsafe impl ShmSafe for Token {
    fn describe(text: &mut String) {
        text.push_str("Token{buffer u32 @0 +4; generation u32 @4 +4; len u64 @8 +8}");
    }

    fn describe_fields(text: &mut String) {
        text.push_str("buffer u32 @0 +4\ngeneration u32 @4 +4\nlen u64 @8 +8\n");
    }

    fn type_name() -> String {
        "Token".to_owned()
    }
}

impl Pool {
    /// What the segment of a pool of these classes, from small to large, is. It takes the sum of its buffers, and 64 bytes for each.
    ///
    /// # Errors
    ///
    /// [`Error::Spec`] if there are none or more than 16, or they are not from small to large.
    pub fn spec(classes: &[SizeClass]) -> Result<Spec> {
        let (placed, bytes) = lay_out(classes)?;
        let buffers = placed.iter().map(|placed| placed.class.buffers).sum();
        Ok(Spec::new(Kind::Pool, Element::bytes()).elements(buffers).participants(PARTICIPANTS).data(bytes))
    }

    /// A new pool called `name` in `directory`.
    ///
    /// # Errors
    ///
    /// As [`Self::spec`] and [`Participant::create`].
    pub fn create(directory: &Directory, name: &SegmentName, classes: &[SizeClass]) -> Result<Self> {
        Self::within(Participant::create(
            directory,
            name,
            &Self::spec(classes)?,
            |segment| fill(segment, classes),
            &program_name(),
        )?)
    }

    /// The pool called `name` in `directory`.
    ///
    /// # Errors
    ///
    /// As [`Participant::open`].
    pub fn open(directory: &Directory, name: &SegmentName) -> Result<Self> {
        Self::within(Participant::open(directory, name, &Self::expect(), &program_name())?)
    }

    /// The pool called `name` in `directory`, made if there is none. `classes` count only then.
    ///
    /// # Errors
    ///
    /// As [`Self::spec`] and [`Participant::enter`].
    pub fn open_or_create(directory: &Directory, name: &SegmentName, classes: &[SizeClass]) -> Result<Self> {
        let spec = Self::spec(classes)?;
        Self::within(Participant::enter(
            directory,
            name,
            &Self::expect(),
            &spec,
            |segment| fill(segment, classes),
            &program_name(),
        )?)
    }

    /// A new pool without a name. Its [segment](Self::segment) is handed to other processes over a Unix socket.
    ///
    /// # Errors
    ///
    /// As [`Self::spec`] and [`Segment::anonymous`].
    pub fn anonymous(classes: &[SizeClass]) -> Result<Self> {
        Self::of(&Segment::anonymous("pool", &Self::spec(classes)?, |segment| fill(segment, classes))?)
    }

    /// What to expect of a segment that is opened or received to be a pool.
    pub fn expect() -> Expect {
        Expect::kind(Kind::Pool).element(Element::bytes())
    }

    /// The pool in `segment`, which this process joins.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if it is none; [`Error::Corrupt`]; as [`Participant::join`].
    pub fn of(segment: &Segment) -> Result<Self> {
        segment.require(&Self::expect())?;
        Self::within(Participant::join(segment, &program_name())?)
    }

    /// The pool in the segment of `participant`, which is what was expected of it.
    fn within(participant: Participant) -> Result<Self> {
        let segment = participant.segment();
        let parts = Parts::of(segment)?;
        let slot = participant.id().slot;
        if slot > MAX_SLOT {
            return Err(Error::Full { segment: segment.label().to_owned(), slots: MAX_SLOT });
        }
        // Somebody may have given our predecessor a buffer while it was reaped; see `Cell::give`.
        withdraw(&parts.cells, slot);
        let processors = processors::allowed();
        Ok(Self(Arc::new(Inner {
            incarnation: Incarnation::current().map_err(Error::system("telling this process from its children"))?,
            fence: Fence::choose(processors),
            processors,
            known: parts.cells.iter().map(|_| Known::default()).collect(),
            cursors: parts.classes.iter().map(|_| AtomicU32::new(slot)).collect(),
            participant,
            parts,
        })))
    }

    /// The segment that it is in.
    pub fn segment(&self) -> &Segment {
        self.0.participant.segment()
    }

    /// This process's place in it.
    pub fn participant(&self) -> &Participant {
        &self.0.participant
    }

    /// Whom others give buffers to so that this process gets them.
    pub fn id(&self) -> ParticipantId {
        self.0.participant.id()
    }

    /// A buffer for `len` bytes, from the smallest class that fits and has one free; `None` if there is none now.
    ///
    /// What earlier loans left is in it.
    ///
    /// # Errors
    ///
    /// [`Error::Spec`] if no class is as long; [`Error::Forked`]; [`Error::Retired`] and its kin.
    pub fn try_loan(&self, len: usize) -> Result<Option<PoolLoan>> {
        let inner = &*self.0;
        inner.participant.check()?;
        let mut fits = false;
        for (class, cursor) in inner.parts.classes.iter().zip(&inner.cursors) {
            if class.class.bytes < len as u64 {
                continue;
            }
            fits = true;
            let count = class.class.buffers;
            let begin = cursor.load(Relaxed);
            for step in 0..count {
                let at = begin.wrapping_add(step) % count;
                let index = class.first + at;
                if inner.cell(index).is_free()
                    && let Some(generation) = inner.known[index as usize].loan(inner.cell(index), self.id())
                {
                    // The next look begins behind this one: what was returned just now may still be in the other's cache.
                    cursor.store(at + 1, Relaxed);
                    let bytes = inner.address(class, index)?;
                    return Ok(Some(PoolLoan(Held { pool: self.clone(), bytes, len, index, generation })));
                }
            }
        }
        if fits {
            return Ok(None);
        }
        let longest = inner.parts.classes.last().map_or(0, |placed| placed.class.bytes);
        Err(Error::Spec { what: format!("at most the {longest} bytes of the largest size class, came {len}") })
    }

    /// A buffer for `len` bytes, waiting until `deadline` for one to be returned; `None` if none was. Who died meanwhile is reaped.
    ///
    /// # Errors
    ///
    /// As [`Self::try_loan`].
    ///
    /// # Blocking
    ///
    /// While no class that fits has one free.
    pub fn loan(&self, len: usize, deadline: Deadline) -> Result<Option<PoolLoan>> {
        if let Some(loan) = self.try_loan(len)? {
            return Ok(Some(loan));
        }
        let inner = &*self.0;
        let mut waiter = Waiter::among_others(WaitPolicy::default(), inner.processors);
        let outcome =
            waiter.wait(inner.parts.freed(), &Others(inner), clock::now, deadline, || match self.try_loan(len) {
                Ok(None) => None,
                other => Some(other),
            });
        match outcome {
            Ok(found) => found,
            Err(WaitEnd::TimedOut | WaitEnd::Left | WaitEnd::Died) => Ok(None),
        }
    }

    /// Somebody who waits for buffers without blocking.
    pub fn waiting(&self) -> PoolWaiter {
        PoolWaiter { pool: self.clone(), armer: Armer::new() }
    }

    /// The buffer that a token which was sent to this process stands for.
    ///
    /// # Errors
    ///
    /// [`Error::Loan`] if this process does not hold it, or has accepted it already; [`Error::Forked`]; [`Error::Retired`] and its kin.
    pub fn accept(&self, token: Token) -> Result<PoolSample> {
        let inner = &*self.0;
        inner.participant.check()?;
        let refused = |what: &str| {
            let Token { buffer, generation, len } = token;
            let what = format!("a buffer {what}, came buffer {buffer} of loan {generation} with {len} bytes");
            Error::Loan { segment: self.segment().label().to_owned(), what }
        };
        let Some(class) = inner.parts.classes.iter().find(|class| class.has(token.buffer)) else {
            return Err(refused("that the pool has"));
        };
        let len = usize::try_from(token.len).ok().filter(|_| token.len <= class.class.bytes);
        let len = len.ok_or_else(|| refused(&format!("of at most {} bytes", class.class.bytes)))?;
        let is_held = || inner.cell(token.buffer).is_held(self.id(), token.generation);
        match inner.known[token.buffer as usize].accept(inner.cell(token.buffer), self.id(), token.generation) {
            Some(true) => {}
            None if is_held() => return Err(refused("that this process does not have already")),
            _ => return Err(refused("given to this process, which is still there")),
        }
        let bytes = inner.address(class, token.buffer)?;
        let held = Held { pool: self.clone(), bytes, len, index: token.buffer, generation: token.generation };
        Ok(PoolSample(Arc::new(held)))
    }

    /// Returns what `author`, who is dead, gave to this process without its token arriving; says how many buffers that were. To be called when all
    /// tokens of its loans were accepted or dropped. A buffer does not say who gave it, only who loaned it: what `author` had loaned and
    /// somebody else passes on to this process is returned as well, and its token is void ([`Error::Loan`]) if it comes afterwards.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`]; [`Error::Retired`] and its kin.
    pub fn settle(&self, author: ParticipantId) -> Result<u32> {
        let inner = &*self.0;
        inner.participant.check()?;
        let mut returned = 0;
        for (index, cell) in (0..).zip(inner.parts.cells.iter()) {
            let slot = self.id().slot;
            // Another thread may be accepting it, or loaning what has become free: so it is looked at again when nobody is.
            if cell.is_lost(author, slot) && inner.known[index as usize].settle(cell, author, slot) {
                inner.tell_of_a_free_one();
                returned += 1;
            }
        }
        Ok(returned)
    }

    /// How many buffers nobody holds.
    pub fn free(&self) -> u32 {
        let free = self.0.parts.cells.iter().filter(|cell| cell.is_free()).count();
        u32::try_from(free).expect("there are at most a million")
    }
}

impl Inner {
    fn cell(&self, index: u32) -> &Cell {
        &self.parts.cells[index as usize]
    }

    fn address(&self, class: &Placed, index: u32) -> Result<NonNull<u8>> {
        self.participant.segment().data().bytes(class.place(index), class.class.bytes, 64)
    }

    fn tell_of_a_free_one(&self) {
        if self.parts.freed().notify(self.fence) == Notified::Ring {
            ring_everyone(self.participant.segment(), FREED);
        }
    }

    fn give(&self, held: &Held, to: ParticipantId) -> Result<Token> {
        self.participant.check()?;
        let Held { index, generation, len, .. } = *held;
        let refused = |what: String| Error::Loan { segment: self.participant.segment().label().to_owned(), what };
        if to.slot == 0 || to.slot > MAX_SLOT || to == self.participant.id() {
            return Err(refused(format!("another participant, came {to}")));
        }
        let is_there = || {
            let slot = self.participant.segment().participant(to.slot);
            slot.is_some_and(|slot| {
                slot.state() == ParticipantState::Live && slot.generation.load(Relaxed) == to.generation
            })
        };
        match self.cell(index).give(to, is_there) {
            Ok(()) => Ok(Token { buffer: index, generation, len: len as u64 }),
            Err(Refused::HeldAlready) => {
                Err(refused(format!("a receiver that does not hold buffer {index} yet, came {to}")))
            }
            Err(Refused::Gone) => Err(refused(format!("a receiver that takes part, came {to}, which is gone"))),
        }
    }
}

/// A buffer that a value of this process holds; the process's bit goes down with it.
#[derive(Debug)]
struct Held {
    pool: Pool,
    bytes: NonNull<u8>,
    len: usize,
    index: u32,
    generation: u32,
}

// SAFETY: the address is of memory that any thread may use; who may write it is decided by the types around.
unsafe impl Send for Held {}
// SAFETY: as above; through a shared reference it is only read.
unsafe impl Sync for Held {}

impl Held {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the buffer is `len` bytes long at least and mapped, for the pool has the segment. While this process's bit is up nobody loans it, and
        // who was given it reads it only, as all who map the segment promise.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let inner = &*self.pool.0;
        // In the child of a fork the buffer is the parent's.
        if inner.incarnation.is_current() {
            let slot = inner.participant.id().slot;
            inner.known[self.index as usize].give_back(inner.cell(self.index), slot);
            inner.tell_of_a_free_one();
        }
    }
}

/// A buffer of a [`Pool`] that this process alone holds, to write into. Dropped, it is returned.
#[derive(Debug)]
pub struct PoolLoan(Held);

impl PoolLoan {
    /// Gives it to `to`, who alone holds it then; the token is to be sent.
    ///
    /// # Errors
    ///
    /// [`Error::Loan`] if `to` is gone; the buffer is returned to the pool then.
    pub fn give(self, to: ParticipantId) -> Result<Token> {
        self.0.pool.0.give(&self.0, to)
    }

    /// The same with its first `len` bytes only.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    #[must_use]
    pub fn cut(mut self, len: usize) -> Self {
        assert!(len <= self.0.len, "a loan of {} bytes has no {len}", self.0.len);
        self.0.len = len;
        self
    }

    /// The buffer to read and to give to several; nobody writes it any more.
    pub fn share(self) -> PoolSample {
        PoolSample(Arc::new(self.0))
    }
}

impl Deref for PoolLoan {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl DerefMut for PoolLoan {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `Held::bytes`; and it was given to nobody, for giving takes the loan.
        unsafe { std::slice::from_raw_parts_mut(self.0.bytes.as_ptr(), self.0.len) }
    }
}

/// A buffer of a [`Pool`] to read. Clones share it; with the last it is returned.
#[derive(Clone, Debug)]
pub struct PoolSample(Arc<Held>);

impl PoolSample {
    /// Gives it to `to` as well, once at a time; the token is to be sent.
    ///
    /// # Errors
    ///
    /// [`Error::Loan`] if `to` is gone, or holds it already.
    pub fn give(&self, to: ParticipantId) -> Result<Token> {
        self.0.pool.0.give(&self.0, to)
    }
}

impl Deref for PoolSample {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// The bit of the buffers of a pool.
const FREED: u32 = 0;

/// Somebody who waits for buffers of a [`Pool`] without blocking; each task or key has one of its own.
#[derive(Debug)]
pub struct PoolWaiter {
    pool: Pool,
    armer: Armer,
}

impl PoolWaiter {
    /// A buffer for `len` bytes, or the task of `cx` is woken when it is worth another look: one was returned, somebody died, or for no reason.
    /// See [`Receiver::poll_receive`](crate::Receiver::poll_receive). Who came first is not served first.
    ///
    /// # Errors
    ///
    /// As [`Pool::try_loan`].
    pub fn poll_loan(&mut self, len: usize, cx: &Context<'_>) -> Poll<Result<PoolLoan>> {
        match self.pool.try_loan(len) {
            Ok(None) => self.poll_with(len, Alarm::Task(cx.waker().clone())),
            Ok(Some(loan)) => Poll::Ready(Ok(loan)),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Arms for any buffer: `key` is rung in `notifier` once when it is worth another look. `Some` if there is one for `len` bytes now.
    ///
    /// # Errors
    ///
    /// As [`Pool::try_loan`].
    pub fn arm(&mut self, len: usize, notifier: &Notifier, key: u64) -> Result<Option<PoolLoan>> {
        match self.poll_with(len, Alarm::Key(notifier.clone(), key)) {
            Poll::Pending => Ok(None),
            Poll::Ready(outcome) => outcome.map(Some),
        }
    }

    fn poll_with(&mut self, len: usize, alarm: Alarm) -> Poll<Result<PoolLoan>> {
        let inner = &*self.pool.0;
        self.armer.arm(&inner.participant, FREED, alarm)?;
        // Any of the others may use the light fence.
        inner.parts.freed().arm(|| Fence::Light);
        match self.pool.try_loan(len)? {
            Some(loan) => {
                // The flag stays up: it may be another's.
                self.armer.disarm();
                Poll::Ready(Ok(loan))
            }
            None => Poll::Pending,
        }
    }
}

/// Everybody else, as one who waits for a buffer sees them: each may return one, and who dies is reaped.
struct Others<'a>(&'a Inner);

impl Peer for Others<'_> {
    fn has_left(&self) -> bool {
        false
    }

    fn has_died(&self) -> bool {
        // What comes back from the dead is found by the next look; the wait goes on.
        let _ = self.0.participant.reap_dead();
        false
    }

    fn fence(&self) -> Fence {
        // Any of them may use the light one.
        Fence::Light
    }

    fn processors(&self) -> u64 {
        self.0.processors
    }
}

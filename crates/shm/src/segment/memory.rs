//! A mapped segment, and the only ways into it.

use std::{
    fmt,
    ops::Deref,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::Arc,
};

use crosstie_sys::{Access, Mapping, process};

use super::spec::{Expect, Spec};
use crate::{
    error::{Error, Result},
    header::{FIXED, Header, Refusal, SectionKind, SegmentId, State},
    layout::{EventRow, LockCell, PAGE, ParticipantSlot, Standing, WaiterRow},
    sync::{AtomicU32, AtomicU64, Ordering, futex_wake},
};

/// What may be looked at in memory that other processes write at any time.
///
/// # Safety
///
/// The type is made of atomics alone (or of other such types), so that a reference to it allows for its changing, and every pattern of its
/// bytes is a value of it.
pub unsafe trait Shared: Send + Sync {}

// SAFETY: an atomic.
unsafe impl Shared for AtomicU32 {}
// SAFETY: an atomic.
unsafe impl Shared for AtomicU64 {}
// SAFETY: made of atomics alone.
unsafe impl Shared for ParticipantSlot {}
// SAFETY: made of atomics alone.
unsafe impl Shared for LockCell {}
// SAFETY: made of atomics alone.
unsafe impl Shared for WaiterRow {}
// SAFETY: made of atomics alone.
unsafe impl Shared for EventRow {}
// SAFETY: made of atomics alone.
unsafe impl Shared for Standing {}
// SAFETY: an array is its elements.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {}
// SAFETY: a slice is its elements.
unsafe impl<T: Shared> Shared for [T] {}

/// A segment, mapped into this process. A cheap handle: clones share the mapping, which ends with the last of them.
///
/// To look at a segment is not to take part in it: nobody waits for this process, and `gc` may remove it. See
/// [`Participant`](crate::Participant).
#[derive(Clone)]
pub struct Segment(Arc<Memory>);

struct Memory {
    mapping: Mapping,
    file: OwnedFd,
    header: Header,
    /// What error messages call it.
    label: String,
    is_writable: bool,
}

impl Segment {
    /// What it said about itself when it was published; checked then, and a copy: nobody can change it.
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// Nothing, if it is what is expected.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`].
    pub fn require(&self, expect: &Expect) -> Result<()> {
        let header = self.header();
        // That it is of this boot was checked when it was opened.
        expect
            .check(header, header.boot)
            .map_err(|refusal| Error::Refused { segment: self.label().to_owned(), refusal })
    }

    /// What messages call it: its name, or its id if it has none.
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// How it stands now.
    pub fn state(&self) -> State {
        let standing = self.standing();
        // Pairs with the Release in `retire`: who sees it retired sees by what.
        let state = standing.state.load(Ordering::Acquire);
        State::from_numbers(state, standing.replaced_by.load(Ordering::Relaxed))
    }

    /// Nothing, if it is in use.
    ///
    /// # Errors
    ///
    /// [`Error::Retired`], [`Error::Removed`], [`Error::Poisoned`].
    #[inline]
    pub fn check(&self) -> Result<()> {
        if self.standing().state.load(Ordering::Relaxed) == READY {
            return Ok(());
        }
        let segment = self.label().to_owned();
        match self.state() {
            State::Building | State::Ready => Ok(()),
            State::Retired { by: Some(by) } => Err(Error::Retired { segment, by }),
            State::Retired { by: None } => Err(Error::Removed { segment }),
            State::Poisoned => Err(Error::Poisoned { segment }),
        }
    }

    /// Says that its content is damaged: from now on everyone's [`check`](Self::check) fails.
    pub fn poison(&self) {
        if self.0.is_writable {
            self.standing().state.store(POISONED, Ordering::Release);
            self.announce();
        }
    }

    /// Says that generation `by` has replaced it, or that it was removed. What is poisoned or retired already stays so.
    pub(crate) fn retire(&self, by: Option<u32>) {
        let standing = self.standing();
        if standing.state.load(Ordering::Acquire) == READY {
            standing.replaced_by.store(by.unwrap_or(0), Ordering::Relaxed);
            // Pairs with the Acquire in `state`.
            let _ = standing.state.compare_exchange(READY, RETIRED, Ordering::Release, Ordering::Relaxed);
        }
        self.announce();
    }

    pub(crate) fn set_ready(&self) {
        self.standing().state.store(READY, Ordering::Release);
    }

    /// The word that says how it stands: [`READY`] while it is in use.
    pub(crate) fn state_word(&self) -> &AtomicU32 {
        &self.standing().state
    }

    /// A word that changes whenever somebody joins, leaves or is reaped; who waits for a death sleeps on it.
    pub fn membership(&self) -> &AtomicU32 {
        &self.standing().membership
    }

    /// Changes [`membership`](Self::membership) and wakes everyone who sleeps on it.
    pub(crate) fn announce(&self) {
        // Release pairs with the Acquire of who waits: what happened before is seen by who sees the change.
        self.membership().fetch_add(1, Ordering::Release);
        futex_wake(self.membership(), u32::MAX);
    }

    /// A part of it.
    pub fn section(&self, kind: SectionKind) -> Section {
        let row = *self.header().section(kind).expect("a header is refused if it lacks a part");
        Section { segment: self.clone(), kind, offset: row.offset, len: row.len, stride: row.stride }
    }

    /// The part that it is for.
    pub fn data(&self) -> Section {
        self.section(SectionKind::Data)
    }

    /// The slot of a participant; `None` if there is no such number.
    pub fn participant(&self, slot: u32) -> Option<&ParticipantSlot> {
        self.row(SectionKind::Participants, slot.checked_sub(1)?, self.header().participants)
    }

    /// The cell of a lock, counted from 0.
    pub fn lock(&self, index: u32) -> Option<&LockCell> {
        self.row(SectionKind::Locks, index, self.header().locks)
    }

    /// What the participant in `slot` waits for.
    pub fn waits(&self, slot: u32) -> Option<&WaiterRow> {
        self.row(SectionKind::Waiters, slot.checked_sub(1)?, self.header().participants)
    }

    /// The last acts of the participant in `slot`.
    pub(crate) fn acts(&self, slot: u32) -> Option<&EventRow> {
        self.row(SectionKind::Events, slot.checked_sub(1)?, self.header().participants)
    }

    /// False if it was opened to look at: then a store through anything that it gives out is a fault.
    pub fn is_writable(&self) -> bool {
        self.0.is_writable
    }

    /// True if the other handle is of the same mapping.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Damage, told with the segment's name.
    pub(crate) fn corrupt(&self, what: impl Into<String>) -> Error {
        Error::Corrupt { segment: self.label().to_owned(), what: what.into() }
    }

    #[inline(always)]
    fn standing(&self) -> &Standing {
        const { assert!(FIXED.is_multiple_of(align_of::<Standing>()) && FIXED + size_of::<Standing>() <= PAGE as usize) };
        // SAFETY: the first page is mapped, as `of_file` and `build` saw to, and a mapping begins at a page; `Standing` is `Shared`.
        unsafe { self.0.mapping.start().add(FIXED).cast().as_ref() }
    }

    fn row<T: Shared>(&self, kind: SectionKind, index: u32, count: u32) -> Option<&T> {
        let section = self.header().section(kind)?;
        if index >= count {
            return None;
        }
        let at = section.offset + u64::from(index) * u64::from(section.stride);
        let place = self.place(at, size_of::<T>() as u64, align_of::<T>())?;
        // SAFETY: `place` checked that the bytes are mapped and aligned; `T` is `Shared`; the mapping lives as long as `self`.
        Some(unsafe { place.cast().as_ref() })
    }

    /// The address of `len` bytes at `offset`, if they are within the segment and aligned.
    fn place(&self, offset: u64, len: u64, align: usize) -> Option<NonNull<u8>> {
        let mapping = &self.0.mapping;
        let end = offset.checked_add(len)?;
        if end > mapping.len() as u64 || !offset.is_multiple_of(align as u64) {
            return None;
        }
        let offset = usize::try_from(offset).ok()?;
        // SAFETY: the offset is within the mapping, which is one allocation.
        Some(unsafe { mapping.start().add(offset) })
    }

    /// A new segment in `file`, which is empty or zero and is given its length here. `fill` sees it before anybody else can.
    pub(crate) fn build(file: OwnedFd, header: Header, fill: impl FnOnce(&Self) -> Result<()>) -> Result<Self> {
        let label = label(&header);
        let len = usize::try_from(header.len)
            .map_err(|_| Error::Spec { what: format!("a length that fits memory, came {}", header.len) })?;
        let mapping = Mapping::shared(&file, len, Access::ReadWrite)
            .map_err(Error::system(format!("mapping segment `{label}`")))?;
        let page = header.encode();
        let segment = Self(Arc::new(Memory { mapping, file, header, label, is_writable: true }));
        for (at, eight) in page.chunks_exact(8).enumerate() {
            let word = segment.word(at);
            word.store(u64::from_le_bytes(eight.try_into().expect("chunks of eight")), Ordering::Relaxed);
        }
        fill(&segment)?;
        // Whoever opens the file does so after it was linked or sent, which orders all of the above before.
        segment.set_ready();
        Ok(segment)
    }

    /// The segment in `file`, checked.
    pub(crate) fn of_file(file: OwnedFd, expect: &Expect, label_if_bad: &str) -> Result<Self> {
        let refuse = |refusal| Error::Refused { segment: label_if_bad.to_owned(), refusal };
        let doing = |what: &str| Error::system(format!("{what} segment `{label_if_bad}`"));
        let stat = rustix::fs::fstat(&file).map_err(|error| doing("looking at")(error.into()))?;
        let file_len = u64::try_from(stat.st_size).unwrap_or(0);
        if file_len < PAGE {
            return Err(refuse(Refusal::TooShort { expected: PAGE, came: file_len }));
        }
        let access = if expect.is_looking_only() { Access::ReadOnly } else { Access::ReadWrite };
        // The header is read from the file, not from a mapping: a file that is cut meanwhile is an error and no fault.
        let mut page = vec![0; FIXED];
        let mut filled = 0;
        while filled < FIXED {
            match rustix::io::pread(&file, &mut page[filled..], filled as u64) {
                Ok(0) => return Err(refuse(Refusal::TooShort { expected: PAGE, came: filled as u64 })),
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(doing("reading the header of")(error.into())),
            }
        }
        let header = Header::decode(&page, file_len).map_err(refuse)?;
        expect.check(&header, boot()?).map_err(refuse)?;
        let len =
            usize::try_from(header.len).map_err(|_| refuse(Refusal::Length { header: header.len, file: file_len }))?;
        let mapping = Mapping::shared(&file, len, access).map_err(doing("mapping"))?;
        let label = label(&header);
        Ok(Self(Arc::new(Memory { mapping, file, header, label, is_writable: access == Access::ReadWrite })))
    }

    /// A copy of its header, the first page.
    pub fn header_bytes(&self) -> Vec<u8> {
        let words = (0..PAGE as usize / 8).map(|index| self.word(index).load(Ordering::Relaxed).to_le_bytes());
        words.flatten().collect()
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        let place = self.place(index as u64 * 8, 8, 8).expect("the header's page is within the segment");
        // SAFETY: mapped, aligned and atomic.
        unsafe { place.cast().as_ref() }
    }

    /// The header that a new segment of `spec` has.
    pub(crate) fn plan(spec: &Spec, name: &str, generation: u32) -> Result<Header> {
        let random = crate::random::sixteen_bytes().map_err(Error::system("reading random numbers"))?;
        spec.header(name, generation, boot()?, SegmentId(random))
    }
}

impl AsFd for Segment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.file.as_fd()
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("label", &self.label()).field("state", &self.state()).finish_non_exhaustive()
    }
}

fn label(header: &Header) -> String {
    if header.name.is_empty() { header.id.to_string() } else { header.name.clone() }
}

/// The id of this boot.
pub(crate) fn boot() -> Result<SegmentId> {
    process::boot_id().map(SegmentId).map_err(Error::system("reading the machine's boot id"))
}

/// In use, as the header says it.
pub(crate) const READY: u32 = 1;
const RETIRED: u32 = 2;
const POISONED: u32 = 3;

/// A part of a segment. Places are relative to it, and everything that is taken from it is checked to lie within.
#[derive(Clone, Debug)]
pub struct Section {
    segment: Segment,
    kind: SectionKind,
    offset: u64,
    len: u64,
    stride: u32,
}

impl Section {
    /// Which part.
    pub const fn kind(&self) -> SectionKind {
        self.kind
    }

    /// The segment that it is of.
    pub const fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Where it begins in the segment.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// How long it is.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// True if it has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// From one row to the next.
    pub const fn stride(&self) -> u32 {
        self.stride
    }

    /// The record at `at`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if it is not within the part, or not aligned.
    pub fn record<T: Shared>(&self, at: u64) -> Result<Pinned<T>> {
        let place = self.bytes(at, size_of::<T>() as u64, align_of::<T>())?;
        Ok(Pinned { place: place.cast(), segment: self.segment.clone() })
    }

    /// `count` records, one after the other, from `at`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if they are not within the part, or not aligned.
    pub fn records<T: Shared>(&self, at: u64, count: usize) -> Result<Pinned<[T]>> {
        let len = (size_of::<T>() as u64).saturating_mul(count as u64);
        let place = self.bytes(at, len, align_of::<T>())?;
        Ok(Pinned { place: NonNull::slice_from_raw_parts(place.cast(), count), segment: self.segment.clone() })
    }

    /// A copy of the `len` bytes at `at`. What others write meanwhile is in it or is not, word by word.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if they are not within the part.
    pub fn copy(&self, at: u64, len: u64) -> Result<Vec<u8>> {
        self.bytes(at, len, 1)?;
        let start = self.offset + at;
        let (first, end) = (start / 8, (start + len).div_ceil(8));
        let words = (first..end).map(|index| {
            let place = self.segment.place(index * 8, 8, 8).expect("a segment is a whole number of words");
            // SAFETY: mapped, aligned and atomic.
            unsafe { place.cast::<AtomicU64>().as_ref() }.load(Ordering::Relaxed).to_le_bytes()
        });
        let skipped = usize::try_from(start % 8).expect("below eight");
        let len = usize::try_from(len).expect("it is mapped");
        Ok(words.flatten().skip(skipped).take(len).collect())
    }

    /// The address of `len` bytes at `at`, valid for as long as a handle of the segment lives.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if they are not within the part, or not aligned.
    pub fn bytes(&self, at: u64, len: u64, align: usize) -> Result<NonNull<u8>> {
        let is_within = at.checked_add(len).is_some_and(|end| end <= self.len);
        let place = is_within.then(|| self.segment.place(self.offset + at, len, align)).flatten();
        place.ok_or_else(|| {
            let Self { kind, len: all, .. } = self;
            self.segment
                .corrupt(format!("{len} bytes aligned to {align} within the {all} bytes of `{kind}`, came {at}"))
        })
    }
}

/// A record in a segment, which stays mapped for as long as this value lives.
pub struct Pinned<T: ?Sized> {
    place: NonNull<T>,
    segment: Segment,
}

// SAFETY: it is a reference to a `Shared` value, which is `Sync`, and a handle that may be sent.
unsafe impl<T: Shared + ?Sized> Send for Pinned<T> {}
// SAFETY: as above.
unsafe impl<T: Shared + ?Sized> Sync for Pinned<T> {}

impl<T: ?Sized> Pinned<T> {
    /// The segment that it is in.
    pub const fn segment(&self) -> &Segment {
        &self.segment
    }
}

impl<T: ?Sized> Clone for Pinned<T> {
    fn clone(&self) -> Self {
        Self { place: self.place, segment: self.segment.clone() }
    }
}

impl<T: Shared + ?Sized> Deref for Pinned<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `Section` checked the place when it made this value; the segment keeps it mapped; `T` is `Shared`.
        unsafe { self.place.as_ref() }
    }
}

impl<T: Shared + fmt::Debug + ?Sized> fmt::Debug for Pinned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

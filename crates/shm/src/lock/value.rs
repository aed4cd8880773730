//! A value in two copies, and the private third on which its holder works.

use std::{
    cell::UnsafeCell,
    fmt,
    marker::PhantomData,
    mem::MaybeUninit,
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

use super::{
    handle::LockHandle,
    plan::{Data, Parts},
    protocol::Copies,
};
use crate::{
    error::Result,
    layout::LockCell,
    schema::ShmSafe,
    segment::{Pinned, Segment},
    sync::{AtomicU64, Ordering::Relaxed},
};

/// Room for a `T`, in whole lines.
#[repr(C, align(64))]
struct Room<T>(MaybeUninit<T>);

/// The value of a lock.
///
/// Its holder never writes to shared memory before it commits: it works on a copy of its own, so others may read what is committed at any time
/// without seeing half of a change, and nothing must be put back when the holder dies.
pub(super) struct Value<T> {
    copies: [Pinned<[AtomicU64]>; 2],
    /// Touched only by the thread of this process that holds the lock exclusively.
    own: UnsafeCell<Box<Room<T>>>,
    _type: PhantomData<T>,
}

// SAFETY: `own` is touched by one thread at a time, as the lock sees to; the rest is made of atomics. `T` is plain data that may be sent.
unsafe impl<T: ShmSafe> Send for Value<T> {}
// SAFETY: as above.
unsafe impl<T: ShmSafe> Sync for Value<T> {}

impl<T: ShmSafe> Value<T> {
    /// Bytes of one copy.
    pub(super) const BYTES: u64 = size_of::<Room<T>>() as u64;
    const WORDS: usize = size_of::<Room<T>>() / 8;
    const ALIGNED: () = assert!(align_of::<T>() <= 64, "a shared value is aligned to 64 bytes at most");

    /// The value of the lock that has these parts.
    pub(super) fn of(segment: &Segment, parts: &Parts) -> Result<Self> {
        let () = Self::ALIGNED;
        match &parts.data {
            Data::Copies(copies) if copies[0].len() == Self::WORDS => {
                // SAFETY: every pattern of bytes is a `T`, zeroes too.
                let own = unsafe { Box::<Room<T>>::new_zeroed().assume_init() };
                Ok(Self { copies: copies.clone(), own: UnsafeCell::new(own), _type: PhantomData })
            }
            _ => Err(segment.corrupt(format!("two copies of {} bytes", Self::BYTES))),
        }
    }

    /// Makes `initial` the first value of a lock that nobody else knows yet.
    pub(super) fn fill(parts: &Parts, initial: T) {
        if let Data::Copies([first, _]) = &parts.data {
            let mut room = MaybeUninit::<Room<T>>::zeroed();
            // SAFETY: the room is for one `T`.
            unsafe { room.as_mut_ptr().cast::<T>().write(initial) };
            // SAFETY: zeroed, then written over by a type without padding: every byte has a value. As many words as a room has.
            let words = unsafe { std::slice::from_raw_parts(room.as_ptr().cast::<u64>(), Self::WORDS) };
            for (word, value) in first.iter().zip(words) {
                word.store(*value, Relaxed);
            }
        }
    }

    #[inline(always)]
    pub(super) fn copies<'a>(&'a self, cell: &'a LockCell) -> Copies<'a> {
        Copies::new(cell, [&self.copies[0], &self.copies[1]])
    }

    /// The committed value, for as long as the caller keeps writers out.
    #[inline(always)]
    pub(super) fn current(&self, cell: &LockCell) -> NonNull<T> {
        NonNull::from(self.copies(cell).current()).cast()
    }

    /// A private copy of the committed value, to be changed. The caller is the exclusive holder.
    #[inline(always)]
    pub(super) fn begin(&self, cell: &LockCell) -> NonNull<T> {
        let copies = self.copies(cell);
        copies.announce();
        for (own, word) in self.own_words().iter_mut().zip(copies.current()) {
            *own = word.load(Relaxed);
        }
        self.own_place()
    }

    /// Makes the private copy the committed value; its version. The caller is the exclusive holder and has begun.
    #[inline(always)]
    pub(super) fn commit(&self, cell: &LockCell) -> u64 {
        self.copies(cell).commit(self.own_words())
    }

    /// Forgets the private copy.
    #[inline(always)]
    pub(super) fn forget(&self, cell: &LockCell) {
        self.copies(cell).forget();
    }

    /// The committed value and its version, without the lock; `None` if it changed twice meanwhile.
    pub(super) fn snapshot(&self, cell: &LockCell) -> Option<(T, u64)> {
        let mut room = MaybeUninit::<Room<T>>::zeroed();
        // SAFETY: zeroed; as many words as a room has; ours alone.
        let words = unsafe { std::slice::from_raw_parts_mut(room.as_mut_ptr().cast::<u64>(), Self::WORDS) };
        let version = self.copies(cell).snapshot(words)?;
        // SAFETY: a room begins with its `T`, of which every pattern of bytes is a value.
        Some((unsafe { room.as_ptr().cast::<T>().read() }, version))
    }

    #[inline(always)]
    fn own_place(&self) -> NonNull<T> {
        // SAFETY: the caller is the only one who touches it, see the field.
        NonNull::from(unsafe { &mut **self.own.get() }).cast()
    }

    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "the lock makes it exclusive, not the borrow")]
    fn own_words(&self) -> &mut [u64] {
        // SAFETY: the caller is the only one who touches it; the room was zeroed, holds a type without padding, and has as many words.
        unsafe { std::slice::from_raw_parts_mut(self.own_place().cast().as_ptr(), Self::WORDS) }
    }
}

/// A value in the hands of its exclusive holder. It knows nothing of the lock: the guard around it gives that back.
pub(super) struct Writing<'a, T> {
    pub(super) handle: &'a LockHandle,
    value: &'a Value<T>,
    /// The committed value in the segment, or the private copy once it was begun.
    place: NonNull<T>,
    is_open: bool,
}

impl<'a, T: ShmSafe> Writing<'a, T> {
    #[inline(always)]
    pub(super) fn new(handle: &'a LockHandle, value: &'a Value<T>) -> Self {
        Self { handle, value, place: value.current(handle.cell()), is_open: false }
    }

    #[inline(always)]
    pub(super) fn save(&mut self) -> u64 {
        let cell = self.handle.cell();
        // In the child of a fork this is a copy of what the parent holds, and must touch nothing.
        if self.is_open && self.handle.is_ours() {
            self.is_open = false;
            self.value.commit(cell);
            self.place = self.value.current(cell);
        }
        cell.version.load(Relaxed)
    }

    #[inline(always)]
    pub(super) fn roll_back(&mut self) {
        if self.is_open && self.handle.is_ours() {
            self.is_open = false;
            let cell = self.handle.cell();
            self.value.forget(cell);
            self.place = self.value.current(cell);
        }
    }
}

impl<T: ShmSafe> Deref for Writing<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: either the committed copy, which nobody writes while this process has the lock, or the private one, which this value
        // alone touches. Both live as long as the lock's handle.
        unsafe { self.place.as_ref() }
    }
}

impl<T: ShmSafe> DerefMut for Writing<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        if !self.is_open {
            self.is_open = true;
            self.place = self.value.begin(self.handle.cell());
        }
        // SAFETY: the private copy, which this value alone touches.
        unsafe { self.place.as_mut() }
    }
}

impl<T> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").field("words", &self.copies[0].len()).finish_non_exhaustive()
    }
}

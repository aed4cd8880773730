//! A value in two copies, and the private third on which its holder works.

use std::{
    cell::UnsafeCell,
    fmt,
    marker::PhantomData,
    mem::MaybeUninit,
    ops::{Deref, DerefMut},
    ptr::NonNull,
    sync::Arc,
};

use crosstie_core::FencingToken;

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
    sync::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

/// Room for a `T`, in whole lines of its own.
#[repr(C, align(64))]
struct Room<T>(MaybeUninit<T>);

/// The value of a lock.
///
/// Its holder never writes to shared memory before it commits: it works on a copy of its own, so others may read what is committed at any time
/// without seeing half of a change, and nothing must be put back when the holder dies.
pub(super) struct Value<T> {
    copies: [Pinned<[AtomicU64]>; 2],
    /// Touched only by the thread of this process that holds the lock exclusively.
    own: Box<UnsafeCell<Room<T>>>,
    /// 1 while the holder has begun to work on `own`. Of the holder alone, like all that is about one acquisition: see [`Guarded`].
    is_open: AtomicU32,
    _type: PhantomData<T>,
}

// SAFETY: `own` is touched by one thread at a time, as the lock sees to; the rest is made of atomics. `T` is plain data that may be sent.
unsafe impl<T: ShmSafe> Send for Value<T> {}
// SAFETY: as above.
unsafe impl<T: ShmSafe> Sync for Value<T> {}

impl<T: ShmSafe> Value<T> {
    /// Bytes of one copy.
    pub(super) const BYTES: u64 = Self::WORDS as u64 * 8;
    const WORDS: usize = size_of::<T>().div_ceil(8);
    const ALIGNED: () = assert!(align_of::<T>() <= 64, "a shared value is aligned to 64 bytes at most");

    /// The value of the lock that has these parts.
    pub(super) fn of(segment: &Segment, parts: &Parts) -> Result<Self> {
        let () = Self::ALIGNED;
        match &parts.data {
            Data::Copies(copies) if copies[0].len() == Self::WORDS => {
                // SAFETY: every pattern of bytes is a `T`, zeroes too.
                let own = unsafe { Box::<UnsafeCell<Room<T>>>::new_zeroed().assume_init() };
                Ok(Self { copies: copies.clone(), own, is_open: AtomicU32::new(0), _type: PhantomData })
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
        // A length that the compiler knows: checked once more for that.
        Copies::new(cell, [&self.copies[0][..Self::WORDS], &self.copies[1][..Self::WORDS]])
    }

    /// The committed value, for as long as the caller keeps writers out.
    #[inline(always)]
    pub(super) fn current(&self, cell: &LockCell) -> NonNull<T> {
        NonNull::from(self.copies(cell).current()).cast()
    }

    /// Makes the private copy, to be changed. The caller is the exclusive holder.
    #[inline(always)]
    fn begin(&self, cell: &LockCell) {
        let copies = self.copies(cell);
        copies.announce();
        for (own, word) in self.own_words().iter_mut().zip(copies.current()) {
            *own = word.load(Relaxed);
        }
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
        NonNull::from(&*self.own).cast()
    }

    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "the lock makes it exclusive, not the borrow")]
    fn own_words(&self) -> &mut [u64] {
        // SAFETY: the caller is the only one who touches it; the room was zeroed, holds a type without padding, and has as many words.
        unsafe { std::slice::from_raw_parts_mut(self.own.get().cast::<u64>(), Self::WORDS) }
    }
}

/// A lock and the value that it protects.
///
/// What a guard must know is kept here, once for each handle of the lock, and the guard is a mere reference: there is one exclusive holder
/// at a time, and a guard of several words that is handed on through memory costs more than the lock.
#[derive(Debug)]
pub(super) struct Guarded<T> {
    pub(super) handle: Arc<LockHandle>,
    pub(super) value: Value<T>,
    /// The number of the acquisition that is under way through this handle.
    token: AtomicU64,
}

impl<T: ShmSafe> Guarded<T> {
    pub(super) const fn new(handle: Arc<LockHandle>, value: Value<T>) -> Self {
        Self { handle, value, token: AtomicU64::new(0) }
    }

    /// The value in the hands of the exclusive holder, which the caller is by its acquisition `token`.
    #[inline(always)]
    pub(super) fn writing(&self, token: FencingToken) -> Writing<'_, T> {
        self.token.store(token.number(), Relaxed);
        // A thread may have ended and left a guard behind.
        self.value.is_open.store(0, Relaxed);
        Writing(self)
    }
}

/// A value in the hands of its exclusive holder. It knows nothing of how the lock is given back: the guard around it does that.
pub(super) struct Writing<'a, T>(&'a Guarded<T>);

impl<'a, T: ShmSafe> Writing<'a, T> {
    #[inline(always)]
    pub(super) fn handle(&self) -> &'a LockHandle {
        &self.0.handle
    }

    #[inline(always)]
    pub(super) fn token(&self) -> FencingToken {
        FencingToken::new(self.0.token.load(Relaxed))
    }

    #[inline(always)]
    fn is_open(&self) -> bool {
        self.0.value.is_open.load(Relaxed) != 0
    }

    #[inline(always)]
    pub(super) fn save(&mut self) -> u64 {
        let (handle, value) = (self.handle(), &self.0.value);
        // In the child of a fork this is a copy of what the parent holds, and must touch nothing.
        if self.is_open() && handle.is_ours() {
            value.is_open.store(0, Relaxed);
            return value.copies(handle.cell()).commit(value.own_words());
        }
        handle.cell().version.load(Relaxed)
    }

    #[inline(always)]
    pub(super) fn roll_back(&mut self) {
        let (handle, value) = (self.handle(), &self.0.value);
        if self.is_open() && handle.is_ours() {
            value.is_open.store(0, Relaxed);
            value.copies(handle.cell()).forget();
        }
    }
}

impl<T: ShmSafe> Deref for Writing<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        let value = &self.0.value;
        let place = if self.is_open() { value.own_place() } else { value.current(self.handle().cell()) };
        // SAFETY: either the private copy, which this value alone touches, or the committed one, which nobody writes while this process has
        // the lock. Both live as long as the lock's handle.
        unsafe { place.as_ref() }
    }
}

impl<T: ShmSafe> DerefMut for Writing<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        let value = &self.0.value;
        if !self.is_open() {
            value.is_open.store(1, Relaxed);
            value.begin(self.handle().cell());
        }
        // SAFETY: the private copy, which this value alone touches.
        unsafe { value.own_place().as_mut() }
    }
}

impl<T> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").field("words", &self.copies[0].len()).finish_non_exhaustive()
    }
}

//! Values in and out of shared words, a word at a time, so that whatever the other side does meanwhile is no data race.

use std::mem::MaybeUninit;

use crate::{
    schema::ShmSafe,
    sync::{AtomicU64, Ordering::Relaxed},
};

/// Copies `value` into `words`, which are at least as long.
#[inline]
pub(crate) fn store<T: ShmSafe>(words: &[AtomicU64], value: &T) {
    let size = size_of::<T>();
    assert!(words.len() >= size.div_ceil(8), "a place is as long as its value");
    let from = std::ptr::from_ref(value).cast::<u8>();
    for (at, word) in words.iter().enumerate().take(size / 8) {
        // SAFETY: `at * 8 + 8` is at most the size of the value, whose bytes are all initialised (`ShmSafe` has no padding).
        word.store(unsafe { from.add(at * 8).cast::<u64>().read_unaligned() }, Relaxed);
    }
    if !size.is_multiple_of(8) {
        let mut last = [0u8; 8];
        let done = size / 8 * 8;
        // SAFETY: the last `size - done` bytes of the value, which are fewer than eight.
        unsafe { std::ptr::copy_nonoverlapping(from.add(done), last.as_mut_ptr(), size - done) };
        words[size / 8].store(u64::from_le_bytes(last), Relaxed);
    }
}

/// Copies a value out of `words`, which are at least as long.
#[inline]
pub(crate) fn load<T: ShmSafe>(words: &[AtomicU64]) -> T {
    let size = size_of::<T>();
    assert!(words.len() >= size.div_ceil(8), "a place is as long as its value");
    let mut value = MaybeUninit::<T>::uninit();
    let to = value.as_mut_ptr().cast::<u8>();
    for (at, word) in words.iter().enumerate().take(size / 8) {
        // SAFETY: `at * 8 + 8` is at most the size of the value.
        unsafe { to.add(at * 8).cast::<u64>().write_unaligned(word.load(Relaxed)) };
    }
    if !size.is_multiple_of(8) {
        let last = words[size / 8].load(Relaxed).to_le_bytes();
        let done = size / 8 * 8;
        // SAFETY: the last `size - done` bytes of the value, which are fewer than eight.
        unsafe { std::ptr::copy_nonoverlapping(last.as_ptr(), to.add(done), size - done) };
    }
    // SAFETY: all of its bytes were written, and every pattern of bytes is a value (`ShmSafe`).
    unsafe { value.assume_init() }
}

/// The address of the first byte in `words`.
pub(crate) const fn address(words: &[AtomicU64]) -> *mut u8 {
    // Atomics may be changed through a shared reference, so their address may be written through.
    words.as_ptr().cast_mut().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_any_size_come_out_as_they_went_in() {
        fn check<T: ShmSafe + PartialEq + std::fmt::Debug>(value: T) {
            let words: Vec<_> = (0..size_of::<T>().div_ceil(8)).map(|_| AtomicU64::new(u64::MAX)).collect();
            store(&words, &value);
            assert_eq!(load::<T>(&words), value);
        }
        check(7u8);
        check([1u8, 2, 3, 4, 5, 6, 7, 8, 9]);
        check(0x0102_0304u32);
        check([u64::MAX - 1; 7]);
        check([3u16; 5]);
    }
}

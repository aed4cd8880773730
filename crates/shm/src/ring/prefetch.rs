//! Asking for lines of memory before they are needed.

use crate::sync::AtomicU64;

/// Asks for the lines that `first` and the last of the words after it are in, to be written soon. Changes nothing that a program can see.
#[inline(always)]
pub(crate) fn prepare_to_write(first: &AtomicU64, rest: &[AtomicU64]) {
    #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
    for word in [first, rest.last().unwrap_or(first)] {
        // SAFETY: a hint, which reads and writes nothing; every 64-bit processor of this kind knows it or takes it for none.
        unsafe {
            std::arch::asm!("prefetchw [{}]", in(reg) word, options(nostack, preserves_flags, readonly));
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
    let _ = (first, rest);
}

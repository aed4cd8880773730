//! References into a segment, for a value that holds the segment beside them.

use crate::segment::Shared;

/// The reference without its life time.
///
/// # Safety
///
/// `place` is in a segment. Whoever keeps the reference keeps a handle of that segment (a clone of it, a `Pinned`, a participant) for at least as
/// long, in the same value, and gives the reference out only bound to a borrow of that value.
pub(crate) unsafe fn hold<T: Shared + ?Sized>(place: &T) -> &'static T {
    // SAFETY: the mapping lives as long as any handle of the segment, which the caller keeps.
    unsafe { &*std::ptr::from_ref(place) }
}

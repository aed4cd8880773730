//! The last acts of a participant, readable when it is dead.

use super::EVENTS_KEPT;
use crate::sync::{AtomicU64, Ordering};

/// One act, 32 bytes.
#[repr(C)]
#[derive(Debug)]
pub struct Event {
    /// When, on the monotonic clock, in nanoseconds.
    pub time: AtomicU64,
    /// Act (bits 0 to 15), object (16 to 31), sequence (32 to 63), counted from 1; 0 while the event is being written.
    pub stamp: AtomicU64,
    /// Two numbers whose meaning depends on the act.
    pub detail: [AtomicU64; 2],
}

/// One row of the event section: a ring of the last 256 acts.
#[repr(C)]
#[derive(Debug)]
pub struct EventRow {
    /// The event with sequence `s` is at index `(s - 1) % 256`.
    pub events: [Event; EVENTS_KEPT],
}

#[cfg_attr(loom, allow(dead_code, reason = "events are not modelled"))]
impl Event {
    pub(crate) fn write(&self, time: u64, act: u16, object: u16, sequence: u32, detail: [u64; 2]) {
        // A reader that sees the zero or another stamp afterwards knows that it read a mixture.
        self.stamp.store(0, Ordering::Relaxed);
        crate::sync::fence(Ordering::Release);
        self.time.store(time, Ordering::Relaxed);
        self.detail[0].store(detail[0], Ordering::Relaxed);
        self.detail[1].store(detail[1], Ordering::Relaxed);
        let stamp = u64::from(act) | u64::from(object) << 16 | u64::from(sequence) << 32;
        // Pairs with the Acquire in `read`: whoever sees the stamp sees the rest.
        self.stamp.store(stamp, Ordering::Release);
    }

    /// Time, act, object, sequence and detail; `None` if it was never written or is being written.
    pub(crate) fn read(&self) -> Option<(u64, u16, u16, u32, [u64; 2])> {
        let stamp = self.stamp.load(Ordering::Acquire);
        let time = self.time.load(Ordering::Relaxed);
        let detail = [self.detail[0].load(Ordering::Relaxed), self.detail[1].load(Ordering::Relaxed)];
        // Pairs with the fence in `write`: if a new value was read above, the zero or a newer stamp is read here.
        crate::sync::fence(Ordering::Acquire);
        let is_whole = stamp != 0 && self.stamp.load(Ordering::Relaxed) == stamp;
        let field = |at: u32| u16::try_from(stamp >> at & 0xffff).expect("sixteen bits were kept");
        is_whole.then(|| (time, field(0), field(16), u32::try_from(stamp >> 32).expect("32 bits are left"), detail))
    }
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Event>() == 32 && size_of::<EventRow>() == 8192);

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn event() -> Event {
        Event { time: AtomicU64::new(0), stamp: AtomicU64::new(0), detail: [const { AtomicU64::new(0) }; 2] }
    }

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let event = event();
        assert_eq!(event.read(), None);
        event.write(9, 0xffff, 0xfffe, u32::MAX, [1, u64::MAX]);
        assert_eq!(event.read(), Some((9, 0xffff, 0xfffe, u32::MAX, [1, u64::MAX])));
    }

    #[test]
    fn what_its_writer_died_in_is_left_out() {
        let event = event();
        event.write(9, 1, 2, 3, [4, 5]);
        // The first store of a second write, and one of the next.
        event.stamp.store(0, Ordering::Relaxed);
        event.time.store(10, Ordering::Relaxed);
        assert_eq!(event.read(), None);
    }

    #[test]
    fn control_without_taking_the_stamp_away_first_a_mixture_is_read() {
        let event = event();
        event.write(9, 1, 2, 3, [4, 5]);
        event.time.store(10, Ordering::Relaxed);
        assert_eq!(event.read(), Some((10, 1, 2, 3, [4, 5])));
    }
}

//! Datagrams that tell by themselves whether they are whole, and a count of what came of them.

use std::collections::BTreeSet;

/// The shortest has its number and its length.
const HEAD: usize = 8;
/// Lengths differ, so that ends never fall on the same places.
const SPREAD: u32 = 3000;

/// Datagram `number`: the number, its own length, and bytes that follow from both.
pub(super) fn letter(number: u32) -> Vec<u8> {
    let len = HEAD + (number.wrapping_mul(7919) % SPREAD) as usize;
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(len).expect("a short one").to_le_bytes());
    bytes.extend((HEAD..len).map(|at| ((number as usize).wrapping_add(at) % 251) as u8));
    bytes
}

/// The number of a datagram; `None` if it is not whole.
pub(super) fn number_of(bytes: &[u8]) -> Option<u32> {
    let number = u32::from_le_bytes(*bytes.first_chunk()?);
    (letter(number) == bytes).then_some(number)
}

/// Longer than any.
pub(super) const ROOM: usize = HEAD + SPREAD as usize;

/// What came of those that were sent.
#[derive(Debug, Default)]
pub(super) struct Tally {
    seen: BTreeSet<u32>,
    pub(super) doubles: usize,
    pub(super) torn: usize,
    pub(super) late: usize,
    last: Option<u32>,
}

impl Tally {
    pub(super) fn came(&mut self, bytes: &[u8]) {
        let Some(number) = number_of(bytes) else {
            self.torn += 1;
            return;
        };
        if !self.seen.insert(number) {
            self.doubles += 1;
        }
        if self.last.is_some_and(|last| number < last) {
            self.late += 1;
        }
        self.last = Some(number);
    }

    pub(super) fn seen(&self) -> usize {
        self.seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_doubled_late_or_torn_is_counted() {
        let mut tally = Tally::default();
        for number in [0, 1, 3, 2, 3] {
            tally.came(&letter(number));
        }
        tally.came(&letter(9)[..20]);
        let mut changed = letter(10);
        changed[11] ^= 1;
        tally.came(&changed);
        tally.came(b"");
        assert_eq!((tally.seen(), tally.doubles, tally.late, tally.torn), (4, 1, 1, 3));
    }
}

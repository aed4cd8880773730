//! The accounts as one value: what each holds, and the marks by which a reader sees that somebody was in the middle of a transfer.

use crosstie::shm::{Recovery, Reserved, ShmSafe};

use super::wire::{ACCOUNTS, Move, OPENING_CENTS};

/// One account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ShmSafe)]
#[repr(C)]
pub(super) struct Row {
    pub(super) cents: i64,
    /// How often it was changed: what is lost shows as a change too few.
    pub(super) changes: u64,
    /// The last transfer that changed it, and the account on the other side of that.
    pub(super) last: u64,
    pub(super) with: u64,
}

impl Row {
    /// The account after its side of transfer `number` with the account `with`.
    pub(super) const fn moved(self, cents: i64, number: u64, with: usize) -> Self {
        // Without a lock an earlier transfer may come after a later one, whose mark stays then.
        let (last, with) = if number > self.last { (number, with as u64) } else { (self.last, self.with) };
        Self { cents: self.cents + cents, changes: self.changes + 1, last, with }
    }
}

/// All accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ShmSafe)]
#[repr(C)]
pub(super) struct Books {
    pub(super) rows: [Row; ACCOUNTS],
    /// How many transfers of the ledger are in the rows: the first so many.
    pub(super) transfers: u64,
    /// Banks that died with the lock, as those who got it after them were told.
    pub(super) deaths: u64,
    /// How many of these tellings spoke of changes that were undone.
    pub(super) undone: u64,
    reserved: Reserved<40>,
}

impl Books {
    pub(super) const OPENING: Self = Self {
        rows: [Row { cents: OPENING_CENTS, changes: 0, last: 0, with: 0 }; ACCOUNTS],
        transfers: 0,
        deaths: 0,
        undone: 0,
        reserved: Reserved::ZERO,
    };

    /// Takes the money of the next transfer; returns its number.
    pub(super) const fn debit(&mut self, Move { from, to, cents }: Move) -> u64 {
        let number = self.transfers + 1;
        self.rows[from] = self.rows[from].moved(-cents, number, to);
        number
    }

    /// Gives the money of transfer `number`, which is complete with that.
    pub(super) const fn credit(&mut self, Move { from, to, cents }: Move, number: u64) {
        self.rows[to] = self.rows[to].moved(cents, number, from);
        self.transfers = number;
    }

    pub(super) const fn enter(&mut self, made: Move) {
        let number = self.debit(made);
        self.credit(made, number);
    }

    /// Counts what the holder of the lock was told about those before.
    pub(super) fn count(&mut self, recovery: Option<Recovery>) {
        if let Some(recovery) = recovery {
            self.deaths += u64::from(recovery.deaths);
            self.undone += u64::from(recovery.rolled_back);
        }
    }

    pub(super) fn sum(&self) -> i64 {
        self.rows.iter().map(|row| row.cents).sum()
    }

    /// What all accounts together hold, always.
    pub(super) const SUM: i64 = OPENING_CENTS * ACCOUNTS as i64;

    /// Transfers of which one side is there and the other is not. There are none in a value that nobody is changing.
    pub(super) fn halves(&self) -> impl Iterator<Item = u64> + '_ {
        self.rows.iter().filter(|row| row.last > 0).filter_map(|row| {
            // The index comes out of memory that others write.
            let other = usize::try_from(row.with).ok().and_then(|with| self.rows.get(with));
            other.is_none_or(|other| other.last < row.last).then_some(row.last)
        })
    }

    /// Changes that are missing here, `expected` being all that was done.
    pub(super) fn lost(&self, expected: &Self) -> u64 {
        self.rows.iter().zip(&expected.rows).map(|(row, expected)| expected.changes.saturating_sub(row.changes)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(from: usize, to: usize) -> Move {
        Move { from, to, cents: 5 }
    }

    #[test]
    fn whole_transfers_leave_no_half_and_the_sum_as_it_was() {
        let mut books = Books::OPENING;
        for number in 0..1000 {
            let from = number * 7 % ACCOUNTS;
            books.enter(between(from, (from + 1 + number % 5) % ACCOUNTS));
            assert_eq!((books.halves().count(), books.sum()), (0, Books::SUM), "transfer {number}");
        }
        assert_eq!((books.transfers, books.lost(&books)), (1000, 0));
    }

    #[test]
    fn control_half_a_transfer_is_seen_and_a_lost_change_is_counted() {
        let mut books = Books::OPENING;
        books.enter(between(0, 1));
        let before = books;
        let number = books.debit(between(1, 2));
        assert_eq!(books.halves().collect::<Vec<_>>(), [2]);
        assert_eq!(books.sum(), Books::SUM - 5);
        books.credit(between(1, 2), number);
        assert_eq!(before.lost(&books), 2);
        // Somebody writes back what it read before.
        books.rows[2] = before.rows[2].moved(5, 1, 0);
        assert_eq!(books.halves().collect::<Vec<_>>(), [2]);
    }
}

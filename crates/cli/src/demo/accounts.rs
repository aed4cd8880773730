//! The accounts in shared memory, and how a bank makes a transfer: with the lock, or without it to show what that comes to.
//!
//! Both ways take the same steps: look at the accounts, look the id up in the ledger, take the money, write the transfer to the ledger and sync it,
//! give the money. It takes as long as the disk does, and meanwhile the other bank works and the reader reads.
//!
//! # With the lock
//!
//! The accounts are a `Region`: a bank changes its own copy, and the commit makes all of it count at once. The ledger is the durable part, and it
//! decides. **Between a commit and the next the rows are the first `transfers` lines of the ledger, no more and no less**, because
//!
//! * it is so in the beginning, with no line and no transfer;
//! * only the holder of the lock appends to the ledger, and it commits with `transfers` at the end of the ledger as it has read it;
//! * a holder that dies commits nothing. Its line may be in the ledger whole, and is then beyond `transfers`: the next holder enters it
//!   before it does anything else. Or it is not whole, and was never answered: the ledger cuts it off.
//!
//! An id is looked up in the ledger and never in memory, so one that was asked for again is neither applied twice nor forgotten, whether its bank died
//! before the line, after it, or after the commit.
//!
//! # Without
//!
//! The same numbers lie in a segment without a lock and each is an atomic, read and written by itself. The ledger keeps its own lock, so that it knows
//! what the accounts should hold. A bank that writes what it has worked out from an old number undoes what the other did
//! meanwhile: a *lost* update. Whoever reads between the two sides of a transfer sees half of it: a *torn* read.

use std::{io, time::Duration};

use crosstie::shm::{
    Error, Expect, Kind, LockError, Participant, Pinned, Region, Segment, ShmSafe, Spec, deadline_after,
    sync::{AtomicU64, Ordering::Relaxed},
};

use super::{
    books::{Books, Row},
    ledger::Ledger,
    place::Place,
    wire::{ACCOUNTS, Move, Transfer},
};
use crate::exit::{Code, Failure};

/// How long a bank waits for the lock. The other has it for one disk sync, or is stopped.
const LOCK_LIMIT: Duration = Duration::from_secs(2);

/// The accounts, as one process has them.
pub(super) enum Accounts {
    Locked(Region<Books>),
    Unlocked(Cells),
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Applied,
    /// It had been applied before.
    Repeated,
    /// The other bank does not give the lock back. Nothing was done.
    Busy,
}

impl Accounts {
    /// New accounts, in which their maker takes part as `name`.
    pub(super) fn create(place: &Place, is_locked: bool, name: &str) -> Result<Self, Error> {
        let Place { directory, name: segment } = place;
        if is_locked {
            let region = Region::create(directory, segment, Books::OPENING)?;
            return Self::join(region.participant().segment(), true, name);
        }
        Self::join(&Segment::create(directory, segment, &Cells::spec(), Cells::fill)?, false, name)
    }

    /// The accounts that the supervisor has made.
    pub(super) fn open(place: &Place, is_locked: bool, name: &str) -> Result<Self, Error> {
        let kind = if is_locked { Kind::Region } else { WITHOUT_A_LOCK };
        let expect = Expect::kind(kind).element(Books::element());
        Self::join(&Segment::open(&place.directory, &place.name, &expect)?, is_locked, name)
    }

    fn join(segment: &Segment, is_locked: bool, name: &str) -> Result<Self, Error> {
        let participant = Participant::join(segment, name)?;
        Ok(if is_locked { Self::Locked(Region::of(&participant)?) } else { Self::Unlocked(Cells::of(participant)?) })
    }

    /// Makes a transfer unless the ledger has its id. It is on disk when this returns.
    pub(super) fn transfer(&self, ledger: &mut Ledger, transfer: &Transfer) -> Result<Outcome, Failure> {
        match self {
            Self::Locked(region) => locked(region, ledger, transfer),
            Self::Unlocked(cells) => Ok(unlocked(cells, ledger, transfer)?),
        }
    }

    /// The accounts as a reader finds them, without a lock in either case.
    pub(super) fn read(&self) -> Result<Books, LockError> {
        match self {
            Self::Locked(region) => region.snapshot(deadline_after(LOCK_LIMIT)),
            Self::Unlocked(cells) => Ok(cells.read()),
        }
    }

    /// The accounts in the end, and what is wrong with them. All banks are gone; with the lock, what they left undone is done.
    pub(super) fn settle(&self, ledger: &Ledger) -> Result<(Books, Vec<String>), Failure> {
        let mut faults = Vec::new();
        let Self::Locked(region) = self else { return Ok((self.read()?, faults)) };
        // A bank that had it was killed because the demo ends, which is not counted.
        let mut books = region.lock(deadline_after(LOCK_LIMIT))?.into_guard();
        let replayed = ledger.replay(books.transfers);
        if books.rows != replayed.rows || books.transfers != replayed.transfers {
            let text = format!("the accounts in memory are not what the ledger's first {} lines say", books.transfers);
            faults.push(text);
        }
        catch_up(&mut books, ledger)?;
        let settled = *books;
        books.commit();
        Ok((settled, faults))
    }
}

fn locked(region: &Region<Books>, ledger: &mut Ledger, transfer: &Transfer) -> Result<Outcome, Failure> {
    let acquired = match region.lock(deadline_after(LOCK_LIMIT)) {
        Err(error) if error.is_contention() => return Ok(Outcome::Busy),
        outcome => outcome?,
    };
    let recovery = acquired.recovery();
    // Whatever leaves this function before the commit leaves the accounts as they were.
    let mut books = acquired.into_guard();
    books.count(recovery);
    let is_known = ledger.vouches_for(&transfer.id)?;
    catch_up(&mut books, ledger)?;
    if is_known {
        books.commit();
        return Ok(Outcome::Repeated);
    }
    let made = Move::from(transfer);
    let number = books.debit(made);
    ledger.append(transfer)?;
    books.credit(made, number);
    books.commit();
    Ok(Outcome::Applied)
}

/// Enters what the ledger has beyond the accounts: lines of banks that died before their commit.
fn catch_up(books: &mut Books, ledger: &Ledger) -> Result<(), Failure> {
    let Some(missing) = ledger.after(books.transfers) else {
        let text = format!("the accounts have {} transfers, the ledger has only {}", books.transfers, ledger.len());
        return Err(Failure::new(Code::Failure, "unbalanced", text));
    };
    missing.iter().for_each(|made| books.enter(*made));
    Ok(())
}

fn unlocked(cells: &Cells, ledger: &mut Ledger, transfer: &Transfer) -> io::Result<Outcome> {
    let Move { from, to, cents } = transfer.into();
    // From here on they may be old.
    let (source, target) = (cells.row(from), cells.row(to));
    if ledger.vouches_for(&transfer.id)? {
        return Ok(Outcome::Repeated);
    }
    let number = cells.next_number();
    cells.set_row(from, source.moved(-cents, number, to));
    if !ledger.append(transfer)? {
        cells.set_row(from, source);
        return Ok(Outcome::Repeated);
    }
    cells.set_row(to, target.moved(cents, number, from));
    Ok(Outcome::Applied)
}

/// A kind of the demo's own, so that nobody takes it for a region.
const WITHOUT_A_LOCK: Kind = Kind::Other(0x0d_e3_00);
const ROW_WORDS: usize = size_of::<Row>() / 8;

/// The accounts word by word, without a lock.
pub(super) struct Cells {
    words: Pinned<[AtomicU64]>,
    _participant: Participant,
}

impl Cells {
    fn spec() -> Spec {
        Spec::new(WITHOUT_A_LOCK, Books::element()).data(size_of::<Books>() as u64)
    }

    fn words(segment: &Segment) -> Result<Pinned<[AtomicU64]>, Error> {
        segment.data().records(0, size_of::<Books>() / 8)
    }

    fn fill(segment: &Segment) -> Result<(), Error> {
        let words = Self::words(segment)?;
        for (account, row) in Books::OPENING.rows.iter().enumerate() {
            store(&words, account, *row);
        }
        Ok(())
    }

    fn of(participant: Participant) -> Result<Self, Error> {
        Ok(Self { words: Self::words(participant.segment())?, _participant: participant })
    }

    fn row(&self, account: usize) -> Row {
        let [cents, changes, last, with] =
            std::array::from_fn::<_, ROW_WORDS, _>(|word| self.words[account * ROW_WORDS + word].load(Relaxed));
        Row { cents: cents.cast_signed(), changes, last, with }
    }

    fn set_row(&self, account: usize, row: Row) {
        store(&self.words, account, row);
    }

    /// The number of the next transfer. An atomic is enough for a number; it is the accounts for which it is not.
    fn next_number(&self) -> u64 {
        self.transfers().fetch_add(1, Relaxed) + 1
    }

    /// The word after the rows.
    fn transfers(&self) -> &AtomicU64 {
        &self.words[ACCOUNTS * ROW_WORDS]
    }

    fn read(&self) -> Books {
        let mut books = Books::OPENING;
        books.rows = std::array::from_fn(|account| self.row(account));
        books.transfers = self.transfers().load(Relaxed);
        books
    }
}

fn store(words: &[AtomicU64], account: usize, row: Row) {
    let values: [u64; ROW_WORDS] = [row.cents.cast_unsigned(), row.changes, row.last, row.with];
    for (word, value) in words[account * ROW_WORDS..].iter().zip(values) {
        word.store(value, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bank {
        folder: tempfile::TempDir,
        accounts: Accounts,
        ledger: Ledger,
    }

    impl Bank {
        fn new(is_locked: bool) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let directory = crosstie::shm::Directory::at(folder.path().join("segments")).unwrap();
            let place = Place { directory, name: "accounts".parse().unwrap() };
            let accounts = Accounts::create(&place, is_locked, "test").unwrap();
            let ledger = Ledger::open(&folder.path().join("ledger")).unwrap();
            Self { folder, accounts, ledger }
        }

        fn transfer(&mut self, id: &str) -> Outcome {
            self.accounts.transfer(&mut self.ledger, &transfer(id)).unwrap()
        }

        /// The ledger as another process has it.
        fn other_ledger(&self) -> Ledger {
            Ledger::open(&self.folder.path().join("ledger")).unwrap()
        }

        fn settle(&self) -> (Books, Vec<String>) {
            let mut ledger = self.other_ledger();
            ledger.refresh().unwrap();
            self.accounts.settle(&ledger).unwrap()
        }
    }

    fn transfer(id: &str) -> Transfer {
        Transfer { id: id.into(), from: 1, to: 2, cents: 5 }
    }

    #[test]
    fn an_id_is_applied_once_with_and_without_the_lock() {
        for is_locked in [true, false] {
            let mut bank = Bank::new(is_locked);
            assert_eq!(
                [bank.transfer("a"), bank.transfer("a"), bank.transfer("b")].map(|o| o == Outcome::Applied),
                [true, false, true]
            );
            let (books, faults) = bank.settle();
            assert_eq!((books.rows, faults.len()), (bank.ledger.replay(2).rows, 0), "{is_locked}");
        }
    }

    #[test]
    fn a_line_whose_bank_died_before_the_commit_is_entered_by_the_next() {
        let mut bank = Bank::new(true);
        bank.transfer("a");
        let Accounts::Locked(region) = &bank.accounts else { unreachable!() };
        let mut held = region.try_lock().unwrap().into_guard();
        held.debit((&transfer("b")).into());
        bank.other_ledger().append(&transfer("b")).unwrap();
        drop(held);
        assert_eq!(region.snapshot(deadline_after(LOCK_LIMIT)).unwrap().transfers, 1);
        assert_eq!(bank.transfer("b"), Outcome::Repeated);
        let Accounts::Locked(region) = &bank.accounts else { unreachable!() };
        assert_eq!(region.snapshot(deadline_after(LOCK_LIMIT)).unwrap().rows, bank.ledger.replay(2).rows);
        assert_eq!(bank.settle().1, [""; 0]);
    }

    #[test]
    fn control_accounts_that_the_ledger_does_not_have_are_told() {
        let mut bank = Bank::new(true);
        bank.transfer("a");
        let Accounts::Locked(region) = &bank.accounts else { unreachable!() };
        let mut held = region.try_lock().unwrap().into_guard();
        held.rows[3].cents += 1;
        held.commit();
        let (books, faults) = bank.settle();
        assert_eq!((faults.len(), books.sum()), (1, Books::SUM + 1));
    }

    #[test]
    fn control_without_a_lock_what_was_worked_out_from_an_old_number_undoes_the_other() {
        let mut bank = Bank::new(false);
        let Accounts::Unlocked(cells) = &bank.accounts else { unreachable!() };
        let old = cells.row(2);
        bank.transfer("a");
        let Accounts::Unlocked(cells) = &bank.accounts else { unreachable!() };
        cells.set_row(2, old.moved(7, 2, 3));
        let books = bank.accounts.read().unwrap();
        assert_eq!((books.lost(&bank.ledger.replay(1)), books.sum()), (0, Books::SUM - 5 + 7));
        bank.ledger.append(&Transfer { id: "b".into(), from: 3, to: 2, cents: 7 }).unwrap();
        // One change of account 2, and the other side of the second transfer.
        assert_eq!(books.lost(&bank.ledger.replay(2)), 2);
        assert_eq!(books.halves().collect::<Vec<_>>(), [2]);
    }
}

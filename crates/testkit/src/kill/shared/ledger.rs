//! A ledger under each kind of lock: the accounts add up to nothing, and what was committed stays.

use std::path::Path;

use crosstie_core::Deadline;
use crosstie_shm::{Acquired, LockError, LockOutcome, Mutex, Region, RwLock, ShmSafe, TxRegion, deadline_after};

use super::super::{Fault, Seat, Structure, Tally, Told, Victim};
use super::segment::{close, directory, name, start_watching};

/// A ledger under one kind of lock. Who gets it looks whether it is whole, transfers, and commits for the most part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Books {
    /// A value in two copies.
    UnderMutex,
    /// The same in a segment of its own kind.
    InRegion,
    /// One copy with an undo journal.
    InTxRegion,
    /// Two copies, with readers.
    UnderRwLock,
    /// Under a mutex whose guards are forgotten now and then, by threads that end and by processes that leave.
    Forgotten,
}

#[derive(Clone, Copy, Debug, ShmSafe)]
#[repr(C)]
struct Ledger {
    moved: u64,
    accounts: [i64; 7],
}

const EMPTY: Ledger = Ledger { moved: 0, accounts: [0; 7] };

/// Transfers that were acknowledged.
const MOVED: usize = 0;
/// Bytes of the journal.
const JOURNAL: u64 = 1024;

impl Structure for Books {
    fn name(&self) -> &'static str {
        match self {
            Self::UnderMutex => "mutex",
            Self::InRegion => "region",
            Self::InTxRegion => "tx-region",
            Self::UnderRwLock => "rwlock",
            Self::Forgotten => "mutex-forgotten",
        }
    }

    fn told(&self) -> Told {
        // Threads that end are told too, and are no deaths on the board.
        if *self == Self::Forgotten { Told::Never } else { Told::Once }
    }

    fn is_stepped(&self) -> bool {
        // A region is a mutex, and a forgotten guard is a matter of threads.
        !matches!(self, Self::InRegion | Self::Forgotten)
    }

    fn set_up(&self, place: &Path) -> Result<(), String> {
        self.lock(place, true).map(drop)
    }

    fn join(&self, place: &Path, _seat: Seat) -> Result<Box<dyn Victim>, String> {
        let reopen = *self;
        let place_of_it = place.to_owned();
        let open = move || reopen.lock(&place_of_it, false);
        Ok(Box::new(Worker { lock: Some(open()?), forgets: *self == Self::Forgotten, open: Box::new(open) }))
    }

    fn check(&self, place: &Path, seat: Seat, tally: &Tally) -> Result<(), String> {
        let acknowledged = seat.counted_by_all(MOVED);
        let lock = self.lock(place, false)?;
        let ledger = lock.value(seat).map_err(|error| format!("reading what is left: {error}"))?;
        judge_moved(seat, &ledger);
        if ledger.moved > acknowledged + tally.deaths {
            let text = format!("{acknowledged} were acknowledged, {} died, {} are there", tally.deaths, ledger.moved);
            seat.fault(Fault::Doubled, &text);
        }
        drop(lock);
        close(place, seat)
    }
}

impl Books {
    fn lock(self, place: &Path, is_new: bool) -> Result<Lock, String> {
        let (directory, name) = (directory(place)?, name());
        let lock = match self {
            Self::UnderMutex | Self::Forgotten if is_new => Mutex::create(&directory, &name, EMPTY).map(Lock::Mutex),
            Self::UnderMutex | Self::Forgotten => Mutex::open(&directory, &name).map(Lock::Mutex),
            Self::InRegion if is_new => Region::create(&directory, &name, EMPTY).map(Lock::Region),
            Self::InRegion => Region::open(&directory, &name).map(Lock::Region),
            Self::InTxRegion if is_new => TxRegion::create(&directory, &name, JOURNAL, |_| {}).map(Lock::TxRegion),
            Self::InTxRegion => TxRegion::open(&directory, &name).map(Lock::TxRegion),
            Self::UnderRwLock if is_new => RwLock::create(&directory, &name, EMPTY).map(Lock::RwLock),
            Self::UnderRwLock => RwLock::open(&directory, &name).map(Lock::RwLock),
        };
        lock.map_err(|error| format!("opening the lock: {error}"))
    }
}

enum Lock {
    Mutex(Mutex<Ledger>),
    Region(Region<Ledger>),
    TxRegion(TxRegion<Ledger>),
    RwLock(RwLock<Ledger>),
}

impl Lock {
    /// What is committed.
    fn value(&self, seat: Seat) -> Result<Ledger, LockError> {
        match self {
            Self::Mutex(mutex) => mutex.lock(soon(seat)).map(|acquired| *acquired.guard),
            Self::Region(region) => region.lock(soon(seat)).map(|acquired| *acquired.guard),
            Self::TxRegion(region) => region.lock(soon(seat)).map(|acquired| *acquired.guard),
            Self::RwLock(lock) => lock.read(soon(seat)).map(|acquired| *acquired.guard),
        }
    }
}

struct Worker {
    lock: Option<Lock>,
    forgets: bool,
    open: Box<dyn Fn() -> Result<Lock, String>>,
}

impl Victim for Worker {
    fn prepare(&mut self) -> Result<(), String> {
        start_watching()
    }

    fn step(&mut self, seat: Seat, chance: &mut fastrand::Rng) -> Result<(), String> {
        if self.forgets && chance.u8(..16) == 0 {
            return self.forget(seat, chance.bool());
        }
        let lock = self.lock();
        if seat.is_stepped() {
            // Always the same, and all of it.
            [End::Save, End::RollBack, End::Commit].into_iter().try_for_each(|end| lock.work(seat, chance, end))?;
            return if matches!(lock, Lock::RwLock(_)) { lock.read(seat, chance) } else { Ok(()) };
        }
        if matches!(lock, Lock::RwLock(_)) && chance.bool() {
            return lock.read(seat, chance);
        }
        let end = [End::Save, End::Commit, End::RollBack][chance.usize(..3)];
        lock.work(seat, chance, end)
    }

    fn succeed(&mut self, seat: Seat, chance: &mut fastrand::Rng) -> Result<(), String> {
        self.lock().work(seat, chance, End::Commit)
    }
}

impl Worker {
    fn lock(&self) -> &Lock {
        self.lock.as_ref().expect("a worker has a lock between its steps")
    }

    /// Forgets a guard: in a thread that ends then, or in a process that leaves the segment then.
    fn forget(&mut self, seat: Seat, in_a_thread: bool) -> Result<(), String> {
        let lock = self.lock.take().expect("a worker has a lock between its steps");
        let Lock::Mutex(mutex) = &lock else { return Err("only guards of mutexes are forgotten".to_owned()) };
        let take = || match mutex.lock(soon(seat)) {
            Ok(acquired) => {
                let mut guard = acquired.guard;
                judge(seat, &guard);
                spoil(&mut guard.accounts);
                std::mem::forget(guard);
                Ok(())
            }
            Err(error) => refused(seat, &error),
        };
        if in_a_thread {
            std::thread::scope(|scope| scope.spawn(take).join()).map_err(|_| "a thread panicked".to_owned())??;
            self.lock = Some(lock);
        } else {
            take()?;
            drop(lock);
            self.lock = Some((self.open)()?);
        }
        Ok(())
    }
}

/// How a writer ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Commits with the guard in its hands, then gives it back.
    Save,
    /// Commits and gives back in one.
    Commit,
    /// Gives back without a commit.
    RollBack,
}

/// What a writer does with whatever guard it has. `$change` is how the guard lets one change the moved and the accounts.
macro_rules! write {
    ($seat:expr, $chance:expr, $end:expr, $acquired:expr, |$guard:ident| ($moved:expr, $accounts:expr)) => {
        match $acquired {
            Ok(Acquired { guard: mut $guard, outcome }) => {
                tell($seat, outcome);
                $seat.enters();
                $seat.saw_token($guard.token().number());
                judge_moved($seat, &$guard);
                let from = $chance.usize(..7);
                let accounts: &mut [i64; 7] = $accounts;
                accounts[from] -= 5;
                $seat.dwell($chance);
                accounts[(from + 3) % 7] += 5;
                let moved: &mut u64 = $moved;
                *moved += 1;
                if let End::RollBack = $end {
                    spoil($accounts);
                }
                $seat.dwell($chance);
                match $end {
                    End::Save => {
                        $guard.save();
                        $seat.count(MOVED, 1);
                        $seat.leaves();
                        drop($guard);
                    }
                    End::Commit => {
                        $seat.leaves();
                        $guard.commit();
                        $seat.count(MOVED, 1);
                    }
                    End::RollBack => {
                        $seat.leaves();
                        drop($guard);
                    }
                }
                Ok(())
            }
            Err(error) => refused($seat, &error),
        }
    };
}

impl Lock {
    fn work(&self, seat: Seat, chance: &mut fastrand::Rng, end: End) -> Result<(), String> {
        let no_room = |error| format!("editing a part: {error}");
        match self {
            Self::Mutex(mutex) => {
                write!(seat, chance, end, mutex.lock(soon(seat)), |guard| (&mut guard.moved, &mut guard.accounts))
            }
            Self::Region(region) => {
                write!(seat, chance, end, region.lock(soon(seat)), |guard| (&mut guard.moved, &mut guard.accounts))
            }
            Self::RwLock(lock) => {
                write!(seat, chance, end, lock.write(soon(seat)), |guard| (&mut guard.moved, &mut guard.accounts))
            }
            Self::TxRegion(region) => write!(seat, chance, end, region.lock(soon(seat)), |guard| (
                guard.edit(|ledger| &ledger.moved).map_err(no_room)?,
                guard.edit(|ledger| &ledger.accounts).map_err(no_room)?
            )),
        }
    }

    fn read(&self, seat: Seat, chance: &mut fastrand::Rng) -> Result<(), String> {
        let Self::RwLock(lock) = self else { return Ok(()) };
        match lock.read(soon(seat)) {
            Ok(Acquired { guard, outcome }) => {
                tell(seat, outcome);
                seat.holds();
                let before = guard.moved;
                judge(seat, &guard);
                seat.dwell(chance);
                judge(seat, &guard);
                if guard.moved != before {
                    seat.fault(Fault::GrantedTwice, "a value changed while it was locked to read");
                }
                seat.lets_go();
                drop(guard);
                Ok(())
            }
            Err(error) => refused(seat, &error),
        }
    }
}

fn tell(seat: Seat, outcome: LockOutcome) {
    if let LockOutcome::Recovered(recovery) = outcome {
        seat.told_of_deaths(u64::from(recovery.deaths));
    }
}

fn refused(seat: Seat, error: &LockError) -> Result<(), String> {
    if matches!(error, LockError::TimedOut { .. }) {
        seat.fault(Fault::Stuck, &format!("seat {} waited {:?}: {error}", seat.index, seat.patience()));
        return Ok(());
    }
    Err(format!("taking the lock: {error}"))
}

/// What is seen inside is whole.
fn judge(seat: Seat, ledger: &Ledger) {
    let sum: i64 = ledger.accounts.iter().sum();
    if sum != 0 {
        seat.fault(Fault::Torn, &format!("the accounts {:?} add up to {sum}", ledger.accounts));
    }
}

/// And what was acknowledged is in it. Nobody else acknowledges anything that is not in it yet.
fn judge_moved(seat: Seat, ledger: &Ledger) {
    judge(seat, ledger);
    let acknowledged = seat.counted_by_all(MOVED);
    if ledger.moved < acknowledged {
        seat.fault(Fault::Lost, &format!("{acknowledged} transfers were acknowledged, {} are there", ledger.moved));
    }
}

/// Leaves what must not be seen by anyone.
fn spoil(accounts: &mut [i64; 7]) {
    *accounts = [99; 7];
}

fn soon(seat: Seat) -> Deadline {
    deadline_after(seat.patience())
}

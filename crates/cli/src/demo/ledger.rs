//! The one shared ledger: a file of lines, appended under flock and synced before anybody is told.
//!
//! A line is a transfer in JSON. A line without its end was being written when its writer was killed; it was never
//! answered, and the next one to hold the lock cuts it off. Each bank remembers how far it has read, and reads what the other has appended
//! once it holds the lock.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use super::wire::{ACCOUNTS, OPENING_CENTS, Transfer};

/// How long to wait for the lock: the other holds it for one disk sync.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// The ledger as one process knows it.
pub(super) struct Ledger {
    file: File,
    /// Bytes read so far, whole lines.
    read: u64,
    /// How many of them this process knows to be on disk: it has synced since it read them.
    durable: u64,
    ids: HashSet<String>,
    balances: [i64; ACCOUNTS],
    /// Ids that stand there more than once. There must never be any.
    doubled: u64,
}

/// Releases the lock however the block ends.
struct Locked<'a>(&'a File);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // The kernel releases it with the descriptor at the latest.
        let _ = flock(self.0, FlockOperation::Unlock);
    }
}

impl Ledger {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        // The name too must outlive a power cut. Whoever made the file may have been killed before it did this.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        File::open(folder)?.sync_all()?;
        Ok(Self { file, read: 0, durable: 0, ids: HashSet::new(), balances: [OPENING_CENTS; ACCOUNTS], doubled: 0 })
    }

    /// Applies a transfer unless its id is there already; true if it was new. It is on disk when this returns.
    pub(super) fn apply(&mut self, transfer: &Transfer) -> io::Result<bool> {
        let file = self.file.try_clone()?;
        lock(&file)?;
        let _locked = Locked(&file);
        self.catch_up()?;
        if self.ids.contains(&transfer.id) {
            // The other bank may have been killed between writing the line and syncing it. Who answers for it must sync it.
            self.make_durable()?;
            return Ok(false);
        }
        let mut line = serde_json::to_vec(transfer)?;
        line.push(b'\n');
        self.file.seek(SeekFrom::Start(self.read))?;
        self.file.write_all(&line)?;
        self.read += line.len() as u64;
        self.note(transfer);
        self.make_durable()?;
        Ok(true)
    }

    /// Syncs unless all that was read is known to be on disk.
    fn make_durable(&mut self) -> io::Result<()> {
        if self.durable < self.read {
            self.file.sync_data()?;
            self.durable = self.read;
        }
        Ok(())
    }

    /// Reads what others have appended, and cuts off a line that was never finished. The caller holds the lock.
    fn catch_up(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        for line in bytes[..whole].split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let transfer = serde_json::from_slice(line)?;
            self.note(&transfer);
        }
        self.read += whole as u64;
        if whole < bytes.len() {
            self.file.set_len(self.read)?;
        }
        Ok(())
    }

    fn note(&mut self, transfer: &Transfer) {
        if !self.ids.insert(transfer.id.clone()) {
            self.doubled += 1;
        }
        self.balances[transfer.from % ACCOUNTS] -= transfer.cents;
        self.balances[transfer.to % ACCOUNTS] += transfer.cents;
    }

    /// Reads all there is, under the lock.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        let file = self.file.try_clone()?;
        lock(&file)?;
        let _locked = Locked(&file);
        self.catch_up()
    }

    pub(super) fn len(&self) -> u64 {
        self.ids.len() as u64
    }

    /// What is wrong with the books; `answered` are the ids whose answers the client has seen.
    pub(super) fn faults(&self, answered: &HashSet<String>) -> Vec<String> {
        let mut faults = Vec::new();
        let (sum, expected) = (self.balances.iter().sum::<i64>(), OPENING_CENTS * ACCOUNTS as i64);
        if sum != expected {
            faults.push(format!("the accounts hold {sum} cents, they began with {expected}"));
        }
        if self.doubled > 0 {
            faults.push(format!("{} transfers were applied twice", self.doubled));
        }
        let lost = answered.difference(&self.ids).count();
        if lost > 0 {
            faults.push(format!("{lost} answered transfers are lost"));
        }
        faults
    }
}

fn lock(file: &File) -> io::Result<()> {
    let until = Instant::now() + LOCK_LIMIT;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => thread::sleep(Duration::from_micros(200)),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(id: &str) -> Transfer {
        Transfer { id: id.into(), from: 1, to: 2, cents: 5 }
    }

    fn path(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("crosstie-ledger-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    fn answered(ids: &[&str]) -> HashSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn an_id_is_applied_once_whichever_bank_sees_it() {
        let path = path("once");
        let (mut first, mut second) = (Ledger::open(&path).unwrap(), Ledger::open(&path).unwrap());
        assert!(first.apply(&transfer("a")).unwrap());
        assert!(!second.apply(&transfer("a")).unwrap());
        assert!(second.apply(&transfer("b")).unwrap());
        first.refresh().unwrap();
        assert_eq!((first.len(), first.faults(&answered(&["a", "b"])).len()), (2, 0));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn whoever_answers_for_a_line_has_synced_it() {
        let path = path("synced");
        // As a bank leaves it that is killed before it syncs.
        let mut line = serde_json::to_vec(&transfer("a")).unwrap();
        line.push(b'\n');
        std::fs::write(&path, &line).unwrap();
        let mut heir = Ledger::open(&path).unwrap();
        assert!(!heir.apply(&transfer("a")).unwrap());
        assert_eq!(heir.durable, line.len() as u64);
        assert!(heir.apply(&transfer("b")).unwrap());
        assert_eq!(heir.durable, std::fs::metadata(&path).unwrap().len());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_line_that_was_never_finished_is_cut_off() {
        let path = path("torn");
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.apply(&transfer("a")).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"id\":\"to").unwrap();
        let mut heir = Ledger::open(&path).unwrap();
        assert!(heir.apply(&transfer("b")).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn control_a_lost_a_doubled_and_a_one_sided_transfer_are_found() {
        let path = path("control");
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.apply(&transfer("a")).unwrap();
        assert_eq!(ledger.faults(&answered(&["a", "gone"])), ["1 answered transfers are lost"]);
        ledger.note(&transfer("a"));
        ledger.balances[3] += 1;
        assert_eq!(ledger.faults(&answered(&["a"])).len(), 2);
        std::fs::remove_file(path).unwrap();
    }
}

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

use super::{
    books::Books,
    wire::{Move, Transfer},
};

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
    /// Every line, in its order.
    moves: Vec<Move>,
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
        Ok(Self { file, read: 0, durable: 0, ids: HashSet::new(), moves: Vec::new(), doubled: 0 })
    }

    /// Whether the id is there; if so, it is on disk when this returns. Reads what others have appended.
    pub(super) fn vouches_for(&mut self, id: &str) -> io::Result<bool> {
        let file = self.file.try_clone()?;
        lock(&file)?;
        let _locked = Locked(&file);
        self.vouch(id)
    }

    fn vouch(&mut self, id: &str) -> io::Result<bool> {
        self.catch_up()?;
        let is_known = self.ids.contains(id);
        if is_known {
            // The other bank may have been killed between writing the line and syncing it. Who answers for it must sync it.
            self.make_durable()?;
        }
        Ok(is_known)
    }

    /// Appends a transfer unless its id is there already; true if it was new. It is on disk when this returns.
    pub(super) fn append(&mut self, transfer: &Transfer) -> io::Result<bool> {
        let file = self.file.try_clone()?;
        lock(&file)?;
        let _locked = Locked(&file);
        if self.vouch(&transfer.id)? {
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
            self.note(&serde_json::from_slice(line)?);
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
        self.moves.push(transfer.into());
    }

    /// Reads all there is, under the lock.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        let file = self.file.try_clone()?;
        lock(&file)?;
        let _locked = Locked(&file);
        self.catch_up()
    }

    pub(super) fn len(&self) -> u64 {
        self.moves.len() as u64
    }

    /// The transfers after the first `count`; `None` if there are not so many.
    pub(super) fn after(&self, count: u64) -> Option<&[Move]> {
        self.moves.get(usize::try_from(count).ok()?..)
    }

    /// The accounts as the first `count` transfers leave them; all, if there are not so many.
    pub(super) fn replay(&self, count: u64) -> Books {
        let mut books = Books::OPENING;
        let count = usize::try_from(count).map_or(self.moves.len(), |count| count.min(self.moves.len()));
        self.moves[..count].iter().for_each(|made| books.enter(*made));
        books
    }

    /// What is wrong with the books; `answered` are the ids whose answers the client has seen.
    pub(super) fn faults(&self, answered: &HashSet<String>) -> Vec<String> {
        let mut faults = Vec::new();
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
        assert!(first.append(&transfer("a")).unwrap());
        assert!(!second.append(&transfer("a")).unwrap());
        assert!(second.append(&transfer("b")).unwrap());
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
        assert!(!heir.append(&transfer("a")).unwrap());
        assert_eq!(heir.durable, line.len() as u64);
        assert!(heir.append(&transfer("b")).unwrap());
        assert_eq!(heir.durable, std::fs::metadata(&path).unwrap().len());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_line_that_was_never_finished_is_cut_off() {
        let path = path("torn");
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.append(&transfer("a")).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"id\":\"to").unwrap();
        let mut heir = Ledger::open(&path).unwrap();
        assert!(heir.append(&transfer("b")).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn control_a_lost_and_a_doubled_transfer_are_found() {
        let path = path("control");
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.append(&transfer("a")).unwrap();
        assert_eq!(ledger.faults(&answered(&["a", "gone"])), ["1 answered transfers are lost"]);
        ledger.note(&transfer("a"));
        assert_eq!(ledger.faults(&answered(&["a"])), ["1 transfers were applied twice"]);
        assert_eq!((ledger.replay(1).transfers, ledger.replay(9).transfers), (1, 2));
        assert!(ledger.after(2).is_some_and(<[_]>::is_empty) && ledger.after(3).is_none());
        std::fs::remove_file(path).unwrap();
    }
}

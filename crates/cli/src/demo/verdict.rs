//! The end of a demo: whether the books balance, and what the numbers are.

use std::{collections::HashSet, fs, io, path::Path, time::Duration};

use serde_json::json;

use super::{accounts::Accounts, books::Books, ledger::Ledger, reader::Readings};
use crate::{
    exit::{Code, Failure},
    output::Output,
};

/// What the supervisor knows when all parts have ended.
pub(super) struct Ended<'a> {
    pub(super) directory: &'a Path,
    pub(super) accounts: &'a Accounts,
    pub(super) readings: Readings,
    pub(super) restarts: u32,
    pub(super) ran: Duration,
}

impl Ended<'_> {
    /// Checks the books, and tells.
    ///
    /// # Errors
    ///
    /// They do not balance.
    pub(super) fn judge(self, output: &Output) -> Result<(), Failure> {
        let mut ledger = Ledger::open(&self.directory.join("ledger"))?;
        ledger.refresh()?;
        let answered = answered(self.directory)?;
        let (books, unsettled) = self.accounts.settle(&ledger)?;
        let expected = ledger.replay(u64::MAX);
        let lost = books.lost(&expected);
        let torn = self.readings.torn.len();

        let mut faults = Vec::new();
        if lost > 0 || torn > 0 {
            faults.push(format!("lost {lost}, torn {torn}"));
        }
        if books.sum() != Books::SUM {
            faults.push(format!("the accounts hold {} cents, they began with {}", books.sum(), Books::SUM));
        }
        let is_locked = matches!(self.accounts, Accounts::Locked(_));
        // Once an update is lost, every sum is off.
        if is_locked && self.readings.off > 0 {
            faults.push(format!("{} readings had another sum", self.readings.off));
        }
        faults.extend(unsettled);
        faults.extend(ledger.faults(&answered));
        if ledger.len() == 0 {
            faults.push("not one transfer was made".to_owned());
        }
        let value = json!({
            "seconds": self.ran.as_secs_f64(), "transfers": ledger.len(), "answered": answered.len(), "restarts": self.restarts,
            "locks": is_locked, "readings": self.readings.count, "torn": torn, "lost": lost,
            "deaths_with_lock": books.deaths, "rolled_back": books.undone,
            "balanced": faults.is_empty(), "faults": faults,
        });
        output.data(&value, || {
            let verdict = if faults.is_empty() { "the books balance" } else { "THE BOOKS DO NOT BALANCE" };
            let deaths = match books.deaths {
                0 => String::new(),
                1 => format!("1 bank died with the lock, {} rolled back; ", books.undone),
                deaths => format!("{deaths} banks died with the lock, {} rolled back; ", books.undone),
            };
            let text = format!(
                "{} transfers, {} answered, {} processes started again in {:.1} s\n\
                 {deaths}{lost} updates lost; {} readings, {torn} transfers seen torn: {verdict}\n",
                ledger.len(),
                answered.len(),
                self.restarts,
                self.ran.as_secs_f64(),
                self.readings.count,
            );
            text.into_bytes()
        })?;
        if faults.is_empty() {
            return Ok(());
        }
        let message = format!("the books do not balance: {}", faults.join("; "));
        Err(Failure::new(Code::Failure, "unbalanced", message))
    }
}

/// The ids whose answers the client has seen. A last line without an end was not noted before the kill.
fn answered(directory: &Path) -> io::Result<HashSet<String>> {
    match fs::read_to_string(directory.join("answered")) {
        Ok(text) => {
            Ok(text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(HashSet::new()),
        Err(error) => Err(error),
    }
}

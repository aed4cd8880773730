//! Every fault that was taken, in lines that can be read again.

use std::{
    env, fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crosstie_core::{Error, Kind, fault::Taken};

/// What names the file to which all faults are appended.
pub(super) const LOG_FILE: &str = "CROSSTIE_FAULT_LOG";

/// The faults that were taken at one endpoint; clones are the same log.
///
/// Its text is one line for each fault, sorted by connection, direction and frame: the same seed over the same traffic gives the same text, however the
/// directions took turns. `Faults::replay` of that text does the same again. It holds [`FaultLog::MOST`] faults; more are counted only.
#[derive(Clone, Default)]
pub struct FaultLog(Arc<Mutex<Entries>>);

/// What happened so far.
#[derive(Default)]
struct Entries {
    title: String,
    taken: Vec<Taken>,
    left_out: u64,
    file: Option<File>,
}

impl FaultLog {
    /// How many faults a log holds: some 40 MiB.
    pub const MOST: usize = 1 << 20;

    /// Says what its faults are those of, and begins to write them to the file that `CROSSTIE_FAULT_LOG` names, if it does.
    pub(super) fn begin(&self, title: String) -> Result<(), Error> {
        let mut entries = self.entries();
        if !entries.title.is_empty() {
            return Ok(());
        }
        if let Some(path) = env::var_os(LOG_FILE).filter(|path| !path.is_empty()) {
            let opened = OpenOptions::new().create(true).append(true).open(&path);
            let opened = opened.and_then(|mut file| writeln!(file, "# {title}").map(|()| file));
            entries.file = Some(opened.map_err(|error| {
                let text = format!("cannot append to '{}', which {LOG_FILE} names", path.display());
                Error::new(Kind::Io, text).because(error)
            })?);
        }
        entries.title = title;
        Ok(())
    }

    /// The faults so far, sorted by connection, direction and frame.
    pub fn taken(&self) -> Vec<Taken> {
        let mut taken = self.entries().taken.clone();
        taken.sort_unstable();
        taken
    }

    /// How many of a kind were taken.
    ///
    /// ```
    /// use crosstie_core::fault::Fault;
    ///
    /// let faults = crosstie_net::Faults::seeded(42).drop(0.01);
    /// assert_eq!(faults.log().count(|taken| taken.fault == Fault::Drop), 0, "nothing was sent yet");
    /// ```
    pub fn count(&self, is: impl Fn(&Taken) -> bool) -> u64 {
        self.entries().taken.iter().filter(|taken| is(taken)).count() as u64
    }

    /// How many faults were taken after the log was full.
    pub fn left_out(&self) -> u64 {
        self.entries().left_out
    }

    pub(super) fn note(&self, taken: Taken) {
        let mut entries = self.entries();
        if let Some(file) = &mut entries.file {
            // Whoever runs out of disk has other worries, and the log in memory goes on.
            let _ = file.write_all(format!("{taken}\n").as_bytes());
        }
        if entries.taken.len() < Self::MOST {
            entries.taken.push(taken);
        } else {
            entries.left_out += 1;
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a connection that was cut on purpose: it says which fault did it.
pub(super) fn cut_error(taken: Option<Taken>) -> io::Error {
    let text = match taken {
        Some(taken) => format!("cut on purpose by fault= ({taken})"),
        None => "cut on purpose by fault=".to_owned(),
    };
    io::Error::new(io::ErrorKind::ConnectionReset, text)
}

impl fmt::Display for FaultLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}", self.entries().title)?;
        self.taken().iter().try_for_each(|taken| writeln!(f, "{taken}"))?;
        match self.left_out() {
            0 => Ok(()),
            more => writeln!(f, "# and {more} more, for which the log had no room"),
        }
    }
}

impl fmt::Debug for FaultLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

//! The reader: a thread that reads all accounts at once, over and over, and takes note of what does not fit together.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{accounts::Accounts, books::Books};

/// Between two readings, so that the banks have the processors.
const BETWEEN: Duration = Duration::from_micros(100);

/// What was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Readings {
    pub(super) count: u64,
    /// Transfers that were seen half done.
    pub(super) torn: HashSet<u64>,
    /// Readings whose sum was not what it always is.
    pub(super) off: u64,
}

impl Readings {
    fn take(&mut self, books: &Books) {
        self.count += 1;
        self.torn.extend(books.halves());
        self.off += u64::from(books.sum() != Books::SUM);
    }
}

/// Reads until it is told to end.
pub(super) struct Reader {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Readings>,
}

impl Reader {
    /// Begins to read `accounts`, which are the reader's own part in them.
    pub(super) fn start(accounts: Accounts) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut readings = Readings::default();
            while !told.load(Ordering::Relaxed) {
                // Without an answer there is nothing to judge; who is in the way shows elsewhere.
                if let Ok(books) = accounts.read() {
                    readings.take(&books);
                }
                thread::sleep(BETWEEN);
            }
            readings
        });
        Self { is_over, thread }
    }

    /// Ends, and says what was read.
    pub(super) fn end(self) -> Readings {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("reading does not panic")
    }
}

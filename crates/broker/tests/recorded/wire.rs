//! Wires that record what the core writes to its clients, for tests of the pure core.

use std::{
    io::{self, IoSlice},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use crosstie_broker::core::Link;
use crosstie_core::ByteTransport;

/// Every write to every client, in order: whose it was, and what.
pub(crate) type Journal = Arc<Mutex<Vec<(char, String)>>>;

/// Takes whatever is written, unless it is stuck.
#[derive(Default)]
pub(crate) struct Wire {
    written: Mutex<Vec<u8>>,
    /// Where each write is noted, and under which name.
    journal: Option<(char, Journal)>,
    pub(crate) is_stuck: AtomicBool,
    pub(crate) is_shut: AtomicBool,
    /// The most bytes in one write.
    pub(crate) largest: AtomicUsize,
}

impl Wire {
    /// One that notes its writes beside those of others.
    pub(crate) fn noted(name: char, journal: &Journal) -> Self {
        Self { journal: Some((name, Arc::clone(journal))), ..Self::default() }
    }

    /// What was written since this was last asked.
    pub(crate) fn seen(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.written.lock().unwrap())).unwrap()
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.is_shut.load(Ordering::SeqCst)
    }
}

impl ByteTransport for Wire {
    fn try_read(&self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.is_stuck.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut written = self.written.lock().unwrap();
        let before = written.len();
        slices.iter().for_each(|slice| written.extend_from_slice(slice));
        if let Some((name, journal)) = &self.journal {
            journal.lock().unwrap().push((*name, String::from_utf8_lossy(&written[before..]).into_owned()));
        }
        let taken = written.len() - before;
        self.largest.fetch_max(taken, Ordering::SeqCst);
        Ok(taken)
    }

    fn shutdown(&self) {
        self.is_shut.store(true, Ordering::SeqCst);
    }
}

impl Link for Wire {
    fn watch_writable(&self) {}
}

//! The algorithm of a value with one writer and many readers, over plain memory: nobody ever waits for anybody.
//!
//! ```text
//!   latest   version << 16 | number of the buffer, from 1; 0: nothing was written yet
//!
//!   readers  ┌──────────────┐┌──────────────┐          what each reads: IDLE, OPENING, or a word as in `latest`
//!            │ owner reading││ owner reading│ …
//!            └──────────────┘└──────────────┘
//!   buffers  ┌──────────┐┌──────────┐┌──────────┐      two more than there are readers:
//!            │          ││  latest  ││          │ …    one is the latest, one is being written, and each reader may hold one
//!            └──────────┘└──────────┘└──────────┘
//! ```
//!
//! A reader says that it opens, reads `latest` and claims what it found, if nobody has claimed something for it meanwhile. The writer fills a
//! buffer that is neither the latest nor anybody's, makes it the latest, and then claims it for every reader that is opening: so none
//! can go on to claim a buffer that is no longer the latest and may be written next. Both take a bounded number of steps, whatever the
//! other does. (Chen and Burns, *A Fully Asynchronous Reader/Writer Mechanism for Multiprocessor Real-Time Systems*, 1997.)
//!
//! A writer may die at any instruction: what it was writing is nobody's and not the latest. Its successor begins by claiming the latest for whoever
//! is opening, which its predecessor may have failed to do. A reader that dies keeps one buffer until it is reaped; there is one for each.

use crate::{
    faults::{Fault, is_kept, ordering},
    ring::Seat,
    steps::step,
    sync::{AtomicU64, Ordering::*, fence},
    wait::EventCount,
};

/// Reads nothing.
const IDLE: u64 = 0;
/// Is about to read.
const OPENING: u64 = u64::MAX;
/// Versions have 48 bits: at ten million values a second they last for ten months of writing without a pause, and then begin anew.
const VERSION_SHIFT: u32 = 16;

/// The lines in front of the readers.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Control {
    pub(crate) writer: WriterLine,
    latest: Line,
    /// Rung when there is a newer value.
    pub(crate) changed: EventCount,
}

/// The writer's seat, alone in its pair of lines.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub(crate) struct WriterLine(pub(crate) Seat);

/// A word, alone in its pair of lines.
#[repr(C, align(128))]
#[derive(Debug, Default)]
struct Line(AtomicU64);

/// One reader, alone in its pair of lines.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// 0, or the participant: generation << 16 | slot.
    pub(crate) owner: AtomicU64,
    reading: AtomicU64,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Control>() == 384 && size_of::<Reading>() == 128);

// SAFETY: made of atomics alone, and of padding that nobody looks at.
#[cfg(not(loom))]
unsafe impl crate::segment::Shared for Control {}
// SAFETY: as above.
#[cfg(not(loom))]
unsafe impl crate::segment::Shared for Reading {}

/// The memory of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cells<'m> {
    pub(crate) control: &'m Control,
    pub(crate) readers: &'m [Reading],
    words: &'m [AtomicU64],
    stride: usize,
}

/// Which buffer holds which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version(u64);

impl Version {
    /// Counted from 1.
    pub(crate) const fn number(self) -> u64 {
        self.0 >> VERSION_SHIFT
    }

    const fn next(self, buffer: usize) -> Self {
        Self((self.number() + 1) << VERSION_SHIFT | (buffer as u64 + 1))
    }

    /// The buffer, if there is one of this number.
    const fn buffer(self, buffers: usize) -> Option<usize> {
        #[allow(clippy::cast_possible_truncation, reason = "sixteen bits were kept")]
        let number = (self.0 & ((1 << VERSION_SHIFT) - 1)) as usize;
        if number >= 1 && number <= buffers { Some(number - 1) } else { None }
    }
}

impl<'m> Cells<'m> {
    /// # Panics
    ///
    /// If there are not two more buffers of `stride` words than there are readers.
    pub(crate) fn new(control: &'m Control, readers: &'m [Reading], words: &'m [AtomicU64], stride: usize) -> Self {
        assert_eq!(words.len(), (readers.len() + 2) * stride, "there are two more buffers than readers");
        Self { control, readers, words, stride }
    }

    const fn buffers(&self) -> usize {
        self.readers.len() + 2
    }

    fn buffer(&self, number: usize) -> &'m [AtomicU64] {
        &self.words[number * self.stride..][..self.stride]
    }

    /// Claims `version` for every reader that is opening.
    fn help(&self, version: Version, fault: Fault) {
        if is_kept(Fault::WriterFence) {
            // pairs with the fence in open: either we see the reader open or it sees this version.
            fence(SeqCst);
        }
        if !is_kept(fault) {
            return;
        }
        for reader in self.readers {
            if reader.reading.load(Relaxed) == OPENING {
                // Release: who finds it claimed sees the buffer. pairs with the Acquire in open.
                let _ = reader.reading.compare_exchange(OPENING, version.0, Release, Relaxed);
                step!("latest.helped");
            }
        }
    }

    /// The newest version, if there is any; `Err` with the word if it names no buffer.
    pub(crate) fn latest(&self) -> Result<Option<Version>, u64> {
        self.checked(self.control.latest.0.load(ordering(Fault::LatestSeen, Acquire)))
    }

    fn checked(&self, word: u64) -> Result<Option<Version>, u64> {
        let version = Version(word);
        match word {
            0 => Ok(None),
            _ if version.buffer(self.buffers()).is_some() => Ok(Some(version)),
            _ => Err(word),
        }
    }

    /// Copies the newest value into `words` without a reader's row; its version, 0 if there is none, `None` if a newer one came meanwhile.
    /// `Err` with the word if it names no buffer.
    #[cfg(not(loom))]
    pub(crate) fn look(&self, words: &mut Vec<u64>) -> Result<Option<u64>, u64> {
        let Some(version) = self.latest()? else { return Ok(Some(0)) };
        let number = version.buffer(self.buffers()).expect("it was checked");
        words.clear();
        // The first word says when it was written.
        words.extend(self.buffer(number)[1..].iter().map(|word| word.load(Relaxed)));
        // pairs with the fence in help, which is between making another value the latest and writing to this buffer again.
        fence(Acquire);
        Ok((self.control.latest.0.load(Relaxed) == version.0).then(|| version.number()))
    }

    /// Opens for the reader of row `row`: the newest version and its words, which stay as they are until [`Self::close`]. `Err` with the
    /// word if it names no buffer.
    pub(crate) fn open(&self, row: usize) -> Result<Option<(Version, &'m [AtomicU64])>, u64> {
        let reading = &self.readers[row].reading;
        // A read-modify-write, for the writer may be about to claim for whoever was here before and died while it opened.
        reading.swap(OPENING, Relaxed);
        step!("latest.opening");
        if is_kept(Fault::ReaderFence) {
            // pairs with the fence in help: either the writer sees us open or we see its version.
            full_fence_after_rmw();
        }
        // pairs with the Release in publish: the words of the buffer.
        let found = self.control.latest.0.load(ordering(Fault::LatestSeen, Acquire));
        step!("latest.seen");
        let mut version = found;
        if is_kept(Fault::Claimed)
            && let Err(claimed) =
                reading.compare_exchange(OPENING, found, Relaxed, ordering(Fault::LatestSeen, Acquire))
        {
            version = claimed;
        }
        step!("latest.claimed");
        let checked = self.checked(version);
        if !matches!(checked, Ok(Some(_))) {
            self.close(row);
        }
        Ok(checked?.map(|version| {
            let number = version.buffer(self.buffers()).expect("it was checked");
            (version, self.buffer(number))
        }))
    }

    /// The reader of `row` is done with what it opened.
    pub(crate) fn close(&self, row: usize) {
        // pairs with the Acquire in place: we have read what is written next.
        self.readers[row].reading.store(IDLE, ordering(Fault::Returned, Release));
    }

    /// The reader of `row` is dead and holds nothing any more. Twice is the same as once.
    pub(crate) fn close_for(&self, row: usize) {
        // A read-modify-write, for the writer may be about to claim for it.
        self.readers[row].reading.swap(IDLE, AcqRel);
    }

    /// Whoever takes over as the writer calls this first. `Err` with the word if `latest` names no buffer.
    pub(crate) fn resume(&self) -> Result<(), u64> {
        if let Some(version) = self.latest()? {
            self.help(version, Fault::HelpedOnResume);
        }
        Ok(())
    }

    /// A buffer that nobody reads, for the writer to fill. `Err` if there is none, which cannot be unless somebody damaged the readers' rows.
    pub(crate) fn place(&self) -> Result<(usize, &'m [AtomicU64]), u64> {
        let latest = self.control.latest.0.load(Relaxed);
        let mut is_taken = [false; MAX_BUFFERS];
        let mut take = |word: u64| {
            if let Some(number) = Version(word).buffer(self.buffers()) {
                is_taken[number] = true;
            }
        };
        take(latest);
        for reader in self.readers {
            // pairs with the Release in close.
            take(reader.reading.load(ordering(Fault::Loaned, Acquire)));
        }
        match (0..self.buffers()).find(|number| !is_taken[*number]) {
            Some(number) => Ok((number, self.buffer(number))),
            None => Err(latest),
        }
    }

    /// Makes the buffer that [`Self::place`] gave the newest; says which version it is. `Err` as in [`Self::latest`].
    pub(crate) fn publish(&self, buffer: usize) -> Result<Version, u64> {
        let before = self.checked(self.control.latest.0.load(Relaxed))?.unwrap_or(Version(0));
        let version = before.next(buffer);
        step!("latest.written");
        // pairs with the Acquire in open.
        self.control.latest.0.store(version.0, ordering(Fault::LatestStored, Release));
        step!("latest.stored");
        self.help(version, Fault::Helped);
        Ok(version)
    }
}

/// On x86-64 a read-modify-write is a full fence by itself, so the compiler alone must be told.
#[inline]
fn full_fence_after_rmw() {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    std::sync::atomic::compiler_fence(SeqCst);
    #[cfg(not(all(target_arch = "x86_64", not(loom))))]
    fence(SeqCst);
}

/// The most readers that a value may have.
pub(crate) const MAX_READERS: u32 = 254;
const MAX_BUFFERS: usize = MAX_READERS as usize + 2;

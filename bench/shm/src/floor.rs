//! The floors: a cache line that two processors write in turn, and two processes that wake each other.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use crosstie_shm::{Element, Expect, Kind, Segment, SegmentName, Spec};
use crosstie_sys::futex;

use crate::case::{Failure, Place, Rounds, Side, timed};

/// A segment of words that both map.
fn segment(place: &Place<'_>) -> Result<Segment, Failure> {
    let directory = crosstie_shm::Directory::at(place.folder)?;
    let name: SegmentName = "words".parse()?;
    Ok(match place.side {
        Side::Measurer => {
            Segment::create(&directory, &name, &Spec::new(Kind::Region, Element::bytes()).data(4096), |_| Ok(()))?
        }
        Side::Peer => Segment::open(&directory, &name, &Expect::any())?,
    })
}

/// One word in one line goes up in turn.
pub(crate) fn one_line(place: &Place<'_>) -> Result<Rounds, Failure> {
    let word = segment(place)?.data().record::<AtomicU64>(0)?;
    let (side, mut at) = (place.side, 0);
    Ok(Box::new(move |count| {
        timed(count, |_| {
            let mine = at + u64::from(side == Side::Peer);
            while word.load(Acquire) != mine {
                std::hint::spin_loop();
            }
            word.store(mine + 1, Release);
            at += 2;
            if side == Side::Measurer {
                while word.load(Acquire) != at {
                    std::hint::spin_loop();
                }
            }
            Ok(())
        })
    }))
}

/// The same with a second line, written before the first and read after it.
pub(crate) fn two_lines(place: &Place<'_>) -> Result<Rounds, Failure> {
    let words = segment(place)?.data().records::<AtomicU64>(0, 32)?;
    let (side, mut at) = (place.side, 0);
    Ok(Box::new(move |count| {
        timed(count, |_| {
            let mine = at + u64::from(side == Side::Peer);
            while words[0].load(Acquire) != mine {
                std::hint::spin_loop();
            }
            // Lines 0 and 3: the processor does not fetch them as a pair.
            if words[24].load(Relaxed) != mine {
                return Err("the second line lags behind the first".into());
            }
            words[24].store(mine + 1, Relaxed);
            words[0].store(mine + 1, Release);
            at += 2;
            if side == Side::Measurer {
                while words[0].load(Acquire) != at {
                    std::hint::spin_loop();
                }
            }
            Ok(())
        })
    }))
}

/// Two words, one to wake each process.
pub(crate) fn futex(place: &Place<'_>) -> Result<Rounds, Failure> {
    futexes(place, || None)
}

/// The same, where each sleep ends after 20 ms, as it must for whoever is to find out that the other has died.
pub(crate) fn timed_futex(place: &Place<'_>) -> Result<Rounds, Failure> {
    futexes(place, || Some(crosstie_sys::monotonic_nanos() + 20_000_000))
}

fn futexes(place: &Place<'_>, until: fn() -> Option<u64>) -> Result<Rounds, Failure> {
    let words = segment(place)?.data().records::<AtomicU32>(0, 64)?;
    let side = place.side;
    Ok(Box::new(move |count| {
        let [ours, theirs] = if side == Side::Measurer { [0, 32] } else { [32, 0] };
        let wake = || {
            words[theirs].store(1, Release);
            futex::wake(&words[theirs], 1);
        };
        let wait = || {
            while words[ours].swap(0, Acquire) == 0 {
                futex::wait(&words[ours], 0, until());
            }
        };
        timed(count, |_| {
            if side == Side::Measurer {
                wake();
                wait();
            } else {
                wait();
                wake();
            }
            Ok(())
        })
    }))
}

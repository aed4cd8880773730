//! The floors: what the same two processes do with the operating system alone.

use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU64, Ordering};

use crosstie_shm::{Directory, Element, Expect, Kind, Segment, SegmentName, Spec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::place::{Place, Side};
use super::rounds::{self, LARGE, Rounds, SMALL};
use crate::error::{Error, Result};

fn socket(place: &mut Place) -> Result<UnixStream> {
    if place.side() == Side::Peer {
        return Ok(UnixStream::connect(place.socket())?);
    }
    let listener = UnixListener::bind(place.socket())?;
    place.is_ready()?;
    Ok(listener.accept()?.0)
}

/// A blocking Unix socket, there and back.
pub(super) fn echo(place: &mut Place) -> Result<Rounds> {
    Ok(rounds::echo(place.side(), socket(place)?))
}

/// A blocking Unix socket, one way.
pub(super) fn one_way_small(place: &mut Place) -> Result<Rounds> {
    Ok(rounds::one_way(place.side(), socket(place)?, SMALL))
}

/// A blocking Unix socket, one way, with large messages.
pub(super) fn one_way_large(place: &mut Place) -> Result<Rounds> {
    Ok(rounds::one_way(place.side(), socket(place)?, LARGE))
}

/// A Unix socket of tokio's, there and back.
pub(super) fn tokio_echo(place: &mut Place) -> Result<Rounds> {
    let (side, socket) = (place.side(), socket(place)?);
    socket.set_nonblocking(true)?;
    let runtime = runtime()?;
    let mut socket = runtime.block_on(async { tokio::net::UnixStream::from_std(socket) })?;
    let mut message = [b'x'; SMALL];
    Ok(Box::new(move |count| {
        runtime.block_on(async {
            for _ in 0..count {
                if side == Side::Measurer {
                    socket.write_all(&message).await?;
                }
                socket.read_exact(&mut message).await?;
                if side == Side::Peer {
                    socket.write_all(&message).await?;
                }
            }
            Ok(())
        })
    }))
}

/// A runtime of one thread, as each process has one processor.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Error::during("starting a runtime"))
}

/// One word in one cache line goes up in turn: how far the two processors are from each other.
pub(super) fn line(place: &mut Place) -> Result<Rounds> {
    let (side, word) = (place.side(), word(place).map_err(Error::during("a segment with one word"))?);
    if side == Side::Measurer {
        place.is_ready()?;
    }
    let mut at = 0;
    Ok(Box::new(move |count| {
        for _ in 0..count {
            // The measurer makes it odd, the peer even.
            let mine = at + u64::from(side == Side::Peer);
            wait_for(&word, mine)?;
            word.store(mine + 1, Ordering::Release);
            at += 2;
            if side == Side::Measurer {
                wait_for(&word, at)?;
            }
        }
        Ok(())
    }))
}

type Word = crosstie_shm::Pinned<AtomicU64>;

fn word(place: &Place) -> std::result::Result<Word, crosstie_shm::Error> {
    let directory = Directory::at(place.folder())?;
    let name: SegmentName = "word".parse().expect("it is a name");
    let segment = match place.side() {
        Side::Measurer => {
            Segment::create(&directory, &name, &Spec::new(Kind::Region, Element::bytes()).data(4096), |_| Ok(()))?
        }
        Side::Peer => Segment::open(&directory, &name, &Expect::any())?,
    };
    segment.data().record::<AtomicU64>(0)
}

/// Looks until it is there. So many looks take some seconds: the other process is gone.
fn wait_for(word: &AtomicU64, value: u64) -> Result<()> {
    for _ in 0..1_u64 << 28 {
        if word.load(Ordering::Acquire) == value {
            return Ok(());
        }
        std::hint::spin_loop();
    }
    Err(Error::new("the other process does not answer"))
}

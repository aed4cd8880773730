//! Who sends datagrams through shared memory.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crosstie_core::{Endpoint, Error, Kind};
use crosstie_sys::{Interest, Poller, monotonic_nanos};
use rustix::net::{RecvFlags, recv};

use super::form::{LETTERS, LONGEST, MOST_SENDERS, NO_PLACE, address};
use crate::{
    datagram::{
        carrier::{Carrier, Received, Way, full, nobody},
        datagrams::Datagrams,
    },
    scheme::unix::dial,
    shared_stream::SharedStream,
};

/// How long a receiver may be gone before a sender looks. Looking takes a system call, and a datagram takes none.
const LOOK_EVERY_NS: u64 = 1_000_000;

struct Sender {
    stream: SharedStream,
    /// The bell that rings for room, and the end of the receiver.
    poller: Poller,
    endpoint: Endpoint,
    looked_at_ns: AtomicU64,
}

pub(crate) fn send(name: &str, endpoint: &Endpoint) -> io::Result<Datagrams> {
    let stream = SharedStream::offer(dial(&address(name)?)?, LETTERS)?;
    let poller = Poller::new()?;
    poller.add(stream.bell(false), 0, Interest::Read)?;
    poller.add(stream.lifeline(), 1, Interest::Read)?;
    let (endpoint, looked_at_ns) = (endpoint.clone(), AtomicU64::new(monotonic_nanos()));
    let sender = Sender { stream, poller, endpoint: endpoint.clone(), looked_at_ns };
    Ok(Datagrams::new(sender, endpoint))
}

impl Sender {
    /// Why nothing is sent any more.
    fn ended(&self) -> Error {
        let mut said = [0];
        match recv(self.stream.lifeline(), &mut said[..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, 1)) if said == [NO_PLACE] => {
                let text = format!("the receiver at '{}' has {MOST_SENDERS} senders already", self.endpoint);
                Error::new(Kind::Limit, text)
            }
            _ => nobody(&self.endpoint),
        }
    }

    fn look(&self) -> Result<(), Error> {
        self.stream.look_at_lifeline();
        if self.stream.is_gone() { Err(self.ended()) } else { Ok(()) }
    }

    fn look_now_and_then(&self) -> Result<(), Error> {
        let now = monotonic_nanos();
        // Two threads may both look: no harm is done.
        if now.saturating_sub(self.looked_at_ns.load(Relaxed)) < LOOK_EVERY_NS {
            return Ok(());
        }
        self.looked_at_ns.store(now, Relaxed);
        self.look()
    }
}

impl Carrier for Sender {
    fn max_len(&self) -> usize {
        LONGEST
    }

    fn try_send(&self, bytes: &[u8]) -> Result<(), Error> {
        self.look_now_and_then()?;
        loop {
            match self.stream.memory().try_write_letter(bytes) {
                Ok(wakes) => {
                    self.stream.ring_bytes(wakes);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(self.ended()),
                Err(error) => return Err(Error::new(Kind::Protocol, "the receiver broke the rules").because(error)),
            }
            self.look()?;
            // Whoever rings after this is heard: what `ready` says becomes readable.
            self.stream.bell(false).silence()?;
            if !self.stream.memory().arm_writing_letter(bytes.len()) {
                return Err(full());
            }
        }
    }

    fn try_receive(&self, _: &mut [u8]) -> Result<Option<Received>, Error> {
        Err(Error::new(Kind::Unsupported, "nothing comes back to who sends over 'shm:': receive at a name of its own"))
    }

    fn ready(&self, _: Way) -> (BorrowedFd<'_>, Interest) {
        (self.poller.as_fd(), Interest::Read)
    }
}

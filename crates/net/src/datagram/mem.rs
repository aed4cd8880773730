//! Datagrams over `mem:`: a bounded inbox under a name of this process.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crosstie_core::{Endpoint, Error, Kind, Target};
use crosstie_sys::{Interest, Signal};

use super::{
    carrier::{Carrier, Received, Way, cut, full, nobody},
    datagrams::Datagrams,
};

/// Bytes that wait for one receiver.
const CAPACITY: usize = 256 * 1024;
/// What each is counted besides its bytes, so that empty ones are bounded too.
const OVERHEAD: usize = 32;
pub(crate) const LONGEST: usize = CAPACITY - OVERHEAD;

static NAMES: Mutex<Option<HashMap<String, Arc<Inbox>>>> = Mutex::new(None);

struct Inbox {
    state: Mutex<State>,
    /// Rings while a datagram is there.
    came: Signal,
    /// Silent from when one found no room until there is some again.
    room: Signal,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<[u8]>>,
    used: usize,
    /// Somebody found no room.
    is_wanted: bool,
    is_closed: bool,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who receives. The name is free again when it is dropped.
struct Receiver {
    name: String,
    inbox: Arc<Inbox>,
}

struct Sender {
    inbox: Arc<Inbox>,
    endpoint: Endpoint,
}

pub(super) fn receive(name: &str) -> io::Result<Datagrams> {
    let endpoint = Endpoint::new(Target::Mem { name: name.to_owned() });
    let inbox = Arc::new(Inbox { state: Mutex::default(), came: Signal::new()?, room: Signal::new()? });
    match NAMES.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().entry(name.to_owned()) {
        Entry::Occupied(_) => {
            let text = format!("'mem:{name}' has a receiver of datagrams already");
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        Entry::Vacant(free) => free.insert(Arc::clone(&inbox)),
    };
    Ok(Datagrams::new(Receiver { name: name.to_owned(), inbox }, endpoint))
}

pub(super) fn send(name: &str, endpoint: &Endpoint) -> io::Result<Datagrams> {
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(inbox) = names.as_ref().and_then(|names| names.get(name)) else {
        let text = format!("nobody in this process receives at 'mem:{name}'");
        return Err(io::Error::new(io::ErrorKind::ConnectionRefused, text));
    };
    let sender = Sender { inbox: Arc::clone(inbox), endpoint: endpoint.clone() };
    Ok(Datagrams::new(sender, endpoint.clone()))
}

impl Carrier for Sender {
    fn max_len(&self) -> usize {
        LONGEST
    }

    fn try_send(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut state = self.inbox.lock();
        if state.is_closed {
            return Err(nobody(&self.endpoint));
        }
        if state.used + bytes.len() + OVERHEAD > CAPACITY {
            state.is_wanted = true;
            // Under the lock, as everything that rings, so that nobody is silenced who was just told.
            self.inbox.room.silence()?;
            return Err(full());
        }
        if state.waiting.is_empty() {
            self.inbox.came.ring()?;
        }
        state.used += bytes.len() + OVERHEAD;
        state.waiting.push_back(bytes.into());
        Ok(())
    }

    fn try_receive(&self, _: &mut [u8]) -> Result<Option<Received>, Error> {
        Err(Error::new(Kind::Unsupported, "nothing comes back to who sends over 'mem:': receive at a name of its own"))
    }

    fn ready(&self, _: Way) -> (BorrowedFd<'_>, Interest) {
        (self.inbox.room.as_fd(), Interest::Read)
    }
}

impl Carrier for Receiver {
    fn max_len(&self) -> usize {
        LONGEST
    }

    fn try_send(&self, _: &[u8]) -> Result<(), Error> {
        Err(Error::new(Kind::Unsupported, "who receives over 'mem:' has nobody to send to: use send_datagrams"))
    }

    fn try_receive(&self, buf: &mut [u8]) -> Result<Option<Received>, Error> {
        let mut state = self.inbox.lock();
        let Some(first) = state.waiting.pop_front() else { return Ok(None) };
        state.used -= first.len() + OVERHEAD;
        if state.waiting.is_empty() {
            self.inbox.came.silence()?;
        }
        if std::mem::take(&mut state.is_wanted) {
            self.inbox.room.ring()?;
        }
        drop(state);
        let (len, room) = (first.len(), buf.len());
        buf.get_mut(..len).ok_or_else(|| cut(len, room))?.copy_from_slice(&first);
        Ok(Some(Received { len, from: None, sender: None }))
    }

    fn ready(&self, _: Way) -> (BorrowedFd<'_>, Interest) {
        (self.inbox.came.as_fd(), Interest::Read)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(names) = NAMES.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            names.remove(&self.name);
        }
        let mut state = self.inbox.lock();
        state.is_closed = true;
        state.waiting = VecDeque::new();
        // Whoever waits for room is told that there will be none.
        let _ = self.inbox.room.ring();
    }
}

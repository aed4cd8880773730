//! The side of a connection that every reactor may touch: its outbox, its subscriptions, what is known of it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crosstie_core::{ByteTransport, Mono, Wall};

use super::{
    auth::Shown,
    departed::{Parting, Reason},
    lock::lock,
    outbox::{Flushed, Outbox, Spares, flush},
    permissions::Rights,
    remembered::Share,
    subscription, subscriptions,
};
use crate::snapshot::TlsSnapshot;

/// A connection's transport, and a way to hear when it takes bytes again.
pub trait Link: ByteTransport {
    /// Asks for one call of [`Core::writable`](super::Core::writable) once the transport takes bytes again. It may come from any thread.
    fn watch_writable(&self);
}

/// What a client said of itself in `CONNECT`, and what was found out since.
#[derive(Clone, Default)]
pub(super) struct About {
    pub(super) name: String,
    pub(super) lang: String,
    pub(super) version: String,
    pub(super) user: Option<String>,
    pub(super) rtt: Option<std::time::Duration>,
    pub(super) last_activity: Mono,
    /// How it is kept from being overheard, if it is.
    pub(super) tls: Option<TlsSnapshot>,
}

/// What let a client in, and what it may do since. Whoever gives rights, or makes a subscription by them, holds its lock all the
/// while: a reload then finds either neither or both.
#[derive(Default)]
pub(super) struct Standing {
    /// `None` until it is let in.
    pub(super) shown: Option<Shown>,
    /// Present if it has fewer than all rights.
    pub(super) rights: Option<Rights>,
}

/// A subscription of a peer.
pub(super) type Subscription = subscription::Subscription<Peer>;

/// The subscriptions of one client by its own ids.
pub(super) type Subscriptions = subscriptions::Subscriptions<Peer>;

/// The shared side of one connection.
pub struct Peer {
    pub(super) id: u64,
    pub(super) address: Option<SocketAddr>,
    pub(super) opened: Mono,
    pub(super) opened_wall: Wall,
    pub(super) link: Arc<dyn Link>,
    pub(super) outbox: Mutex<Outbox>,
    pub(super) subscriptions: Mutex<Subscriptions>,
    pub(super) standing: Mutex<Standing>,
    pub(super) about: Mutex<About>,
    /// Takes headers; else they are cut off before it gets a message.
    pub(super) takes_headers: AtomicBool,
    /// Takes nothing more, so that a message for one of a queue group goes to another.
    pub(super) is_closed: AtomicBool,
    /// Gets its own messages, too.
    pub(super) echo: AtomicBool,
    /// The reply subjects of what it receives have to be noted.
    pub(super) notes_replies: AtomicBool,
    /// Has fewer than all rights: they have to be looked at.
    pub(super) is_restricted: AtomicBool,
    /// Knows what to do with a second `INFO`.
    pub(super) takes_info: AtomicBool,
    /// Why it ends.
    pub(super) parting: Parting,
    pub(super) in_msgs: AtomicU64,
    pub(super) in_bytes: AtomicU64,
    /// What its outbox takes up, as last reported.
    pub(super) reported: AtomicU64,
    /// Bytes of an operation whose end has not come, and since when, in nanoseconds.
    pub(super) held: AtomicU64,
    pub(super) held_since: AtomicU64,
    /// What its subscriptions take up.
    pub(super) remembered: Share,
    /// It has come where TLS is spoken.
    pub(super) is_offered_tls: AtomicBool,
    /// It has said who it is, and that was accepted.
    pub(super) is_introduced: AtomicBool,
    /// Cut off for what it made the broker keep.
    pub(super) evicted: AtomicBool,
    /// Ended by the broker, for whatever reason: nothing more of it is read.
    pub(super) dismissed: AtomicBool,
}

impl Peer {
    pub(super) fn new(id: u64, link: Arc<dyn Link>, address: Option<SocketAddr>, now: Mono, wall: Wall) -> Self {
        Self {
            id,
            address,
            opened: now,
            opened_wall: wall,
            link,
            outbox: Mutex::default(),
            subscriptions: Mutex::default(),
            standing: Mutex::default(),
            about: Mutex::new(About { last_activity: now, ..About::default() }),
            takes_headers: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            echo: AtomicBool::new(true),
            notes_replies: AtomicBool::new(false),
            is_restricted: AtomicBool::new(false),
            takes_info: AtomicBool::new(false),
            parting: Parting::default(),
            in_msgs: AtomicU64::new(0),
            in_bytes: AtomicU64::new(0),
            reported: AtomicU64::new(0),
            held: AtomicU64::new(0),
            held_since: AtomicU64::new(0),
            remembered: Share::default(),
            is_offered_tls: AtomicBool::new(false),
            is_introduced: AtomicBool::new(false),
            evicted: AtomicBool::new(false),
            dismissed: AtomicBool::new(false),
        }
    }

    /// The connection's number.
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Notes that its transport could not be read from, rather than that it came to its end. Close it afterwards.
    pub fn read_failed(&self) {
        self.parting.note(Reason::ReadError);
    }

    /// True once the broker has ended it. What it has sent and nobody has read is to be left unread: whoever reads all of it before the
    /// transport is let go leaves the other side waiting for room that nobody announces, for a minute.
    pub fn is_dismissed(&self) -> bool {
        self.dismissed.load(Ordering::Relaxed)
    }

    pub(super) fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Relaxed)
    }

    /// True if it has not said who it is.
    pub(super) fn is_newcomer(&self) -> bool {
        !self.is_introduced.load(Ordering::Relaxed) && !self.is_evicted()
    }

    /// Writes what waits. `total` is the sum over all clients, kept true within one flush of each.
    pub(super) fn flush(&self, spares: &mut Spares, writable: bool, now: Mono, total: &AtomicU64) -> Flushed {
        let flushed = flush(&self.outbox, &*self.link, spares, writable, now);
        match flushed {
            Flushed::Blocked => self.link.watch_writable(),
            Flushed::Failed => {
                self.parting.note(Reason::WriteError);
                self.close();
                self.link.shutdown();
            }
            Flushed::Done => {}
        }
        if flushed != Flushed::Done || self.reported.load(Ordering::Relaxed) != 0 {
            self.report(total);
        }
        flushed
    }

    /// Takes nothing more and forgets what waits. How many messages that were, if it was open.
    pub(super) fn close(&self) -> Option<u64> {
        self.is_closed.store(true, Ordering::Relaxed);
        let mut outbox = lock(&self.outbox);
        let lost = outbox.queued_msgs();
        outbox.close().then_some(lost)
    }

    /// Counts a message it has published. Only its own reactor does, so nothing is lost between reading and writing.
    pub(super) fn count_in(&self, bytes: usize) {
        let add = |counter: &AtomicU64, by| counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
        add(&self.in_msgs, 1);
        add(&self.in_bytes, bytes as u64);
    }

    // Relaxed is enough: the sum is a bound on memory, not a signal.
    pub(super) fn report(&self, total: &AtomicU64) {
        let held = lock(&self.outbox).memory() as u64;
        let before = self.reported.swap(held, Ordering::Relaxed);
        total.fetch_add(held.wrapping_sub(before), Ordering::Relaxed);
    }
}

/// A client whose transport goes nowhere.
#[cfg(test)]
pub(super) fn nobody(id: u64) -> Arc<Peer> {
    use std::io::{self, IoSlice};

    struct Nowhere;

    impl ByteTransport for Nowhere {
        fn try_read(&self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn try_write(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn shutdown(&self) {}
    }

    impl Link for Nowhere {
        fn watch_writable(&self) {}
    }

    Arc::new(Peer::new(id, Arc::new(Nowhere), None, Mono::ZERO, Wall::from_unix_nanos(0)))
}

//! The state of a client, and what all parts of it do to it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crosstie_core::{Error, Kind, Mono, Randomness, Result, Subject, Target};
use crosstie_proto::nats::{Familiar, Info, write};

use super::{
    event::{Event, Stats},
    pending::{self, Pending},
    servers::Servers,
    wish::Wish,
};
use crate::{
    broadcast::{Broadcast, Reader},
    mailbox::Mailbox,
    options::ConnectOptions,
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Away {
        retry_at: Mono,
    },
    Dialing,
    /// TLS is to begin now.
    Secure {
        until: Mono,
    },
    /// It has begun.
    Securing {
        until: Mono,
    },
    /// Waits for `INFO`.
    Greeting {
        until: Mono,
    },
    /// `CONNECT` is on its way; waits for the `PONG` that confirms it. Another `INFO` may come before.
    Introduced {
        until: Mono,
    },
    Connected,
    Closed,
}

/// What the next `PONG` means.
pub(super) enum AfterPong {
    /// The server lives.
    Alive,
    /// The `CONNECT` was accepted.
    Welcome,
    /// All that was written before has been read.
    Flushed(Arc<Mailbox<Result<()>>>),
    /// No more messages come for these.
    Ended(Vec<u64>),
    /// No more messages come for any: what they are answered with goes out before the last step.
    AllEnded(Vec<u64>, Arc<Mailbox<Result<()>>>),
    /// Everything is done: close.
    Drained(Arc<Mailbox<Result<()>>>),
}

/// The state of one client.
pub struct Session {
    pub(super) options: ConnectOptions,
    pub(super) servers: Servers,
    pub(super) random: Box<dyn Randomness>,
    pub(super) link: Link,
    pub(super) info: Info,
    /// The server that was dialed last, and whether TLS is spoken with it.
    pub(super) dialled: Option<Target>,
    pub(super) is_secured: bool,
    /// How long the input must be before it is worth a look.
    pub(super) wanted: usize,
    pub(super) out: Vec<u8>,
    /// Published while the server was away.
    pub(super) kept: Vec<u8>,
    pub(super) wishes: HashMap<u64, Wish, foldhash::fast::RandomState>,
    /// Those with something staged.
    pub(super) touched: Vec<u64>,
    /// How the last plain message began, to read those like it faster; and for whom it was.
    pub(super) familiar: Familiar,
    pub(super) familiar_to: Option<(u64, Subject)>,
    pub(super) next_sid: u64,
    pub(super) pending: Pending,
    pub(super) pongs: VecDeque<AfterPong>,
    pub(super) next_ping: Mono,
    pub(super) pings_out: u32,
    pub(super) welcomed_at: Mono,
    pub(super) room: Vec<Arc<Mailbox<()>>>,
    pub(super) ready: Arc<Mailbox<Result<()>>>,
    pub(super) ready_told: bool,
    pub(super) events: Broadcast<Event>,
    pub(super) draining: bool,
    pub(super) stats: Stats,
}

impl Session {
    /// A client of these servers that has not dialed yet. `random` names its inboxes and spreads its attempts.
    ///
    /// # Panics
    ///
    /// When it is polled, if `servers` is empty.
    pub fn new(servers: Vec<Target>, options: ConnectOptions, mut random: Box<dyn Randomness>) -> Self {
        let pending = Pending::new(&mut *random);
        let servers = Servers::new(servers, options.shuffle.then_some(&mut *random));
        Self {
            options,
            servers,
            random,
            link: Link::Away { retry_at: Mono::ZERO },
            info: Info::default(),
            dialled: None,
            is_secured: false,
            wanted: 0,
            out: Vec::new(),
            kept: Vec::new(),
            wishes: HashMap::default(),
            touched: Vec::new(),
            familiar: Familiar::default(),
            familiar_to: None,
            next_sid: 1,
            pending,
            pongs: VecDeque::new(),
            next_ping: Mono::MAX,
            pings_out: 0,
            welcomed_at: Mono::ZERO,
            room: Vec::new(),
            ready: Arc::new(Mailbox::new(1)),
            ready_told: false,
            events: Broadcast::new(1024),
            draining: false,
            stats: Stats::default(),
        }
    }

    /// Told once how the first attempt to connect went.
    pub fn ready(&self) -> Arc<Mailbox<Result<()>>> {
        Arc::clone(&self.ready)
    }

    /// What has happened to the connection and will happen, for a reader of its own. The latest 1024 events are kept.
    pub fn events(&self) -> Reader<Event> {
        self.events.reader()
    }

    /// What the server last said of itself.
    pub const fn info(&self) -> &Info {
        &self.info
    }

    /// What the client was told before it connected.
    pub const fn options(&self) -> &ConnectOptions {
        &self.options
    }

    /// True while the server lets it in.
    pub fn is_connected(&self) -> bool {
        self.link == Link::Connected
    }

    /// True while the connection is one of TLS.
    pub fn is_secured(&self) -> bool {
        self.is_secured
    }

    /// True once it will not connect again.
    pub fn is_closed(&self) -> bool {
        self.link == Link::Closed
    }

    /// True if [`Session::take_output`] has something to give.
    pub fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// Moves what is to be written into `buffer`, which is empty.
    pub fn take_output(&mut self, buffer: &mut Vec<u8>) {
        std::mem::swap(&mut self.out, buffer);
        self.make_room();
    }

    /// Bytes that wait: to be written now, and to be published once the server is back.
    pub const fn waiting(&self) -> (usize, usize) {
        (self.out.len(), self.kept.len())
    }

    /// Counts since the client was made.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// A subject nobody else uses.
    pub fn new_inbox(&mut self) -> Subject {
        pending::inbox_subject(&mut *self.random)
    }

    /// Nothing new is begun while it drains.
    pub(super) fn check_open(&self) -> Result<()> {
        self.check_not_closed()?;
        if self.draining {
            return Err(Error::new(Kind::Closed, "the client drains: it publishes answers, and begins nothing else"));
        }
        Ok(())
    }

    pub(super) fn check_not_closed(&self) -> Result<()> {
        if self.link == Link::Closed {
            return Err(Error::new(Kind::Closed, "the client is closed: connect a new one"));
        }
        Ok(())
    }

    pub(super) fn ping(&mut self, then: AfterPong) {
        write::ping(&mut self.out);
        self.pongs.push_back(then);
    }

    /// Every subscription, in the order they were made: a map's own order would differ from run to run.
    pub(super) fn sids(&self) -> Vec<u64> {
        let mut sids: Vec<u64> = self.wishes.keys().copied().collect();
        sids.sort_unstable();
        sids
    }

    pub(super) fn close_wishes(&mut self, sids: &[u64]) {
        for sid in sids {
            if let Some(mut wish) = self.wishes.remove(sid) {
                wish.hand_over(&self.events);
                wish.feed.close();
            }
        }
    }

    pub(super) fn has_room(&self) -> bool {
        !self.is_connected() || self.out.len() < self.options.write_buffer
    }

    pub(super) fn make_room(&mut self) {
        for waiting in self.room.drain(..) {
            waiting.put(());
        }
    }

    pub(super) fn tell_ready(&mut self, result: Result<()>) {
        if !std::mem::replace(&mut self.ready_told, true) {
            self.ready.put(result);
        }
    }

    pub(super) fn end(&mut self) {
        if self.link == Link::Closed {
            return;
        }
        self.link = Link::Closed;
        let sids = self.sids();
        self.close_wishes(&sids);
        let closed = || Error::new(Kind::Closed, "the client was closed meanwhile");
        self.pending.fail_all(closed);
        for pong in std::mem::take(&mut self.pongs) {
            if let AfterPong::Flushed(mailbox) | AfterPong::AllEnded(_, mailbox) | AfterPong::Drained(mailbox) = pong {
                mailbox.put(Err(closed()));
            }
        }
        self.make_room();
        self.tell_ready(Err(closed()));
        self.events.put(Event::Closed);
        self.events.close();
    }
}

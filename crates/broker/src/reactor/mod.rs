//! The driver for real sockets: a few threads, each with its own epoll and its own connections.
//!
//! A reactor reads from a ready connection at most one buffer full, gives it to the core, and writes what that earned to every
//! subscriber at once, whichever reactor they belong to. Only a socket that takes no more is left to its own reactor, which hears
//! when it does again. Nothing slow happens here: passwords are checked on a thread of their own.

mod link;
mod mailbox;
mod password;
mod slots;
mod spin;

use std::{io, sync::Arc, time::Duration};

use crosstie_core::{ByteTransport, Clock, Mono, Seeded};
use crosstie_net::{Peer, SocketListener, SocketTransport};
use crosstie_sys::{Event, Interest};

pub(crate) use self::mailbox::{Command, Mailbox};
use self::{link::SocketLink, mailbox::WAKE, password::PasswordChecker, slots::Slots, spin::Spin};
use crate::core::{Connection, Core, Next, PAUSE, Worker};

/// What is read from a connection at most before others get their turn. `docs/decisions/0002-reactor.md` has the measurement.
const READ_BUFFER: usize = 512 * 1024;
/// How many connections are accepted in a row.
const MAX_ACCEPTS: usize = 64;
/// The longest a reactor sleeps while it has connections: a bound on how late anything due is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(1);
/// How long a listener rests after it could not accept for want of descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);

const LISTENER: u64 = 1 << 62;

/// A connection in its slot.
struct Entry {
    connection: Connection,
    link: Arc<SocketLink>,
    due: Mono,
    /// Reads nothing until then.
    paused_until: Option<Mono>,
    checking: bool,
}

/// One thread's share of the broker.
pub(crate) struct Reactor<C> {
    core: Arc<Core>,
    clock: Arc<C>,
    mailbox: Arc<Mailbox>,
    /// All reactors, this one among them, to share accepted connections with.
    all: Vec<Arc<Mailbox>>,
    next: usize,
    listeners: Vec<SocketListener>,
    listening_again: Option<Mono>,
    worker: Worker,
    slots: Slots<Entry>,
    passwords: PasswordChecker,
    spin: Spin,
    buffer: Vec<u8>,
    next_due: Mono,
}

impl<C: Clock> Reactor<C> {
    pub(crate) fn new(
        core: Arc<Core>,
        clock: Arc<C>,
        all: Vec<Arc<Mailbox>>,
        index: usize,
        listeners: Vec<SocketListener>,
        seed: u64,
    ) -> Self {
        let mailbox = Arc::clone(&all[index]);
        let passwords = PasswordChecker::new(Arc::clone(&mailbox));
        let spin = Spin::new(core.options().spin);
        let worker = core.worker(Box::new(Seeded::new(seed)));
        Self {
            core,
            clock,
            mailbox,
            all,
            next: index,
            listeners,
            listening_again: None,
            worker,
            slots: Slots::default(),
            passwords,
            spin,
            buffer: vec![0; READ_BUFFER],
            next_due: Mono::MAX,
        }
    }

    /// Runs until it is told to stop.
    pub(crate) fn run(mut self) -> io::Result<()> {
        for (index, listener) in self.listeners.iter().enumerate() {
            self.mailbox.poller.add(listener, LISTENER + index as u64, Interest::Read)?;
        }
        let mut events: Vec<Event> = Vec::new();
        loop {
            let patience = self.patience();
            self.spin.wait(&self.mailbox.poller, &*self.clock, &mut events, patience)?;
            let now = self.clock.mono();
            for event in &events {
                match event.token {
                    WAKE => self.mailbox.waker.reset(),
                    token if token >= LISTENER => self.accept((token - LISTENER) as usize, now),
                    _ => self.serve(event, now),
                }
            }
            if !self.obey(now) {
                self.close_all(now);
                return Ok(());
            }
            if now >= self.next_due {
                self.sweep(now);
            }
        }
    }

    /// How long to sleep at most.
    fn patience(&self) -> Option<Duration> {
        if self.next_due == Mono::MAX && self.slots.is_empty() {
            return None;
        }
        Some(self.next_due.since(self.clock.mono()).min(MAX_SLEEP))
    }

    fn accept(&mut self, index: usize, now: Mono) {
        for _ in 0..MAX_ACCEPTS {
            let Some(listener) = self.listeners.get(index) else {
                return;
            };
            match listener.try_accept() {
                Ok(Some((transport, peer))) => {
                    self.next = (self.next + 1) % self.all.len();
                    if Arc::ptr_eq(&self.all[self.next], &self.mailbox) {
                        self.adopt(transport, peer, now);
                    } else {
                        self.all[self.next].send(Command::Adopt(transport, peer));
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection; trying again shortly");
                    for listener in &self.listeners {
                        let _ = self.mailbox.poller.remove(listener);
                    }
                    self.listening_again = Some(now + ACCEPT_REST);
                    self.next_due = self.next_due.min(now + ACCEPT_REST);
                    return;
                }
            }
        }
    }

    fn adopt(&mut self, transport: Box<dyn SocketTransport>, peer: Peer, now: Mono) {
        let token = self.slots.reserve();
        let link = Arc::new(SocketLink::new(transport, Arc::clone(&self.mailbox.poller), token));
        let shared = Arc::clone(&link);
        let connection = self.core.open(shared, peer.address(), &mut self.worker, now, self.clock.wall());
        self.core.flush(&mut self.worker, now);
        if connection.is_closing() || link.register().is_err() {
            self.slots.release(token);
            self.core.close(connection, &mut self.worker, now);
            return;
        }
        self.slots.fill(token, Entry { connection, link, due: now, paused_until: None, checking: false });
        self.next_due = now;
    }

    /// Reads from, or writes on to, a connection that is ready.
    fn serve(&mut self, event: &Event, now: Mono) {
        let Some(entry) = self.slots.get_mut(event.token) else {
            return;
        };
        if event.writable {
            entry.link.unwatch_writable();
            self.core.writable(&entry.connection, &mut self.worker, now);
        }
        let may_read = entry.paused_until.is_none() && !entry.checking;
        if event.readable && may_read {
            self.read(event.token, now);
        } else if event.ended {
            self.close(event.token, now);
        }
    }

    fn read(&mut self, token: u64, now: Mono) {
        let Some(entry) = self.slots.get_mut(token) else { return };
        let next = match entry.link.try_read(&mut self.buffer) {
            Ok(0) => Next::Close,
            Ok(count) => self.core.input(&mut entry.connection, &mut self.worker, &self.buffer[..count], now),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return,
            Err(_) => {
                entry.connection.peer().read_failed();
                Next::Close
            }
        };
        self.follow(token, next, now);
    }

    /// Writes what an act earned, and does what the core asks for next.
    fn follow(&mut self, token: u64, next: Next, now: Mono) {
        let crowded = self.core.flush(&mut self.worker, now);
        let Some(entry) = self.slots.get_mut(token) else { return };
        match next {
            Next::Read if crowded => self.pause(token, now + PAUSE, now),
            Next::Read => {}
            Next::Pause(until) => self.pause(token, until, now),
            Next::Check(check) => {
                entry.checking = true;
                self.watch_readable(token, false);
                self.passwords.submit(token, check);
            }
            Next::Close => self.close(token, now),
        }
    }

    fn pause(&mut self, token: u64, until: Mono, now: Mono) {
        self.watch_readable(token, false);
        if let Some(entry) = self.slots.get_mut(token) {
            entry.paused_until = Some(until);
            entry.due = entry.due.min(until);
        }
        self.next_due = self.next_due.min(until.max(now));
    }

    fn watch_readable(&mut self, token: u64, on: bool) {
        if let Some(entry) = self.slots.get_mut(token) {
            entry.link.watch_readable(on);
        }
    }

    fn close(&mut self, token: u64, now: Mono) {
        if let Some(entry) = self.slots.take(token) {
            entry.link.deregister();
            self.core.close(entry.connection, &mut self.worker, now);
            self.core.flush(&mut self.worker, now);
        }
    }

    /// Does what other threads asked for. False if that was to stop.
    fn obey(&mut self, now: Mono) -> bool {
        for command in self.mailbox.take() {
            match command {
                Command::Adopt(transport, peer) => self.adopt(transport, peer, now),
                Command::Checked { token, is_right } => self.checked(token, is_right, now),
                Command::LameDuck => {
                    self.core.lame_duck(&mut self.worker);
                    self.core.flush(&mut self.worker, now);
                }
                Command::StopListening => self.listeners.clear(),
                Command::Stop => return false,
            }
        }
        true
    }

    fn checked(&mut self, token: u64, is_right: bool, now: Mono) {
        let Some(entry) = self.slots.get_mut(token) else { return };
        entry.checking = false;
        let next = self.core.checked(&mut entry.connection, &mut self.worker, is_right, now);
        self.watch_readable(token, true);
        self.follow(token, next, now);
    }

    /// Does what is due on every connection, and finds out when to look again.
    fn sweep(&mut self, now: Mono) {
        self.next_due = Mono::MAX;
        if self.listening_again.is_some_and(|at| now >= at) {
            self.listening_again = None;
            for (index, listener) in self.listeners.iter().enumerate() {
                let _ = self.mailbox.poller.add(listener, LISTENER + index as u64, Interest::Read);
            }
        }
        self.next_due = self.next_due.min(self.listening_again.unwrap_or(Mono::MAX));
        self.core.forget_if_changed(&mut self.worker);
        for token in self.slots.tokens() {
            let Some(entry) = self.slots.get_mut(token) else {
                continue;
            };
            if entry.paused_until.is_some_and(|until| now >= until) {
                entry.paused_until = None;
                // What was held back first, without waiting for more to come.
                let next = self.core.input(&mut entry.connection, &mut self.worker, &[], now);
                self.watch_readable(token, true);
                self.follow(token, next, now);
            }
            let Some(entry) = self.slots.get_mut(token) else {
                continue;
            };
            if now >= entry.due {
                let (next, due) = self.core.tick(&mut entry.connection, &mut self.worker, now);
                entry.due = due.min(entry.paused_until.unwrap_or(Mono::MAX));
                if let Next::Close = next {
                    self.follow(token, next, now);
                    continue;
                }
            }
            if let Some(entry) = self.slots.get_mut(token) {
                self.next_due = self.next_due.min(entry.due);
            }
        }
        self.core.flush(&mut self.worker, now);
    }

    fn close_all(&mut self, now: Mono) {
        for token in self.slots.tokens() {
            self.close(token, now);
        }
    }
}

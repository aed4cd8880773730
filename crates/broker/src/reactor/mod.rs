//! The driver for real sockets: a few threads, each with its own epoll and its own connections.
//!
//! A reactor reads from a ready connection at most one buffer full, gives it to the core, and writes what that earned to every
//! subscriber at once, whichever reactor they belong to. Only a socket that takes no more is left to its own reactor, which hears
//! when it does again. Nothing slow happens here: passwords are checked on a thread of their own.

mod doorbell;
mod entry;
mod link;
mod mailbox;
mod password;
mod place;
mod securing;
mod slots;
mod spin;
mod timers;
mod tls;
mod turns;

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crosstie_core::{ByteTransport, Clock, Mono, Seeded};
use crosstie_net::{Peer, SocketListener, SocketTransport};
use crosstie_sys::{Event, Interest};

use self::{
    doorbell::Doorbell,
    entry::Entry,
    mailbox::WAKE,
    password::PasswordChecker,
    slots::Slots,
    spin::Spin,
    timers::Timers,
    turns::{HANDSHAKE, Load, MAX_READ, MIN_READ, TURN},
};
pub(crate) use self::{
    mailbox::{Command, Mailbox},
    place::{Clients, Place},
    tls::{Offers, TlsOffer},
};
use crate::core::{Core, Next, PAUSE, Worker};

/// How many connections are accepted or taken over in a row before others get their turn.
const MAX_ACCEPTS: usize = 16;
/// For how many connections what is due is done in a row.
const MAX_DUE: usize = 32;
/// The most that one turn may take while nobody else waits, in the core's units of effort.
const LONG_TURN: u64 = 100 * TURN;
/// The effort of one read.
const READING: u64 = 30;
/// How many bytes are read and looked through with one unit of effort.
const BYTES_A_UNIT: u64 = 1024;
/// The longest a reactor sleeps while it has connections: a bound on how late anything due is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(1);
/// How long a listener rests after it could not accept for want of descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How long a look-up that is out of date keeps those whom it found, at the least, while there is much to do.
const FORGET: Duration = Duration::from_millis(100);

const LISTENER: u64 = 1 << 62;

/// One thread's share of the broker.
pub(crate) struct Reactor<C> {
    core: Arc<Core>,
    clock: Arc<C>,
    mailbox: Arc<Mailbox>,
    /// The reactors that accepted connections are shared among.
    light: Vec<Arc<Mailbox>>,
    /// Those whose handshakes come first begin here.
    others: Vec<Arc<Mailbox>>,
    /// Who takes over the clients that are not for this one.
    twin: Arc<Mailbox>,
    clients: Clients,
    next: usize,
    listeners: Vec<SocketListener>,
    listening_again: Option<Mono>,
    worker: Worker,
    slots: Slots<Entry>,
    passwords: PasswordChecker,
    spin: Spin,
    buffer: Vec<u8>,
    timers: Timers,
    /// Busy clients who have something to be read, in the order of their turns, and those whose sockets have ended.
    busy: VecDeque<u64>,
    /// Until when they rest, because those they write to are far behind.
    busy_rest: Mono,
    /// What was spent on clients since events were asked for.
    spent: u64,
    load: Load,
    /// Connections that were accepted and wait to be taken over.
    newcomers: VecDeque<(Box<dyn SocketTransport>, Peer)>,
    /// What is offered to them.
    offers: Arc<Offers>,
    /// Those in the middle of a handshake, by when they began.
    begun: VecDeque<u64>,
    /// When look-ups that are out of date are forgotten next.
    forget_at: Mono,
    /// Whose turn it is, for the doorbell.
    served: Arc<AtomicU64>,
}

impl<C: Clock> Reactor<C> {
    pub(crate) fn new(core: Arc<Core>, clock: Arc<C>, place: Place, listeners: Vec<SocketListener>, seed: u64) -> Self {
        let Place { clients, index, light, busy, offers } = place;
        let (mailbox, twin) = match clients {
            Clients::Light => (Arc::clone(&light[index]), Arc::clone(&busy[index])),
            Clients::Busy => (Arc::clone(&busy[index]), Arc::clone(&light[index])),
        };
        let passwords = PasswordChecker::new(Arc::clone(&mailbox));
        let spin = Spin::new(core.options().spin);
        let mut worker = core.worker(Box::new(Seeded::new(seed)));
        let served = Arc::new(AtomicU64::new(0));
        worker.keep(Box::new(Doorbell::new(Arc::clone(&mailbox.poller), Arc::clone(&served))));
        Self {
            core,
            clock,
            mailbox,
            light,
            others: busy,
            twin,
            clients,
            next: index,
            listeners,
            listening_again: None,
            worker,
            slots: Slots::default(),
            passwords,
            spin,
            buffer: vec![0; MAX_READ],
            timers: Timers::default(),
            busy: VecDeque::new(),
            busy_rest: Mono::ZERO,
            spent: 0,
            load: Load::new(Mono::ZERO),
            newcomers: VecDeque::new(),
            offers,
            begun: VecDeque::new(),
            forget_at: Mono::ZERO,
            served,
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
            self.spent = 0;
            // Those of the backlog wait, too.
            let alone = events.len() == 1 && self.busy.is_empty() && !self.core.has_backlog(&self.worker);
            for event in &events {
                match event.token {
                    WAKE => self.mailbox.waker.reset(),
                    token if token >= LISTENER => self.accept((token - LISTENER) as usize, now),
                    _ => self.serve(event, alone, now),
                }
            }
            self.serve_busy(now);
            if !self.obey(now) {
                self.close_all(now);
                return Ok(());
            }
            let is_idle = events.is_empty() && self.busy.is_empty();
            if self.slots.is_empty() {
                // Nothing may wake it for long.
                self.core.forget(&mut self.worker);
            } else if is_idle || now >= self.forget_at {
                self.forget_at = now + FORGET;
                self.core.forget_if_changed(&mut self.worker);
            }
            if now >= self.timers.next() {
                self.sweep(now);
            }
            self.core.go_on(&mut self.worker, now);
        }
    }

    /// How long to sleep at most.
    fn patience(&self) -> Option<Duration> {
        if !self.newcomers.is_empty() || self.core.is_behind(&self.worker) {
            return Some(Duration::ZERO);
        }
        let next_turn = if self.busy.is_empty() { Mono::MAX } else { self.busy_rest };
        let next_due = self.timers.next().min(next_turn);
        if next_due == Mono::MAX && self.slots.is_empty() {
            return None;
        }
        Some(next_due.since(self.clock.mono()).min(MAX_SLEEP))
    }

    /// Sees to it that `token` is looked after at `at`.
    fn schedule(&mut self, token: u64, at: Mono) {
        if let Some(entry) = self.slots.get_mut(token)
            && at < entry.timer
        {
            entry.timer = at;
            self.timers.set(at, token);
            let slots = &mut self.slots;
            self.timers.weed(slots.len() + 1, |at, token| {
                token == LISTENER || slots.get_mut(token).is_some_and(|entry| entry.timer == at)
            });
        }
    }

    fn accept(&mut self, index: usize, now: Mono) {
        for _ in 0..MAX_ACCEPTS {
            let Some(listener) = self.listeners.get(index) else {
                return;
            };
            match listener.try_accept() {
                Ok(Some((transport, peer))) => {
                    self.next = (self.next + 1) % self.light.len();
                    let is_offered = peer.address().is_some() && self.offers.now().is_some();
                    let place = if is_offered { &self.others[self.next] } else { &self.light[self.next] };
                    if Arc::ptr_eq(place, &self.mailbox) {
                        self.adopt(transport, peer, now);
                    } else {
                        place.send(Command::Adopt(transport, peer));
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection; trying again shortly");
                    for listener in &self.listeners {
                        let _ = self.mailbox.poller.remove(listener);
                    }
                    self.listening_again = Some(now + ACCEPT_REST);
                    self.timers.set(now + ACCEPT_REST, LISTENER);
                    return;
                }
            }
        }
    }

    fn adopt(&mut self, transport: Box<dyn SocketTransport>, peer: Peer, now: Mono) {
        let token = self.slots.reserve();
        let (link, securing) = self.link(transport, peer, token, now);
        let link = Arc::new(link);
        let (shared, wall) = (Arc::clone(&link), self.clock.wall());
        let connection = if securing.is_some() {
            self.core.open_for_tls(shared, peer.address(), &mut self.worker, now, wall)
        } else {
            self.core.open(shared, peer.address(), &mut self.worker, now, wall)
        };
        self.core.flush_first(&mut self.worker, now);
        if connection.is_closing() || link.register().is_err() {
            self.slots.release(token);
            self.core.close(connection, &mut self.worker, now);
            return;
        }
        self.slots.fill(token, Entry::new(connection, link, securing, now));
        self.schedule(token, now);
    }

    /// Reads from, or writes on to, a connection that is ready. `alone` says that nobody else is.
    fn serve(&mut self, event: &Event, alone: bool, now: Mono) {
        let Some(entry) = self.slots.get_mut(event.token) else {
            return;
        };
        if entry.securing.is_some() && !event.ended {
            entry.link.watch_handshake(Interest::None);
            self.queue(event.token);
            return;
        }
        if event.writable {
            entry.link.unwatch_writable();
            entry.link.send_on();
            self.core.writable(&entry.connection, &mut self.worker, now);
        }
        if event.ended {
            // Thousands may end at once, and each has a little to be cleared away.
            entry.has_ended = true;
            entry.link.deregister();
            if !entry.is_queued {
                self.queue(event.token);
            }
        } else if event.readable && entry.may_read() {
            if entry.is_queued {
                return;
            }
            let may_go_on = self.spent < TURN || entry.usage.is_light();
            if alone || may_go_on && !entry.usage.is_beyond(self.load.limit(now), now) {
                self.read(event.token, now);
            } else {
                self.queue(event.token);
            }
        }
    }

    /// Puts a client into the line of the busy, until when its socket is not looked at.
    fn queue(&mut self, token: u64) {
        if let Some(entry) = self.slots.get_mut(token).filter(|entry| !entry.is_queued) {
            entry.is_queued = true;
            entry.link.watch_readable(false);
            self.busy.push_back(token);
        }
    }

    /// Reads on whenever there is something. Nobody wakes the reactor for a socket that has ended, nor for what was read before: they take
    /// their turns.
    fn resume(&mut self, token: u64) {
        let Some(entry) = self.slots.get_mut(token) else { return };
        if entry.is_queued || !entry.may_read() {
            return;
        }
        if entry.has_ended || entry.has_more || entry.link.has_more() {
            self.queue(token);
        } else {
            entry.link.watch_readable(true);
        }
    }

    /// Gives the first in the line of the busy their turns, as many as fit into one.
    fn serve_busy(&mut self, now: Mono) {
        if self.core.is_stalled(&mut self.worker) {
            self.busy_rest = now + PAUSE;
        }
        if now < self.busy_rest {
            return;
        }
        let mut spent = 0;
        while spent < TURN && !self.core.has_backlog(&self.worker) {
            let Some(token) = self.busy.pop_front() else { return };
            let Some(entry) = self.slots.get_mut(token) else { continue };
            entry.is_queued = false;
            if entry.securing.is_some() {
                self.secure(token, now);
                spent += HANDSHAKE;
                continue;
            }
            if entry.may_read() {
                let is_full = self.read(token, now);
                spent += READING + self.worker.effort();
                let Some(entry) = self.slots.get_mut(token) else { continue };
                if entry.is_queued || !entry.may_read() {
                    continue;
                }
                if is_full {
                    self.queue(token);
                } else {
                    self.resume(token);
                }
            }
        }
    }

    /// Reads once, or goes on with what was read; true if there may be more to read.
    fn read(&mut self, token: u64, now: Mono) -> bool {
        let Some(entry) = self.slots.get_mut(token) else { return false };
        self.served.store(token, Ordering::Relaxed);
        self.worker.allow_alone(TURN, LONG_TURN);
        // What a turn leaves is held for the client, who is not to blame for it.
        let wanted = entry.usage.read().min(self.core.room_for_input(&self.worker).max(MIN_READ));
        let (count, next) = if std::mem::take(&mut entry.has_more) {
            (0, self.core.input(&mut entry.connection, &mut self.worker, &[], now))
        } else if entry.connection.peer().is_dismissed() {
            (0, Next::Close)
        } else {
            match entry.link.try_read(&mut self.buffer[..wanted]) {
                Ok(0) => (0, Next::Close),
                Ok(count) => {
                    (count, self.core.input(&mut entry.connection, &mut self.worker, &self.buffer[..count], now))
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                    return false;
                }
                Err(_) => {
                    entry.connection.peer().read_failed();
                    (0, Next::Close)
                }
            }
        };
        self.end_turn(token, next, count, count == wanted, now);
        if count == wanted && self.slots.get_mut(token).is_some_and(|entry| entry.may_read() && entry.link.has_more()) {
            self.queue(token);
        }
        count == wanted
    }

    /// Follows what a turn led to, notes what it took, with `count` bytes read in it, and lets the client go if it belongs to the twin.
    fn end_turn(&mut self, token: u64, next: Next, count: usize, was_full: bool, now: Mono) {
        let was_cut_short = matches!(next, Next::Yield);
        self.follow(token, next, now);
        let effort = READING + count as u64 / BYTES_A_UNIT + self.worker.effort();
        self.spent += effort;
        self.load.note(effort);
        if let Some(entry) = self.slots.get_mut(token) {
            entry.usage.note(effort, was_full, was_cut_short);
        }
        if self.is_for_twin(token, now) {
            self.hand_over(token, now);
        }
    }

    fn is_for_twin(&mut self, token: u64, now: Mono) -> bool {
        let Some(entry) = self.slots.get_mut(token).filter(|entry| entry.may_move()) else { return false };
        if let Clients::Busy = self.clients {
            return entry.usage.may_return(now);
        }
        let limit = self.load.limit(now);
        let is_busy = entry.usage.is_beyond(limit, now);
        if is_busy {
            entry.usage.leave(limit, now);
            self.load.without(&entry.usage);
        }
        is_busy
    }

    /// Gives a client to the other reactor of this core. All that its last turn has earned is in the outboxes by now, so that what the next
    /// one earns there comes after it.
    fn hand_over(&mut self, token: u64, now: Mono) {
        let Some(entry) = self.slots.take(token) else { return };
        entry.link.deregister();
        if let Err(Command::TakeOver(entry)) = self.twin.post(Command::TakeOver(Box::new(entry))) {
            self.end(*entry, now);
        }
    }

    fn take_over(&mut self, mut entry: Entry, now: Mono) {
        let token = self.slots.reserve();
        entry.link.move_to(Arc::clone(&self.mailbox.poller), token);
        if !entry.has_ended && entry.link.register().is_err() {
            self.slots.release(token);
            self.end(entry, now);
            return;
        }
        (entry.is_queued, entry.timer) = (false, Mono::MAX);
        let at = entry.next_look();
        self.slots.fill(token, entry);
        self.schedule(token, at);
        self.resume(token);
    }

    /// Writes what an act earned, and does what the core asks for next.
    fn follow(&mut self, token: u64, next: Next, now: Mono) {
        let crowded = self.core.flush_first(&mut self.worker, now);
        let Some(entry) = self.slots.get_mut(token) else { return };
        match next {
            Next::Read | Next::Yield if crowded => self.pause(token, now + PAUSE, now),
            Next::Read => {}
            Next::Pause(until) => self.pause(token, until, now),
            Next::Yield => {
                entry.has_more = true;
                self.queue(token);
            }
            Next::Check(check) => {
                entry.checking = Some(self.passwords.submit(token, check));
                self.watch_readable(token, false);
            }
            Next::Close => self.close(token, now),
        }
    }

    fn pause(&mut self, token: u64, until: Mono, now: Mono) {
        self.watch_readable(token, false);
        if let Some(entry) = self.slots.get_mut(token) {
            entry.paused_until = Some(until);
        }
        self.schedule(token, until.max(now));
    }

    fn watch_readable(&mut self, token: u64, on: bool) {
        if let Some(entry) = self.slots.get_mut(token) {
            entry.link.watch_readable(on);
        }
    }

    fn close(&mut self, token: u64, now: Mono) {
        if let Some(entry) = self.slots.take(token) {
            self.end(entry, now);
        }
    }

    fn end(&mut self, entry: Entry, now: Mono) {
        entry.link.deregister();
        if let Some(ticket) = entry.checking {
            self.passwords.cancel(ticket);
        }
        self.core.close(entry.connection, &mut self.worker, now);
        self.core.flush_first(&mut self.worker, now);
    }

    /// Does what other threads asked for. False if that was to stop.
    fn obey(&mut self, now: Mono) -> bool {
        for _ in 0..MAX_ACCEPTS {
            let Some((transport, peer)) = self.newcomers.pop_front() else { break };
            self.adopt(transport, peer, now);
        }
        let mut is_told_to_stop = false;
        for command in self.mailbox.take() {
            match command {
                Command::Adopt(transport, peer) => self.newcomers.push_back((transport, peer)),
                Command::TakeOver(entry) => self.take_over(*entry, now),
                Command::Checked { token, is_right } => self.checked(token, is_right, now),
                Command::LameDuck => {
                    self.core.lame_duck(&mut self.worker);
                    self.core.flush(&mut self.worker, now);
                }
                Command::StopListening => self.listeners.clear(),
                Command::Stop => is_told_to_stop = true,
            }
        }
        !is_told_to_stop
    }

    fn checked(&mut self, token: u64, is_right: bool, now: Mono) {
        let Some(entry) = self.slots.get_mut(token) else { return };
        entry.checking = None;
        self.worker.allow(TURN);
        let next = self.core.checked(&mut entry.connection, &mut self.worker, is_right, now);
        self.end_turn(token, next, 0, false, now);
        self.resume(token);
    }

    /// Does what is due.
    fn sweep(&mut self, now: Mono) {
        if self.listening_again.is_some_and(|at| now >= at) {
            self.listening_again = None;
            for (index, listener) in self.listeners.iter().enumerate() {
                let _ = self.mailbox.poller.add(listener, LISTENER + index as u64, Interest::Read);
            }
        }
        for _ in 0..MAX_DUE {
            let Some((at, token)) = self.timers.ring(now) else { break };
            if let Some(entry) = self.slots.get_mut(token)
                && entry.timer == at
            {
                entry.timer = Mono::MAX;
                self.look_after(token, now);
            }
        }
        self.core.flush(&mut self.worker, now);
    }

    /// Does what is due on one connection, and finds out when to look again.
    fn look_after(&mut self, token: u64, now: Mono) {
        self.greet_if_due(token, now);
        let Some(entry) = self.slots.get_mut(token) else { return };
        if entry.paused_until.is_some_and(|until| now >= until) {
            entry.paused_until = None;
            // What was held back first, without waiting for more to come.
            self.worker.allow(TURN);
            let next = self.core.input(&mut entry.connection, &mut self.worker, &[], now);
            self.end_turn(token, next, 0, false, now);
            self.resume(token);
        }
        let Some(entry) = self.slots.get_mut(token) else { return };
        if now >= entry.due {
            let (next, due) = self.core.tick(&mut entry.connection, &mut self.worker, now);
            entry.due = due;
            if let Next::Close = next {
                self.follow(token, next, now);
                return;
            }
        }
        let Some(entry) = self.slots.get_mut(token) else { return };
        let at = entry.next_look();
        self.schedule(token, at);
    }

    fn close_all(&mut self, now: Mono) {
        self.core.flush(&mut self.worker, now);
        for token in self.slots.tokens() {
            self.close(token, now);
        }
        for command in self.mailbox.end() {
            if let Command::TakeOver(entry) = command {
                self.end(*entry, now);
            }
        }
    }
}

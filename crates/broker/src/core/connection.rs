//! One client as its reactor sees it: from bytes to operations, and what each of them earns.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crosstie_core::{Mono, is_valid_pattern, is_valid_subject};
use crosstie_proto::nats::{
    Connect,
    client_op::{ClientLimits, ClientOp, Parsed, Pub, Violation, parse},
};
use memchr::memchr;

use super::{
    Core, MAX_TURN, MAX_UNFLUSHED,
    auth::{PasswordCheck, Shown, Verdict, admission, judge},
    counters::count,
    deliver::{Delivered, Unfinished},
    departed::Reason,
    lock::lock,
    peer::{Peer, Subscription},
    permissions::{Rights, Subscribe},
    quiet::UnderWay,
    quote::quoted,
    remembered::Room,
    worker::Worker,
};
use crate::snapshot::TlsSnapshot;

/// A buffer for half an operation that is larger than this is given back once the operation is whole.
const MAX_KEPT: usize = 1024;

/// How much of a payload that is still to come there is room for beforehand; the room doubles as it comes.
const FIRST_ROOM: usize = 4096;
/// How many bytes of a payload that is still to come are kept with one unit of effort: mostly, their memory is new.
const HELD_A_UNIT: usize = 64;
/// How many bytes of an operation are looked through with one unit of effort.
const READ_A_UNIT: usize = 512;
/// The effort of a complaint, besides its text.
const COMPLAINING: u64 = 10;
/// Longer texts of a `CONNECT` are not kept.
const MAX_TEXT: usize = 256;
/// The most tokens of a pattern: each costs a level of the index, which is a hundred times its own size.
const MAX_TOKENS: usize = 512;
/// The limits on a message that has kept those in force when it came.
const ACCEPTED: ClientLimits = ClientLimits { max_control_line: usize::MAX / 2, max_payload: usize::MAX / 2 };
/// How long after `CONNECT` the first `PING` goes out, to measure the round trip.
const FIRST_PING: Duration = Duration::from_secs(2);
/// After this long, whoever has had its turn has another: the others that wait come first.
const NEXT_TURN: Duration = Duration::from_nanos(1);
/// How long a `PING` waits before it is asked again whether other reactors are done with what they had under way.
const OTHER_TURN: Duration = Duration::from_micros(100);
/// How long a client waits that writes to one who is far behind.
pub const PAUSE: Duration = Duration::from_millis(2);

/// What the driver does next with a connection.
#[must_use]
pub enum Next {
    /// Read on when there is something.
    Read,
    /// Read on at this time, not before: those it writes to are far behind, or it has had its turn. Then hand in nothing first, for
    /// what it has sent already.
    Pause(Mono),
    /// It has had its turn, and not all of what it sent was taken in: go on by [`Core::input`] without bytes, after others.
    Yield,
    /// Run the check off the reactor, hand its outcome to [`Core::checked`], and read nothing meanwhile.
    Check(PasswordCheck),
    /// Write what waits and close.
    Close,
}

enum Phase {
    /// Waits for the end of its TLS handshake.
    Securing {
        until: Mono,
    },
    /// Waits for a `CONNECT` that lets it in.
    Unauthenticated {
        until: Mono,
        bytes: usize,
    },
    /// Waits for the outcome of a password check.
    Checking {
        then: Shown,
    },
    Ready,
    Closing,
}

/// The side of a connection that one reactor alone touches.
pub struct Connection {
    peer: Arc<Peer>,
    phase: Phase,
    /// Counted among those not yet authenticated.
    is_counted: bool,
    /// The beginning of an operation whose end has not come.
    held: Vec<u8>,
    /// How long `held` must be before it is worth a look.
    wanted: usize,
    /// What is left to do for the message that `held` begins with.
    unfinished: Option<Box<Unfinished>>,
    /// It has ended a subscription since it was last answered a `PING`.
    has_ended_some: bool,
    /// What other reactors had under way when it asked by a `PING` that is to be answered.
    awaited: Option<UnderWay>,
    /// What the client last said of itself; before that, the defaults.
    connect: Box<Connect>,
    is_introduced: bool,
    next_ping: Mono,
    ping_sent: Option<Mono>,
    pings_out: u32,
    last_input: Mono,
}

impl Connection {
    /// The peer must be among the core's by now, so that a reload finds it.
    pub(super) fn new(peer: Arc<Peer>, core: &Core, worker: &Worker, now: Mono) -> Self {
        let tls = worker.options.tls.as_ref().filter(|_| peer.is_offered_tls.load(Ordering::Relaxed));
        let phase = match tls {
            Some(tls) => Phase::Securing { until: now + tls.timeout },
            None => introduction(core, worker, &peer, now),
        };
        let must_show = !matches!(phase, Phase::Ready);
        Self {
            peer,
            is_counted: must_show,
            phase,
            held: Vec::new(),
            wanted: 0,
            unfinished: None,
            has_ended_some: false,
            awaited: None,
            connect: Box::default(),
            is_introduced: false,
            next_ping: now + worker.options.ping_interval,
            ping_sent: None,
            pings_out: 0,
            last_input: now,
        }
    }

    /// The shared side.
    pub const fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// True once nothing more is read from it.
    pub const fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing)
    }

    pub(super) const fn is_unauthenticated(&self) -> bool {
        self.is_counted
    }

    pub(super) fn into_peer(mut self, core: &Core) -> Arc<Peer> {
        self.leave_crowd(core);
        self.give_back_held(core);
        self.peer
    }

    /// Brings the whole broker's sum of held input up to date, and says what it is now.
    fn count_held(&mut self, core: &Core) -> u64 {
        let sum = &core.counters.held_input;
        let now = self.held.capacity() as u64;
        let before = self.peer.held.load(Ordering::Relaxed);
        if now == before {
            return sum.load(Ordering::Relaxed);
        }
        // Somebody else may have taken it back meanwhile, so what was there is asked for once more.
        let change = now.wrapping_sub(self.peer.held.swap(now, Ordering::Relaxed));
        sum.fetch_add(change, Ordering::Relaxed).wrapping_add(change)
    }

    fn give_back_held(&mut self, core: &Core) {
        self.held = Vec::new();
        self.count_held(core);
    }

    fn leave_crowd(&mut self, core: &Core) {
        if std::mem::take(&mut self.is_counted) {
            core.unauthenticated.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Tells the client why, and reads nothing more.
    pub(super) fn close_with(&mut self, core: &Core, worker: &mut Worker, reason: Reason, text: &str) -> Next {
        self.complain(core, worker, text);
        self.close(reason)
    }

    fn close(&mut self, reason: Reason) -> Next {
        self.peer.parting.note(reason);
        self.phase = Phase::Closing;
        self.unfinished = None;
        Next::Close
    }

    fn complain(&self, core: &Core, worker: &mut Worker, text: &str) {
        worker.effort += COMPLAINING + text.len() as u64 / 16;
        core.append(worker, &self.peer, format!("-ERR '{text}'\r\n").as_bytes());
    }

    fn confirm(&self, core: &Core, worker: &mut Worker) {
        if self.connect.verbose {
            core.append(worker, &self.peer, b"+OK\r\n");
        }
    }
}

/// What a client has to do before it is let in.
fn introduction(core: &Core, worker: &Worker, peer: &Peer, now: Mono) -> Phase {
    if core.give_rights(peer, Shown::Nothing) {
        Phase::Ready
    } else {
        Phase::Unauthenticated { until: now + worker.options.auth.timeout, bytes: 0 }
    }
}

impl Core {
    /// Goes on with a client whose TLS handshake is done, or who was let go without one.
    pub fn secured(&self, connection: &mut Connection, worker: &mut Worker, tls: Option<TlsSnapshot>, now: Mono) {
        worker.heed(&self.in_force);
        if !matches!(connection.phase, Phase::Securing { .. }) {
            return;
        }
        lock(&connection.peer.about).tls = tls;
        connection.phase = introduction(self, worker, &connection.peer, now);
        if matches!(connection.phase, Phase::Ready) {
            connection.leave_crowd(self);
        }
    }

    /// Lets go a client whose TLS handshake has failed.
    pub fn not_secured(&self, connection: &mut Connection) -> Next {
        count(&self.counters.auth_errors, 1);
        connection.close(Reason::Tls)
    }

    /// Takes in what a client has sent and does what it asks. Call [`Core::flush`] afterwards, whatever the outcome.
    pub fn input(&self, connection: &mut Connection, worker: &mut Worker, bytes: &[u8], now: Mono) -> Next {
        worker.heed(&self.in_force);
        if connection.is_closing() || connection.peer.is_dismissed() {
            return connection.close(Reason::HeldInput);
        }
        connection.last_input = now;
        lock(&connection.peer.about).last_activity = now;
        if let Phase::Unauthenticated { bytes: sent, .. } = &mut connection.phase {
            *sent += bytes.len();
            if *sent > worker.options.limits.max_unauthenticated_bytes {
                count(&self.counters.auth_errors, 1);
                return connection.close_with(self, worker, Reason::AuthenticationFailure, "Authorization Violation");
            }
        }
        worker.spent = 0;
        let mut next = connection.digest(self, worker, bytes, now);
        if connection.count_held(self) > worker.options.limits.max_held_input_total as u64 {
            self.relieve_held(&worker.options, now);
            if connection.peer.is_dismissed() {
                next = connection.close(Reason::HeldInput);
            }
        }
        if connection.is_closing() {
            connection.give_back_held(self);
        }
        self.settle(worker);
        next
    }

    /// Goes on with a client whose password has been checked.
    pub fn checked(&self, connection: &mut Connection, worker: &mut Worker, is_right: bool, now: Mono) -> Next {
        worker.heed(&self.in_force);
        match std::mem::replace(&mut connection.phase, Phase::Closing) {
            Phase::Checking { then } if is_right => {
                if let Some(next) = connection.admit(self, worker, then, now) {
                    return next;
                }
            }
            Phase::Checking { .. } => return connection.refuse(self, worker),
            other => connection.phase = other,
        }
        self.input(connection, worker, &[], now)
    }

    /// Does what is due at `now`, and says when something will be due next.
    pub fn tick(&self, connection: &mut Connection, worker: &mut Worker, now: Mono) -> (Next, Mono) {
        worker.heed(&self.in_force);
        if let Phase::Securing { until } = connection.phase {
            // There is nothing that could be told in the middle of a handshake.
            return if now >= until { (self.not_secured(connection), Mono::MAX) } else { (Next::Read, until) };
        }
        if let Phase::Unauthenticated { until, .. } = connection.phase {
            if now >= until {
                count(&self.counters.auth_errors, 1);
                return (
                    connection.close_with(self, worker, Reason::AuthenticationTimeout, "Authentication Timeout"),
                    Mono::MAX,
                );
            }
            return (Next::Read, until);
        }
        let stuck = lock(&connection.peer.outbox).stuck_since();
        let write_due = stuck.map_or(Mono::MAX, |since| since + worker.options.write_deadline);
        if now >= write_due {
            self.cut_off(&connection.peer, Reason::WriteDeadline);
            return (connection.close(Reason::WriteDeadline), Mono::MAX);
        }
        if now >= connection.next_ping && !connection.ping(self, worker, now) {
            count(&self.counters.stale_connections, 1);
            return (connection.close_with(self, worker, Reason::Stale, "Stale Connection"), Mono::MAX);
        }
        // A client that becomes stuck later is found at the latest one write deadline after that.
        let look_again = write_due.min(now + worker.options.write_deadline);
        (Next::Read, connection.next_ping.min(look_again))
    }
}

impl Connection {
    /// Sends a `PING`, unless the client was heard lately. False if too many are unanswered.
    fn ping(&mut self, core: &Core, worker: &mut Worker, now: Mono) -> bool {
        let interval = worker.options.ping_interval;
        let quiet_at = self.last_input + interval;
        let is_first = self.pings_out == 0 && lock(&self.peer.about).rtt.is_none();
        if !is_first && now < quiet_at {
            self.next_ping = quiet_at;
            return true;
        }
        if self.pings_out >= worker.options.max_pings_out {
            return false;
        }
        self.pings_out += 1;
        self.ping_sent = Some(now);
        self.next_ping = now + interval;
        core.append(worker, &self.peer, b"PING\r\n");
        true
    }

    fn digest(&mut self, core: &Core, worker: &mut Worker, mut bytes: &[u8], now: Mono) -> Next {
        // First the operation that was begun earlier: complete it, and take not a byte more than needed.
        while !self.held.is_empty() {
            if self.held.len() < self.wanted {
                let take = self.missing(bytes);
                self.make_room(take);
                self.held.extend_from_slice(&bytes[..take]);
                worker.effort += (take / HELD_A_UNIT) as u64;
                bytes = &bytes[take..];
                if self.held.len() < self.wanted {
                    return Next::Read;
                }
            }
            let mut held = std::mem::take(&mut self.held);
            let (used, next) = self.take_ops(core, worker, &held, now);
            held.drain(..used);
            if !held.is_empty() || held.capacity() <= MAX_KEPT {
                self.held = held;
            }
            if let Some(next) = next {
                return self.leave(bytes, next, now);
            }
        }
        // Then straight from what was read, without a copy.
        let (used, next) = self.take_ops(core, worker, bytes, now);
        self.leave(&bytes[used..], next.unwrap_or(Next::Read), now)
    }

    /// Takes every whole operation of `input`; says how many bytes they took up, and whether to stop.
    fn take_ops(&mut self, core: &Core, worker: &mut Worker, input: &[u8], now: Mono) -> (usize, Option<Next>) {
        let mut at = 0;
        self.wanted = 0;
        while at < input.len() {
            let (used, next) = self.step(core, worker, &input[at..], now);
            at += used;
            worker.effort += (used / READ_A_UNIT) as u64;
            if used == 0 || next.is_some() {
                return (at, next);
            }
            if worker.has_done_enough(|worker| core.is_behind(worker))
                || worker.unflushed > MAX_UNFLUSHED && worker.is_allowed_so_much()
            {
                return (at, (at < input.len()).then_some(Next::Yield));
            }
            if worker.spent > MAX_TURN {
                return (at, Some(Next::Pause(now + NEXT_TURN)));
            }
            if (worker.unflushed > MAX_UNFLUSHED || worker.crowded) && core.flush(worker, now) {
                return (at, Some(Next::Pause(now + PAUSE)));
            }
        }
        (at, None)
    }

    /// How many of `bytes` the operation in `held` still needs, as far as one can tell.
    fn missing(&self, bytes: &[u8]) -> usize {
        let known = self.wanted.saturating_sub(self.held.len());
        if known > 1 {
            return known.min(bytes.len());
        }
        // The end of a line is not known beforehand: it is looked for.
        memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)
    }

    /// Makes room in `held` for `more` bytes, in steps that double, and for no more than is known to come.
    fn make_room(&mut self, more: usize) {
        let len = self.held.len();
        if self.held.capacity() - len < more && self.wanted > len + more {
            let step = more.max(len).max(FIRST_ROOM);
            self.held.reserve_exact(step.min(self.wanted - len));
        }
    }

    /// Keeps what was not used for the next time.
    fn leave(&mut self, bytes: &[u8], next: Next, now: Mono) -> Next {
        let holds_some = !bytes.is_empty() || !self.held.is_empty();
        if holds_some && !self.is_closing() {
            self.peer.held_since.store(now.as_nanos(), Ordering::Relaxed);
            self.held.extend_from_slice(bytes);
        }
        next
    }

    /// Takes the first operation of `input`, if it is whole; says how many bytes it took up, and whether to stop here.
    fn step(&mut self, core: &Core, worker: &mut Worker, input: &[u8], now: Mono) -> (usize, Option<Next>) {
        if matches!(self.phase, Phase::Unauthenticated { .. }) && !matches!(input[0], b'c' | b'C') {
            count(&core.counters.auth_errors, 1);
            return (0, Some(self.close_with(core, worker, Reason::AuthenticationFailure, "Authorization Violation")));
        }
        // A reload may have set narrower limits since a message was accepted that is still on its way.
        let limits = if self.unfinished.is_some() { &ACCEPTED } else { &worker.options.client_limits };
        match parse(input, limits) {
            Parsed::Op { op, len } => match self.execute(core, worker, op, now) {
                // It stays where it is, to be gone on with.
                Some(next @ (Next::Yield | Next::Pause(_))) => (0, Some(next)),
                next => (len, next),
            },
            Parsed::NeedMore { total } => {
                self.wanted = total;
                (0, None)
            }
            Parsed::Violation(violation) => (0, Some(self.violated(core, worker, violation))),
        }
    }

    fn violated(&mut self, core: &Core, worker: &mut Worker, violation: Violation) -> Next {
        let (reason, text) = match violation {
            Violation::UnknownOperation => (Reason::Protocol, "Unknown Protocol Operation"),
            Violation::ControlLine => (Reason::ControlLine, "maximum control line exceeded"),
            Violation::Payload => (Reason::Payload, "Maximum Payload Violation"),
            Violation::Arguments => return self.close(Reason::Protocol),
        };
        self.close_with(core, worker, reason, text)
    }

    #[inline]
    fn execute(&mut self, core: &Core, worker: &mut Worker, op: ClientOp<'_>, now: Mono) -> Option<Next> {
        worker.effort += 1;
        match op {
            ClientOp::Pub(publish) => return self.publish(core, worker, &publish, now),
            ClientOp::Sub { subject, queue, sid } => self.subscribe(core, worker, &Sub { subject, queue, sid }, now),
            ClientOp::Unsub { sid, max } => self.unsubscribe(core, worker, sid, max),
            ClientOp::Ping => return self.answer_ping(core, worker, now),
            ClientOp::Pong => self.pong(now),
            ClientOp::Connect(json) => return self.connect(core, worker, json, now),
            ClientOp::Info | ClientOp::Ok => {}
            ClientOp::Err(_) => return Some(self.close(Reason::ParseError)),
        }
        None
    }

    fn answer_ping(&mut self, core: &Core, worker: &mut Worker, now: Mono) -> Option<Next> {
        if std::mem::take(&mut self.has_ended_some) {
            self.awaited = Some(core.turns.under_way(&worker.turn));
        }
        if self.awaited.as_mut().is_some_and(UnderWay::is_on) {
            return Some(Next::Pause(now + OTHER_TURN));
        }
        self.awaited = None;
        core.append(worker, &self.peer, b"PONG\r\n");
        None
    }

    fn pong(&mut self, now: Mono) {
        self.pings_out = 0;
        if let Some(sent) = self.ping_sent.take() {
            lock(&self.peer.about).rtt = Some(now.since(sent));
        }
    }

    fn connect(&mut self, core: &Core, worker: &mut Worker, json: &[u8], now: Mono) -> Option<Next> {
        let Ok(connect) = self.connect.amended(json) else { return Some(self.close(Reason::Protocol)) };
        if std::mem::replace(&mut self.is_introduced, true) {
            // A second introduction starts over.
            core.forget_subscriptions(&self.peer);
        }
        *self.connect = connect;
        let (peer, connect) = (&self.peer, &self.connect);
        peer.takes_headers.store(connect.headers, Ordering::Relaxed);
        peer.echo.store(connect.echo, Ordering::Relaxed);
        peer.takes_info.store(connect.protocol >= 1, Ordering::Relaxed);
        let mut about = lock(&peer.about);
        about.name = kept(&connect.name);
        about.lang = kept(&connect.lang);
        about.version = kept(&connect.version);
        drop(about);
        if connect.account.as_deref().is_some_and(|account| !account.is_empty()) {
            return Some(self.refuse(core, worker));
        }
        let verdict = judge(&worker.options.auth, connect);
        forget_long_texts(&mut self.connect);
        match verdict {
            Verdict::Admit(shown) => self.admit(core, worker, shown, now),
            Verdict::Check { check, then } => {
                self.phase = Phase::Checking { then };
                Some(Next::Check(check))
            }
            Verdict::Refuse => Some(self.refuse(core, worker)),
        }
    }

    fn admit(&mut self, core: &Core, worker: &mut Worker, shown: Shown, now: Mono) -> Option<Next> {
        if !core.give_rights(&self.peer, shown) {
            return Some(self.refuse(core, worker));
        }
        if !(0..=1).contains(&self.connect.protocol) {
            return Some(self.close_with(core, worker, Reason::ProtocolVersion, "invalid client protocol"));
        }
        if self.connect.no_responders && !self.connect.headers {
            return Some(self.close_with(core, worker, Reason::NoResponders, "no responders requires headers support"));
        }
        self.phase = Phase::Ready;
        self.peer.is_introduced.store(true, Ordering::Relaxed);
        self.leave_crowd(core);
        self.confirm(core, worker);
        self.next_ping = self.next_ping.min(now + FIRST_PING);
        None
    }

    fn refuse(&mut self, core: &Core, worker: &mut Worker) -> Next {
        count(&core.counters.auth_errors, 1);
        self.close_with(core, worker, Reason::AuthenticationFailure, "Authorization Violation")
    }

    #[inline]
    fn publish(&mut self, core: &Core, worker: &mut Worker, publish: &Pub<'_>, now: Mono) -> Option<Next> {
        let unfinished = self.unfinished.take();
        if unfinished.is_none() {
            if publish.header_len.is_some() && !self.connect.headers {
                return Some(self.close(Reason::Protocol));
            }
            if !self.accept(core, worker, publish, now) {
                return None;
            }
        }
        match core.deliver(worker, &self.peer, publish, unfinished, now) {
            Delivered::To(0) => {
                if let (true, Some(reply)) = (self.connect.no_responders, publish.reply) {
                    core.answer_no_responders(worker, &self.peer, publish.subject, reply);
                }
                None
            }
            Delivered::To(_) => None,
            Delivered::InPart(unfinished) => {
                self.unfinished = Some(unfinished);
                Some(Next::Yield)
            }
        }
    }

    /// Counts a message, and says whether it may be delivered.
    #[inline]
    fn accept(&self, core: &Core, worker: &mut Worker, publish: &Pub<'_>, now: Mono) -> bool {
        if self.connect.pedantic && !is_valid_subject(publish.subject) {
            self.complain(core, worker, "Invalid Publish Subject");
        }
        self.peer.count_in(publish.body.len());
        worker.tally.in_msgs += 1;
        worker.tally.in_bytes += publish.body.len() as u64;
        if self.may_publish(publish.subject, now) {
            self.confirm(core, worker);
            return true;
        }
        count(&core.counters.permission_violations, 1);
        self.complain(core, worker, &format!("Permissions Violation for Publish to {}", quoted(publish.subject)));
        false
    }

    fn may_publish(&self, subject: &[u8], now: Mono) -> bool {
        // Acquire pairs with the Release of whoever gave the rights. The lock is spared those who have all of them.
        !self.peer.is_restricted.load(Ordering::Acquire)
            || lock(&self.peer.standing).rights.as_mut().is_none_or(|rights| rights.may_publish(subject, now))
    }

    fn subscribe(&mut self, core: &Core, worker: &mut Worker, sub: &Sub<'_>, now: Mono) {
        let Sub { subject, queue, sid } = *sub;
        let standing = lock(&self.peer.standing);
        let hidden = match standing.rights.as_ref().map(|rights| rights.may_subscribe(subject, queue)) {
            None => Vec::new(),
            Some(Subscribe::Allowed { hidden }) => hidden,
            Some(Subscribe::Denied) => {
                count(&core.counters.permission_violations, 1);
                let group = queue.map_or_else(String::new, |queue| format!(" using queue {}", quoted(queue)));
                let text = format!("Permissions Violation for Subscription to {}{group}", quoted(subject));
                return self.complain(core, worker, &text);
            }
        };
        if subject.iter().filter(|b| **b == b'.').count() >= MAX_TOKENS {
            return self.complain(core, worker, "Invalid Subject, too many tokens");
        }
        let limits = &worker.options.limits;
        {
            let mut subscriptions = lock(&self.peer.subscriptions);
            let is_full = limits.max_subscriptions > 0 && subscriptions.len() >= limits.max_subscriptions;
            let is_known = !is_full && subscriptions.contains(sid);
            let has_same =
                limits.max_same_subscriptions > 0 && subscriptions.has_same(subject, limits.max_same_subscriptions);
            drop(subscriptions);
            if is_known {
                return self.confirm(core, worker);
            }
            if is_full || has_same {
                return self.complain(core, worker, "maximum subscriptions exceeded");
            }
        }
        if !is_valid_pattern(subject) {
            return self.complain(core, worker, "Invalid Subject");
        }
        let subscription = Arc::new(Subscription::new(Arc::clone(&self.peer), subject, queue, sid, hidden));
        match core.room(worker, &subscription) {
            Room::Free => {}
            Room::Owed => core.relieve_remembered(&worker.options, now),
            Room::Full => return self.complain(core, worker, "maximum subscriptions exceeded"),
        }
        lock(&self.peer.subscriptions).insert(&subscription);
        worker.effort += core.directory.insert(&subscription);
        if subscription.has_ended() {
            // Its client was cut off by another reactor before it was in the index.
            core.directory.remove(&subscription);
        }
        drop(standing);
        self.confirm(core, worker);
    }

    fn unsubscribe(&mut self, core: &Core, worker: &mut Worker, sid: &[u8], max: u32) {
        let mut subscriptions = lock(&self.peer.subscriptions);
        let ended = match subscriptions.get(sid) {
            Some(subscription) if max > 0 && subscription.limit(u64::from(max)) => None,
            Some(_) => subscriptions.remove(sid),
            None => None,
        };
        drop(subscriptions);
        if let Some(subscription) = ended {
            worker.effort += core.directory.remove(&subscription);
            self.has_ended_some = true;
        }
        self.confirm(core, worker);
    }
}

impl Core {
    /// Notes who a client is and what it may do, by the options in force now. False if it is not let in, or no longer.
    fn give_rights(&self, peer: &Peer, shown: Shown) -> bool {
        let mut standing = lock(&peer.standing);
        // Read under the lock: a later reload waits for it and finds this client, an earlier one is seen here.
        let Some(admission) = admission(&self.in_force.view().auth, &shown) else { return false };
        lock(&peer.about).user = admission.user;
        let rights = admission.permissions.map(Rights::new);
        peer.notes_replies.store(rights.as_ref().is_some_and(Rights::notes_replies), Ordering::Relaxed);
        peer.is_restricted.store(rights.is_some(), Ordering::Release);
        (standing.shown, standing.rights) = (Some(shown), rights);
        true
    }
}

/// The arguments of a `SUB`.
struct Sub<'a> {
    subject: &'a [u8],
    queue: Option<&'a [u8]>,
    sid: &'a [u8],
}

/// As much of a client's text as is kept.
fn kept(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}

/// Drops what a client may have stuffed its `CONNECT` with, so that nobody keeps a line of it for each connection.
fn forget_long_texts(connect: &mut Connect) {
    for text in [&mut connect.name, &mut connect.lang, &mut connect.version] {
        if text.len() > MAX_TEXT {
            *text = kept(text);
        }
    }
    let secrets = [&mut connect.user, &mut connect.pass, &mut connect.auth_token, &mut connect.nkey];
    for text in secrets.into_iter().chain([&mut connect.sig, &mut connect.jwt, &mut connect.account]) {
        if text.as_ref().is_some_and(|text| text.len() > MAX_TEXT) {
            *text = None;
        }
    }
}

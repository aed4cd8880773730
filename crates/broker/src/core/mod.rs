//! The pure broker: bytes and `now` in, bytes to write out.
//!
//! [`Core`] is what all connections share: the subject index, the peers, the counters. A [`Connection`] is what one reactor alone
//! touches of a client; a [`Peer`] is what every reactor may touch: its outbox above all. A [`Worker`] is what a
//! reactor keeps for itself.
//!
//! ```text
//!  bytes ─► Connection ─► parse ─► Worker: who wants it ─► Peer ─► outbox ─► Link (socket or simulation)
//!                                     │ miss
//!                                     ▼
//!                               Core: index, generation
//! ```
//!
//! No thread, socket, clock or random source is in here: a driver brings them. The reactors in `reactor` are one driver, the
//! simulation is another.

mod auth;
mod changes;
mod connection;
mod counters;
mod deliver;
mod departed;
mod directory;
mod edges;
mod in_force;
mod index;
mod level;
mod lock;
mod matched;
mod outbox;
mod peer;
mod permissions;
mod quiet;
mod quote;
mod relief;
mod reload;
mod remembered;
mod stage;
mod subscription;
mod subscriptions;
mod worker;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crosstie_core::{Mono, Randomness, Wall};
use crosstie_proto::nats::Info;

pub(crate) use self::permissions::{Subscribe, may_publish, may_subscribe};
pub use self::{
    auth::PasswordCheck,
    connection::{Connection, Next, PAUSE},
    peer::{Link, Peer},
    reload::Reloaded,
    worker::{Company, Worker},
};
use self::{
    counters::{Counters, count},
    departed::{Departed, Reason},
    directory::Directory,
    in_force::InForce,
    lock::lock,
    outbox::{Appended, Batch},
    peer::{Subscription, Subscriptions},
    quiet::Turns,
    remembered::Room,
};
use crate::{
    options::{Options, Tls},
    snapshot::{CacheSnapshot, ClosedSnapshot, ConnectionSnapshot, Snapshot, SubscriptionSnapshot},
};

/// The version of nats-server whose core features are complete here. Clients switch features on by it.
pub const NATS_VERSION: &str = "2.9.25";

/// Bytes appended in one read, over all clients, after which they are written before more is read: a bound on what a wide
/// fan-out can pile up.
const MAX_UNFLUSHED: usize = 4 * 1024 * 1024;

/// What one client's input may earn others before those who wait get their turn: a byte counts one, a delivery [`DELIVERY`] more.
/// This much takes about two milliseconds.
const MAX_TURN: usize = 8 * 1024 * 1024;
/// What a delivery costs besides its bytes, as so many bytes.
const DELIVERY: usize = 64;
/// From this many bytes in one read on, whoever sends them may be asked to rest; one who sends little never is.
const MUCH: usize = 64 * 1024;

/// How much effort goes at a time into clearing away the subscriptions of clients who are gone.
const CLEARING: u64 = 1000;
/// How many clients are written to, and how many bytes, before others get their turn.
const MAX_WRITTEN: usize = 16;
const MAX_WRITTEN_BYTES: usize = 256 * 1024;
/// How many megabytes that waited for clients who are gone are freed before others get their turn.
const MAX_FREED: usize = 2;
/// What it takes to write to a client.
const WRITING: u64 = 40;

/// What all connections share.
pub struct Core {
    in_force: InForce,
    /// What does not change of `INFO`.
    info: Info,
    started: Mono,
    started_wall: Wall,
    directory: Directory,
    /// By number, so that whatever is done to all of them is done in an order that a seed replays.
    peers: Mutex<BTreeMap<u64, Arc<Peer>>>,
    next_id: AtomicU64,
    next_worker: AtomicU64,
    unauthenticated: AtomicUsize,
    lame_duck: AtomicBool,
    counters: Counters,
    departed: Departed,
    /// When the options in force were put in force.
    options_since: AtomicU64,
    /// Connections that have not said who they are, the oldest first; some of them may have by now.
    newcomers: Mutex<VecDeque<Weak<Peer>>>,
    /// The subscriptions of clients who are gone, to be cleared away bit by bit, and whether there are any.
    leaving: Mutex<Vec<Subscriptions>>,
    is_leaving: AtomicBool,
    /// What waited for clients who are gone, to be freed bit by bit.
    remains: Mutex<VecDeque<Batch>>,
    has_remains: AtomicBool,
    /// Held by the reactor that makes room for others.
    relief: Mutex<()>,
    turns: Turns,
}

impl Core {
    /// A broker that calls itself `server_id` and tells clients that it listens on `host` and `port`.
    pub fn new(options: Options, server_id: String, host: String, port: u16, now: Mono, wall: Wall) -> Self {
        let info = Info {
            server_name: options.server_name.clone().unwrap_or_else(|| server_id.clone()),
            server_id,
            version: NATS_VERSION.to_owned(),
            proto: 1,
            go: format!("crosstie {}", env!("CARGO_PKG_VERSION")),
            host,
            port,
            headers: true,
            ..Info::default()
        };
        Self {
            in_force: InForce::new(options),
            info,
            started: now,
            started_wall: wall,
            directory: Directory::new(),
            peers: Mutex::default(),
            next_id: AtomicU64::new(1),
            next_worker: AtomicU64::new(0),
            unauthenticated: AtomicUsize::new(0),
            lame_duck: AtomicBool::new(false),
            counters: Counters::default(),
            departed: Departed::default(),
            options_since: AtomicU64::new(now.as_nanos()),
            newcomers: Mutex::default(),
            leaving: Mutex::default(),
            is_leaving: AtomicBool::new(false),
            remains: Mutex::default(),
            has_remains: AtomicBool::new(false),
            relief: Mutex::default(),
            turns: Turns::default(),
        }
    }

    /// A worker for one reactor, which chooses queue-group members by `random`.
    pub fn worker(&self, random: Box<dyn Randomness>) -> Worker {
        let number = self.next_worker.fetch_add(1, Ordering::Relaxed);
        Worker::new(number, self.in_force.view(), random, self.turns.join())
    }

    /// Takes in a connection and greets it. Write to it by [`Core::flush`] afterwards.
    ///
    /// Where a limit forbids one more, the client is told so and [`Connection::is_closing`] is true from the start.
    pub fn open(
        &self,
        link: Arc<dyn Link>,
        address: Option<SocketAddr>,
        worker: &mut Worker,
        now: Mono,
        wall: Wall,
    ) -> Connection {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.take_in(Peer::new(id, link, address, now, wall), worker, now)
    }

    /// The same for one whose TLS handshake comes first. The link writes the greeting when the protocol wants it, before or after it. Call
    /// [`Core::secured`] or [`Core::not_secured`] when it is over; nothing is handed in before.
    pub fn open_for_tls(
        &self,
        link: Arc<dyn Link>,
        address: Option<SocketAddr>,
        worker: &mut Worker,
        now: Mono,
        wall: Wall,
    ) -> Connection {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let peer = Peer::new(id, link, address, now, wall);
        peer.is_offered_tls.store(true, Ordering::Relaxed);
        self.take_in(peer, worker, now)
    }

    fn take_in(&self, peer: Peer, worker: &mut Worker, now: Mono) -> Connection {
        worker.heed(&self.in_force);
        let (id, address, peer) = (peer.id, peer.address, Arc::new(peer));
        let limits = &worker.options.limits;
        let full = lock(&self.peers).len() >= limits.max_connections && !self.make_place();
        if !full {
            lock(&self.peers).insert(id, Arc::clone(&peer));
            self.note_newcomer(&peer);
        }
        let mut connection = Connection::new(Arc::clone(&peer), self, worker, now);
        let crowd = connection.is_unauthenticated()
            && self.unauthenticated.fetch_add(1, Ordering::Relaxed) >= worker.options.limits.max_unauthenticated
            && !self.make_place();
        count(&self.counters.total_connections, 1);
        let client_ip = address.map(|address| address.ip().to_string());
        let info = Info { client_id: Some(id), client_ip, ..self.info_for(&worker.options, &peer) };
        self.append(worker, &peer, format!("INFO {} \r\n", info.to_json()).as_bytes());
        if full || crowd {
            count(&self.counters.refused_connections, 1);
            let _ = connection.close_with(self, worker, Reason::MaxConnections, "maximum connections exceeded");
        }
        connection
    }

    fn info_for(&self, options: &Options, peer: &Peer) -> Info {
        let is_offered = peer.is_offered_tls.load(Ordering::Relaxed);
        self.info_now(options, options.tls.as_ref().filter(|_| is_offered))
    }

    fn info_now(&self, options: &Options, tls: Option<&Tls>) -> Info {
        Info {
            tls_required: tls.is_some_and(|tls| !tls.allow_plain),
            tls_available: tls.is_some_and(|tls| tls.allow_plain),
            tls_verify: tls.is_some_and(|tls| tls.files.ca.is_some()),
            auth_required: options.auth.is_required(),
            max_payload: options.limits.max_payload,
            ldm: self.lame_duck.load(Ordering::Relaxed),
            ..self.info.clone()
        }
    }

    /// Tells every client that understands it what `INFO` says now.
    fn tell_info(&self, worker: &mut Worker) {
        for peer in self.peers() {
            if peer.takes_info.load(Ordering::Relaxed) {
                let line = format!("INFO {} \r\n", self.info_for(&worker.options, &peer).to_json());
                self.append(worker, &peer, line.as_bytes());
            }
        }
    }

    /// Forgets a connection whose transport has ended.
    pub fn close(&self, connection: Connection, worker: &mut Worker, now: Mono) {
        let peer = connection.into_peer(self);
        self.remember(&peer, worker.options.limits.max_closed, now);
        self.directory.remembered.leave(&peer.remembered);
        self.put_away(&peer);
        // What it is still owed, why it is closed above all, as far as it takes that at once.
        self.unload(worker);
        peer.flush(&mut worker.spares, false, now, &self.counters.pending_bytes);
        peer.close();
        self.free_later(&peer);
        peer.report(&self.counters.pending_bytes);
        peer.link.shutdown();
        lock(&self.peers).remove(&peer.id);
        worker.touched.retain(|touched| touched.id != peer.id);
    }

    /// Keeps what monitoring tells of a connection that has ended.
    fn remember(&self, peer: &Peer, max: usize, now: Mono) {
        if max == 0 {
            return;
        }
        let stop = self.wall_at(now);
        let mut snapshot = connection_snapshot(peer, Departed::MAX_SUBSCRIPTIONS, now, stop);
        snapshot.closed = Some(ClosedSnapshot { stop, reason: peer.parting.text() });
        self.departed.add(snapshot, max);
    }

    /// The time of day at `now`, by the clock that was right when the broker started.
    fn wall_at(&self, now: Mono) -> Wall {
        let since = u64::try_from(now.since(self.started).as_nanos()).unwrap_or(u64::MAX);
        Wall::from_unix_nanos(self.started_wall.unix_nanos().saturating_add(since))
    }

    /// Takes leave of all subscriptions of a client that takes nothing more. They are taken out of the index bit by bit, so that nobody waits for it.
    fn put_away(&self, peer: &Peer) {
        let subscriptions = std::mem::take(&mut *lock(&peer.subscriptions));
        if subscriptions.len() > 0 {
            self.change_leaving(|leaving| leaving.push(subscriptions));
            self.clear_some();
        }
    }

    /// Sees to it that what waited for a client who is gone is freed: tens of megabytes at once would hold up everybody.
    fn free_later(&self, peer: &Peer) {
        let mut remains = lock(&peer.outbox).take_remains();
        if !remains.is_empty() {
            lock(&self.remains).append(&mut remains);
            self.has_remains.store(true, Ordering::Relaxed);
        }
    }

    /// Goes on with what [`Core::free_later`] and [`Core::put_away`] began.
    fn clear_some(&self) {
        for _ in 0..MAX_FREED {
            if !self.has_remains.load(Ordering::Relaxed) {
                break;
            }
            let batch = {
                let mut remains = lock(&self.remains);
                let batch = remains.pop_front();
                self.has_remains.store(!remains.is_empty(), Ordering::Relaxed);
                batch
            };
            // It is freed here, where the lock is not held.
            drop(batch);
        }
        let mut effort = 0;
        while effort < CLEARING && self.is_leaving.load(Ordering::Relaxed) {
            // They are out of the list while they are cleared away, so that nobody waits for its lock.
            let Some(mut subscriptions) = self.change_leaving(Vec::pop) else { return };
            while effort < CLEARING && subscriptions.len() > 0 {
                let some = subscriptions.take(1);
                effort += some.iter().map(|subscription| self.directory.remove(subscription)).sum::<u64>();
            }
            if subscriptions.len() > 0 {
                self.change_leaving(|leaving| leaving.push(subscriptions));
            }
        }
    }

    fn change_leaving<R>(&self, change: impl FnOnce(&mut Vec<Subscriptions>) -> R) -> R {
        let mut leaving = lock(&self.leaving);
        let changed = change(&mut leaving);
        self.is_leaving.store(!leaving.is_empty(), Ordering::Relaxed);
        changed
    }

    /// Whether there is room for `subscription`. Where there is next to none, whoever asks clears away what is left of others first.
    fn room(&self, worker: &mut Worker, subscription: &Subscription) -> Room {
        let limit = worker.options.limits.max_remembered_total;
        if self.directory.remembered.total() > limit as u64 {
            self.clear_some();
            worker.effort += CLEARING;
        }
        self.directory.room(subscription, limit)
    }

    /// True if something is still to be done, a bit at a time, by [`Core::go_on`] or [`Core::flush`].
    pub fn is_behind(&self, worker: &Worker) -> bool {
        let has_left = self.is_leaving.load(Ordering::Relaxed) || self.has_remains.load(Ordering::Relaxed);
        has_left || !worker.backlog.is_empty()
    }

    /// How many bytes to read at most, so that what turns leave undone takes up no more than half of what all clients may have held: the
    /// rest is for operations whose end has not come, and beyond it clients are cut off. A little may be read always.
    pub fn room_for_input(&self, worker: &Worker) -> usize {
        let held = usize::try_from(self.counters.held_input.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        (worker.options.limits.max_held_input_total / 2).saturating_sub(held)
    }

    /// True if clients of earlier turns still wait to be written to. Whoever has many receivers does well to wait with its next turn.
    pub fn has_backlog(&self, worker: &Worker) -> bool {
        !worker.backlog.is_empty()
    }

    /// True if one of those written to by [`Core::go_on`] since the last call is far behind: whoever has many receivers does well to rest
    /// for [`PAUSE`].
    pub const fn is_stalled(&self, worker: &mut Worker) -> bool {
        std::mem::replace(&mut worker.is_stalled, false)
    }

    /// Does a bit of what is still to be done.
    pub fn go_on(&self, worker: &mut Worker, now: Mono) {
        worker.spares.written = 0;
        for _ in 0..MAX_WRITTEN {
            if worker.spares.written > MAX_WRITTEN_BYTES {
                break;
            }
            let Some(peer) = worker.backlog.pop_front() else { break };
            peer.flush(&mut worker.spares, false, now, &self.counters.pending_bytes);
            worker.is_stalled |= self.is_crowded(&worker.options, &peer, now);
        }
        self.relieve_pending(&worker.options, now);
        self.clear_some();
    }

    /// Writes what waits for everybody this worker has appended to. True if one of them is far behind: the driver does well
    /// to let the writer rest for [`PAUSE`].
    pub fn flush(&self, worker: &mut Worker, now: Mono) -> bool {
        let crowded = self.flush_all_touched(worker, now);
        while let Some(peer) = worker.backlog.pop_front() {
            peer.flush(&mut worker.spares, false, now, &self.counters.pending_bytes);
        }
        self.clear_some();
        crowded
    }

    /// As [`Core::flush`], but where a message has many receivers most of them wait until others have had their turn: see
    /// [`Core::is_behind`].
    pub fn flush_first(&self, worker: &mut Worker, now: Mono) -> bool {
        self.flush_some(worker, MAX_WRITTEN, now)
    }

    fn flush_all_touched(&self, worker: &mut Worker, now: Mono) -> bool {
        self.flush_some(worker, usize::MAX, now)
    }

    fn flush_some(&self, worker: &mut Worker, most: usize, now: Mono) -> bool {
        worker.heed(&self.in_force);
        let mut crowded = std::mem::take(&mut worker.crowded);
        let is_much = std::mem::take(&mut worker.unflushed) >= MUCH;
        self.unload(worker);
        let mut touched = std::mem::take(&mut worker.touched);
        worker.effort += WRITING * touched.len().min(most) as u64;
        worker.spares.written = 0;
        for (place, peer) in touched.drain(..).enumerate() {
            if place >= most || most < usize::MAX && worker.spares.written > MAX_WRITTEN_BYTES {
                worker.backlog.push_back(peer);
                continue;
            }
            peer.flush(&mut worker.spares, false, now, &self.counters.pending_bytes);
            crowded |= is_much && self.is_crowded(&worker.options, &peer, now);
        }
        worker.touched = touched;
        self.relieve_pending(&worker.options, now);
        crowded
    }

    /// Adds the worker's counts to the broker's.
    fn settle(&self, worker: &mut Worker) {
        std::mem::take(&mut worker.tally).report(&self.counters);
        self.counters.cache_entries.store(worker.remembered() as u64, Ordering::Relaxed);
    }

    /// Lets go of remembered look-ups, and of the connections they keep, if one may be out of date. Call it now and then.
    pub fn forget_if_changed(&self, worker: &mut Worker) {
        worker.forget_if_changed(&self.directory);
    }

    /// Lets go of all remembered look-ups: for a driver that has no connections any more and may not wake for long.
    pub fn forget(&self, worker: &mut Worker) {
        worker.forget_all();
    }

    /// Writes on, now that the transport takes bytes again.
    pub fn writable(&self, connection: &Connection, worker: &mut Worker, now: Mono) {
        connection.peer().flush(&mut worker.spares, true, now, &self.counters.pending_bytes);
    }

    /// Enters lame duck mode: clients that understand it are told to look for another server.
    pub fn lame_duck(&self, worker: &mut Worker) {
        worker.heed(&self.in_force);
        self.lame_duck.store(true, Ordering::Relaxed);
        self.tell_info(worker);
    }

    /// Ends all subscriptions of a client at once.
    fn forget_subscriptions(&self, peer: &Peer) {
        lock(&peer.subscriptions).iter().for_each(|subscription| {
            subscription.end();
        });
        self.put_away(peer);
    }

    /// Every connection there is now, by number.
    pub fn peers(&self) -> Vec<Arc<Peer>> {
        lock(&self.peers).values().cloned().collect()
    }

    /// Ends a connection from any thread because the broker ends; its reactor sees its transport end.
    pub fn disconnect(&self, peer: &Peer) {
        self.disconnect_for(peer, Reason::Shutdown);
    }

    fn disconnect_for(&self, peer: &Peer, reason: Reason) {
        peer.parting.note(reason);
        peer.dismissed.store(true, Ordering::Relaxed);
        peer.close();
        peer.report(&self.counters.pending_bytes);
        peer.link.shutdown();
    }

    /// The options in force.
    pub fn options(&self) -> Arc<Options> {
        Arc::clone(self.in_force.view().options())
    }

    /// The unique id of this run.
    pub fn server_id(&self) -> &str {
        &self.info.server_id
    }

    /// Appends protocol text for `peer`.
    fn append(&self, worker: &mut Worker, peer: &Arc<Peer>, text: &[u8]) {
        // What was delivered before is written before it, to whomever: a PONG says that it has been.
        self.unload(worker);
        let limit = worker.options.limits.max_pending;
        let appended = lock(&peer.outbox).append(limit, &mut worker.spares, text);
        self.appended(worker, peer, appended);
    }

    /// Moves what was delivered to the outboxes.
    fn unload(&self, worker: &mut Worker) {
        let mut filled = worker.stages.take_filled();
        for stage in filled.drain(..) {
            self.unload_one(worker, stage);
        }
        worker.stages.reuse(filled);
        worker.turn.end();
    }

    /// Moves what is on one stage, and says whose it is.
    fn unload_one(&self, worker: &mut Worker, stage: u32) -> Option<Arc<Peer>> {
        let (peer, load) = worker.stages.empty(stage)?;
        let limit = worker.options.limits.max_pending;
        let appended = lock(&peer.outbox).accept(limit, &mut worker.spares, load);
        self.appended(worker, &peer, appended);
        Some(peer)
    }

    /// Sees to what an append asks for.
    fn appended(&self, worker: &mut Worker, peer: &Arc<Peer>, appended: Appended) {
        match appended {
            Appended::Flush => worker.touch(peer),
            Appended::Overflow => self.cut_off(peer, Reason::PendingBytes),
            Appended::Queued | Appended::Closed => {}
        }
    }

    /// True if a client is far behind but taking what it gets: whoever writes to it does well to pause.
    fn is_crowded(&self, options: &Options, peer: &Peer, now: Mono) -> bool {
        const STILL_TAKING: Duration = Duration::from_millis(100);
        let outbox = lock(&peer.outbox);
        let limits = &options.limits;
        let is_full = self.counters.pending_bytes.load(Ordering::Relaxed) > limits.max_pending_total as u64 / 2;
        outbox.held() > if is_full { MUCH } else { limits.max_pending / 4 }
            && outbox.stuck_since().is_some_and(|since| now.since(since) < STILL_TAKING)
    }

    /// The broker as a whole at `now`.
    pub fn snapshot(&self, now: Mono) -> Snapshot {
        let c = &self.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            server_id: self.info.server_id.clone(),
            server_name: self.info.server_name.clone(),
            started: self.started_wall,
            uptime: now.since(self.started),
            connections: lock(&self.peers).len(),
            total_connections: read(&c.total_connections),
            subscriptions: self.directory.len(),
            in_msgs: read(&c.in_msgs),
            in_bytes: read(&c.in_bytes),
            out_msgs: read(&c.out_msgs),
            out_bytes: read(&c.out_bytes),
            slow_consumers: read(&c.slow_consumers),
            slow_consumer_msgs: read(&c.slow_consumer_msgs),
            stale_connections: read(&c.stale_connections),
            auth_errors: read(&c.auth_errors),
            refused_connections: read(&c.refused_connections),
            permission_violations: read(&c.permission_violations),
            pending_bytes: read(&c.pending_bytes),
            options_since: self.wall_at(Mono::from_nanos(read(&self.options_since))),
            held_input_bytes: read(&c.held_input),
            remembered_bytes: self.directory.remembered.total(),
            held_input_evictions: read(&c.held_input_evictions),
            subscription_evictions: read(&c.subscription_evictions),
            lame_duck: self.lame_duck.load(Ordering::Relaxed),
            cache: CacheSnapshot {
                entries: usize::try_from(read(&c.cache_entries)).unwrap_or(usize::MAX),
                hits: read(&c.cache_hits),
                misses: read(&c.cache_misses),
                inserts: self.directory.inserts(),
                removes: self.directory.removes(),
                max_fanout: read(&c.max_fanout),
                fanout: read(&c.fanout),
            },
        }
    }

    /// Every connection at `now`, by number.
    pub fn connections(&self, with_subscriptions: bool, now: Mono, wall: Wall) -> Vec<ConnectionSnapshot> {
        let most = if with_subscriptions { usize::MAX } else { 0 };
        self.peers().iter().map(|peer| connection_snapshot(peer, most, now, wall)).collect()
    }

    /// The last connections that have ended, the oldest first.
    pub fn closed_connections(&self) -> Vec<ConnectionSnapshot> {
        self.departed.all()
    }
}

/// What there is to tell of a connection, with at most so many of its subscriptions.
fn connection_snapshot(peer: &Peer, most: usize, now: Mono, wall: Wall) -> ConnectionSnapshot {
    let about = lock(&peer.about).clone();
    let outbox = lock(&peer.outbox);
    let idle = now.since(about.last_activity);
    let idle_nanos = u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX);
    let subscription = |subscription: &Arc<Subscription>| SubscriptionSnapshot {
        subject: String::from_utf8_lossy(&subscription.subject).into_owned(),
        queue: subscription.queue.as_deref().map(|queue| String::from_utf8_lossy(queue).into_owned()),
        sid: String::from_utf8_lossy(&subscription.sid).into_owned(),
        msgs: subscription.delivered(),
        max: subscription.max(),
    };
    let (subscription_count, subscriptions) = {
        let all = lock(&peer.subscriptions);
        (all.len(), all.iter().take(most).map(subscription).collect())
    };
    ConnectionSnapshot {
        cid: peer.id,
        peer: peer.address,
        start: peer.opened_wall,
        last_activity: Wall::from_unix_nanos(wall.unix_nanos().saturating_sub(idle_nanos)),
        uptime: now.since(peer.opened),
        idle,
        rtt: about.rtt,
        name: about.name,
        lang: about.lang,
        version: about.version,
        user: about.user,
        tls: about.tls,
        pending_bytes: outbox.held() as u64,
        in_msgs: peer.in_msgs.load(Ordering::Relaxed),
        in_bytes: peer.in_bytes.load(Ordering::Relaxed),
        out_msgs: outbox.msgs,
        out_bytes: outbox.bytes,
        subscription_count,
        subscriptions,
        closed: None,
    }
}

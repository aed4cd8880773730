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
mod connection;
mod counters;
mod deliver;
mod departed;
mod directory;
mod in_force;
mod index;
mod lock;
mod outbox;
mod peer;
mod permissions;
mod quote;
mod reload;
mod stage;
mod subscription;
mod worker;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
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
    worker::Worker,
};
use self::{
    counters::{Counters, count},
    departed::{Departed, Reason},
    directory::Directory,
    in_force::InForce,
    lock::lock,
    outbox::Appended,
    peer::Subscription,
};
use crate::{
    options::Options,
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
    unauthenticated: AtomicUsize,
    lame_duck: AtomicBool,
    counters: Counters,
    departed: Departed,
    /// When the options in force were put in force.
    options_since: AtomicU64,
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
            unauthenticated: AtomicUsize::new(0),
            lame_duck: AtomicBool::new(false),
            counters: Counters::default(),
            departed: Departed::default(),
            options_since: AtomicU64::new(now.as_nanos()),
        }
    }

    /// A worker for one reactor, which chooses queue-group members by `random`.
    pub fn worker(&self, random: Box<dyn Randomness>) -> Worker {
        Worker::new(self.in_force.view(), random)
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
        worker.heed(&self.in_force);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let peer = Arc::new(Peer::new(id, link, address, now, wall));
        let full = {
            let mut peers = lock(&self.peers);
            let full = peers.len() >= worker.options.limits.max_connections;
            if !full {
                peers.insert(id, Arc::clone(&peer));
            }
            full
        };
        let mut connection = Connection::new(Arc::clone(&peer), self, worker, now);
        let crowd = connection.is_unauthenticated()
            && self.unauthenticated.fetch_add(1, Ordering::Relaxed) >= worker.options.limits.max_unauthenticated;
        count(&self.counters.total_connections, 1);
        let client_ip = address.map(|address| address.ip().to_string());
        let info = Info { client_id: Some(id), client_ip, ..self.info_now(&worker.options) };
        self.append(worker, &peer, format!("INFO {} \r\n", info.to_json()).as_bytes());
        if full || crowd {
            count(&self.counters.refused_connections, 1);
            let _ = connection.close_with(self, worker, Reason::MaxConnections, "maximum connections exceeded");
        }
        connection
    }

    fn info_now(&self, options: &Options) -> Info {
        Info {
            auth_required: options.auth.is_required(),
            max_payload: options.limits.max_payload,
            ldm: self.lame_duck.load(Ordering::Relaxed),
            ..self.info.clone()
        }
    }

    /// Tells every client that understands it what `INFO` says now.
    fn tell_info(&self, worker: &mut Worker) {
        let line = format!("INFO {} \r\n", self.info_now(&worker.options).to_json());
        for peer in self.peers() {
            if peer.takes_info.load(Ordering::Relaxed) {
                self.append(worker, &peer, line.as_bytes());
            }
        }
    }

    /// Forgets a connection whose transport has ended.
    pub fn close(&self, connection: Connection, worker: &mut Worker, now: Mono) {
        let peer = connection.into_peer(self);
        self.remember(&peer, worker.options.limits.max_closed, now);
        self.forget_subscriptions(&peer);
        peer.close();
        peer.report(&self.counters.pending_bytes);
        peer.link.shutdown();
        lock(&self.peers).remove(&peer.id);
        worker.forget_if_changed(&self.directory);
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

    /// Writes what waits for everybody this worker has appended to. True if one of them is far behind: the driver does well
    /// to let the writer rest for [`PAUSE`].
    pub fn flush(&self, worker: &mut Worker, now: Mono) -> bool {
        worker.heed(&self.in_force);
        let mut crowded = false;
        worker.unflushed = 0;
        self.unload(worker);
        let mut touched = std::mem::take(&mut worker.touched);
        for peer in touched.drain(..) {
            peer.flush(&mut worker.spares, false, now, &self.counters.pending_bytes);
            crowded |= is_crowded(&worker.options, &peer, now);
        }
        worker.touched = touched;
        self.relieve(&worker.options);
        crowded
    }

    /// Adds the worker's counts to the broker's.
    fn settle(&self, worker: &mut Worker) {
        std::mem::take(&mut worker.tally).report(&self.counters);
        self.counters.cache_entries.store(worker.remembered() as u64, Ordering::Relaxed);
    }

    /// Lets go of remembered look-ups that are out of date, and of the connections they keep. Call it now and then when idle.
    pub fn forget_if_changed(&self, worker: &mut Worker) {
        worker.forget_if_changed(&self.directory);
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

    fn forget_subscriptions(&self, peer: &Peer) {
        for subscription in peer.take_subscriptions() {
            self.directory.remove(&subscription);
        }
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

    /// Ends a client that does not keep up, and counts what is lost with it.
    fn cut_off(&self, peer: &Peer, reason: Reason) {
        let Some(lost) = peer.close() else { return };
        peer.parting.note(reason);
        count(&self.counters.slow_consumers, 1);
        count(&self.counters.slow_consumer_msgs, lost);
        peer.report(&self.counters.pending_bytes);
        peer.link.shutdown();
    }

    /// Cuts off the client with the most waiting if all together have too much.
    fn relieve(&self, options: &Options) {
        while self.counters.pending_bytes.load(Ordering::Relaxed) > options.limits.max_pending_total as u64 {
            let peers = self.peers();
            let Some(largest) = peers.iter().max_by_key(|peer| peer.reported.load(Ordering::Relaxed)) else {
                return;
            };
            if largest.reported.load(Ordering::Relaxed) == 0 {
                return;
            }
            self.cut_off(largest, Reason::PendingBytes);
        }
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

/// True if a client is far behind but taking what it gets: whoever writes to it does well to pause.
fn is_crowded(options: &Options, peer: &Peer, now: Mono) -> bool {
    const STILL_TAKING: Duration = Duration::from_millis(100);
    let outbox = lock(&peer.outbox);
    outbox.held() > options.limits.max_pending / 4
        && outbox.stuck_since().is_some_and(|since| now.since(since) < STILL_TAKING)
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
        (all.len(), all.values().take(most).map(subscription).collect())
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

//! The pure client, for who brings a driver of their own: what the user asks and what the server says go in, bytes and deliveries come out.
//!
//! Programs use [`Client`](crate::Client) or [`blocking::Client`](crate::blocking::Client), which are this session with a driver. A
//! simulation drives it itself: that is why it is public, plainly and without a feature, as the broker's `core` is. A feature would be
//! on or off for the whole build at once, so it could hide nothing from anybody.
//!
//! A driver owns the connection and the clock. It asks [`Session::poll`] what to do, dials, hands in what was read
//! ([`Session::received`]) and writes what [`Session::take_output`] gives. After every call of any method it polls again.
//!
//! While the server is away, what is published is kept up to a limit, and subscriptions are made again on the next connection. What was
//! handed to a connection that was then lost may or may not have arrived: that is the *at most once* of core NATS.

mod pending;
mod servers;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use crosstie_core::{Credentials, Error, Headers, Kind, Message, Mono, Randomness, Result, Subject, Target};
use crosstie_proto::nats::{
    Connect, Familiar, Info, decode_headers,
    server_op::{Msg, Parsed, ServerOp, parse},
    write,
};

pub use self::pending::Answer;
use self::{pending::Pending, servers::Servers};
pub use crate::{feed::Feed, mailbox::Mailbox};
use crate::{feed::Parcel, options::ConnectOptions};

/// What happened to the connection, told to whoever listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Connected for the first time.
    Connected,
    /// The connection was lost; the client tries again.
    Disconnected,
    /// Connected again; all subscriptions were made again.
    Reconnected,
    /// The server is about to leave.
    LameDuck,
    /// The server reported an error, such as a permission that is missing.
    ServerError(String),
    /// A subscription's buffer is full, and messages are dropped: its user is too slow.
    SlowSubscription(String),
    /// The client is closed and will not connect again.
    Closed,
}

/// What a driver does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Act {
    /// Connect to this address, then call `dialed` or `lost`.
    Dial(Target),
    /// Read, write, and poll again at this time at the latest.
    Wait(Mono),
    /// Drop the connection, then call `lost`.
    HangUp,
    /// Write what is left and end.
    End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Away {
        retry_at: Mono,
    },
    Dialing,
    /// Waits for `INFO`, then for the `PONG` that confirms `CONNECT`.
    Greeting {
        until: Mono,
    },
    Connected,
    Closed,
}

/// What the next `PONG` means.
enum AfterPong {
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

struct Wish {
    pattern: Bytes,
    queue: Option<Bytes>,
    feed: Arc<Feed>,
    delivered: u64,
    /// Delivered before the current connection, which the server does not know of.
    before: u64,
    max: Option<u64>,
    last_subject: Option<Subject>,
    /// Received, but not yet in the feed: it goes there with others in one step.
    staged: Parcel,
    slow: bool,
}

impl Wish {
    fn hand_over(&mut self, events: &Mailbox<Event>) {
        if self.staged.is_empty() {
            return;
        }
        let was_slow = std::mem::replace(&mut self.slow, !self.feed.put(std::mem::take(&mut self.staged)));
        if self.slow && !was_slow {
            events.put(Event::SlowSubscription(String::from_utf8_lossy(&self.pattern).into_owned()));
        }
    }
}

/// Counts since the client was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages published.
    pub out_msgs: u64,
    /// Payload bytes published.
    pub out_bytes: u64,
    /// Messages received.
    pub in_msgs: u64,
    /// Payload bytes received.
    pub in_bytes: u64,
    /// Connections made after the first.
    pub reconnects: u64,
}

/// The state of one client.
pub struct Session {
    options: ConnectOptions,
    servers: Servers,
    random: Box<dyn Randomness>,
    link: Link,
    info: Info,
    /// How long the input must be before it is worth a look.
    wanted: usize,
    out: Vec<u8>,
    /// Published while the server was away.
    kept: Vec<u8>,
    wishes: HashMap<u64, Wish, foldhash::fast::RandomState>,
    /// Those with something staged.
    touched: Vec<u64>,
    /// How the last plain message began, to read those like it faster; and for whom it was.
    familiar: Familiar,
    familiar_to: Option<(u64, Subject)>,
    next_sid: u64,
    pending: Pending,
    pongs: VecDeque<AfterPong>,
    next_ping: Mono,
    pings_out: u32,
    welcomed_at: Mono,
    room: Vec<Arc<Mailbox<()>>>,
    ready: Arc<Mailbox<Result<()>>>,
    ready_told: bool,
    events: Arc<Mailbox<Event>>,
    draining: bool,
    stats: Stats,
}

impl Session {
    /// How many messages of one subscription are handed over in one step: enough to spare its user most wake-ups, few enough that it can begin
    /// while the rest of a large read is still being parsed.
    const MAX_STAGED: usize = 64;

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
            events: Arc::new(Mailbox::new(1024)),
            draining: false,
            stats: Stats::default(),
        }
    }

    /// Told once how the first attempt to connect went.
    pub fn ready(&self) -> Arc<Mailbox<Result<()>>> {
        Arc::clone(&self.ready)
    }

    /// What happens to the connection: the newest events are dropped beyond 1024.
    pub fn events(&self) -> Arc<Mailbox<Event>> {
        Arc::clone(&self.events)
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

    /// True once it will not connect again.
    pub fn is_closed(&self) -> bool {
        self.link == Link::Closed
    }

    /// True if [`Session::take_output`] has something to give.
    pub fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    // ── what the driver does ────────────────────────────────────────────────────────────────────────────────

    /// What to do now. Call it again after every other call, and at the time it names.
    pub fn poll(&mut self, now: Mono) -> Act {
        match self.link {
            Link::Closed => Act::End,
            Link::Away { retry_at } if now >= retry_at => {
                self.link = Link::Dialing;
                Act::Dial(self.servers.next())
            }
            Link::Away { retry_at } => Act::Wait(retry_at),
            Link::Dialing => Act::Wait(Mono::MAX),
            Link::Greeting { until } if now >= until => Act::HangUp,
            Link::Greeting { until } => Act::Wait(until),
            Link::Connected if now >= self.next_ping => {
                if self.pings_out >= self.options.max_pings_out {
                    return Act::HangUp;
                }
                self.pings_out += 1;
                self.ping(AfterPong::Alive);
                self.next_ping = now + self.options.ping_interval;
                Act::Wait(self.next_ping)
            }
            Link::Connected => Act::Wait(self.next_ping),
        }
    }

    /// The connection is there; the server's greeting is expected.
    pub fn dialed(&mut self, now: Mono) {
        if self.link == Link::Dialing {
            self.link = Link::Greeting { until: now + self.options.connect_timeout };
        }
    }

    /// The connection is gone, or could not be made.
    pub fn lost(&mut self, now: Mono, reason: Error) {
        if self.link == Link::Closed {
            return;
        }
        let was_connected = self.link == Link::Connected;
        self.wanted = 0;
        self.pings_out = 0;
        // What is left in `out` is lost, as is what the connection had taken: see the module's text.
        self.out.clear();
        let text = format!("the connection to the server was lost ({})", reason.message());
        if was_connected {
            // Without a connection, every request is still kept here: it goes out with the next one.
            self.pending.fail_all(|| Error::new(Kind::Disconnected, text.clone()));
        }
        for pong in std::mem::take(&mut self.pongs) {
            match pong {
                AfterPong::Flushed(mailbox) | AfterPong::Drained(mailbox) => {
                    mailbox.put(Err(Error::new(Kind::Disconnected, text.clone())));
                }
                // Nothing is under way any more, so these have ended; they must not be made again.
                AfterPong::Ended(sids) => self.close_wishes(&sids),
                AfterPong::AllEnded(sids, mailbox) => {
                    self.close_wishes(&sids);
                    mailbox.put(Err(Error::new(Kind::Disconnected, text.clone())));
                }
                AfterPong::Alive | AfterPong::Welcome => {}
            }
        }
        self.make_room();
        if was_connected {
            self.events.put(Event::Disconnected);
            self.servers.dropped(now.since(self.welcomed_at) >= self.options.backoff.1);
        } else {
            self.servers.failed();
        }
        let first = !self.ready_told && !self.options.retry_initial;
        let tried_all = self.servers.pause(self.options.backoff, &mut *self.random) > Duration::ZERO;
        let denied = reason.kind() == Kind::Denied;
        let exhausted = self.options.max_reconnects.is_some_and(|max| self.servers.failures() > max);
        if self.draining || exhausted || (first && (denied || tried_all)) {
            self.tell_ready(Err(reason));
            self.end();
            return;
        }
        let pause = self.servers.pause(self.options.backoff, &mut *self.random);
        self.link = Link::Away { retry_at: now + pause };
    }

    /// Takes in what the server has sent; leaves what is not yet whole in `input`.
    ///
    /// # Errors
    ///
    /// The server broke the protocol or refused us: hang up, and hand the error to [`Session::lost`].
    pub fn received(&mut self, input: &mut BytesMut, now: Mono) -> Result<()> {
        let result = self.read(input, now);
        self.hand_over();
        result
    }

    fn read(&mut self, input: &mut BytesMut, now: Mono) -> Result<()> {
        if input.len() < self.wanted {
            return Ok(());
        }
        self.wanted = 0;
        let chunk = input.split().freeze();
        let mut at = 0;
        loop {
            at += self.take_alike(&chunk, at);
            if at == chunk.len() {
                return Ok(());
            }
            match parse(&chunk[at..]) {
                Parsed::Op { op, len } => {
                    at += len;
                    self.execute(op, &chunk, now)?;
                }
                Parsed::NeedMore { total } => {
                    self.wanted = total;
                    input.extend_from_slice(&chunk[at..]);
                    return Ok(());
                }
                Parsed::Violation(violation) => {
                    return Err(Error::new(Kind::Protocol, "the server cannot be understood").because(violation));
                }
            }
        }
    }

    /// Takes as many plain messages as follow at `start` with a head like the last one's; says how many bytes they took up.
    fn take_alike(&mut self, chunk: &Bytes, start: usize) -> usize {
        let mut at = start;
        let Some((sid, subject)) = &self.familiar_to else { return 0 };
        // Where a maximum has to be counted up to, each message is looked at on its own.
        let Some(wish) = self.wishes.get_mut(sid).filter(|wish| wish.max.is_none()) else { return 0 };
        while let Some(found) = self.familiar.recognize(&chunk[at..]) {
            if wish.staged.is_empty() {
                self.touched.push(*sid);
            }
            if !wish.staged.takes(subject, chunk, Self::MAX_STAGED) {
                break;
            }
            wish.staged.note(at + found.body.start..at + found.body.end);
            wish.delivered += 1;
            self.stats.in_msgs += 1;
            self.stats.in_bytes += found.body.len() as u64;
            at += found.len;
            if wish.staged.len() >= Self::MAX_STAGED {
                wish.hand_over(&self.events);
            }
        }
        at - start
    }

    /// Moves what is to be written into `buffer`, which is empty.
    pub fn take_output(&mut self, buffer: &mut Vec<u8>) {
        std::mem::swap(&mut self.out, buffer);
        self.make_room();
    }

    // ── what the server says ───────────────────────────────────────────────────────────────────────────────

    fn execute(&mut self, op: ServerOp<'_>, chunk: &Bytes, now: Mono) -> Result<()> {
        match op {
            ServerOp::Msg(message) => self.deliver(&message, chunk),
            ServerOp::Ping => write::pong(&mut self.out),
            ServerOp::Pong => self.pong(now),
            ServerOp::Ok => {}
            ServerOp::Info(json) => self.greeted(json)?,
            ServerOp::Err(text) => self.complaint(&String::from_utf8_lossy(text))?,
        }
        Ok(())
    }

    fn greeted(&mut self, json: &[u8]) -> Result<()> {
        self.info = serde_json::from_slice(json)
            .map_err(|error| Error::new(Kind::Protocol, "the server's greeting cannot be read").because(error))?;
        self.servers.learn(&self.info.connect_urls, self.options.shuffle.then_some(&mut *self.random));
        if self.info.ldm {
            self.events.put(Event::LameDuck);
        }
        if matches!(self.link, Link::Greeting { .. }) {
            if self.info.tls_required {
                return Err(Error::new(
                    Kind::Unsupported,
                    "the server needs TLS, which this client does not speak yet",
                ));
            }
            let connect = self.introduction();
            write::connect(&mut self.out, &connect);
            self.ping(AfterPong::Welcome);
        }
        Ok(())
    }

    fn introduction(&self) -> Connect {
        let mut connect = Connect {
            verbose: false,
            pedantic: false,
            name: self.options.name.clone(),
            lang: "rust-crosstie".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            protocol: 1,
            echo: self.options.echo,
            headers: true,
            no_responders: true,
            ..Connect::default()
        };
        match &self.options.credentials {
            Some(Credentials::Password { user, password }) => {
                (connect.user, connect.pass) = (Some(user.clone()), Some(password.clone()));
            }
            Some(Credentials::Token(token)) => connect.auth_token = Some(token.clone()),
            None => {}
        }
        connect
    }

    fn complaint(&mut self, text: &str) -> Result<()> {
        let lower = text.to_ascii_lowercase();
        let denied = ["authorization violation", "authentication timeout", "authentication expired"]
            .iter()
            .any(|known| lower.contains(known));
        if denied {
            return Err(Error::new(Kind::Denied, format!("the server refused the credentials: {text}")));
        }
        if matches!(self.link, Link::Greeting { .. }) {
            return Err(Error::new(Kind::Rejected, format!("the server refused the connection: {text}")));
        }
        self.pending.deny(text);
        self.events.put(Event::ServerError(text.to_owned()));
        Ok(())
    }

    fn pong(&mut self, now: Mono) {
        self.pings_out = 0;
        // Whoever waits for the answer must find what came before it.
        self.hand_over();
        match self.pongs.pop_front() {
            Some(AfterPong::Welcome) => self.welcomed(now),
            Some(AfterPong::Flushed(mailbox)) => {
                mailbox.put(Ok(()));
            }
            Some(AfterPong::Ended(sids)) => self.close_wishes(&sids),
            Some(AfterPong::AllEnded(sids, mailbox)) => {
                self.close_wishes(&sids);
                self.ping(AfterPong::Drained(mailbox));
            }
            Some(AfterPong::Drained(mailbox)) => {
                mailbox.put(Ok(()));
                self.end();
            }
            Some(AfterPong::Alive) | None => {}
        }
    }

    fn welcomed(&mut self, now: Mono) {
        self.link = Link::Connected;
        self.welcomed_at = now;
        self.next_ping = now + self.options.ping_interval;
        self.servers.succeeded();
        for sid in self.sids() {
            let Some(wish) = self.wishes.get_mut(&sid) else {
                continue;
            };
            wish.before = wish.delivered;
            write::subscribe(&mut self.out, &wish.pattern, wish.queue.as_deref(), sid);
            if let Some(max) = wish.max {
                write::unsubscribe(&mut self.out, sid, Some(max - wish.before));
            }
        }
        self.out.append(&mut self.kept);
        let first = !self.ready_told;
        self.tell_ready(Ok(()));
        self.stats.reconnects += u64::from(!first);
        self.events.put(if first { Event::Connected } else { Event::Reconnected });
        self.make_room();
    }

    fn deliver(&mut self, msg: &Msg<'_>, chunk: &Bytes) {
        self.stats.in_msgs += 1;
        self.stats.in_bytes += msg.body.len() as u64;
        let Some(wish) = self.wishes.get_mut(&msg.sid) else {
            return;
        };
        wish.delivered += 1;
        let is_last = wish.max.is_some_and(|max| wish.delivered >= max);
        let Some(message) = message(msg, chunk, &mut wish.last_subject) else {
            let text = format!("a message on '{}' cannot be read", String::from_utf8_lossy(msg.subject));
            self.events.put(Event::ServerError(text));
            if is_last {
                self.close_wishes(&[msg.sid]);
            }
            return;
        };
        if self.pending.is_inbox(msg.sid) {
            self.pending.answer(message);
            return;
        }
        if wish.staged.is_empty() {
            self.touched.push(msg.sid);
        }
        if msg.reply.is_none() && msg.header_len.is_none() && wish.max.is_none() {
            self.familiar.learn(msg);
            self.familiar_to = Some((msg.sid, message.subject.clone()));
        }
        wish.staged.add(message);
        if is_last {
            self.close_wishes(&[msg.sid]);
        } else if wish.staged.len() >= Self::MAX_STAGED {
            wish.hand_over(&self.events);
        }
    }

    /// Puts what is staged into the mailboxes.
    fn hand_over(&mut self) {
        for sid in self.touched.drain(..) {
            if let Some(wish) = self.wishes.get_mut(&sid) {
                wish.hand_over(&self.events);
            }
        }
    }

    // ── what the user asks ───────────────────────────────────────────────────────────────────────────────────

    /// Publishes. `Ok(false)` means that nothing was taken because too much waits: wait for room and try again.
    ///
    /// # Errors
    ///
    /// `Closed`, `TooLarge`, or `Full` if the server is away and what is kept for it has reached its limit.
    pub fn publish(&mut self, message: &Message) -> Result<bool> {
        self.publish_parts(&message.subject, message.reply.as_ref(), &message.headers, &message.payload)
    }

    /// As [`Session::publish`], where there is no message to begin with.
    pub(crate) fn publish_parts(
        &mut self,
        subject: &Subject,
        reply: Option<&Subject>,
        headers: &Headers,
        payload: &[u8],
    ) -> Result<bool> {
        // A client that drains still answers what it has received.
        self.check_not_closed()?;
        let size = payload.len() + headers_len(headers);
        if self.info.max_payload > 0 && size > self.info.max_payload {
            let text = format!(
                "payload and headers have {size} bytes, the server accepts {}: split the message",
                self.info.max_payload
            );
            return Err(Error::new(Kind::TooLarge, text));
        }
        if self.is_connected() && !self.has_room() {
            return Ok(false);
        }
        let full = |kept: usize| {
            Error::new(Kind::Full, format!("the server is away, and {kept} bytes wait for it already: try again later"))
        };
        let (is_away, kept) = (!self.is_connected(), self.kept.len());
        if is_away && kept + size > self.options.reconnect_buffer {
            return Err(full(kept));
        }
        let out = if is_away { &mut self.kept } else { &mut self.out };
        write::publish(out, subject.as_bytes(), reply.map(Subject::as_bytes), headers, payload);
        if is_away && self.kept.len() > self.options.reconnect_buffer {
            // The line around the payload counts as well.
            self.kept.truncate(kept);
            return Err(full(kept));
        }
        self.stats.out_msgs += 1;
        self.stats.out_bytes += payload.len() as u64;
        Ok(true)
    }

    /// Something to wait on until there is room for more output.
    pub fn wait_for_room(&mut self) -> Arc<Mailbox<()>> {
        let mailbox = Arc::new(Mailbox::new(1));
        if self.has_room() {
            // The driver was faster than whoever asks: nobody would tell it later.
            mailbox.put(());
        } else {
            if self.room.len() == self.room.capacity() {
                // Those that gave up meanwhile hold theirs no more. Room for as many again makes this rare.
                self.room.retain(|waiting| Arc::strong_count(waiting) > 1);
                self.room.reserve(self.room.len().max(8));
            }
            self.room.push(Arc::clone(&mailbox));
        }
        mailbox
    }

    fn has_room(&self) -> bool {
        !self.is_connected() || self.out.len() < self.options.write_buffer
    }

    fn make_room(&mut self) {
        for waiting in self.room.drain(..) {
            waiting.put(());
        }
    }

    /// Subscribes; on every connection to come as well. Gives the id to end it by, and where its messages come to.
    ///
    /// # Errors
    ///
    /// `Closed`.
    pub fn subscribe(&mut self, pattern: Bytes, queue: Option<Bytes>) -> Result<(u64, Arc<Feed>)> {
        self.check_open()?;
        let feed = Arc::new(Feed::new(self.options.subscription_capacity));
        let sid = self.next_sid;
        self.next_sid += 1;
        if self.is_connected() {
            write::subscribe(&mut self.out, &pattern, queue.as_deref(), sid);
        }
        let wish = Wish {
            pattern,
            queue,
            feed: Arc::clone(&feed),
            delivered: 0,
            before: 0,
            max: None,
            last_subject: None,
            staged: Parcel::default(),
            slow: false,
        };
        self.wishes.insert(sid, wish);
        Ok((sid, feed))
    }

    /// Ends a subscription: now, or after `max` messages in all.
    pub fn unsubscribe(&mut self, sid: u64, max: Option<u64>) {
        let connected = self.is_connected();
        let Some(wish) = self.wishes.get_mut(&sid) else { return };
        let max = max.filter(|max| *max > wish.delivered);
        if connected {
            write::unsubscribe(&mut self.out, sid, max.map(|max| max - wish.before));
        }
        wish.max = max;
        if max.is_none() {
            self.close_wishes(&[sid]);
        }
    }

    /// Ends a subscription, but delivers what is under way first.
    pub fn drain_subscription(&mut self, sid: u64) {
        if !self.is_connected() {
            self.close_wishes(&[sid]);
            return;
        }
        write::unsubscribe(&mut self.out, sid, None);
        self.ping(AfterPong::Ended(vec![sid]));
    }

    /// Sends a request; its answers come to the mailbox. `Ok(None)` where `publish` gives `Ok(false)`. Call [`Session::forget`] when nobody
    /// waits for them any more.
    ///
    /// # Errors
    ///
    /// As [`Session::publish`], and `Limit` if too many requests wait already.
    pub fn request(&mut self, mut message: Message, max: u64) -> Result<Option<Answer>> {
        self.check_open()?;
        if !self.pending.has_inbox() {
            let (sid, _) = self.subscribe(self.pending.pattern(), None)?;
            self.pending.set_inbox(sid);
        }
        let answer = self.pending.expect(&message.subject, max)?;
        message.reply = Some(self.pending.subject(answer.token));
        match self.publish(&message) {
            Ok(true) => Ok(Some(answer)),
            Ok(false) => {
                self.pending.forget(answer.token);
                Ok(None)
            }
            Err(error) => {
                self.pending.forget(answer.token);
                Err(error)
            }
        }
    }

    /// Expects no more answers to a request.
    pub fn forget(&mut self, token: u64) {
        self.pending.forget(token);
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

    /// Something to wait on until the server has read all that was written so far.
    ///
    /// # Errors
    ///
    /// `Disconnected` if the server is away, `Closed`.
    pub fn flush(&mut self) -> Result<Arc<Mailbox<Result<()>>>> {
        self.check_open()?;
        if !self.is_connected() {
            return Err(Error::new(Kind::Disconnected, "the server is away: nothing can be flushed to it now"));
        }
        let mailbox = Arc::new(Mailbox::new(1));
        self.ping(AfterPong::Flushed(Arc::clone(&mailbox)));
        Ok(mailbox)
    }

    /// Ends all subscriptions, delivers and writes what is under way, then closes.
    /// Until then publishing goes on, for the answers to what was received. If the server is away it closes at once, and the mailbox tells
    /// of `Disconnected` if something was kept for it.
    ///
    /// # Errors
    ///
    /// `Closed`.
    pub fn drain(&mut self) -> Result<Arc<Mailbox<Result<()>>>> {
        self.check_open()?;
        let mailbox = Arc::new(Mailbox::new(1));
        if !self.is_connected() {
            let kept = std::mem::take(&mut self.kept).len();
            self.end();
            mailbox.put(if kept == 0 {
                Ok(())
            } else {
                let text = format!("the server is away: {kept} bytes that were published meanwhile were not sent");
                Err(Error::new(Kind::Disconnected, text))
            });
            return Ok(mailbox);
        }
        self.draining = true;
        let sids = self.sids();
        for sid in &sids {
            write::unsubscribe(&mut self.out, *sid, None);
        }
        self.ping(AfterPong::AllEnded(sids, Arc::clone(&mailbox)));
        Ok(mailbox)
    }

    /// Closes at once.
    pub fn close(&mut self) {
        self.end();
    }

    /// Nothing new is begun while it drains.
    fn check_open(&self) -> Result<()> {
        self.check_not_closed()?;
        if self.draining {
            return Err(Error::new(Kind::Closed, "the client drains: it publishes answers, and begins nothing else"));
        }
        Ok(())
    }

    fn check_not_closed(&self) -> Result<()> {
        if self.link == Link::Closed {
            return Err(Error::new(Kind::Closed, "the client is closed: connect a new one"));
        }
        Ok(())
    }

    fn ping(&mut self, then: AfterPong) {
        write::ping(&mut self.out);
        self.pongs.push_back(then);
    }

    /// Every subscription, in the order they were made: a map's own order would differ from run to run.
    fn sids(&self) -> Vec<u64> {
        let mut sids: Vec<u64> = self.wishes.keys().copied().collect();
        sids.sort_unstable();
        sids
    }

    fn close_wishes(&mut self, sids: &[u64]) {
        for sid in sids {
            if let Some(mut wish) = self.wishes.remove(sid) {
                wish.hand_over(&self.events);
                wish.feed.close();
            }
        }
    }

    fn tell_ready(&mut self, result: Result<()>) {
        if !std::mem::replace(&mut self.ready_told, true) {
            self.ready.put(result);
        }
    }

    fn end(&mut self) {
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

/// How many bytes the headers take up on the wire.
fn headers_len(headers: &Headers) -> usize {
    if headers.is_empty() {
        return 0;
    }
    let lines: usize = headers.iter().map(|(name, value)| name.len() + ": ".len() + value.len() + "\r\n".len()).sum();
    "NATS/1.0\r\n".len() + lines + "\r\n".len()
}

/// The message as its user sees it, sharing the bytes of `chunk`; `None` if it breaks the rules.
fn message(msg: &Msg<'_>, chunk: &Bytes, last: &mut Option<Subject>) -> Option<Message> {
    let subject = match last {
        Some(last) if last.as_bytes() == msg.subject => last.clone(),
        _ => {
            // A copy of its own: a remembered subject must not keep a whole chunk alive.
            let subject = Subject::from_bytes(Bytes::copy_from_slice(msg.subject)).ok()?;
            last.insert(subject).clone()
        }
    };
    let reply = match msg.reply {
        Some(reply) => Some(Subject::from_bytes(chunk.slice_ref(reply)).ok()?),
        None => None,
    };
    let header_len = msg.header_len.unwrap_or(0);
    let (headers, status) = match msg.header_len {
        Some(len) => decode_headers(&msg.body[..len]).ok()?,
        None => Default::default(),
    };
    Some(Message { subject, reply, status, headers, payload: chunk.slice_ref(&msg.body[header_len..]) })
}

#[cfg(test)]
mod tests;

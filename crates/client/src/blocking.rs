//! The client for programs with threads: the same methods, which block. No async runtime is involved.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use crosstie_core::{Error, Headers, Kind, Message, Result, Subject, SubjectPattern, instant_after};
use crosstie_proto::nats::Info;

use crate::{
    client::Subscription as Stream,
    driver::thread::{Bell, run},
    mailbox::{Mailbox, Taken},
    request::{IntoEndpoint, ask_blocking, not_sent, subject},
    session::{Event, Reader, Session, Stats},
    shared::{Owner, Shared, servers},
};
pub use crate::{options::ConnectOptions, request::Request};

/// A connection to a broker, for programs with threads. Cloning is cheap; the connection closes when the last clone is dropped.
///
/// ```no_run
/// # fn example() -> Result<(), crosstie_core::Error> {
/// let client = crosstie_client::blocking::Client::connect("nats://127.0.0.1:4222")?;
/// let answer = client.request("bank.balance", "ann").send()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    owner: Arc<Owner>,
}

impl Client {
    /// Connects with default options.
    ///
    /// # Errors
    ///
    /// As [`ConnectOptions::connect_blocking`].
    pub fn connect(endpoint: impl IntoEndpoint) -> Result<Self> {
        ConnectOptions::new().connect_blocking(endpoint)
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.owner.0
    }

    /// Publishes a message. Blocks while more is under way than the write buffer takes, at most the request timeout.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a subject, `TooLarge`, `Full` while the server is away, `Timeout`, `Closed`.
    pub fn publish<S: TryInto<Subject>>(&self, to: S, payload: impl Into<Bytes>) -> Result<()>
    where
        S::Error: std::fmt::Display,
    {
        let (subject, payload, headers) = (subject(to)?, payload.into(), Headers::new());
        while !self.shared().act(|session| session.publish_parts(&subject, None, &headers, &payload))? {
            self.room()?;
        }
        Ok(())
    }

    /// Publishes a message with headers or a reply subject.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn publish_message(&self, message: Message) -> Result<()> {
        while !self.shared().act(|session| session.publish(&message))? {
            self.room()?;
        }
        Ok(())
    }

    /// Blocks until there may be room for more.
    fn room(&self) -> Result<()> {
        let room = self.shared().session().wait_for_room();
        if room.take_blocking(Some(self.shared().limit())) == Taken::TimedOut { Err(not_sent()) } else { Ok(()) }
    }

    /// Subscribes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a pattern, `Closed`.
    pub fn subscribe<S: TryInto<SubjectPattern>>(&self, pattern: S) -> Result<Subscription>
    where
        S::Error: std::fmt::Display,
    {
        Stream::open(self.shared(), pattern, None).map(|stream| Subscription { stream })
    }

    /// Subscribes as a member of a queue group: each message goes to exactly one member.
    ///
    /// # Errors
    ///
    /// As [`Client::subscribe`].
    pub fn queue_subscribe<S: TryInto<SubjectPattern>>(&self, pattern: S, group: &str) -> Result<Subscription>
    where
        S::Error: std::fmt::Display,
    {
        Stream::open(self.shared(), pattern, Some(group)).map(|stream| Subscription { stream })
    }

    /// A request, to be sent by [`Request::send`].
    pub fn request<S: TryInto<Subject>>(&self, to: S, payload: impl Into<Bytes>) -> Request
    where
        S::Error: std::fmt::Display,
    {
        Request::new(self.shared(), subject(to), payload.into())
    }

    /// Sends a request that several may answer: up to `max` answers within `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub fn request_many<S: TryInto<Subject>>(
        &self,
        to: S,
        payload: impl Into<Bytes>,
        max: u64,
        timeout: Duration,
    ) -> Result<Replies>
    where
        S::Error: std::fmt::Display,
    {
        let message = Message::new(subject(to)?, payload);
        let until = instant_after(Instant::now(), timeout);
        let answer = ask_blocking(self.shared(), message, max.max(1), until)?;
        Ok(Replies { replies: crate::Replies::new(self.shared(), answer, until) })
    }

    /// Blocks until the server has read all that was published before.
    ///
    /// # Errors
    ///
    /// `Disconnected` if the server is away or goes meanwhile, `Timeout` after the request timeout, `Closed`.
    pub fn flush(&self) -> Result<()> {
        let mailbox = self.shared().act(Session::flush)?;
        self.settled(&mailbox)
    }

    /// Ends all subscriptions after what is under way has been delivered, writes what was published, and closes.
    ///
    /// Publishing goes on until the last step, so that others can answer what they have received; it does not wait for who takes their time with
    /// it. New subscriptions, requests and flushes are refused.
    ///
    /// # Errors
    ///
    /// `Disconnected` if the server is away and something was published meanwhile, or goes meanwhile, `Timeout` after the request timeout, `Closed`.
    pub fn drain(&self) -> Result<()> {
        let mailbox = self.shared().act(Session::drain)?;
        self.settled(&mailbox)
    }

    fn settled(&self, mailbox: &Mailbox<Result<()>>) -> Result<()> {
        match mailbox.take_blocking(Some(self.shared().limit())) {
            Taken::Item(result) => result,
            Taken::Closed => Ok(()),
            Taken::TimedOut => Err(Error::new(Kind::Timeout, "the server did not confirm in time")),
        }
    }

    /// Closes at once. What was published but not yet flushed may be lost.
    pub fn close(&self) {
        self.shared().act(Session::close);
    }

    /// What the server last said of itself.
    pub fn server_info(&self) -> Info {
        self.shared().session().info().clone()
    }

    /// True while there is a connection.
    pub fn is_connected(&self) -> bool {
        self.shared().session().is_connected()
    }

    /// A subject nobody else uses.
    pub fn new_inbox(&self) -> Subject {
        self.shared().session().new_inbox()
    }

    /// What has happened to the connection since the client was made, and what will. Each call gives a reader of its own, which takes nothing
    /// away from others. The latest 1024 events are kept; who falls behind further misses the oldest.
    pub fn events(&self) -> Events {
        Events { reader: self.shared().session().events() }
    }

    /// Counts since the client was made.
    pub fn stats(&self) -> Stats {
        self.shared().session().stats()
    }
}

impl ConnectOptions {
    /// Connects a blocking client, with a thread of its own.
    ///
    /// # Errors
    ///
    /// As [`ConnectOptions::connect`]; `Io` if the operating system refuses the thread.
    pub fn connect_blocking(self, endpoint: impl IntoEndpoint) -> Result<Client> {
        let (servers, options) = servers(&endpoint.into_endpoint()?, self)?;
        let bell = Arc::new(Bell::new()?);
        let ring = Arc::clone(&bell);
        let session = Session::new(servers, options, Box::new(crate::shared::Entropy));
        let ready = session.ready();
        let shared = Arc::new(Shared::new(session, Box::new(move || ring.ring())));
        let client = Client { owner: Arc::new(Owner(Arc::clone(&shared))) };
        let retries = shared.session().options().retry_initial;
        thread::Builder::new().name("crosstie-client".into()).spawn(move || run(&shared, &bell))?;
        if let (false, Taken::Item(result)) = (retries, if retries { Taken::Closed } else { ready.take_blocking(None) })
        {
            result?;
        }
        Ok(client)
    }
}

/// A stream of messages. Dropping it ends the subscription.
pub struct Subscription {
    stream: Stream,
}

impl Subscription {
    /// The next message; `None` once the subscription has ended. Blocks without limit.
    #[allow(clippy::should_implement_trait, reason = "the twin of an async method, not an iterator")]
    pub fn next(&mut self) -> Option<Message> {
        match self.stream.take_blocking(None) {
            Taken::Item(message) => Some(message),
            Taken::Closed | Taken::TimedOut => None,
        }
    }

    /// The next message within `timeout`; `Ok(None)` once the subscription has ended.
    ///
    /// # Errors
    ///
    /// `Timeout` if none came.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Message>> {
        match self.stream.take_blocking(Instant::now().checked_add(timeout)) {
            Taken::Item(message) => Ok(Some(message)),
            Taken::Closed => Ok(None),
            Taken::TimedOut => Err(Error::new(Kind::Timeout, format!("no message came within {timeout:?}"))),
        }
    }

    /// A message that is there already.
    pub fn try_next(&mut self) -> Option<Message> {
        self.stream.try_next()
    }

    /// How many messages were dropped because they were not taken fast enough.
    pub fn dropped(&self) -> u64 {
        self.stream.dropped()
    }

    /// Ends it after `max` messages in all, those already received included.
    pub fn unsubscribe_after(&self, max: u64) {
        self.stream.unsubscribe_after(max);
    }

    /// Ends it, but delivers what is under way first.
    pub fn drain(&self) {
        self.stream.drain();
    }
}

/// The answers to one request, as they come.
pub struct Replies {
    replies: crate::Replies,
}

impl Replies {
    /// The next answer; `None` when there were as many as asked for, or the time is up.
    ///
    /// # Errors
    ///
    /// `NoResponders` if nobody answers this subject, `Disconnected` if the connection was lost.
    #[allow(clippy::should_implement_trait, reason = "the twin of an async method, not an iterator")]
    pub fn next(&mut self) -> Result<Option<Message>> {
        self.replies.next_blocking()
    }
}

/// What happens to a connection, in order.
pub struct Events {
    reader: Reader<Event>,
}

impl Events {
    /// The next event; `None` once the client is closed. Blocks without limit.
    #[allow(clippy::should_implement_trait, reason = "the twin of an async method, not an iterator")]
    pub fn next(&mut self) -> Option<Event> {
        match self.reader.next_blocking(None) {
            Taken::Item(event) => Some(event),
            Taken::Closed | Taken::TimedOut => None,
        }
    }

    /// The next event within `timeout`; `Ok(None)` once the client is closed.
    ///
    /// # Errors
    ///
    /// `Timeout` if nothing happened.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Event>> {
        match self.reader.next_blocking(Instant::now().checked_add(timeout)) {
            Taken::Item(event) => Ok(Some(event)),
            Taken::Closed => Ok(None),
            Taken::TimedOut => Err(Error::new(Kind::Timeout, format!("nothing happened within {timeout:?}"))),
        }
    }

    /// An event that is there already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.reader.try_next()
    }
}

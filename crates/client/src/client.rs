//! The client for async programs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use crosstie_core::{Error, Headers, Kind, Message, Result, Subject, SubjectPattern, instant_after};
use crosstie_proto::nats::Info;
use tokio::sync::Notify;

use crate::{
    driver::task,
    feed::Outlet,
    mailbox::{Mailbox, Taken},
    options::ConnectOptions,
    request::{IntoEndpoint, Replies, Request, ask, not_sent, subject, within},
    session::{Event, Reader, Session, Stats},
    shared::{Owner, Shared, Subscribed, servers},
};

/// A connection to a broker, for async programs. Cloning is cheap; the connection closes when the last clone is dropped.
///
/// It connects again by itself when the connection is lost, and makes all subscriptions again. Must be made within a tokio runtime.
///
/// ```no_run
/// # async fn example() -> Result<(), crosstie_core::Error> {
/// let client = crosstie_client::Client::connect("nats://127.0.0.1:4222").await?;
/// let mut greetings = client.subscribe("greet.*").await?;
/// client.publish("greet.world", "hello").await?;
/// let message = greetings.next().await.expect("the subscription is open");
/// assert_eq!(message.payload, "hello");
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
    /// As [`ConnectOptions::connect`].
    pub async fn connect(endpoint: impl IntoEndpoint) -> Result<Self> {
        ConnectOptions::new().connect(endpoint).await
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.owner.0
    }

    /// Publishes a message. Waits while more is under way than the write buffer takes, at most the request timeout; returns before the server has it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a subject, `TooLarge`, `Full` while the server is away, `Timeout`, `Closed`.
    pub async fn publish<S: TryInto<Subject>>(&self, to: S, payload: impl Into<Bytes>) -> Result<()>
    where
        S::Error: std::fmt::Display,
    {
        let (subject, payload, headers) = (subject(to)?, payload.into(), Headers::new());
        while !self.shared().act(|session| session.publish_parts(&subject, None, &headers, &payload))? {
            self.room().await?;
        }
        Ok(())
    }

    /// Publishes a message with headers or a reply subject.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`].
    pub async fn publish_message(&self, message: Message) -> Result<()> {
        while !self.shared().act(|session| session.publish(&message))? {
            self.room().await?;
        }
        Ok(())
    }

    /// Waits until there may be room for more.
    async fn room(&self) -> Result<()> {
        let room = self.shared().session().wait_for_room();
        within(self.shared().limit(), room.take()).await.map(drop).ok_or_else(not_sent)
    }

    /// Subscribes. What is published from now on over this client is received.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a pattern, `Closed`.
    pub async fn subscribe<S: TryInto<SubjectPattern>>(&self, pattern: S) -> Result<Subscription>
    where
        S::Error: std::fmt::Display,
    {
        Subscription::open(self.shared(), pattern, None)
    }

    /// Subscribes as a member of a queue group: each message goes to exactly one member.
    ///
    /// # Errors
    ///
    /// As [`Client::subscribe`].
    pub async fn queue_subscribe<S: TryInto<SubjectPattern>>(&self, pattern: S, group: &str) -> Result<Subscription>
    where
        S::Error: std::fmt::Display,
    {
        Subscription::open(self.shared(), pattern, Some(group))
    }

    /// A request, to be awaited.
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
    pub async fn request_many<S: TryInto<Subject>>(
        &self,
        to: S,
        payload: impl Into<Bytes>,
        max: u64,
        timeout: Duration,
    ) -> Result<Replies>
    where
        S::Error: std::fmt::Display,
    {
        let until = instant_after(Instant::now(), timeout);
        let answer = ask(self.shared(), Message::new(subject(to)?, payload), max.max(1), until).await?;
        Ok(Replies::new(self.shared(), answer, until))
    }

    /// Waits until the server has read all that was published before.
    ///
    /// # Errors
    ///
    /// `Disconnected` if the server is away or goes meanwhile, `Timeout` after the request timeout, `Closed`.
    pub async fn flush(&self) -> Result<()> {
        let mailbox = self.shared().act(Session::flush)?;
        self.settled(&mailbox).await
    }

    /// Ends all subscriptions after what is under way has been delivered, writes what was published, and closes.
    ///
    /// Publishing goes on until the last step, so that others can answer what they have received; it does not wait for who takes their time with
    /// it. New subscriptions, requests and flushes are refused.
    ///
    /// # Errors
    ///
    /// `Disconnected` if the server is away and something was published meanwhile, or goes meanwhile, `Timeout` after the request timeout, `Closed`.
    pub async fn drain(&self) -> Result<()> {
        let mailbox = self.shared().act(Session::drain)?;
        self.settled(&mailbox).await
    }

    async fn settled(&self, mailbox: &Mailbox<Result<()>>) -> Result<()> {
        let limit = self.shared().session().options().request_timeout;
        match tokio::time::timeout(limit, mailbox.take()).await {
            Ok(Some(result)) => result,
            Ok(None) => Ok(()),
            Err(_) => Err(Error::new(Kind::Timeout, format!("the server did not confirm within {limit:?}"))),
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
    /// Connects an async client.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for the URL, `Unsupported` for its scheme, `Denied` if the server refuses the credentials, `Disconnected` or `Timeout` if
    /// no server could be reached.
    pub async fn connect(self, endpoint: impl IntoEndpoint) -> Result<Client> {
        let (servers, options) = servers(&endpoint.into_endpoint()?, self)?;
        let bell = Arc::new(Notify::new());
        let ring = Arc::clone(&bell);
        let session = Session::new(servers, options, Box::new(crate::shared::Entropy));
        let ready = session.ready();
        let shared = Arc::new(Shared::new(session, Box::new(move || ring.notify_one())));
        let client = Client { owner: Arc::new(Owner(Arc::clone(&shared))) };
        let retries = shared.session().options().retry_initial;
        tokio::spawn(task::run(shared, bell));
        if !retries {
            ready.take().await.unwrap_or(Ok(()))?;
        }
        Ok(client)
    }
}

/// A stream of messages. Dropping it ends the subscription.
pub struct Subscription {
    outlet: Outlet,
    subscribed: Subscribed,
}

impl Subscription {
    pub(crate) fn open<S: TryInto<SubjectPattern>>(
        shared: &Arc<Shared>,
        pattern: S,
        group: Option<&str>,
    ) -> Result<Self>
    where
        S::Error: std::fmt::Display,
    {
        let invalid = |text: String| Error::new(Kind::InvalidInput, text);
        let pattern = pattern.try_into().map_err(|error| invalid(error.to_string()))?;
        let group: Option<Subject> = match group {
            Some(group) => {
                Some(group.parse().map_err(|error| invalid(format!("the queue group is no name: {error}")))?)
            }
            None => None,
        };
        let bytes = |text: &[u8]| Bytes::copy_from_slice(text);
        let (sid, feed) = shared
            .act(|session| session.subscribe(bytes(pattern.as_bytes()), group.as_ref().map(|g| bytes(g.as_bytes()))))?;
        Ok(Self { outlet: Outlet::new(feed), subscribed: Subscribed { shared: Arc::clone(shared), sid } })
    }

    /// The next message; `None` once the subscription has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message.
    pub async fn next(&mut self) -> Option<Message> {
        self.outlet.take().await
    }

    /// A message that is there already.
    pub fn try_next(&mut self) -> Option<Message> {
        self.outlet.try_take()
    }

    /// How many messages were dropped because they were not taken fast enough.
    pub fn dropped(&self) -> u64 {
        self.outlet.dropped()
    }

    /// Ends it after `max` messages in all, those already received included.
    pub fn unsubscribe_after(&self, max: u64) {
        self.subscribed.shared.act(|session| session.unsubscribe(self.subscribed.sid, Some(max)));
    }

    /// Ends it, but delivers what is under way first: go on with [`Subscription::next`] until it returns `None`.
    pub fn drain(&self) {
        self.subscribed.shared.act(|session| session.drain_subscription(self.subscribed.sid));
    }

    pub(crate) fn take_blocking(&mut self, until: Option<Instant>) -> Taken<Message> {
        self.outlet.take_blocking(until)
    }
}

/// What happens to a connection, in order.
pub struct Events {
    reader: Reader<Event>,
}

impl Events {
    /// The next event; `None` once the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Event> {
        self.reader.next().await
    }

    /// An event that is there already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.reader.try_next()
    }
}

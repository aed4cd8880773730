//! Requests in the making, and what they are answered with.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use crosstie_core::{Endpoint, EndpointError, Error, Headers, Kind, Message, Result, Subject, instant_after};
use tokio::time::timeout_at;

use crate::{
    mailbox::{Mailbox, Taken},
    session::Answer,
    shared::{Asked, Shared},
};

/// What names an endpoint: an [`Endpoint`], or text that is parsed.
pub trait IntoEndpoint {
    /// The endpoint.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the text is none. A text without a scheme, `host` or `host:port`, is that of a `nats:` server.
    fn into_endpoint(self) -> Result<Endpoint>;
}

impl IntoEndpoint for Endpoint {
    fn into_endpoint(self) -> Result<Endpoint> {
        Ok(self)
    }
}

impl IntoEndpoint for &Endpoint {
    fn into_endpoint(self) -> Result<Endpoint> {
        Ok(self.clone())
    }
}

impl IntoEndpoint for &str {
    fn into_endpoint(self) -> Result<Endpoint> {
        self.parse().or_else(|error: EndpointError| {
            let nats = is_bare(self).then(|| format!("nats://{self}").parse().ok()).flatten();
            nats.ok_or_else(|| {
                let wanted = "nats://localhost:4222, tls://localhost:4222 or nats+unix:/path";
                if error.is_about_scheme() {
                    let text = format!("expected the URL of a server, as {wanted}, found '{}'", error.shown());
                    return Error::new(Kind::InvalidInput, text);
                }
                let text = format!("the server's URL cannot be read; write {wanted}");
                Error::new(Kind::InvalidInput, text).because(error)
            })
        })
    }
}

/// Whether `text` may be `host` or `host:port`: a name or an address, IPv6 in brackets, and nothing around it.
fn is_bare(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, port),
        _ => (text, "4222"),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_address = host.starts_with('[') && host.ends_with(']');
    port.parse::<u16>().is_ok() && !host.is_empty() && (is_address || host.bytes().all(is_name))
}

impl IntoEndpoint for &String {
    fn into_endpoint(self) -> Result<Endpoint> {
        self.as_str().into_endpoint()
    }
}

/// A subject from whatever the user has.
pub(crate) fn subject<S: TryInto<Subject>>(subject: S) -> Result<Subject>
where
    S::Error: std::fmt::Display,
{
    subject.try_into().map_err(|error| Error::new(Kind::InvalidInput, error.to_string()))
}

/// A request in the making: await it, or in blocking programs call [`Request::send`].
#[must_use = "a request is sent when it is awaited"]
pub struct Request {
    shared: Arc<Shared>,
    message: Result<Message>,
    timeout: Duration,
}

impl Request {
    pub(crate) fn new(shared: &Arc<Shared>, subject: Result<Subject>, payload: Bytes) -> Self {
        let timeout = shared.session().options().request_timeout;
        let message = subject.map(|subject| Message::new(subject, payload));
        Self { shared: Arc::clone(shared), message, timeout }
    }

    /// How long to wait for the answer. Default: the client's request timeout, 10 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Control information to go with it.
    pub fn headers(mut self, headers: Headers) -> Self {
        if let Ok(message) = &mut self.message {
            message.headers = headers;
        }
        self
    }

    /// Sends it and blocks until the answer is there.
    ///
    /// # Errors
    ///
    /// `NoResponders` (not executed), `Timeout` or `Disconnected` (maybe executed), `TooLarge`, `Full`, `Closed` (not executed).
    pub fn send(self) -> Result<Message> {
        let until = instant_after(Instant::now(), self.timeout);
        let answer = ask_blocking(&self.shared, self.message?, 1, until)?;
        let _asked = Asked { shared: self.shared, token: answer.token };
        match answer.mailbox.take_blocking(Some(until)) {
            Taken::Item(answer) => answer,
            Taken::Closed => Err(closed()),
            Taken::TimedOut => Err(too_late(self.timeout)),
        }
    }

    async fn run(self) -> Result<Message> {
        let until = instant_after(Instant::now(), self.timeout);
        let answer = ask(&self.shared, self.message?, 1, until).await?;
        let _asked = Asked { shared: Arc::clone(&self.shared), token: answer.token };
        match within(until, answer.mailbox.take()).await {
            Some(Some(answer)) => answer,
            Some(None) => Err(closed()),
            None => Err(too_late(self.timeout)),
        }
    }
}

impl IntoFuture for Request {
    type Output = Result<Message>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Message>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// What `future` gives until then.
pub(crate) async fn within<T>(until: Instant, future: impl Future<Output = T>) -> Option<T> {
    timeout_at(until.into(), future).await.ok()
}

pub(crate) fn too_late(timeout: Duration) -> Error {
    Error::new(Kind::Timeout, format!("no answer came within {timeout:?}: the request may have been executed"))
}

pub(crate) fn not_sent() -> Error {
    Error::new(Kind::Timeout, "the connection took nothing more in time: nothing was sent")
}

fn closed() -> Error {
    Error::new(Kind::Closed, "the client was closed meanwhile")
}

/// Sends a request, waiting for room if too much is under way.
pub(crate) async fn ask(shared: &Arc<Shared>, message: Message, max: u64, until: Instant) -> Result<Answer> {
    loop {
        if let Some(answer) = shared.act(|session| session.request(message.clone(), max))? {
            return Ok(answer);
        }
        let room = shared.session().wait_for_room();
        within(until, room.take()).await.ok_or_else(not_sent)?;
    }
}

pub(crate) fn ask_blocking(shared: &Arc<Shared>, message: Message, max: u64, until: Instant) -> Result<Answer> {
    loop {
        if let Some(answer) = shared.act(|session| session.request(message.clone(), max))? {
            return Ok(answer);
        }
        let room = shared.session().wait_for_room();
        if room.take_blocking(Some(until)) == Taken::TimedOut {
            return Err(not_sent());
        }
    }
}

/// The answers to one request, as they come.
pub struct Replies {
    mailbox: Arc<Mailbox<Result<Message>>>,
    until: Instant,
    _asked: Asked,
}

impl Replies {
    pub(crate) fn new(shared: &Arc<Shared>, answer: Answer, until: Instant) -> Self {
        let asked = Asked { shared: Arc::clone(shared), token: answer.token };
        Self { mailbox: answer.mailbox, until, _asked: asked }
    }

    /// The next answer; `None` when there were as many as asked for, or the time is up.
    ///
    /// # Errors
    ///
    /// `NoResponders` if nobody answers this subject, `Disconnected` if the connection was lost.
    pub async fn next(&mut self) -> Result<Option<Message>> {
        match within(self.until, self.mailbox.take()).await {
            Some(Some(answer)) => answer.map(Some),
            Some(None) | None => Ok(None),
        }
    }

    /// As [`Replies::next`], blocking.
    ///
    /// # Errors
    ///
    /// As [`Replies::next`].
    pub fn next_blocking(&mut self) -> Result<Option<Message>> {
        match self.mailbox.take_blocking(Some(self.until)) {
            Taken::Item(answer) => answer.map(Some),
            Taken::Closed | Taken::TimedOut => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{blocking, options::ConnectOptions};

    /// A client whose server never comes, and which is closed as soon as it has begun to wait.
    fn closing(wait: impl FnOnce(&blocking::Client) + Send) {
        let options = ConnectOptions::new().retry_on_initial_connect().request_timeout(Duration::MAX);
        let client = options.connect_blocking("nats://127.0.0.1:1").unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| wait(&client));
            while client.stats().out_msgs == 0 && !waiting.is_finished() {
                std::thread::yield_now();
            }
            client.close();
            waiting.join().unwrap();
        });
    }

    #[test]
    fn a_time_out_beyond_the_clock_is_no_limit() {
        let far = Duration::from_secs(i64::MAX as u64);
        closing(|client| {
            assert_eq!(client.request("a", "").timeout(far).send().unwrap_err().kind(), Kind::Closed);
        });
        closing(|client| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let asked = runtime.block_on(client.request("a", "").timeout(far).into_future());
            assert_eq!(asked.unwrap_err().kind(), Kind::Closed);
        });
        closing(|client| {
            let mut replies = client.request_many("a", "", 2, far).unwrap();
            assert_eq!(replies.next().unwrap_err().kind(), Kind::Closed);
        });
        closing(|client| {
            let mut subscription = client.subscribe("a").unwrap();
            client.publish("a", "").unwrap();
            assert!(subscription.next_timeout(far).unwrap().is_none());
        });
    }

    #[test]
    fn a_server_without_a_scheme_speaks_nats() {
        for (text, url) in [
            ("localhost", "nats://localhost:4222"),
            ("localhost:4333", "nats://localhost:4333"),
            ("127.0.0.1:4222", "nats://127.0.0.1:4222"),
            ("[::1]:4222", "nats://[::1]:4222"),
            ("[::1]", "nats://[::1]:4222"),
        ] {
            let named: Endpoint = url.parse().unwrap();
            assert_eq!(text.into_endpoint().unwrap().target(), named.target(), "{text}");
        }
        assert!(matches!("fd:3".into_endpoint().unwrap().target(), crosstie_core::Target::Fd { number: 3 }));
        for text in ["", ":4222", "host:port", "host:70000", "a b", "ann@host", "/path"] {
            let error = text.into_endpoint().unwrap_err();
            assert!(error.to_string().contains("nats://localhost:4222"), "{text}: {error}");
            assert!(!error.to_string().contains("ann"), "{error}");
        }
    }
}

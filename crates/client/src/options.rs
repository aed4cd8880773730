//! What a client is told before it connects.

use std::{fmt, path::PathBuf, time::Duration};

use crosstie_core::Credentials;

/// How to connect, and how patient to be. Every setter returns the options, so they can be chained.
#[derive(Clone)]
pub struct ConnectOptions {
    pub(crate) name: String,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) echo: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) ping_interval: Duration,
    pub(crate) max_pings_out: u32,
    pub(crate) reconnect_buffer: usize,
    pub(crate) write_buffer: usize,
    pub(crate) subscription_capacity: usize,
    pub(crate) subscription_bytes: usize,
    pub(crate) max_reconnects: Option<u32>,
    pub(crate) backoff: (Duration, Duration),
    pub(crate) retry_initial: bool,
    pub(crate) shuffle: bool,
    pub(crate) tls: Secrecy,
}

/// What is wanted of TLS.
#[derive(Clone, Default)]
pub(crate) struct Secrecy {
    /// Nothing is said in the clear but what the server says first.
    pub(crate) required: bool,
    pub(crate) first: bool,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) ca: Option<PathBuf>,
    /// The name in the server's certificate, if it is not the host.
    pub(crate) name: Option<String>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            name: String::new(),
            credentials: None,
            echo: true,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(60),
            max_pings_out: 2,
            reconnect_buffer: 8 * 1024 * 1024,
            write_buffer: 1024 * 1024,
            subscription_capacity: 65_536,
            subscription_bytes: 64 * 1024 * 1024,
            max_reconnects: None,
            backoff: (Duration::from_millis(50), Duration::from_secs(4)),
            retry_initial: false,
            shuffle: true,
            tls: Secrecy::default(),
        }
    }
}

impl ConnectOptions {
    /// The defaults, which each setter names.
    pub fn new() -> Self {
        Self::default()
    }

    /// A name that the server's monitoring shows. Default: none.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// A user name and password, in place of those in the URL.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials::Password { user: user.into(), password: password.into() });
        self
    }

    /// A token, in place of the one in the URL.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.credentials = Some(Credentials::Token(token.into()));
        self
    }

    /// Do not receive what this client publishes itself. Default: receive it.
    #[must_use]
    pub const fn no_echo(mut self) -> Self {
        self.echo = false;
        self
    }

    /// How long one attempt to connect may take, greeting included. Default: 5 s.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a request waits for its answer unless it says otherwise. Default: 10 s.
    #[must_use]
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How often a quiet server is asked whether it lives, and how many questions may stay unanswered. Default: 60 s, 2.
    #[must_use]
    pub const fn ping(mut self, interval: Duration, max_out: u32) -> Self {
        self.ping_interval = interval;
        self.max_pings_out = max_out;
        self
    }

    /// How many bytes are kept for the server while it is away; beyond it publishing is refused with *full*. Default: 8 MiB.
    #[must_use]
    pub const fn reconnect_buffer(mut self, bytes: usize) -> Self {
        self.reconnect_buffer = bytes;
        self
    }

    /// How many bytes may wait to be written before publishing waits too. What is waited for is written in one piece, so that twice as many
    /// bytes are held at most. Default: 1 MiB.
    #[must_use]
    pub const fn write_buffer(mut self, bytes: usize) -> Self {
        self.write_buffer = bytes;
        self
    }

    /// How many messages a subscription keeps for a slow user; beyond it the newest are dropped and counted.
    /// Their bytes are bounded by [`subscription_bytes`](Self::subscription_bytes). Default: 65,536.
    #[must_use]
    pub const fn subscription_capacity(mut self, messages: usize) -> Self {
        self.subscription_capacity = messages;
        self
    }

    /// How many bytes of payloads, headers and reply subjects a subscription keeps for a slow user; beyond it the newest messages are dropped
    /// and counted. Messages that share the bytes of one read of the connection count with the whole read, at most 256 KiB if they are small. A
    /// message larger than this is kept if nothing else waits. Default: 64 MiB.
    #[must_use]
    pub const fn subscription_bytes(mut self, bytes: usize) -> Self {
        self.subscription_bytes = bytes;
        self
    }

    /// How many attempts in a row to reconnect may fail before the client gives up. Default: no limit.
    #[must_use]
    pub const fn max_reconnects(mut self, attempts: u32) -> Self {
        self.max_reconnects = Some(attempts);
        self
    }

    /// The shortest and the longest pause between two attempts; it doubles in between, and half of it is random. Default: 50 ms, 4 s.
    #[must_use]
    pub const fn backoff(mut self, shortest: Duration, longest: Duration) -> Self {
        self.backoff = (shortest, longest);
        self
    }

    /// Try the servers of the URL in its order. Default: in a random one, so that many clients spread over them.
    #[must_use]
    pub const fn keep_server_order(mut self) -> Self {
        self.shuffle = false;
        self
    }

    /// Connect by TLS or not at all, as a URL that begins with `tls:` does. Default: if the server asks for it.
    #[must_use]
    pub const fn require_tls(mut self) -> Self {
        self.tls.required = true;
        self
    }

    /// Begin TLS at once, before the server says anything: for servers that are told so (`handshake_first`). Implies [`require_tls`](Self::require_tls).
    #[must_use]
    pub const fn tls_first(mut self) -> Self {
        (self.tls.required, self.tls.first) = (true, true);
        self
    }

    /// Believe servers whose certificate was signed by one of those in this file, PEM, and no others. Default: whom the operating system trusts.
    #[must_use]
    pub fn authority(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls.ca = Some(file.into());
        self
    }

    /// Show this certificate to servers that ask for one: its file and that of its key, PEM. Default: none.
    #[must_use]
    pub fn certificate(mut self, file: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        (self.tls.cert, self.tls.key) = (Some(file.into()), Some(key.into()));
        self
    }

    /// The name that the server's certificate must be for. Default: the host of the URL.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.tls.name = Some(name.into());
        self
    }

    /// Go on trying in the background if no server can be reached at first. Default: report it.
    #[must_use]
    pub const fn retry_on_initial_connect(mut self) -> Self {
        self.retry_initial = true;
        self
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("name", &self.name)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

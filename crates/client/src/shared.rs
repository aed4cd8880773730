//! What the handles of a client and its driver share.

#[cfg(feature = "tls")]
use std::sync::OnceLock;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use bytes::BytesMut;
use crosstie_core::{Clock, Endpoint, Error, Kind, Mono, Randomness, Result, SystemClock, Target, instant_after};
#[cfg(feature = "tls")]
use crosstie_net::{TlsClient, TlsFiles};

use crate::{
    options::ConnectOptions,
    session::{Act, Session},
};

/// The session, and a bell to call the driver.
pub(crate) struct Shared {
    session: Mutex<Session>,
    clock: SystemClock,
    /// The bell has rung, and the driver has not looked yet.
    rung: AtomicBool,
    bell: Box<dyn Fn() + Send + Sync>,
    /// Made when it is needed first.
    #[cfg(feature = "tls")]
    tls: OnceLock<TlsClient>,
}

impl Shared {
    pub(crate) fn new(session: Session, bell: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            session: Mutex::new(session),
            clock: SystemClock::new(),
            rung: AtomicBool::new(false),
            bell,
            #[cfg(feature = "tls")]
            tls: OnceLock::new(),
        }
    }

    /// Whom this client believes, and what it shows.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(&self) -> Result<TlsClient> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let wanted = self.session().options().tls.clone();
        let mut files = TlsFiles::default();
        (files.cert, files.key, files.ca) = (wanted.cert, wanted.key, wanted.ca);
        let tls = TlsClient::new(files, wanted.name.as_deref())?;
        Ok(self.tls.get_or_init(|| tls).clone())
    }

    pub(crate) fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When whoever begins to wait for the server now has waited for the request timeout.
    pub(crate) fn limit(&self) -> Instant {
        instant_after(Instant::now(), self.session().options().request_timeout)
    }

    pub(crate) fn now(&self) -> Mono {
        self.clock.mono()
    }

    /// Does what a user asks, and calls the driver if that made something to do.
    pub(crate) fn act<T>(&self, act: impl FnOnce(&mut Session) -> T) -> T {
        let mut session = self.session();
        let result = act(&mut session);
        let due = session.has_output() || session.is_closed();
        drop(session);
        // AcqRel on both sides: whoever finds the bell already rung knows that the driver, which silences it before it locks the session, will see
        // what was just done.
        // A plain look comes first, since most callers find it rung: one that sees an old `true` was at the session before the driver, which therefore sees it.
        if due && !self.rung.load(Ordering::Acquire) && !self.rung.swap(true, Ordering::AcqRel) {
            (self.bell)();
        }
        result
    }

    /// The driver looks: what it finds from now on has not rung yet.
    pub(crate) fn silence(&self) {
        self.rung.swap(false, Ordering::AcqRel);
    }

    pub(crate) fn poll(&self) -> Act {
        self.session().poll(self.now())
    }

    pub(crate) fn received(&self, input: &mut BytesMut) -> Result<()> {
        self.session().received(input, self.now())
    }

    pub(crate) fn lost(&self, reason: Error) {
        self.session().lost(self.now(), reason);
    }
}

/// The addresses an endpoint names, and the options with its credentials.
pub(crate) fn servers(endpoint: &Endpoint, mut options: ConnectOptions) -> Result<(Vec<Target>, ConnectOptions)> {
    if endpoint.options().fault.is_some() {
        let text = "a client of a broker makes no faults: put a proxy that does between them \
                    (crosstie pipe 'tcp://:9000?fault=…' tcp://HOST:PORT)";
        return Err(Error::new(Kind::Unsupported, text));
    }
    if !endpoint.may_be_opened() {
        let text = format!(
            "'{endpoint}' names files, so it must come from the program itself or its command line (`Endpoint::trusted`); or say them in the options"
        );
        return Err(Error::new(Kind::Denied, text));
    }
    let said = endpoint.options();
    let tls = &mut options.tls;
    tls.required |= matches!(endpoint.target(), Target::Tls { .. });
    tls.first |= said.handshake_first;
    (tls.cert, tls.key) = match (&said.cert, &said.key) {
        (None, None) => (tls.cert.take(), tls.key.take()),
        (cert, key) => (cert.clone(), key.clone()),
    };
    tls.ca = said.ca.clone().or_else(|| tls.ca.take());
    tls.name = said.name.clone().or_else(|| tls.name.take());
    if cfg!(not(feature = "tls")) && tls.required {
        return Err(Error::new(Kind::Unsupported, format!("'{endpoint}' needs TLS: build with the feature 'tls'")));
    }
    let targets = match endpoint.target() {
        Target::Nats { servers, credentials } | Target::Tls { servers, credentials } => {
            options.credentials = options.credentials.or_else(|| credentials.clone());
            servers.iter().map(|host| Target::Tcp { host: host.clone() }).collect()
        }
        Target::NatsUnix { address } => vec![Target::Unix { address: address.clone() }],
        target @ (Target::Tcp { .. } | Target::Unix { .. }) => vec![target.clone()],
        other => {
            let text =
                format!("a server is reached by nats:, tls:, nats+unix:, tcp: or unix:, found '{}:'", other.scheme());
            return Err(Error::new(Kind::Unsupported, text));
        }
    };
    if let Some(deadline) = endpoint.options().deadline {
        options.request_timeout = deadline;
    }
    Ok((targets, options))
}

/// Closes the client when the last handle of its user is gone.
pub(crate) struct Owner(pub(crate) Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.act(Session::close);
    }
}

/// Ends a subscription when its user is done with it.
pub(crate) struct Subscribed {
    pub(crate) shared: Arc<Shared>,
    pub(crate) sid: u64,
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        self.shared.act(|session| session.unsubscribe(self.sid, None));
    }
}

/// Forgets a request when its user no longer waits.
pub(crate) struct Asked {
    pub(crate) shared: Arc<Shared>,
    pub(crate) token: u64,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.shared.session().forget(self.token);
    }
}

/// The process's own random source: good enough to spread attempts and to name inboxes.
pub(crate) struct Entropy;

impl Randomness for Entropy {
    fn next_u64(&mut self) -> u64 {
        fastrand::u64(..)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn faults_that_nobody_would_make_are_refused_with_the_way_out() {
        let plain: Endpoint = "nats://127.0.0.1:1?deadline=2s".parse().unwrap();
        assert_eq!(servers(&plain, ConnectOptions::default()).unwrap().1.request_timeout, Duration::from_secs(2));
        let faulty: Endpoint = "nats://127.0.0.1:1?fault=seed:1,delay:5ms".parse().unwrap();
        let error = servers(&faulty.trusted().allow_faults(), ConnectOptions::default()).err().unwrap();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().contains("crosstie pipe"), "{error}");
    }
}

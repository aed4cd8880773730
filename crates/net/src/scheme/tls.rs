//! `tls://host:port`: TLS 1.3 over TCP. The session is in `tls/`.

use std::{
    collections::VecDeque,
    io,
    net::TcpListener,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crosstie_core::{Credentials, Endpoint, Error, HostPort, Kind, Options, Target};
use crosstie_sys::{Event, Interest, Poller};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::tcp::TcpConnector;
use crate::{
    capabilities::{self, Capabilities},
    connection::Connection,
    connector::{Attempt, Connector, Progress},
    lifeline::Lifeline,
    listener::Listener,
    socket::tcp,
    tls::{Handshake, TlsClient, TlsServer, TlsTransport, tls_refusal},
    transport::{Listen, Peer, SocketTransport},
};

/// How many may be in the middle of a handshake. The one who has waited the longest goes first.
const MOST_WAITING: usize = 256;
/// How long a handshake may take; less where the endpoint's `?deadline=` is shorter.
const PATIENCE: Duration = Duration::from_secs(10);

fn connection(transport: TlsTransport, peer: Peer) -> Connection {
    let certificate = transport.certificate();
    Connection::new(Box::new(transport), peer, Lifeline::None, &capabilities::TLS).with_certificate(certificate)
}

pub(crate) struct TlsListener {
    listener: TcpListener,
    endpoint: Endpoint,
    server: TlsServer,
    /// The listener, those in the middle of a handshake, and the end of their time.
    poller: Poller,
    timer: OwnedFd,
    patience: Duration,
    waiting: Mutex<Waiting>,
}

const LISTENER: u64 = 0;
const TIMER: u64 = 1;
const FIRST: u64 = 2;

/// Those in the middle of a handshake, by when they came.
struct Waiting {
    all: VecDeque<Newcomer>,
    next: u64,
    events: Vec<Event>,
}

struct Newcomer {
    token: u64,
    transport: TlsTransport,
    peer: Peer,
    until: Instant,
    interest: Interest,
}

impl TlsListener {
    /// The one address to listen at.
    pub(crate) fn host<'a>(servers: &'a [HostPort], credentials: Option<&Credentials>) -> Result<&'a HostPort, Error> {
        match (servers, credentials) {
            ([host], None) => Ok(host),
            (_, Some(_)) => Err(no_user()),
            _ => Err(Error::new(Kind::InvalidInput, "expected one address to listen at, and there are several")),
        }
    }

    pub(crate) fn bind(host: &HostPort, server: TlsServer, options: &Options) -> io::Result<Self> {
        let listener = tcp::bind(host)?;
        let Target::Tcp { host } = listener.local_target()? else { unreachable!("it is a TCP listener") };
        let endpoint = Endpoint::new(Target::Tls { servers: vec![host], credentials: None });
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let poller = Poller::new()?;
        poller.add(&listener, LISTENER, Interest::Read)?;
        poller.add(&timer, TIMER, Interest::Read)?;
        let waiting = Waiting { all: VecDeque::new(), next: FIRST, events: Vec::new() };
        Ok(Self {
            listener,
            // Who may listen there may connect there, too.
            endpoint: endpoint.with_options(options.clone()).trusted(),
            server,
            poller,
            timer,
            patience: options.deadline.map_or(PATIENCE, |deadline| deadline.min(PATIENCE)),
            waiting: Mutex::new(waiting),
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self) -> Result<Option<Connection>, Error> {
        let mut waiting = self.waiting();
        let mut events = std::mem::take(&mut waiting.events);
        let outcome = self.go_on(&mut waiting, &mut events);
        waiting.events = events;
        outcome
    }

    fn go_on(&self, waiting: &mut Waiting, events: &mut Vec<Event>) -> Result<Option<Connection>, Error> {
        self.dismiss_the_late(waiting)?;
        loop {
            self.poller.wait(events, Some(Duration::ZERO))?;
            if events.is_empty() {
                return Ok(None);
            }
            for event in &*events {
                let came = match event.token {
                    TIMER => {
                        self.dismiss_the_late(waiting)?;
                        None
                    }
                    LISTENER => self.let_in(waiting)?,
                    token => self.advance(waiting, token)?,
                };
                // Whoever else is ready is told of again.
                if came.is_some() {
                    return Ok(came);
                }
            }
        }
    }

    fn let_in(&self, waiting: &mut Waiting) -> Result<Option<Connection>, Error> {
        let (socket, peer) = match Listen::accept(&self.listener) {
            Ok(came) => came,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        tcp::ask_when_silent(&*socket);
        let token = waiting.next;
        waiting.next += 1;
        self.poller.add(&*socket, token, Interest::Read)?;
        let transport = self.server.over(socket);
        let until = Instant::now() + self.patience;
        waiting.all.push_back(Newcomer { token, transport, peer, until, interest: Interest::Read });
        if waiting.all.len() > MOST_WAITING {
            waiting.all.pop_front();
        }
        if waiting.all.len() == 1 {
            self.set_timer(waiting)?;
        }
        self.advance(waiting, token)
    }

    fn advance(&self, waiting: &mut Waiting, token: u64) -> Result<Option<Connection>, Error> {
        // An event of somebody who was dismissed a moment ago.
        let Ok(at) = waiting.all.binary_search_by_key(&token, |newcomer| newcomer.token) else { return Ok(None) };
        let newcomer = &mut waiting.all[at];
        match newcomer.transport.handshake() {
            Ok(Handshake::Done | Handshake::Plain) => {
                let newcomer = waiting.all.remove(at).expect("it was found there");
                self.poller.remove(&newcomer.transport)?;
                return Ok(Some(connection(newcomer.transport, newcomer.peer)));
            }
            Ok(Handshake::Wait(interest)) => {
                if newcomer.interest != interest {
                    newcomer.interest = interest;
                    self.poller.modify(&newcomer.transport, token, interest)?;
                }
            }
            // Who cannot prove who he is, or speaks something else, is not let in; he was told why.
            Err(_) => drop(waiting.all.remove(at)),
        }
        Ok(None)
    }

    fn dismiss_the_late(&self, waiting: &mut Waiting) -> io::Result<()> {
        let now = Instant::now();
        let before = waiting.all.len();
        while waiting.all.front().is_some_and(|newcomer| newcomer.until <= now) {
            waiting.all.pop_front();
        }
        if before != waiting.all.len() || waiting.all.is_empty() { self.set_timer(waiting) } else { Ok(()) }
    }

    /// Has the timer ring when the time of the first is up.
    fn set_timer(&self, waiting: &Waiting) -> io::Result<()> {
        // Setting it silences it. One that is set to zero does not ring.
        let left = waiting.all.front().map_or(Duration::ZERO, |first| {
            first.until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
        });
        let it_value =
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
        let spec = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
        Ok(())
    }
}

impl AsFd for TlsListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

impl Listener for TlsListener {
    fn try_accept(&self) -> Result<Option<Connection>, Error> {
        self.accept()
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn capabilities(&self) -> &'static Capabilities {
        &capabilities::TLS
    }

    fn connector(&self) -> Result<Box<dyn Connector>, Error> {
        let Target::Tls { servers, .. } = self.endpoint.target() else { unreachable!("it was made so") };
        Ok(Box::new(TlsConnector::new(servers, None, self.endpoint.options())?))
    }

    fn reload(&self) -> Result<(), Error> {
        self.server.reload()
    }
}

/// The way to the first of several addresses that lets us in.
pub(crate) struct TlsConnector {
    servers: Vec<HostPort>,
    client: TlsClient,
}

impl TlsConnector {
    pub(crate) fn new(
        servers: &[HostPort],
        credentials: Option<&Credentials>,
        options: &Options,
    ) -> Result<Self, Error> {
        if credentials.is_some() {
            return Err(no_user());
        }
        Ok(Self { servers: servers.to_vec(), client: TlsClient::of(options)? })
    }
}

fn no_user() -> Error {
    let text = "a user and a password are for a bus; who is at the end of a TLS stream is said by certificates ('cert=', 'key=')";
    Error::new(Kind::InvalidInput, text)
}

impl Connector for TlsConnector {
    fn begin(&self) -> Result<Box<dyn Attempt>, Error> {
        let mut servers = self.servers.clone().into_iter();
        let host = servers.next().expect("an endpoint has one address at least");
        let step = begin(&host);
        Ok(Box::new(Connecting { client: self.client.clone(), host, rest: servers, step: step? }))
    }

    fn capabilities(&self) -> &'static Capabilities {
        &capabilities::TLS
    }
}

fn begin(host: &HostPort) -> Result<Step, Error> {
    TcpConnector { host: host.clone() }.attempt().map(|attempt| Step::Dialling(Box::new(attempt)))
}

struct Connecting {
    client: TlsClient,
    host: HostPort,
    rest: std::vec::IntoIter<HostPort>,
    step: Step,
}

enum Step {
    Dialling(Box<super::tcp::Connecting>),
    Shaking(TlsTransport, Peer),
    Over,
}

impl Connecting {
    fn step(&mut self) -> Result<Progress, Error> {
        loop {
            match std::mem::replace(&mut self.step, Step::Over) {
                Step::Dialling(mut attempt) => match attempt.connected()? {
                    None => {
                        self.step = Step::Dialling(attempt);
                        return Ok(Progress::Wait(Interest::Read));
                    }
                    Some((socket, peer)) => {
                        let socket: Box<dyn SocketTransport> = socket;
                        self.step = Step::Shaking(self.client.over(socket, &self.host.host)?, peer);
                    }
                },
                Step::Shaking(transport, peer) => match transport.handshake() {
                    Ok(Handshake::Done | Handshake::Plain) => return Ok(Progress::Done(connection(transport, peer))),
                    Ok(Handshake::Wait(interest)) => {
                        self.step = Step::Shaking(transport, peer);
                        return Ok(Progress::Wait(interest));
                    }
                    Err(error) => return Err(self.refused(error)),
                },
                Step::Over => return Err(Error::new(Kind::Closed, "this attempt is over")),
            }
        }
    }

    fn refused(&self, error: io::Error) -> Error {
        let error = tls_refusal(&error).unwrap_or_else(|| error.into());
        Error::new(error.kind(), format!("no TLS with '{}'", self.host)).because(error)
    }
}

impl Attempt for Connecting {
    fn advance(&mut self) -> Result<Progress, Error> {
        loop {
            let error = match self.step() {
                Ok(progress) => return Ok(progress),
                Err(error) => error,
            };
            // The error of the last is told.
            let Some(host) = self.rest.next() else { return Err(error) };
            self.host = host;
            match begin(&self.host) {
                Ok(step) => self.step = step,
                Err(_) => self.step = Step::Over,
            }
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.step {
            Step::Dialling(attempt) => attempt.descriptor(),
            Step::Shaking(transport, _) => Some(transport.as_fd()),
            Step::Over => None,
        }
    }
}

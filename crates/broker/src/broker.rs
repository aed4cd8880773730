//! A running broker and the handle to it.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crosstie_core::{Clock, Endpoint, Error, Kind, Seeded, SystemClock, Target};
use crosstie_net::SocketListener;
use crosstie_sys::time_slice;

use crate::{
    core::{Core, Reloaded},
    options::Options,
    reactor::{Clients, Command, Mailbox, Offers, Place, Reactor, TlsOffer},
    snapshot::{ConnectionSnapshot, Snapshot},
};

/// How many descriptors a broker needs besides those of its connections and its reactors, and some for the program it is in.
const OWN_DESCRIPTORS: usize = 64;
/// The descriptors of two twin reactors: each has an epoll and a bell.
const TWINS_DESCRIPTORS: usize = 4;

/// A running broker. Cloning the handle is cheap; the broker runs until [`Broker::shutdown`], whatever becomes of the handles.
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Shared>,
}

struct Shared {
    core: Arc<Core>,
    clock: Arc<SystemClock>,
    /// One per pair of twin reactors.
    light: Vec<Arc<Mailbox>>,
    busy: Vec<Arc<Mailbox>>,
    offers: Arc<Offers>,
    endpoints: Vec<Endpoint>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stopping: AtomicBool,
    ended: Mutex<bool>,
    end: Condvar,
}

impl Broker {
    /// Starts the reactor threads, which serve whoever connects to `listeners`.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidInput`] if a listener is reachable from beyond this machine although nobody has to authenticate and
    /// `insecure` is not set; [`Kind::Io`] if the operating system refuses threads or descriptors.
    pub fn start(options: Options, listeners: Vec<SocketListener>) -> Result<Self, Error> {
        let endpoints = listeners.iter().map(SocketListener::local_endpoint).collect::<io::Result<Vec<_>>>()?;
        refuse_open_door(&options, &endpoints)?;
        let offers = Arc::new(Offers::new(TlsOffer::of(&options)?));
        let reactors = match options.reactors {
            0 => thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let own_descriptors = reactors * TWINS_DESCRIPTORS + OWN_DESCRIPTORS;
        crosstie_sys::raise_descriptor_limit();
        crosstie_sys::reserve_descriptors(options.limits.max_connections + own_descriptors);
        let clock = Arc::new(SystemClock::new());
        let (host, port) = announced(&options, &endpoints);
        let core = Arc::new(Core::new(options, new_server_id(), host, port, clock.mono(), clock.wall()));
        let mailboxes = || (0..reactors).map(|_| Mailbox::new().map(Arc::new)).collect::<io::Result<Vec<_>>>();
        let (light, busy) = (mailboxes()?, mailboxes()?);
        let shared = Arc::new(Shared {
            core,
            clock,
            light,
            busy,
            offers,
            endpoints,
            threads: Mutex::default(),
            stopping: AtomicBool::new(false),
            ended: Mutex::new(false),
            end: Condvar::new(),
        });
        let broker = Self { shared };
        broker.spawn(listeners)?;
        Ok(broker)
    }

    fn spawn(&self, listeners: Vec<SocketListener>) -> Result<(), Error> {
        let shared = &self.shared;
        let mut listeners = Some(listeners);
        for clients in [Clients::Light, Clients::Busy] {
            for index in 0..shared.light.len() {
                let (light, busy) = (shared.light.clone(), shared.busy.clone());
                let place = Place { clients, index, light, busy, offers: Arc::clone(&shared.offers) };
                let reactor = Reactor::new(
                    Arc::clone(&shared.core),
                    Arc::clone(&shared.clock),
                    place,
                    listeners.take().unwrap_or_default(),
                    fastrand::u64(..),
                );
                let name = match clients {
                    Clients::Light => format!("crosstie-io-{index}"),
                    Clients::Busy => format!("crosstie-busy-{index}"),
                };
                let thread = thread::Builder::new().name(name).spawn(move || run(reactor, clients))?;
                shared.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
            }
        }
        Ok(())
    }

    fn mailboxes(&self) -> impl Iterator<Item = &Arc<Mailbox>> {
        self.shared.light.iter().chain(&self.shared.busy)
    }

    /// Puts other options in force while the broker runs. When it returns, they are.
    ///
    /// `server_name`, `advertise_host`, `reactors` and `spin` need a new start; everything else may change, and no connection ends but for
    /// the reason given here:
    ///
    /// * Users, token, `no_auth_user`: whoever was let in by a name, password or token that is no longer there, is cut off
    ///   with `Authorization Violation`. A password counts as changed when its text in the options has changed: a new hash of the
    ///   same password is another text.
    /// * Permissions: they hold at once for every publish. A subscription that is no longer allowed ends, and its client is told.
    /// * Limits hold for what comes from now on. Connections and subscriptions beyond a lower limit stay.
    /// * TLS: certificates and keys are read again, whether or not their names have changed. A connection that is there stays as it is; whoever
    ///   comes later is offered what is in force now.
    /// * Times hold from the next time they are looked at: a `PING` that is due in a minute still comes in a minute.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidInput`] if an option has changed that needs a new start, named in the text, or if the broker could be reached
    /// from other machines and nobody would have to authenticate any more. Nothing has changed then.
    pub fn reload(&self, options: Options) -> Result<Reloaded, Error> {
        refuse_open_door(&options, &self.shared.endpoints)?;
        let offer = TlsOffer::of(&options)?;
        let core = &self.shared.core;
        let mut worker = core.worker(Box::new(Seeded::new(fastrand::u64(..))));
        let done = core.reload(&mut worker, options, self.shared.clock.mono())?;
        self.shared.offers.replace(offer);
        Ok(done)
    }

    /// The options in force.
    pub fn options(&self) -> Arc<Options> {
        self.shared.core.options()
    }

    /// The broker as a whole.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.core.snapshot(self.shared.clock.mono())
    }

    /// Every connection there is.
    pub fn connections(&self, with_subscriptions: bool) -> Vec<ConnectionSnapshot> {
        let clock = &self.shared.clock;
        self.shared.core.connections(with_subscriptions, clock.mono(), clock.wall())
    }

    /// The last connections that have ended, the oldest first, with when and why.
    pub fn closed_connections(&self) -> Vec<ConnectionSnapshot> {
        self.shared.core.closed_connections()
    }

    /// The unique id of this run.
    pub fn server_id(&self) -> &str {
        self.shared.core.server_id()
    }

    /// Where it listens, with the ports that the system chose.
    pub fn local_endpoints(&self) -> &[Endpoint] {
        &self.shared.endpoints
    }

    /// Leaves politely: accepts no more, tells clients to look for another server, closes their connections spread over the configured
    /// time, then ends. Returns at once; [`Broker::wait`] waits for the end.
    pub fn lame_duck(&self) {
        if self.shared.stopping.swap(true, Ordering::SeqCst) {
            return;
        }
        for mailbox in self.mailboxes() {
            mailbox.send(Command::StopListening);
        }
        self.shared.light[0].send(Command::LameDuck);
        let broker = self.clone();
        let spawned = thread::Builder::new().name("crosstie-lame-duck".into()).spawn(move || {
            broker.close_gradually();
            broker.stop();
        });
        if spawned.is_err() {
            self.stop();
        }
    }

    fn close_gradually(&self) {
        let core = &self.shared.core;
        let options = core.options();
        thread::sleep(options.lame_duck_grace);
        let peers = core.peers();
        let steps = u32::try_from(peers.len()).unwrap_or(u32::MAX).max(1);
        let pause = (options.lame_duck_duration / steps).min(Duration::from_secs(1));
        for peer in peers {
            core.disconnect(&peer);
            thread::sleep(pause);
        }
    }

    /// Closes everything and waits until all threads have ended. What waits to be written gets no further.
    pub fn shutdown(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.stop();
    }

    fn stop(&self) {
        for mailbox in self.mailboxes() {
            mailbox.send(Command::Stop);
        }
        let threads = std::mem::take(&mut *self.shared.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A reactor that panicked has said so already.
            let _ = thread.join();
        }
        *self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.end.notify_all();
    }

    /// Blocks until the broker has ended, by [`Broker::shutdown`] or at the end of lame duck mode.
    pub fn wait(&self) {
        let ended = self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.shared.end.wait_while(ended, |ended| !*ended));
    }
}

/// The life of a reactor's thread.
fn run(reactor: Reactor<SystemClock>, clients: Clients) {
    // Who waits for a message waits for this thread. Where the kernel gives no slices it is as any other.
    if clients == Clients::Light
        && let Err(error) = time_slice::ask_for(time_slice::SHORTEST)
    {
        tracing::debug!(%error, "a reactor runs with the scheduler's usual time slice");
    }
    if let Err(error) = reactor.run() {
        tracing::error!(%error, "a reactor of the broker has ended");
    }
}

/// A listener beyond loopback without authentication is refused unless it is spelled out.
fn refuse_open_door(options: &Options, endpoints: &[Endpoint]) -> Result<(), Error> {
    // Whoever has a certificate of our authority has authenticated.
    let asks = options.tls.as_ref().is_some_and(|tls| tls.files.ca.is_some() && !tls.allow_plain);
    if options.insecure || options.auth.is_required() || asks {
        return Ok(());
    }
    let open = endpoints.iter().find(|endpoint| match endpoint.target() {
        Target::Tcp { host } => !host.is_loopback(),
        _ => false,
    });
    open.map_or(Ok(()), |endpoint| {
        let text = format!(
            "'{endpoint}' can be reached from other machines, and nobody has to authenticate: \
             set a token or users, ask for certificates (TLS with an authority), listen on 127.0.0.1, or accept it: 'insecure = true', --insecure"
        );
        Err(Error::new(Kind::InvalidInput, text))
    })
}

/// The host and port that clients are told.
fn announced(options: &Options, endpoints: &[Endpoint]) -> (String, u16) {
    let tcp = endpoints.iter().find_map(|endpoint| match endpoint.target() {
        Target::Tcp { host } => Some((host.host.clone(), host.port)),
        _ => None,
    });
    let (host, port) = tcp.unwrap_or_else(|| ("127.0.0.1".to_owned(), 0));
    (options.advertise_host.clone().unwrap_or(host), port)
}

/// An id in the form of NATS's server keys: an `N` and 55 characters of base 32.
fn new_server_id() -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    std::iter::once('N').chain((0..55).map(|_| char::from(ALPHABET[fastrand::usize(..32)]))).collect()
}

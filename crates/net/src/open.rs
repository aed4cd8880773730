//! From an endpoint to its listener or connector, and who may do that.

use std::io;

use crosstie_core::{Endpoint, Error, Kind, Target, UnixAddress};

use crate::{
    connector::Connector,
    fault::{self, Scope, permitted},
    listener::Listener,
    options,
    reach::stay_here,
    scheme::{
        exec::ExecConnector,
        fd,
        fd::FdConnector,
        fifo::{FifoConnector, FifoListener},
        mem::{MemConnector, MemListener},
        pipe::PipeListener,
        shm::{ShmConnector, ShmListener},
        socket::SchemeListener,
        tcp::TcpConnector,
        unix::UnixConnector,
    },
    socket::{self, tcp, unix},
    telling,
};
#[cfg(feature = "tls")]
use crate::{
    scheme::tls::{TlsConnector, TlsListener},
    tls::{TlsFiles, TlsServer},
};

/// Listens at an endpoint for streams of bytes. `?deadline=` limits each read and write of its connections.
///
/// ```
/// use std::{io::{Read, Write}, time::Duration};
///
/// let listener = crosstie_net::listen(&"unix:@greeting-of-the-manual".parse()?)?;
/// let mut near = listener.connector()?.connect(Duration::from_secs(1))?;
/// let mut far = listener.accept(Duration::from_secs(1))?;
/// near.write_all(b"hello")?;
/// near.end_writing()?;
/// let mut text = String::new();
/// far.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// assert_eq!(far.peer().process().map(|peer| peer.pid), Some(std::process::id()));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Kind::Denied`] for `fd:`, `fifo:` and `tls:` with files unless the caller [vouches](Endpoint::trusted) for the endpoint, and for an address beyond
/// loopback where clients do not say who they are, without `?insecure`; [`Kind::InvalidInput`] for a file that does not hold what it should; [`Kind::Unsupported`] for a scheme without listeners; [`Kind::Io`] where the operating system refuses.
pub fn listen(endpoint: &Endpoint) -> Result<Box<dyn Listener>, Error> {
    open_listener(endpoint, Scope::Bytes)
}

/// Listens as [`listen`] does, for a protocol of frames: faults that the endpoint asks for are made once
/// [`Connection::with_faults`](crate::Connection::with_faults) is told what a frame is.
///
/// # Errors
///
/// As [`listen`].
pub fn listen_for_frames(endpoint: &Endpoint) -> Result<Box<dyn Listener>, Error> {
    open_listener(endpoint, Scope::Frames)
}

fn open_listener(endpoint: &Endpoint, scope: Scope) -> Result<Box<dyn Listener>, Error> {
    check(endpoint)?;
    let faults = permitted(endpoint, scope)?;
    let listener: io::Result<Box<dyn Listener>> = match endpoint.target() {
        Target::Mem { name } => MemListener::bind(name).map(boxed),
        Target::Pipe => PipeListener::new().map(boxed),
        Target::Fd { number } => fd::listen(*number).map(boxed),
        Target::Fifo { path } => FifoListener::bind(path).map(boxed),
        Target::Unix { address } => listen_unix(address).map(boxed),
        Target::Shm { name } => ShmListener::bind(name, endpoint.options().wait.unwrap_or_default()).map(boxed),
        Target::Tcp { host } => {
            if !endpoint.options().insecure {
                stay_here(endpoint, host, "nothing says who comes", "listen on 127.0.0.1, or say '?insecure'")?;
            }
            tcp::bind(host).and_then(|listener| SchemeListener::new(Box::new(listener))).map(boxed)
        }
        #[cfg(feature = "tls")]
        Target::Tls { servers, credentials } => {
            let host = TlsListener::host(servers, credentials.as_ref())?;
            if endpoint.options().ca.is_none() && !endpoint.options().insecure {
                let instead = "name who signs their certificates with '?ca=', or say '?insecure'";
                stay_here(endpoint, host, "clients do not say who they are", instead)?;
            }
            let server = TlsServer::new(TlsFiles::of(endpoint.options()))?;
            TlsListener::bind(host, server, endpoint.options()).map(boxed)
        }
        _ => return Err(unsupported(endpoint, "listener")),
    };
    let listener = listener.map_err(|error| socket::cannot_listen(endpoint, error))?;
    if let (Target::Fd { .. }, Target::Tcp { host }, false) =
        (endpoint.target(), listener.endpoint().target(), endpoint.options().insecure)
    {
        let instead = "have it bound to 127.0.0.1, or say '?insecure'";
        stay_here(&format_args!("{endpoint}' at '{}", listener.endpoint()), host, "nothing says who comes", instead)?;
    }
    let listener = match faults {
        Some(faults) => fault::listener(listener, faults, scope),
        None => listener,
    };
    let listener = options::listener(listener, endpoint);
    // Nobody outside can come to one that is inside this process.
    let is_inside = matches!(endpoint.target(), Target::Mem { .. } | Target::Pipe);
    Ok(if is_inside { listener } else { telling::telling(listener) })
}

fn boxed<T: Listener + 'static>(listener: T) -> Box<dyn Listener> {
    Box::new(listener)
}

fn listen_unix(address: &UnixAddress) -> io::Result<SchemeListener> {
    SchemeListener::new(Box::new(unix::bind(address)?))
}

/// The way to an endpoint that carries streams of bytes. Nothing is connected yet.
///
/// `?deadline=` limits each read and write of its connections, `?retry=` says how often an attempt is made again, with pauses as those of
/// [`Reconnecting`](crate::Reconnecting).
///
/// ```
/// use std::{io::{Read, Write}, time::Duration};
///
/// // What the caller's own code names it may run; text from elsewhere is not `trusted`.
/// let endpoint = "exec:tr a-z A-Z".parse::<crosstie_core::Endpoint>()?.trusted();
/// let mut connection = crosstie_net::connector(&endpoint)?.connect(Duration::from_secs(1))?;
/// connection.write_all(b"hello")?;
/// connection.end_writing()?;
/// let mut text = String::new();
/// connection.read_to_string(&mut text)?;
/// assert_eq!(text, "HELLO");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Kind::Denied`] for `exec:`, `fd:` and `fifo:` unless the caller [vouches](Endpoint::trusted) for the endpoint; [`Kind::Unsupported`] for a
/// scheme that carries no streams; [`Kind::InvalidInput`] for a command that is none.
pub fn connector(endpoint: &Endpoint) -> Result<Box<dyn Connector>, Error> {
    open_connector(endpoint, Scope::Bytes)
}

/// The way that [`connector`] gives, for a protocol of frames: faults that the endpoint asks for are made once
/// [`Connection::with_faults`](crate::Connection::with_faults) is told what a frame is.
///
/// # Errors
///
/// As [`connector`].
pub fn connector_of_frames(endpoint: &Endpoint) -> Result<Box<dyn Connector>, Error> {
    open_connector(endpoint, Scope::Frames)
}

fn open_connector(endpoint: &Endpoint, scope: Scope) -> Result<Box<dyn Connector>, Error> {
    check(endpoint)?;
    let faults = permitted(endpoint, scope)?;
    let connector: Box<dyn Connector> = match endpoint.target() {
        Target::Mem { name } => Box::new(MemConnector { name: name.clone() }),
        Target::Fd { number } => Box::new(FdConnector { number: *number }),
        Target::Exec { command } => Box::new(ExecConnector::new(command)?),
        Target::Fifo { path } => Box::new(FifoConnector { path: path.clone() }),
        Target::Unix { address } => Box::new(UnixConnector { address: address.clone() }),
        Target::Shm { name } => {
            Box::new(ShmConnector { name: name.clone(), wait: endpoint.options().wait.unwrap_or_default() })
        }
        Target::Tcp { host } => Box::new(TcpConnector { host: host.clone() }),
        #[cfg(feature = "tls")]
        Target::Tls { servers, credentials } => {
            Box::new(TlsConnector::new(servers, credentials.as_ref(), endpoint.options())?)
        }
        Target::Pipe => {
            let text = "a pipe has no name to connect to: ask its listener for a connector, or make a pair";
            return Err(Error::new(Kind::Unsupported, text));
        }
        _ => return Err(unsupported(endpoint, "connector")),
    };
    let connector = match faults {
        Some(faults) => fault::connector(connector, faults, scope),
        None => connector,
    };
    Ok(options::connector(connector, endpoint))
}

/// Refuses what text from elsewhere must not open.
fn check(endpoint: &Endpoint) -> Result<(), Error> {
    if !endpoint.may_be_opened() {
        let text = format!(
            "'{endpoint}' acts with the rights of this process, so it must come from its own code or command line (`Endpoint::trusted`)"
        );
        return Err(Error::new(Kind::Denied, text));
    }
    Ok(())
}

const LISTENING: &str = "unix: shm: tcp: tls: fifo: fd: pipe: mem:";
const CONNECTING: &str = "unix: shm: tcp: tls: fifo: fd: exec: mem:";

fn unsupported(endpoint: &Endpoint, what: &str) -> Error {
    if cfg!(not(feature = "tls")) && matches!(endpoint.target(), Target::Tls { .. }) {
        return Error::new(Kind::Unsupported, format!("'{endpoint}' needs TLS: build with the feature 'tls'"));
    }
    let why = match endpoint.target() {
        Target::Udp { .. } => {
            "it carries datagrams: use DatagramSender and DatagramReceiver, or bare ones, on a command line 'crosstie send' and 'recv'"
        }
        Target::Exec { .. } => "a program is started by who connects",
        Target::Nats { .. } | Target::NatsUnix { .. } => {
            "that is a broker, which takes clients, as 'crosstie pub' and 'sub' are, and no bare bytes"
        }
        _ => "that scheme carries no stream of bytes",
    };
    let schemes = if what == "listener" { LISTENING } else { CONNECTING };
    let text = format!("no stream {what} at '{endpoint}': {why}; one has {schemes}");
    Error::new(Kind::Unsupported, text)
}

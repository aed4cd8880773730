//! The active side of TLS: whom it trusts, what it shows.

use std::{
    fs, io,
    net::TcpStream,
    os::fd::AsFd,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use crosstie_core::{Error, Kind, Options, instant_after};
use crosstie_sys::{Interest, wait_ready};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, client::Resumption, crypto::ring, pki_types::ServerName,
    version::TLS13,
};

use super::{
    files::TlsFiles,
    refusal::told as refused,
    session::{Handshake, TlsTransport},
};
use crate::{
    capabilities,
    connection::Connection,
    lifeline::Lifeline,
    socket::tcp::TcpTransport,
    transport::{AsyncStream, Peer, SocketTransport, Transport},
    watched::watched,
};

/// Whom a connector trusts, and what it shows. Clones are the same one.
///
/// Without [`TlsFiles::ca`] it trusts whom the operating system trusts. The server's certificate must be for the host that is connected to, or for the
/// name that was given. There is no way to switch that off.
#[derive(Clone)]
pub struct TlsClient {
    files: Arc<TlsFiles>,
    name: Option<ServerName<'static>>,
    loaded: Arc<Mutex<Loaded>>,
}

struct Loaded {
    stamps: Vec<Stamp>,
    config: Arc<ClientConfig>,
}

/// When a file was written last, and how long it was.
type Stamp = Option<(SystemTime, u64)>;

impl TlsClient {
    /// Reads the files. With `name`, servers' certificates must be for it, whatever host they are at.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidInput`] with the file that does not hold what it should, or the name that is none.
    pub fn new(files: TlsFiles, name: Option<&str>) -> Result<Self, Error> {
        let name = name.map(server_name).transpose()?;
        let loaded = Loaded { stamps: stamps(&files), config: config(&files)? };
        Ok(Self { files: Arc::new(files), name, loaded: Arc::new(Mutex::new(loaded)) })
    }

    /// As an endpoint says it.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn of(options: &Options) -> Result<Self, Error> {
        Self::new(TlsFiles::of(options), options.name.as_deref())
    }

    /// TLS over a connection to `host`. Its [handshake](TlsTransport::handshake) comes next. Files that were written again since are read again; if
    /// they do not hold what they should, it is as it was before.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidInput`] if the host is no name that a certificate could have.
    pub fn over(&self, socket: Box<dyn SocketTransport>, host: &str) -> Result<TlsTransport, Error> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => server_name(host)?,
        };
        let session = ClientConnection::new(self.config(), name);
        let session = session.map_err(|error| Error::new(Kind::Bug, "a TLS session cannot begin").because(error))?;
        Ok(TlsTransport::client(socket, session.into()))
    }

    /// TLS over a connection of tokio's to `host`, once the handshake is done. It has no time limit of its own: dropping the future gives up.
    ///
    /// # Errors
    ///
    /// [`Kind::Denied`] if one of the two does not believe the other, [`Kind::Protocol`] if the other side speaks no TLS, and the socket's.
    pub async fn secure(&self, stream: tokio::net::TcpStream, host: &str) -> Result<Box<dyn AsyncStream>, Error> {
        let transport = self.over(Box::new(TcpTransport::new(stream.into_std()?)?), host)?;
        handshake(&transport).await.map_err(|error| refused(&error).unwrap_or_else(|| error.into()))?;
        Ok(Box::new(transport).into_async()?)
    }

    /// The same for a thread, which blocks until the handshake is done, at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Self::secure`]; [`Kind::Timeout`].
    pub fn secure_blocking(&self, stream: TcpStream, host: &str, timeout: Duration) -> Result<Connection, Error> {
        let until = instant_after(Instant::now(), timeout);
        let peer = stream.peer_addr().map_or(Peer::Unknown, Peer::Network);
        let transport = self.over(Box::new(TcpTransport::new(stream)?), host)?;
        loop {
            let interest = match transport.handshake() {
                Ok(Handshake::Done | Handshake::Plain) => break,
                Ok(Handshake::Wait(interest)) => interest,
                Err(error) => return Err(refused(&error).unwrap_or_else(|| error.into())),
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::new(Kind::Timeout, format!("no TLS with '{host}' within {timeout:?}")));
            }
            wait_ready(&transport, interest, Some(left))?;
        }
        let certificate = transport.certificate();
        let connection = Connection::new(Box::new(transport), peer, Lifeline::None, &capabilities::TLS);
        Ok(connection.with_certificate(certificate))
    }

    fn config(&self) -> Arc<ClientConfig> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        if stamps != loaded.stamps
            && let Ok(config) = config(&self.files)
        {
            *loaded = Loaded { stamps, config };
        }
        Arc::clone(&loaded.config)
    }
}

/// Makes a handshake to its end.
async fn handshake(transport: &TlsTransport) -> io::Result<()> {
    let number = transport.as_fd().try_clone_to_owned()?;
    let ready = watched(number, tokio::io::Interest::READABLE | tokio::io::Interest::WRITABLE)?;
    loop {
        let mut guard = match transport.handshake()? {
            Handshake::Done | Handshake::Plain => return Ok(()),
            Handshake::Wait(Interest::Write) => ready.writable().await?,
            Handshake::Wait(_) => ready.readable().await?,
        };
        // Whatever is ready is seen by the next step; an edge that comes meanwhile is a new one.
        guard.clear_ready();
    }
}

fn stamps(files: &TlsFiles) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| -> io::Result<_> {
        let meta = fs::metadata(path)?;
        Ok((meta.modified()?, meta.len()))
    };
    [&files.cert, &files.key, &files.ca].into_iter().flatten().map(|path| stamp(path).ok()).collect()
}

fn server_name(host: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(host.to_owned()).map_err(|error| {
        Error::new(Kind::InvalidInput, format!("expected a name that a certificate can have, found '{host}'"))
            .because(error)
    })
}

fn config(files: &TlsFiles) -> Result<Arc<ClientConfig>, Error> {
    let authorities = match files.authorities()? {
        Some(authorities) => authorities,
        None => of_the_system(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| Error::new(Kind::Bug, "TLS 1.3 is not to be had").because(error))?
        .with_root_certificates(authorities);
    let mut config = match files.shown()? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| {
            let text = "the certificate and its key do not go together, or are of a kind that is not known";
            Error::new(Kind::InvalidInput, text).because(error)
        })?,
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Whom the operating system trusts. Where it trusts nobody, no server is accepted, and the error says what to name.
fn of_the_system() -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    store
}

//! The passive side of TLS: what it shows, whom it lets in.

use std::sync::{Arc, PoisonError, RwLock};

use crosstie_core::{Error, Kind};
use rustls::{
    ServerConfig,
    crypto::ring,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};

use super::{files::TlsFiles, session::TlsTransport};
use crate::transport::SocketTransport;

/// What a listener shows, and whom it lets in. Clones are the same one.
///
/// With [`TlsFiles::ca`] it lets in nobody without a certificate of that authority (mutual TLS). TLS 1.3, and nothing older; nothing is resumed, so
/// that whoever was refused by a [reload](Self::reload) does not come in by what he kept.
#[derive(Clone)]
pub struct TlsServer {
    files: Arc<TlsFiles>,
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

impl TlsServer {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidInput`] with the file that is missing or does not hold what it should.
    pub fn new(files: TlsFiles) -> Result<Self, Error> {
        let config = Arc::new(RwLock::new(config(&files)?));
        Ok(Self { files: Arc::new(files), config })
    }

    /// Reads the files again. Connections that are there go on as they were; a handshake that comes later sees what stands in them now.
    ///
    /// # Errors
    ///
    /// As [`Self::new`]. Nothing has changed then.
    pub fn reload(&self) -> Result<(), Error> {
        let new = config(&self.files)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// True if nobody is let in without a certificate.
    pub fn asks_for_certificates(&self) -> bool {
        self.files.ca.is_some()
    }

    /// TLS over a connection that was accepted. Its [handshake](TlsTransport::handshake) comes next.
    pub fn over(&self, socket: Box<dyn SocketTransport>) -> TlsTransport {
        TlsTransport::server(socket, self.config(), false, false)
    }

    /// The same for a protocol whose server greets in the clear: what is written before the client begins TLS goes out as it is. A client may go on
    /// in the clear if `allows_plain`.
    pub fn over_greeting(&self, socket: Box<dyn SocketTransport>, allows_plain: bool) -> TlsTransport {
        TlsTransport::server(socket, self.config(), true, allows_plain)
    }

    fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn config(files: &TlsFiles) -> Result<Arc<ServerConfig>, Error> {
    let invalid = |text: &'static str| move |error| Error::new(Kind::InvalidInput, text).because(error);
    let (chain, key) = files.shown()?.ok_or_else(|| {
        Error::new(
            Kind::InvalidInput,
            "a TLS listener shows a certificate: name its file and that of its key with 'cert=' and 'key=' ('crosstie tls init' makes some for a trial)",
        )
    })?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(invalid("TLS 1.3 is not to be had"))?;
    let builder = match files.authorities()? {
        Some(authorities) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider).build();
            let told = |error| Error::new(Kind::InvalidInput, "those who sign clients' certificates").because(error);
            builder.with_client_cert_verifier(verifier.map_err(told)?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(invalid("the certificate and its key do not go together, or are of a kind that is not known"))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

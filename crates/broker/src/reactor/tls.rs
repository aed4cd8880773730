//! The TLS that is offered to those who come, which a reload replaces while the broker runs.

use std::sync::{Arc, PoisonError, RwLock};

use crosstie_core::{Error, Mono};
use crosstie_net::{SocketTransport, TlsServer, TlsTransport};

use crate::options::{HandshakeFirst, Options};

/// What those who come now are offered.
pub(crate) struct TlsOffer {
    server: TlsServer,
    first: HandshakeFirst,
    allow_plain: bool,
}

impl TlsOffer {
    /// Reads the files; nothing if the options want no TLS.
    pub(crate) fn of(options: &Options) -> Result<Option<Arc<Self>>, Error> {
        let Some(tls) = &options.tls else { return Ok(None) };
        let server = TlsServer::new(tls.files.clone())?;
        Ok(Some(Arc::new(Self { server, first: tls.handshake_first, allow_plain: tls.allow_plain })))
    }

    /// TLS over a connection that was accepted at `now`, and when its client is greeted in the clear unless it has begun by then.
    pub(super) fn over(&self, socket: Box<dyn SocketTransport>, now: Mono) -> (TlsTransport, Mono) {
        match self.first {
            HandshakeFirst::No => (self.server.over_greeting(socket, self.allow_plain), Mono::MAX),
            HandshakeFirst::Always => (self.server.over(socket), Mono::MAX),
            HandshakeFirst::Within(patience) => {
                let mut transport = self.server.over_greeting(socket, self.allow_plain);
                transport.hold_greeting();
                (transport, now + patience)
            }
        }
    }
}

/// Where reactors find what is offered.
pub(crate) struct Offers(RwLock<Option<Arc<TlsOffer>>>);

impl Offers {
    pub(crate) const fn new(offer: Option<Arc<TlsOffer>>) -> Self {
        Self(RwLock::new(offer))
    }

    pub(crate) fn replace(&self, offer: Option<Arc<TlsOffer>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = offer;
    }

    pub(super) fn now(&self) -> Option<Arc<TlsOffer>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

//! TLS 1.3 over connections of any kind, without a runtime: the handshake, the session, and who the other side has proved to be.
//!
//! The work is rustls's. What is here gives it the shape of a [`Transport`](crate::Transport): bytes that never block.

mod certificate;
mod client;
mod der;
mod files;
mod linger;
mod refusal;
mod server;
mod session;
mod stream;

pub use self::{
    certificate::Certificate,
    client::TlsClient,
    files::TlsFiles,
    refusal::told as tls_refusal,
    server::TlsServer,
    session::{Handshake, TlsTransport},
};

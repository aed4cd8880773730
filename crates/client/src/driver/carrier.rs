//! What carries the bytes of an async client: a TCP connection that TLS may begin on, or whatever else.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use crosstie_core::{Error, Kind, Result, Target};
use crosstie_net::{AsyncStream, connect_async};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::shared::Shared;

pub(super) enum Carrier {
    Tcp(TcpStream),
    Other(Box<dyn AsyncStream>),
}

impl Carrier {
    pub(super) async fn connect(target: &Target) -> io::Result<Self> {
        let Target::Tcp { host } = target else { return connect_async(target).await.map(Self::Other) };
        let stream = TcpStream::connect((host.host.as_str(), host.port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// Begins TLS with a server whose certificate is for `name`.
    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::unused_async, unused_variables, reason = "there is no TLS to wait for")
    )]
    pub(super) async fn secure(self, shared: &Shared, name: &str) -> Result<Self> {
        match self {
            #[cfg(feature = "tls")]
            Self::Tcp(stream) => shared.tls()?.secure(stream, name).await.map(Self::Other),
            _ => Err(Error::new(Kind::Unsupported, "TLS begins on a TCP connection, and this is another")),
        }
    }

    fn pinned(self: Pin<&mut Self>) -> Pin<&mut dyn AsyncStream> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream),
            Self::Other(stream) => Pin::new(&mut **stream),
        }
    }
}

impl AsyncRead for Carrier {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_read(cx, buf)
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.pinned().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_shutdown(cx)
    }
}

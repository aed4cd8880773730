//! Active connections of every kind: for tokio, and for a thread that does nothing else.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use crosstie_core::{Target, UnixAddress, instant_after};
use crosstie_sys::{Poller, Waker, connect_unix_abstract};

use crate::{
    blocking::BlockingStream,
    dial::{Dial, unsupported},
    memory,
    transport::{AsyncStream, Transport},
};

const BELL: u64 = 0;
const SOCKET: u64 = 1;

/// Connects within `timeout`. Blocks meanwhile. Each read and write of the stream waits that long at most, too, until
/// [`BlockingStream::set_timeout`] says otherwise.
///
/// ```no_run
/// use std::io::{Read, Write};
///
/// let endpoint: crosstie_core::Endpoint = "unix:/run/clock".parse()?;
/// let mut stream = crosstie_net::connect(endpoint.target(), std::time::Duration::from_secs(1))?;
/// stream.write_all(b"what time is it?\n")?;
/// let mut answer = [0; 64];
/// let length = stream.read(&mut answer)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The operating system's; `TimedOut`; `Unsupported` for a scheme that is none of `tcp:`, `unix:` and `mem:`.
pub fn connect(target: &Target, timeout: Duration) -> io::Result<BlockingStream> {
    let transport: Box<dyn Transport> = match target {
        Target::Mem { name } => Box::new(memory::connect(name)?),
        _ => dial(target, timeout)?,
    };
    Ok(BlockingStream::new(transport, Some(timeout)))
}

fn dial(target: &Target, timeout: Duration) -> io::Result<Box<dyn Transport>> {
    let until = instant_after(Instant::now(), timeout);
    let poller = Poller::new()?;
    let bell = Arc::new(Waker::new(&poller, BELL)?);
    let ring = Arc::clone(&bell);
    let mut dial = Dial::begin(target, move || ring.wake())?;
    let mut events = Vec::new();
    loop {
        if let Some(transport) = dial.advance(&poller, SOCKET)? {
            poller.remove(&*transport)?;
            return Ok(transport);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        poller.wait(&mut events, Some(left))?;
        bell.reset();
    }
}

/// Connects on the current tokio runtime. It has no time limit of its own: dropping the future gives up.
///
/// # Errors
///
/// As [`connect`].
pub async fn connect_async(target: &Target) -> io::Result<Box<dyn AsyncStream>> {
    match target {
        Target::Tcp { host } => {
            let stream = tokio::net::TcpStream::connect((host.host.as_str(), host.port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        Target::Unix { address: UnixAddress::Path(path) } => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        Target::Unix { address: UnixAddress::Abstract(name) } => {
            Ok(Box::new(tokio::net::UnixStream::from_std(connect_unix_abstract(name.as_bytes())?)?))
        }
        Target::Mem { name } => Box::new(memory::connect(name)?).into_async(),
        other => Err(unsupported(other)),
    }
}

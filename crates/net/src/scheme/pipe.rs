//! `pipe:`: pairs of anonymous pipes, within this process or shared with a child.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
};

use crosstie_core::{Endpoint, Error, Kind, Target};
use crosstie_sys::Signal;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::{
    capabilities::{self, Capabilities},
    connection::Connection,
    connector::{Attempt, Connector, Instantly},
    descriptor::DescriptorTransport,
    lifeline::Lifeline,
    listener::Listener,
    transport::Peer,
};

/// The other end of a pair of pipes, to be given to a child as its standard input and output or by number.
#[derive(Debug)]
pub struct PipeEnds {
    /// What the other end writes is read here.
    pub reader: OwnedFd,
    /// What is written here the other end reads.
    pub writer: OwnedFd,
}

/// A connection over two pipes, and the descriptors of its other end, which block as a child expects it.
///
/// Drop the ends once the child has them: until then this process holds them open, and the child's end is not seen.
///
/// ```
/// use std::{io::Read, process::{Command, Stdio}};
///
/// let (mut connection, ends) = crosstie_net::pipe_pair()?;
/// let mut child = Command::new("echo").arg("hello").stdin(Stdio::from(ends.reader)).stdout(Stdio::from(ends.writer)).spawn()?;
/// let mut text = String::new();
/// connection.read_to_string(&mut text)?;
/// assert_eq!(text, "hello\n");
/// child.wait()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The operating system's, mostly for want of descriptors.
pub fn pipe_pair() -> io::Result<(Connection, PipeEnds)> {
    let (reader, far_writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let (far_reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((connection(reader, writer)?, PipeEnds { reader: far_reader, writer: far_writer }))
}

fn connection(reader: OwnedFd, writer: OwnedFd) -> io::Result<Connection> {
    let transport = DescriptorTransport::new(Some(reader), Some(writer))?;
    Ok(Connection::new(Box::new(transport), Peer::Unknown, Lifeline::None, &capabilities::PIPE))
}

/// How many connections may wait to be accepted.
const BACKLOG: usize = 128;

struct Waiting {
    queue: Mutex<VecDeque<Connection>>,
    bell: Signal,
}

/// A listener without a name: its connector is the only way to it.
pub(crate) struct PipeListener {
    waiting: Arc<Waiting>,
    endpoint: Endpoint,
}

impl PipeListener {
    pub(crate) fn new() -> io::Result<Self> {
        let waiting = Waiting { queue: Mutex::default(), bell: Signal::new()? };
        Ok(Self { waiting: Arc::new(waiting), endpoint: Endpoint::new(Target::Pipe) })
    }
}

impl AsFd for PipeListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waiting.bell.as_fd()
    }
}

impl Listener for PipeListener {
    fn try_accept(&self) -> Result<Option<Connection>, Error> {
        let mut queue = self.waiting.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let first = queue.pop_front();
        if queue.is_empty() {
            self.waiting.bell.silence()?;
        }
        Ok(first)
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn capabilities(&self) -> &'static Capabilities {
        &capabilities::PIPE
    }

    fn connector(&self) -> Result<Box<dyn Connector>, Error> {
        Ok(Box::new(PipeConnector { waiting: Arc::clone(&self.waiting) }))
    }
}

struct PipeConnector {
    waiting: Arc<Waiting>,
}

impl Connector for PipeConnector {
    fn begin(&self) -> Result<Box<dyn Attempt>, Error> {
        // The listener has one, and every connector.
        let mut queue = self.waiting.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() >= BACKLOG {
            return Err(Error::new(Kind::Full, format!("{BACKLOG} connections wait to be accepted already")));
        }
        let (near, ends) = pipe_pair()?;
        self.waiting.bell.ring()?;
        queue.push_back(connection(ends.reader, ends.writer)?);
        Ok(Instantly::boxed(near))
    }

    fn capabilities(&self) -> &'static Capabilities {
        &capabilities::PIPE
    }
}

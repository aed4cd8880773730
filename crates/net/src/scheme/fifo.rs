//! `fifo:/path`: a named pipe. The listener reads, the connector writes, one after the other.
//!
//! A named pipe knows no connections: bytes of whoever has it open for writing come in one stream, whose end is when nobody has it open any
//! more. A lock on its first byte keeps our writers apart, and a lock on the whole our readers; programs that know neither are not kept
//! apart. Who begins to write before the listener has seen the end of the one before goes on with that one's connection.

use std::{
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileTypeExt,
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crosstie_core::{Endpoint, Error, Target};
use crosstie_sys::{Interest, Poller, Signal, range_lock, wait_ready};
use rustix::{
    fs::{CWD, FileType, FlockOperation, Mode, OFlags, flock, mknodat, open},
    io::Errno,
};

use crate::{
    capabilities::{self, Capabilities},
    connection::Connection,
    connector::{Attempt, Connector, Progress, unreachable},
    descriptor::DescriptorTransport,
    lifeline::Lifeline,
    listener::Listener,
    transport::Peer,
};

const BELL: u64 = 0;
const PIPE: u64 = 1;

pub(crate) struct FifoListener {
    path: PathBuf,
    endpoint: Endpoint,
    /// Behind one descriptor: the pipe while nobody is connected, and the bell that tells when that is so again.
    poller: Poller,
    bell: Arc<Signal>,
    /// The pipe, open for reading, while nobody is connected.
    reader: Mutex<Option<OwnedFd>>,
    /// Whether the file was made here.
    made: bool,
}

impl FifoListener {
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        let made = match mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let (poller, bell) = (Poller::new()?, Arc::new(Signal::new()?));
        poller.add(&*bell, BELL, Interest::Read)?;
        let endpoint = Endpoint::new(Target::Fifo { path: path.to_owned() });
        let it = Self { path: path.to_owned(), endpoint, poller, bell, reader: Mutex::new(None), made };
        it.open(&mut it.reader.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(it)
    }

    fn open(&self, reader: &mut Option<OwnedFd>) -> io::Result<()> {
        let pipe = open_pipe(&self.path, OFlags::RDONLY)?;
        match flock(&pipe, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let text = format!("somebody listens on 'fifo:{}' already", self.path.display());
                return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
            }
            Err(error) => return Err(error.into()),
        }
        self.poller.add(&pipe, PIPE, Interest::Read)?;
        *reader = Some(pipe);
        Ok(())
    }

    fn accept(&self) -> io::Result<Option<Connection>> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.is_none() {
            if !self.bell.silence()? {
                return Ok(None);
            }
            // The one before has ended. What cannot be opened now, as for want of descriptors, is tried again by who asks again.
            self.open(&mut reader).inspect_err(|_| {
                let _ = self.bell.ring();
            })?;
        }
        // Ready once somebody has written, or has come and gone.
        if !reader.as_ref().map_or(Ok(false), |pipe| wait_ready(pipe, Interest::Read, Some(Duration::ZERO)))? {
            return Ok(None);
        }
        let pipe = reader.take().expect("it was ready just now");
        self.poller.remove(&pipe)?;
        let ended = Ended(Arc::clone(&self.bell));
        let transport = DescriptorTransport::new(Some(pipe), None)?.with_guard(Box::new(ended));
        Ok(Some(Connection::new(Box::new(transport), Peer::Unknown, Lifeline::None, &capabilities::FIFO)))
    }
}

/// Tells the listener that its connection has ended.
struct Ended(Arc<Signal>);

impl Drop for Ended {
    fn drop(&mut self) {
        // An eventfd can be rung until it is closed.
        let _ = self.0.ring();
    }
}

impl Drop for FifoListener {
    fn drop(&mut self) {
        if self.made {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens a named pipe, and nothing else that may be there.
fn open_pipe(path: &Path, access: OFlags) -> io::Result<OwnedFd> {
    let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let pipe = fs::File::from(open(path, flags, Mode::empty())?);
    if pipe.metadata()?.file_type().is_fifo() {
        return Ok(pipe.into());
    }
    let text = format!("expected a named pipe at '{}', found another kind of file", path.display());
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

impl AsFd for FifoListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

impl Listener for FifoListener {
    fn try_accept(&self) -> Result<Option<Connection>, Error> {
        Ok(self.accept()?)
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn capabilities(&self) -> &'static Capabilities {
        &capabilities::FIFO
    }

    fn connector(&self) -> Result<Box<dyn Connector>, Error> {
        Ok(Box::new(FifoConnector { path: self.path.clone() }))
    }
}

pub(crate) struct FifoConnector {
    pub(crate) path: PathBuf,
}

impl Connector for FifoConnector {
    fn begin(&self) -> Result<Box<dyn Attempt>, Error> {
        Ok(Box::new(Connecting { path: self.path.clone(), pause: FIRST_PAUSE }))
    }

    fn capabilities(&self) -> &'static Capabilities {
        &capabilities::FIFO
    }
}

const FIRST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Waits for a reader, and for the writer before.
struct Connecting {
    path: PathBuf,
    pause: Duration,
}

impl Attempt for Connecting {
    fn advance(&mut self) -> Result<Progress, Error> {
        match try_write_end(&self.path) {
            Ok(Some(pipe)) => {
                let transport = DescriptorTransport::new(None, Some(pipe))?;
                let (peer, lifeline) = (Peer::Unknown, Lifeline::None);
                Ok(Progress::Done(Connection::new(Box::new(transport), peer, lifeline, &capabilities::FIFO)))
            }
            Ok(None) => {
                let pause = self.pause;
                self.pause = (pause * 2).min(LONGEST_PAUSE);
                Ok(Progress::Pause(pause))
            }
            Err(error) => Err(unreachable(format_args!("fifo:{}", self.path.display()), error)),
        }
    }
}

/// The pipe, open for writing and locked; `None` while nobody reads it, or another writes.
fn try_write_end(path: &Path) -> io::Result<Option<OwnedFd>> {
    match open_pipe(path, OFlags::WRONLY) {
        Ok(pipe) => Ok(range_lock::try_lock(&pipe, 0)?.then_some(pipe)),
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

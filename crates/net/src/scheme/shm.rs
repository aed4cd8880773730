//! `shm:name`: shared memory, handed over a Unix socket in the directory of segments.

use std::{
    collections::VecDeque,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crosstie_core::{Endpoint, Error, Target, UnixAddress, Wait};
use crosstie_shm::Directory;
use crosstie_sys::{Interest, Poller, peer_process};

use crate::{
    capabilities::{self, Capabilities},
    connection::Connection,
    connector::{Attempt, Connector, Progress, unreachable},
    lifeline::Lifeline,
    listener::Listener,
    shared_stream::{STREAM, SharedStream},
    socket::unix,
    transport::Peer,
};

/// Where the socket of a name is: only this user can reach it.
fn address(name: &str) -> io::Result<UnixAddress> {
    let directory = Directory::of_user().map_err(io::Error::other)?;
    Ok(UnixAddress::Path(directory.path().join(format!("{name}.stream"))))
}

fn connection(stream: SharedStream, socket: &UnixStream) -> io::Result<Connection> {
    let (peer, lifeline) = (Peer::Local(peer_process(socket)?), Lifeline::of_peer(socket)?);
    Ok(Connection::new(Box::new(stream), peer, lifeline, &capabilities::SHM))
}

/// How many may have connected and not yet handed over their memory. The one who has waited the longest goes first.
const MOST_WAITING: usize = 128;

pub(crate) struct ShmListener {
    name: String,
    wait: Wait,
    endpoint: Endpoint,
    listener: unix::Listener,
    /// The listener, and those who have not handed over their memory yet.
    poller: Poller,
    waiting: Mutex<VecDeque<UnixStream>>,
}

impl ShmListener {
    pub(crate) fn bind(name: &str, wait: Wait) -> io::Result<Self> {
        let (poller, listener) = (Poller::new()?, unix::bind(&address(name)?)?);
        poller.add(&listener, 0, Interest::Read)?;
        let endpoint = Endpoint::new(Target::Shm { name: name.to_owned() });
        Ok(Self { name: name.to_owned(), wait, endpoint, listener, poller, waiting: Mutex::default() })
    }

    fn accept(&self) -> io::Result<Option<Connection>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let are_all_in = self.let_in(&mut waiting)?;
            if let Some(connection) = self.see_to(&mut waiting)? {
                return Ok(Some(connection));
            }
            // Whoever waits for our descriptor is told of those who are left only when somebody else comes.
            if are_all_in {
                return Ok(None);
            }
        }
    }

    /// Accepts who has come; false if there may be more. Not all at once, so that each of them is seen to before it makes room for others.
    fn let_in(&self, waiting: &mut VecDeque<UnixStream>) -> io::Result<bool> {
        for _ in 0..MOST_WAITING / 2 {
            match self.listener.accept_stream() {
                Ok(socket) => {
                    socket.set_nonblocking(true)?;
                    self.poller.add(&socket, 1, Interest::Read)?;
                    waiting.push_back(socket);
                    if waiting.len() > MOST_WAITING {
                        waiting.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Takes the memory of the first who has handed it over.
    fn see_to(&self, waiting: &mut VecDeque<UnixStream>) -> io::Result<Option<Connection>> {
        for _ in 0..waiting.len() {
            let Some(socket) = waiting.pop_front() else { break };
            match SharedStream::take(&socket, STREAM) {
                Ok(stream) => {
                    self.poller.remove(&socket)?;
                    return connection(stream.waiting(self.wait), &socket).map(Some);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => waiting.push_back(socket),
                // Who says something else is not let in, and sees the end of the socket.
                Err(_) => {}
            }
        }
        Ok(None)
    }
}

impl AsFd for ShmListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

impl Listener for ShmListener {
    fn try_accept(&self) -> Result<Option<Connection>, Error> {
        Ok(self.accept()?)
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn capabilities(&self) -> &'static Capabilities {
        &capabilities::SHM
    }

    fn connector(&self) -> Result<Box<dyn Connector>, Error> {
        Ok(Box::new(ShmConnector { name: self.name.clone(), wait: self.wait }))
    }
}

pub(crate) struct ShmConnector {
    pub(crate) name: String,
    pub(crate) wait: Wait,
}

impl Connector for ShmConnector {
    fn begin(&self) -> Result<Box<dyn Attempt>, Error> {
        Ok(Box::new(Connecting { name: self.name.clone(), wait: self.wait, pause: FIRST_PAUSE }))
    }

    fn capabilities(&self) -> &'static Capabilities {
        &capabilities::SHM
    }
}

/// While as many wait to be accepted as the listener lets wait.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

struct Connecting {
    name: String,
    wait: Wait,
    pause: Duration,
}

impl Connecting {
    fn connect(&self) -> io::Result<Connection> {
        let socket = super::unix::dial(&address(&self.name)?)?;
        connection(SharedStream::offer(socket.try_clone()?, STREAM)?.waiting(self.wait), &socket)
    }
}

impl Attempt for Connecting {
    fn advance(&mut self) -> Result<Progress, Error> {
        match self.connect() {
            Ok(connection) => Ok(Progress::Done(connection)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let pause = self.pause;
                self.pause = (pause * 2).min(LONGEST_PAUSE);
                Ok(Progress::Pause(pause))
            }
            Err(error) => Err(unreachable(format_args!("shm:{}", self.name), error)),
        }
    }
}

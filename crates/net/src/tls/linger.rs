//! What stays of a TLS connection that was let go while bytes were still on the way.
//!
//! A socket that is closed while the other side still says something is reset, and whatever has not arrived by then is lost. Over TLS the other
//! side says something in any case, its end, so that this happens to the best of peers. Therefore such a socket ends its own direction and goes on
//! being read, until all that it has sent is confirmed or the other side has ended, for some seconds at most. One thread does this for all of them.
//! It begins with the first and ends with the last, and whoever lets go of a connection does not wait.

use std::{
    io::{self, IoSlice},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crosstie_sys::unconfirmed;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::transport::SocketTransport;

/// How many stay at a time. Beyond it, whoever is let go is closed as it is.
const MOST: usize = 256;
/// How long one stays.
const LONGEST: Duration = Duration::from_secs(5);
/// Nothing that can be waited for tells that all is confirmed, so it is looked at this often.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// How often one is read before the others have their turn.
const READS: usize = 16;

static CROWD: Mutex<Crowd> = Mutex::new(Crowd { newcomers: Vec::new(), staying: 0, is_served: false });

struct Crowd {
    newcomers: Vec<Leaving>,
    /// How many the thread has taken.
    staying: usize,
    /// The thread is there.
    is_served: bool,
}

/// A socket that nobody else has any more.
struct Leaving {
    socket: Box<dyn SocketTransport>,
    /// What is still to be sent, from `at` on.
    rest: Vec<u8>,
    at: usize,
    until: Instant,
    /// The other side has ended.
    has_ended: bool,
    /// Our own direction has ended.
    has_said_all: bool,
}

/// Keeps a socket until `rest` and all before it has arrived, as long as that is worth the wait.
pub(super) fn linger(socket: Box<dyn SocketTransport>, rest: Vec<u8>) {
    let until = Instant::now() + LONGEST;
    let mut leaving = Leaving { socket, rest, at: 0, until, has_ended: false, has_said_all: false };
    if !leaving.goes_on(&mut [0; 4096]) {
        return;
    }
    let mut crowd = crowd();
    if crowd.newcomers.len() + crowd.staying >= MOST {
        return;
    }
    crowd.newcomers.push(leaving);
    if !crowd.is_served {
        // Without a thread they are closed as they are.
        crowd.is_served = thread::Builder::new().name("crosstie-linger".to_owned()).spawn(serve).is_ok();
        if !crowd.is_served {
            crowd.newcomers.clear();
        }
    }
}

fn crowd() -> MutexGuard<'static, Crowd> {
    CROWD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Until none is left.
fn serve() {
    let (mut all, mut scratch) = (Vec::<Leaving>::new(), vec![0; 65_536]);
    loop {
        all.retain_mut(|one| one.goes_on(&mut scratch));
        {
            let mut crowd = crowd();
            all.append(&mut crowd.newcomers);
            crowd.staying = all.len();
            if all.is_empty() {
                crowd.is_served = false;
                return;
            }
        }
        let mut polled: Vec<_> =
            all.iter().map(|one| PollFd::from_borrowed_fd(one.socket.as_fd(), one.waits_for())).collect();
        // Whatever comes of it, each is looked at.
        let _ = poll(&mut polled, Some(&LOOK_AGAIN));
    }
}

impl Leaving {
    fn waits_for(&self) -> PollFlags {
        let reading = if self.has_ended { PollFlags::empty() } else { PollFlags::IN };
        if self.has_said_all { reading } else { reading | PollFlags::OUT }
    }

    /// Sends on and throws away what comes; false once there is nothing to stay for.
    fn goes_on(&mut self, scratch: &mut [u8]) -> bool {
        self.step(scratch).unwrap_or(false) && Instant::now() < self.until
    }

    fn step(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        while self.at < self.rest.len() {
            match self.socket.try_write(&[IoSlice::new(&self.rest[self.at..])]) {
                Ok(count) => self.at += count,
                Err(error) if is_to_wait(&error) => break,
                Err(error) => return Err(error),
            }
        }
        if self.at == self.rest.len() && !self.has_said_all {
            self.socket.end_writing()?;
            self.has_said_all = true;
        }
        for _ in 0..READS {
            if self.has_ended {
                break;
            }
            match self.socket.try_read(scratch) {
                Ok(count) => self.has_ended = count == 0,
                Err(error) if is_to_wait(&error) => break,
                Err(error) => return Err(error),
            }
        }
        // One who has ended says nothing more that could reset it.
        Ok(!self.has_said_all || (!self.has_ended && unconfirmed(&*self.socket)? > 0))
    }
}

fn is_to_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::net::UnixStream};

    use super::*;
    use crate::socket::unix::UnixTransport;

    /// A socket that takes nothing more, and its other side.
    fn full() -> (Box<dyn SocketTransport>, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        rustix::net::sockopt::set_socket_send_buffer_size(&near, 4096).unwrap();
        let near = UnixTransport::new(near).unwrap();
        while crosstie_core::ByteTransport::try_write(&near, &[IoSlice::new(&[7; 1000])]).is_ok() {}
        far.set_nonblocking(true).unwrap();
        (Box::new(near), far)
    }

    fn has_ended(mut far: &UnixStream) -> bool {
        let mut came = [0; 65_536];
        loop {
            match far.read(&mut came) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Without reading any of it.
    fn is_closed(far: &UnixStream) -> bool {
        let mut polled = [PollFd::new(far, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default())).unwrap();
        polled[0].revents().contains(PollFlags::HUP)
    }

    #[test]
    fn so_many_stay_and_no_more_and_each_ends_with_its_time() {
        let mut others = Vec::new();
        for _ in 0..MOST + 10 {
            let (near, far) = full();
            linger(near, vec![7; 16_384]);
            others.push(far);
        }
        // Beyond the most they were closed at once.
        assert!(others[MOST..].iter().all(is_closed));
        // The others were not, and send the rest as it is read.
        assert!(!others[..MOST].iter().any(is_closed));
        let until = Instant::now() + 4 * LONGEST;
        while !others[..MOST].iter().all(has_ended) {
            assert!(Instant::now() < until, "all of them have had all");
            thread::yield_now();
        }
        let (socket, _other) = full();
        let until = Instant::now();
        let mut late = Leaving { socket, rest: vec![7], at: 0, until, has_ended: false, has_said_all: false };
        assert!(!late.goes_on(&mut [0; 64]));
        // The control.
        late.until = until + LONGEST;
        assert!(late.goes_on(&mut [0; 64]));
    }
}

//! Who receives datagrams through shared memory, from many senders in turn.

use std::{
    io::{self, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crosstie_core::{Endpoint, Error, Kind, Target};
use crosstie_sys::{Event, Interest, PeerProcess, Poller, peer_process};

use super::form::{LETTERS, LONGEST, MOST_SENDERS, NO_PLACE, address};
use crate::{
    datagram::{
        carrier::{Carrier, Received, Way, cut},
        datagrams::Datagrams,
    },
    shared_stream::SharedStream,
    socket::unix,
};

/// Of so many attempts one looks for newcomers, however busy the others are.
const LOOK_EVERY: u32 = 64;
/// How often an attempt looks again because something happened meanwhile.
const ROUNDS: u32 = 8;
/// The number of the listener among what is waited for. Others have the double of their sender's, and one more for the lifeline.
const LISTENER: u64 = 0;

struct Receiver {
    listener: unix::Listener,
    poller: Poller,
    state: Mutex<State>,
}

struct State {
    senders: Vec<Sender>,
    /// Whose turn it is.
    turn: usize,
    attempts: u32,
    last_number: u64,
    events: Vec<Event>,
}

struct Sender {
    number: u64,
    process: PeerProcess,
    stage: Stage,
}

enum Stage {
    /// Has connected, and not handed over its memory yet.
    Greeting(UnixStream),
    Open(SharedStream),
    /// Nothing more comes.
    Ended,
}

pub(crate) fn receive(name: &str) -> io::Result<Datagrams> {
    let (poller, listener) = (Poller::new()?, unix::bind(&address(name)?)?);
    poller.add(&listener, LISTENER, Interest::Read)?;
    let state = State { senders: Vec::new(), turn: 0, attempts: 0, last_number: 0, events: Vec::new() };
    let endpoint = Endpoint::new(Target::Shm { name: name.to_owned() });
    Ok(Datagrams::new(Receiver { listener, poller, state: Mutex::new(state) }, endpoint))
}

impl Receiver {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Carrier for Receiver {
    fn max_len(&self) -> usize {
        LONGEST
    }

    fn try_send(&self, _: &[u8]) -> Result<(), Error> {
        Err(Error::new(Kind::Unsupported, "who receives over 'shm:' has nobody to send to: use send_datagrams"))
    }

    fn try_receive(&self, buf: &mut [u8]) -> Result<Option<Received>, Error> {
        let mut state = self.lock();
        state.attempts = state.attempts.wrapping_add(1);
        if state.attempts.is_multiple_of(LOOK_EVERY) {
            state.look(&self.listener, &self.poller)?;
        }
        if let Some(came) = state.next(buf, &self.poller) {
            return came.map(Some);
        }
        for _ in 0..ROUNDS {
            // Whoever rings after this is heard: what `ready` says becomes readable.
            let has_changed = state.look(&self.listener, &self.poller)?;
            state.arm();
            if let Some(came) = state.next(buf, &self.poller) {
                return came.map(Some);
            }
            if !has_changed {
                break;
            }
        }
        Ok(None)
    }

    fn ready(&self, _: Way) -> (BorrowedFd<'_>, Interest) {
        (self.poller.as_fd(), Interest::Read)
    }
}

impl State {
    /// The next datagram, of whoever has waited the longest for its turn.
    fn next(&mut self, buf: &mut [u8], poller: &Poller) -> Option<Result<Received, Error>> {
        for _ in 0..self.senders.len() {
            self.turn = (self.turn + 1) % self.senders.len();
            let sender = &mut self.senders[self.turn];
            let Stage::Open(stream) = &sender.stage else { continue };
            // Before the look at the bytes: what was sent before the end comes before it.
            let is_gone = stream.is_gone();
            match stream.memory().try_read_letter(buf) {
                Ok((len, wakes)) => {
                    stream.ring_room(wakes);
                    let received = Received { len, from: None, sender: Some(sender.process) };
                    return Some(if len > buf.len() { Err(cut(len, buf.len())) } else { Ok(received) });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !is_gone => {}
                // Its end, or a broken rule: that harms its sender and nobody else.
                Err(_) => sender.end(poller),
            }
        }
        self.senders.retain(|sender| !matches!(sender.stage, Stage::Ended));
        None
    }

    /// Says that somebody waits for each.
    fn arm(&self) {
        for sender in &self.senders {
            if let Stage::Open(stream) = &sender.stage {
                // What is there already is found by the look that follows.
                stream.memory().arm_reading();
            }
        }
    }

    /// Looks at bells, ends and newcomers; true if there was anything.
    fn look(&mut self, listener: &unix::Listener, poller: &Poller) -> io::Result<bool> {
        let mut events = std::mem::take(&mut self.events);
        poller.wait(&mut events, Some(Duration::ZERO))?;
        for event in &events {
            if event.token == LISTENER {
                self.accept(listener, poller)?;
            } else if let Some(sender) = self.senders.iter_mut().find(|it| it.number == event.token / 2) {
                sender.heard(event.token % 2 == 1, poller);
            }
        }
        let has_changed = !events.is_empty();
        self.events = events;
        Ok(has_changed)
    }

    fn accept(&mut self, listener: &unix::Listener, poller: &Poller) -> io::Result<()> {
        loop {
            let mut socket = match listener.accept_stream() {
                Ok(socket) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            self.senders.retain(|sender| !matches!(sender.stage, Stage::Ended));
            // Whoever has come and not begun makes room, the one who has waited the longest first.
            let silent = self.senders.iter().position(|sender| matches!(sender.stage, Stage::Greeting(_)));
            if self.senders.len() >= MOST_SENDERS
                && let Some(silent) = silent
            {
                self.senders.remove(silent).end(poller);
            }
            if self.senders.len() >= MOST_SENDERS {
                // It may have gone meanwhile.
                let _ = socket.write(&[NO_PLACE]);
                continue;
            }
            socket.set_nonblocking(true)?;
            let process = peer_process(&socket)?;
            self.last_number += 1;
            let number = self.last_number;
            poller.add(&socket, number * 2 + 1, Interest::Read)?;
            self.senders.push(Sender { number, process, stage: Stage::Greeting(socket) });
        }
    }
}

impl Sender {
    /// Its socket has something to say, or its bell rings.
    fn heard(&mut self, is_socket: bool, poller: &Poller) {
        match &self.stage {
            Stage::Greeting(socket) => match SharedStream::take(socket, LETTERS) {
                Ok(stream) => {
                    // The stream has a descriptor of its own for the socket: the set has to know that one.
                    let is_heard = poller
                        .remove(socket)
                        .and_then(|()| poller.add(stream.lifeline(), self.number * 2 + 1, Interest::Read))
                        .and_then(|()| poller.add(stream.bell(true), self.number * 2, Interest::Read));
                    self.stage = Stage::Open(stream);
                    if is_heard.is_err() {
                        self.end(poller);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Who says something else is not let in, and sees the end of the socket.
                Err(_) => self.end(poller),
            },
            Stage::Open(stream) if is_socket => {
                stream.look_at_lifeline();
                if stream.is_gone() {
                    // It says so for ever; what was sent before is still read.
                    let _ = poller.remove(stream.lifeline());
                }
            }
            Stage::Open(stream) => {
                if stream.bell(true).silence().is_err() {
                    self.end(poller);
                }
            }
            Stage::Ended => {}
        }
    }

    fn end(&mut self, poller: &Poller) {
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Greeting(socket) => {
                let _ = poller.remove(&socket);
            }
            Stage::Open(stream) => {
                // By hand: the other side has the bell open too, so it would stay in the set. What is not in it any more is as good.
                let _ = poller.remove(stream.bell(true));
                let _ = poller.remove(stream.lifeline());
            }
            Stage::Ended => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use crosstie_core::Endpoint;
    use crosstie_sys::send_descriptors;

    use super::*;
    use crate::{
        datagram::shm::sender::send,
        scheme::unix::dial,
        shared_stream::{Form, STREAM},
    };

    const LONG: Duration = Duration::from_secs(60);

    /// What other processes of this user may send by mistake or on purpose.
    #[test]
    fn who_breaks_the_rules_is_left_and_others_are_heard() {
        let name = format!("broken-letters-{}", std::process::id());
        let endpoint: Endpoint = format!("shm:{name}").parse().unwrap();
        let receiver = receive(&name).unwrap();
        let connect = || dial(&address(&name).unwrap()).unwrap();
        let honest = send(&name, &endpoint).unwrap();

        // A length that leads beyond what was written.
        let torn = SharedStream::offer(connect(), LETTERS).unwrap();
        torn.memory()
            .try_write(&[IoSlice::new(&[200, 0, 0, 0, 1, 2])])
            .map(|(_, wakes)| torn.ring_bytes(wakes))
            .unwrap();
        // Bytes where letters are spoken, a version that nobody has, no memory at all, silence.
        let other = SharedStream::offer(connect(), STREAM).unwrap();
        let small = SharedStream::offer(connect(), Form { magic: b"ctletter", capacity: 4096 }).unwrap();
        let _ = small.memory().try_write_letter(b"from a small ring").unwrap();
        let without = connect();
        let reader = io::pipe().unwrap().0;
        send_descriptors(&without, b"ctletter\x01\0\0\0\0\0\x04\0", &[reader.as_fd()]).unwrap();
        let silent = connect();

        honest.send(b"hello", LONG).unwrap();
        let mut buf = [0; 64];
        let mut came = Vec::new();
        for _ in 0..2 {
            let received = receiver.receive(&mut buf, LONG).unwrap();
            came.push(buf[..received.len].to_vec());
        }
        came.sort();
        assert_eq!(came, [&b"from a small ring"[..], b"hello"], "a ring of another size is as good");
        assert!(receiver.try_receive(&mut buf).unwrap().is_none());
        for broken in [&torn, &other] {
            broken.look_at_lifeline();
            assert!(broken.is_gone(), "it was left");
        }
        assert_eq!(rustix::io::read(&without, &mut [0; 8]).unwrap_or(0), 0, "its socket has ended");
        // The control: who did nothing wrong yet is still there, and the honest one is heard.
        assert_eq!(rustix::io::read(&silent, &mut [0; 8]), Err(rustix::io::Errno::AGAIN));
        honest.send(b"again", LONG).unwrap();
        assert_eq!(receiver.receive(&mut buf, LONG).unwrap().len, 5);
    }

    #[test]
    fn those_who_come_and_say_nothing_keep_nobody_out() {
        let name = format!("silent-letters-{}", std::process::id());
        let endpoint: Endpoint = format!("shm:{name}").parse().unwrap();
        let receiver = receive(&name).unwrap();
        let connect = || dial(&address(&name).unwrap()).unwrap();
        let all: Vec<_> = (0..2 * MOST_SENDERS).map(|_| connect()).collect();
        let mut buf = [0; 64];
        assert!(receiver.try_receive(&mut buf).unwrap().is_none());
        let honest = send(&name, &endpoint).unwrap();
        honest.send(b"hello", LONG).unwrap();
        assert_eq!(receiver.receive(&mut buf, LONG).unwrap().len, 5);
        // The control: those who have begun are not sent away for others.
        let begun: Vec<_> = (1..MOST_SENDERS).map(|_| send(&name, &endpoint).unwrap()).collect();
        assert!(receiver.try_receive(&mut buf).unwrap().is_none());
        let late = send(&name, &endpoint).unwrap();
        assert!(receiver.try_receive(&mut buf).unwrap().is_none());
        let refused = late.send(&[0; 200_000], LONG).and_then(|()| late.send(&[0; 200_000], LONG)).unwrap_err();
        assert_eq!(refused.kind(), Kind::Limit);
        drop((all, begun));
    }
}

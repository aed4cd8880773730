//! A stream of bytes in shared memory (`shm:`): what is torn, lost or doubled shows in the bytes, and a death that is not told in the wait for it.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use crosstie_core::{Endpoint, Kind};
use crosstie_net::{Connection, Listener, connector, listen};
use crosstie_sys::trial::set_variable;

use super::super::descriptors::open_descriptors;
use super::super::{Fault, Seat, Structure, Tally, Victim};
use super::segment::said;

/// Two pairs, each of one who listens and sends back what comes, and one who connects and sends. A stream has no successors: who is left by the other is
/// told, and makes or takes the next one.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// The processes fork no children.
    Plain,
    /// Some do, and a child that lives has the socket too by whose end a death is told: that is not noticed.
    Forked,
}

/// Bytes that were acknowledged, of all streams that one seat has made.
const SENT: usize = 0;
/// The longest piece that is sent at a time: it goes around the end of the ring often, and both fit into it, there and back.
const LONGEST: usize = 90_000;
/// How long who listens waits before it looks whether it is called off.
const WAIT: Duration = Duration::from_millis(2);
/// In front of each stream: its number, and what was acknowledged of those before it.
const HEAD: usize = 16;

impl Structure for Stream {
    fn name(&self) -> &'static str {
        match self {
            Self::Plain => "stream",
            Self::Forked => "stream-forked",
        }
    }

    fn parts(&self) -> usize {
        2
    }

    fn is_stepped(&self) -> bool {
        false
    }

    fn lets_go_in_any_case(&self) -> bool {
        matches!(self, Self::Forked)
    }

    fn set_up(&self, _place: &Path) -> Result<(), String> {
        Ok(())
    }

    fn join(&self, place: &Path, seat: Seat) -> Result<Box<dyn Victim>, String> {
        let endpoint = endpoint(place, seat.index / 2)?;
        if !seat.index.is_multiple_of(2) {
            return Ok(Box::new(Dials { endpoint, stream: None, alone_since: None }));
        }
        let listener = when_free(&endpoint, seat)?;
        Ok(Box::new(Listens { listener, stream: None, before: None, descriptors: open_descriptors() }))
    }

    fn check(&self, place: &Path, seat: Seat, _tally: &Tally) -> Result<(), String> {
        // Whoever listens next puts away what the last one has left.
        (0..self.seats() / 2).try_for_each(|pair| when_free(&endpoint(place, pair)?, seat).map(drop))
    }
}

/// Where the pair meets. The socket is in the folder of the trial.
fn endpoint(place: &Path, pair: usize) -> Result<Endpoint, String> {
    set_variable("CROSSTIE_DIR", place).map_err(said("choosing the folder"))?;
    format!("shm:pair-{pair}").parse().map_err(said("naming the place"))
}

/// Listens as soon as the last one is gone for good.
fn when_free(endpoint: &Endpoint, seat: Seat) -> Result<Box<dyn Listener>, String> {
    let deadline = Instant::now() + seat.patience();
    loop {
        match listen(endpoint) {
            Ok(listener) => return Ok(listener),
            Err(error) if is_taken(&error) && Instant::now() < deadline => std::thread::yield_now(),
            Err(error) => {
                if is_taken(&error) {
                    let text = format!("seat {} finds a dead one's place taken for {:?}", seat.index, seat.patience());
                    seat.fault(Fault::Stuck, &text);
                }
                return Err(format!("listening: {error}"));
            }
        }
    }
}

fn is_taken(error: &crosstie_core::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .is_some_and(|source| source.kind() == ErrorKind::AddrInUse)
}

/// What stands at this place of a stream.
fn pattern(number: u64, at: u64) -> u8 {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(at.wrapping_mul(0x2545_f491_4f6c_dd1d)) >> 56) as u8
}

/// One who listens, and sends back what comes.
struct Listens {
    listener: Box<dyn Listener>,
    stream: Option<Heard>,
    /// The number of the last stream from here, with what had been acknowledged before it, and what came.
    before: Option<(u64, u64, u64)>,
    descriptors: usize,
}

/// A stream, from where it is heard.
struct Heard {
    connection: Connection,
    head: Vec<u8>,
    /// Bytes that came behind the head.
    came: u64,
}

impl Victim for Listens {
    fn step(&mut self, seat: Seat, chance: &mut fastrand::Rng) -> Result<(), String> {
        let Some(stream) = &mut self.stream else { return self.accept_within(WAIT) };
        let mut buf = vec![0; chance.usize(1..LONGEST)];
        seat.dwell(chance);
        let count = match stream.connection.read_within(&mut buf, Some(seat.patience())) {
            Ok(count @ 1..) => count,
            outcome => {
                let told = end(seat, &stream.connection, outcome.map(drop), "reading");
                return told.and_then(|()| self.close(seat));
            }
        };
        let mut came = &buf[..count];
        let missing = HEAD - stream.head.len();
        let (head, rest) = came.split_at(missing.min(came.len()));
        stream.head.extend(head);
        came = rest;
        if stream.head.len() < HEAD {
            return Ok(());
        }
        let (number, acknowledged) = stream.numbers();
        if missing > 0
            && let Some((last, base, came)) = self.before.take()
            && last + 1 == number
        {
            judge(seat, acknowledged - base, came);
        }
        if let Some(at) = (stream.came..).zip(came).find_map(|(at, byte)| (*byte != pattern(number, at)).then_some(at))
        {
            seat.fault(Fault::Torn, &format!("byte {at} of stream {number} is another"));
        }
        stream.came += came.len() as u64;
        let back = came.to_vec();
        match write_all(seat, &stream.connection, &back) {
            Ok(()) => Ok(()),
            // What it has sent is read all the same.
            Err(error) if is_end(&error) => Ok(()),
            Err(error) => Err(format!("answering: {error}")),
        }
    }
}

/// Of a stream from one who has ended, everything came that was acknowledged, and no more than the piece that it was at.
fn judge(seat: Seat, acknowledged: u64, came: u64) {
    if came < acknowledged {
        seat.fault(
            Fault::Lost,
            &format!("{acknowledged} bytes were acknowledged, {came} came before the end was told"),
        );
    }
    if came > acknowledged + LONGEST as u64 {
        seat.fault(Fault::Doubled, &format!("{acknowledged} bytes were acknowledged, {came} came"));
    }
}

impl Listens {
    fn accept_within(&mut self, wait: Duration) -> Result<(), String> {
        match self.listener.accept(wait) {
            Ok(connection) => {
                self.stream = Some(Heard { connection, head: Vec::new(), came: 0 });
                Ok(())
            }
            Err(error) if error.kind() == Kind::Timeout => Ok(()),
            Err(error) => Err(format!("accepting: {error}")),
        }
    }

    /// Lets go of a stream that has ended; nothing of it stays open.
    fn close(&mut self, seat: Seat) -> Result<(), String> {
        let stream = self.stream.take().expect("it was there until now");
        if stream.head.len() == HEAD {
            let (number, acknowledged) = stream.numbers();
            self.before = Some((number, acknowledged, stream.came));
        }
        drop(stream);
        let until = Instant::now() + seat.patience();
        loop {
            // Puts away those who were killed on their way here.
            self.accept_within(Duration::ZERO)?;
            // Whoever is about to connect has two here.
            let now = open_descriptors();
            if self.stream.is_some() || now <= self.descriptors + 2 {
                return Ok(());
            }
            if Instant::now() > until {
                let text = format!("{} descriptors, and {now} when a stream had ended", self.descriptors);
                seat.fault(Fault::LeftBehind, &text);
                return Ok(());
            }
            std::thread::yield_now();
        }
    }
}

impl Heard {
    fn numbers(&self) -> (u64, u64) {
        let number = |at: usize| u64::from_le_bytes(self.head[at..at + 8].try_into().expect("eight bytes"));
        (number(0), number(8))
    }
}

/// One who connects, sends and hears the same again.
struct Dials {
    endpoint: Endpoint,
    stream: Option<Said>,
    /// Since when nobody listens.
    alone_since: Option<Instant>,
}

/// A stream, from where it is said.
struct Said {
    connection: Connection,
    number: u64,
    /// Bytes behind the head that have come back.
    back: u64,
}

/// Streams that were made so far.
const STREAMS: usize = 1;

impl Victim for Dials {
    fn step(&mut self, seat: Seat, chance: &mut fastrand::Rng) -> Result<(), String> {
        let Some(stream) = &mut self.stream else { return self.connect(seat) };
        let length = chance.usize(1..LONGEST);
        let piece: Vec<u8> = (stream.back..).take(length).map(|at| pattern(stream.number, at)).collect();
        if let Err(error) = write_all(seat, &stream.connection, &piece) {
            let told = end(seat, &stream.connection, Err(error), "writing");
            self.stream = None;
            return told;
        }
        seat.count(SENT, length as u64);
        let mut buf = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match stream.connection.read_within(&mut buf[filled..], Some(seat.patience())) {
                Ok(count @ 1..) => filled += count,
                outcome => {
                    let told = end(seat, &stream.connection, outcome.map(drop), "hearing");
                    self.stream = None;
                    return told;
                }
            }
        }
        if buf != piece {
            seat.fault(Fault::Torn, &format!("what came back of stream {} is another", stream.number));
        }
        stream.back += length as u64;
        Ok(())
    }
}

impl Dials {
    fn connect(&mut self, seat: Seat) -> Result<(), String> {
        let connection = match connector(&self.endpoint).and_then(|connector| connector.connect(WAIT)) {
            Ok(connection) => connection,
            // Whoever listened is dead, and the next one is not there yet; or it died in the middle of this.
            Err(error) => {
                if self.alone_since.get_or_insert_with(Instant::now).elapsed() > seat.patience() {
                    seat.fault(Fault::Stuck, &format!("seat {} finds nobody who listens: {error}", seat.index));
                }
                return Ok(());
            }
        };
        self.alone_since = None;
        let number = seat.counted(STREAMS);
        seat.count(STREAMS, 1);
        let head = [number.to_le_bytes(), seat.counted(SENT).to_le_bytes()].concat();
        match write_all(seat, &connection, &head) {
            Ok(()) => self.stream = Some(Said { connection, number, back: 0 }),
            Err(error) => end(seat, &connection, Err(error), "beginning")?,
        }
        Ok(())
    }
}

/// Writes all of it, in pieces as there is room.
fn write_all(seat: Seat, connection: &Connection, mut bytes: &[u8]) -> Result<(), std::io::Error> {
    while !bytes.is_empty() {
        let count = connection.write_within(bytes, Some(seat.patience()))?;
        bytes = &bytes[count..];
    }
    Ok(())
}

fn is_end(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// A stream has ended. If nobody is called off, then by a death, of which there is proof.
fn end(seat: Seat, connection: &Connection, outcome: Result<(), std::io::Error>, doing: &str) -> Result<(), String> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            seat.fault(
                Fault::Stuck,
                &format!("seat {}, {doing}, was told nothing in {:?}", seat.index, seat.patience()),
            );
            Ok(())
        }
        Err(error) if !is_end(&error) => Err(format!("{doing}: {error}")),
        // Whoever is called off ends its streams in order, and so does who was told that the other side has gone.
        Ok(()) => Ok(()),
        Err(_) if seat.is_finishing() => Ok(()),
        Err(_) => match connection.death(seat.patience()) {
            Ok(Some(_)) => Ok(()),
            Ok(None) if seat.is_finishing() => Ok(()),
            Ok(None) => {
                seat.fault(
                    Fault::Told,
                    &format!("seat {}, {doing}: a stream was cut, and nobody has died", seat.index),
                );
                Ok(())
            }
            Err(error) => Err(format!("asking for a death: {error}")),
        },
    }
}

//! A link between two interfaces: packets leave at a rate, arrive after a delay, and not at all while their way is cut.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crosstie_sys::{Interest, wait_ready};

/// Bits in a second, each way.
pub const RATE: u64 = 10_000_000;
/// How long a packet is on its way, besides the time that its bits take.
pub const DELAY: Duration = Duration::from_millis(40);
/// Bytes that wait for their turn. What comes while so many wait is lost, as at any router.
const QUEUE: usize = 256 * 1024;
/// How often a thread looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LONGEST_PACKET: usize = 65_536;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the near end to the far one.
    There,
    /// The other.
    Back,
}

/// Both ways.
pub struct Link {
    there: Arc<Direction>,
    back: Arc<Direction>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Direction {
    is_cut: AtomicBool,
    is_over: AtomicBool,
    queued: AtomicUsize,
    lost: AtomicU64,
}

struct Packet {
    due: Instant,
    bytes: Box<[u8]>,
}

impl Link {
    pub(super) fn new(near: OwnedFd, far: OwnedFd) -> io::Result<Self> {
        let (near, far) = (Arc::new(near), Arc::new(far));
        let (there, back) = (Arc::<Direction>::default(), Arc::<Direction>::default());
        let mut threads = Vec::new();
        for (from, to, direction) in [(&near, &far, &there), (&far, &near, &back)] {
            let (sender, receiver) = mpsc::channel();
            let (from, to) = (Arc::clone(from), Arc::clone(to));
            let (taking, giving) = (Arc::clone(direction), Arc::clone(direction));
            threads.push(thread::Builder::new().spawn(move || take(&from, &taking, &sender))?);
            threads.push(thread::Builder::new().spawn(move || give(&to, &giving, &receiver))?);
        }
        Ok(Self { there, back, threads })
    }

    fn direction(&self, way: Way) -> &Direction {
        match way {
            Way::There => &self.there,
            Way::Back => &self.back,
        }
    }

    /// Cuts one way: what is on it is lost, and nobody is told. The other way goes on.
    pub fn cut(&self, way: Way) {
        self.direction(way).is_cut.store(true, SeqCst);
    }

    /// Mends it.
    pub fn mend(&self, way: Way) {
        self.direction(way).is_cut.store(false, SeqCst);
    }

    /// Packets that were lost, because their way was cut or the queue was full.
    pub fn lost(&self, way: Way) -> u64 {
        self.direction(way).lost.load(SeqCst)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for direction in [&self.there, &self.back] {
            direction.is_over.store(true, SeqCst);
        }
        for thread in self.threads.drain(..) {
            // It does nothing that panics.
            let _ = thread.join();
        }
    }
}

/// Takes packets from an interface and says when each is due at the other.
fn take(from: &OwnedFd, direction: &Direction, packets: &Sender<Packet>) {
    let mut buf = vec![0; LONGEST_PACKET];
    let mut free = Instant::now();
    while !direction.is_over.load(Relaxed) {
        let Ok(len) = rustix::io::read(from, &mut buf) else {
            // Silent, or not up yet.
            let _ = wait_ready(from, Interest::Read, Some(LOOK_EVERY));
            continue;
        };
        if direction.is_cut.load(SeqCst) || direction.queued.load(SeqCst) + len > QUEUE {
            direction.lost.fetch_add(1, SeqCst);
            continue;
        }
        direction.queued.fetch_add(len, SeqCst);
        free = free.max(Instant::now()) + Duration::from_nanos(len as u64 * 8 * 1_000_000_000 / RATE);
        if packets.send(Packet { due: free + DELAY, bytes: buf[..len].into() }).is_err() {
            return;
        }
    }
}

/// Gives each packet to the other interface when it is due.
fn give(to: &OwnedFd, direction: &Direction, packets: &Receiver<Packet>) {
    loop {
        let packet = match packets.recv_timeout(LOOK_EVERY) {
            Ok(packet) => packet,
            Err(RecvTimeoutError::Timeout) if !direction.is_over.load(Relaxed) => continue,
            Err(_) => return,
        };
        // This is the delay that the link is there for.
        thread::sleep(packet.due.saturating_duration_since(Instant::now()));
        direction.queued.fetch_sub(packet.bytes.len(), SeqCst);
        if direction.is_cut.load(SeqCst) || rustix::io::write(to, &packet.bytes).is_err() {
            direction.lost.fetch_add(1, SeqCst);
        }
    }
}

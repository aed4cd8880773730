//! Two connections made one: what comes at one end goes out at the other, both ways, until both directions have ended or something is wrong.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Write},
    pin::pin,
    process::ExitStatus,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crosstie_core::{Error, Kind, instant_after};
use crosstie_net::{AsyncConnection, AsyncReader, AsyncWriter, Death, Identity, Life, PATIENCE};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::pace::Pace;

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    A,
    B,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::A, Self::B];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// What a join is to do besides joining. The arrays are by the side where bytes come from.
#[derive(Default)]
pub(crate) struct Terms {
    /// Bytes per second of each direction.
    pub(crate) rate: Option<u64>,
    /// How long nothing at all may come.
    pub(crate) idle: Option<Duration>,
    /// How long nothing may come from a side whose direction goes on alone.
    pub(crate) lingers: [Option<Duration>; 2],
    /// How long a read or write of each side may take.
    pub(crate) deadlines: [Option<Duration>; 2],
    /// Which sides can be written to at all.
    pub(crate) takes_bytes: [bool; 2],
    /// Which sides are the streams of this very process.
    pub(crate) is_own: [bool; 2],
    /// Where copies go.
    pub(crate) tees: [Option<File>; 2],
    /// What is done with what comes from A, instead of writing it to B.
    pub(crate) show: Option<Show>,
    /// Who looks at the first bytes that come from A.
    pub(crate) look: Option<Look>,
    /// Standard output ends with the direction towards it.
    pub(crate) ends_output: bool,
}

/// Something that takes bytes.
pub(crate) type Show = Box<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

/// Something that looks at bytes.
pub(crate) type Look = Box<dyn Fn(&[u8]) + Send + Sync>;

/// How many bytes have gone, by the side where they came from.
#[derive(Default)]
pub(crate) struct Meter([AtomicU64; 2]);

impl Meter {
    pub(crate) fn from(&self, side: Side) -> u64 {
        self.0[side as usize].load(Relaxed)
    }

    pub(crate) fn total(&self) -> u64 {
        self.from(Side::A) + self.from(Side::B)
    }
}

/// How a join has ended.
#[derive(Debug)]
pub(crate) enum How {
    /// Both directions have ended in order, or one had and the other was not waited for any longer.
    Over,
    /// Nothing came for so long.
    Idle(Duration),
    /// One side was lost, was proved dead, did not answer in time, or did not take all that was sent.
    Lost { side: Side, error: Error },
    /// The program at one side says by its exit status that it has failed.
    Status { side: Side, status: ExitStatus },
    /// The copy could not be written.
    Tee(io::Error),
    /// Nobody reads our own output any more.
    Unread,
    /// Our own output could not be written: a disk is full.
    Output(io::Error),
}

/// How a join has ended, and which side was the first to end.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) how: How,
    pub(crate) first: Option<Side>,
}

/// Bytes at a time: more than most ways have room for.
const BUFFER: usize = 256 * 1024;
/// How many bytes a program may answer to an A that has ended by itself.
const UNHEARD: usize = 16 * 1024 * 1024;
/// How long a side that has taken less than all is listened to.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// How long the death of a process is waited for that has ended in order as far as its bytes tell.
const GLANCE: Duration = Duration::from_millis(20);

/// Joins both until the end, and lets go of them so that what was written to them arrives.
pub(crate) async fn join(a: AsyncConnection, b: AsyncConnection, terms: Terms, meter: &Meter) -> Ending {
    let lives = [a.life(), b.life()];
    let (mut a, mut b) = (a.into_split(), b.into_split());
    let ending = carry(&mut a, &mut b, &lives, terms, meter).await;
    if matches!(ending.how, How::Unread) {
        return ending;
    }
    let close = async |side: Side, (reader, writer): Halves| {
        if meter.from(side.other()) > 0
            && let Some(connection) = AsyncConnection::unsplit(reader, writer)
        {
            // Who does not end in time has all that could be had.
            let _ = connection.close().await;
        }
    };
    tokio::join!(close(Side::A, a), close(Side::B, b));
    ending
}

type Halves = (AsyncReader, AsyncWriter);

async fn carry(a: &mut Halves, b: &mut Halves, lives: &[Life; 2], mut terms: Terms, meter: &Meter) -> Ending {
    let ((from_a, to_a), (from_b, to_b)) = ((&mut a.0, &mut a.1), (&mut b.0, &mut b.1));
    let [tee_a, tee_b] = std::mem::take(&mut terms.tees);
    let (terms, mut first) = (&terms, None);
    let states = [State::new(&lives[0]), State::new(&lives[1])];
    let mut from_a = pin!(pump(Side::A, from_a, to_b, tee_a, terms, meter, &states[1]));
    let mut from_b = pin!(pump(Side::B, from_b, to_a, tee_b, terms, meter, &states[0]));
    let mut open = [terms.takes_bytes[1], terms.takes_bytes[0]];
    let mut refused = None;
    // When a direction that goes on alone is looked at, how much had come before, and whether it may go on if more has come.
    let (mut alone, mut seen, mut is_patient): (Option<Instant>, u64, bool) = (None, 0, true);
    let mut watch = Watch::new(terms.idle, meter.total());
    let mut death = pin!(None);
    while open != [false; 2] {
        let (side, stop) = tokio::select! {
            stop = &mut from_a, if open[0] => (Side::A, stop),
            stop = &mut from_b, if open[1] => (Side::B, stop),
            death_of_it = some(death.as_mut()), if death.is_some() => {
                death.set(None);
                let dead = if open[0] { Side::B } else { Side::A };
                states[dead as usize].is_deaf.set(true);
                let other_is_program = lives[dead.other() as usize].capabilities().identity == Identity::Child;
                match dead {
                    _ if is_killed(death_of_it) => break,
                    // What A still has for it has nowhere to go; it shows at once if there is something.
                    Side::B => (alone, is_patient) = (Some(alone.map_or_else(glance, |alone| alone.min(glance()))), false),
                    // The program works on what it has got, and is not hindered by words that nobody hears.
                    Side::A if other_is_program => {}
                    Side::A => break,
                }
                continue;
            }
            () = sleep_until(alone.unwrap_or_else(Instant::now)), if alone.is_some() => {
                let linger = if open[0] { terms.lingers[0] } else { terms.lingers[1] };
                if meter.total() == seen || !is_patient {
                    break;
                }
                (seen, alone) = (meter.total(), linger.map(|linger| instant_after(Instant::now(), linger)));
                continue;
            }
            () = watch.wait(), if terms.idle.is_some() => {
                if watch.is_idle(meter.total()) {
                    return Ending { how: How::Idle(terms.idle.unwrap_or_default()), first };
                }
                continue;
            }
        };
        open[side as usize] = false;
        match stop {
            Stop::End => {
                first.get_or_insert(side);
                states[side as usize].has_ended.set(true);
                alone = terms.lingers[side.other() as usize].map(|linger| instant_after(Instant::now(), linger));
                seen = meter.total();
                death.set(Some(proved(&lives[side as usize])));
            }
            Stop::Read(error) => {
                let error = lives[side as usize].explain(error).await;
                return Ending { how: How::Lost { side, error }, first: first.or(Some(side)) };
            }
            Stop::Write(error) if terms.is_own[side.other() as usize] => {
                let is_unread = error.kind() == io::ErrorKind::BrokenPipe;
                return Ending { how: if is_unread { How::Unread } else { How::Output(error) }, first };
            }
            Stop::Write(error) => {
                let it = side.other();
                let error = not_all(lives[it as usize].explain(error).await);
                first.get_or_insert(it);
                refused.get_or_insert((it, error));
                // What it has said before is still on its way.
                (alone, is_patient) = (Some(Instant::now() + LAST_WORDS), false);
            }
            Stop::Tee(error) => return Ending { how: How::Tee(error), first },
        }
    }
    let how = match refused {
        Some((side, error)) => How::Lost { side, error },
        None => last_look(lives).await,
    };
    Ending { how, first }
}

/// Why a direction has ended.
enum Stop {
    End,
    Read(io::Error),
    Write(io::Error),
    Tee(io::Error),
}

/// What is known of the side to which bytes go.
struct State<'a> {
    life: &'a Life,
    /// What it has to say has ended.
    has_ended: Cell<bool>,
    /// It is dead: what is still sent to it goes nowhere.
    is_deaf: Cell<bool>,
}

impl<'a> State<'a> {
    fn new(life: &'a Life) -> Self {
        Self { life, has_ended: Cell::new(false), is_deaf: Cell::new(false) }
    }

    /// True if it has ended by itself before all was sent: it did not want more.
    async fn has_finished(&self) -> bool {
        let by_itself = |death| matches!(death, Some(Death::Exited(_))) && !is_killed(death.unwrap_or(Death::Ended));
        self.has_ended.get() && self.life.death(PATIENCE).await.is_ok_and(by_itself)
    }
}

fn is_killed(death: Death) -> bool {
    matches!(death, Death::Exited(status) if std::os::unix::process::ExitStatusExt::signal(&status).is_some())
}

fn glance() -> Instant {
    Instant::now() + GLANCE
}

/// One direction.
async fn pump(
    side: Side,
    from: &mut AsyncReader,
    to: &mut AsyncWriter,
    mut tee: Option<File>,
    terms: &Terms,
    meter: &Meter,
    receiver: &State<'_>,
) -> Stop {
    let (mut buf, mut unheard) = (vec![0; BUFFER], UNHEARD);
    let mut pace = Pace::new(terms.rate);
    let [reading, writing] = [side, side.other()].map(|side| terms.deadlines[side as usize]);
    let piece = pace.piece(buf.len());
    let mut look = terms.look.as_ref().filter(|_| side == Side::A);
    loop {
        let count = match within(reading, from.read(&mut buf[..piece])).await {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => return Stop::Read(error),
        };
        if let Some(look) = look.take() {
            look(&buf[..count]);
        }
        pace.wait(count).await;
        let mut rest = &buf[..count];
        if let (Side::A, Some(show)) = (side, &terms.show) {
            match show(rest) {
                Ok(()) => meter.0[side as usize].fetch_add(count as u64, Relaxed),
                Err(error) => return Stop::Write(error),
            };
            rest = &[];
        }
        while !rest.is_empty() {
            if receiver.is_deaf.get() {
                match (side, unheard.checked_sub(rest.len())) {
                    (Side::A, _) => return Stop::Write(io::ErrorKind::BrokenPipe.into()),
                    (Side::B, None) => return Stop::End,
                    (Side::B, Some(left)) => unheard = left,
                }
                break;
            }
            match within(writing, to.write(rest)).await {
                Ok(0) => return Stop::Write(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    meter.0[side as usize].fetch_add(written as u64, Relaxed);
                    rest = &rest[written..];
                }
                Err(_) if side == Side::B && receiver.has_finished().await => receiver.is_deaf.set(true),
                Err(error) => return Stop::Write(error),
            }
        }
        if let Some(Err(error)) = tee.as_mut().map(|tee| tee.write_all(&buf[..count])) {
            return Stop::Tee(error);
        }
    }
    // The other side may be gone: that shows in its own direction.
    let _ = to.shutdown().await;
    if terms.ends_output && terms.is_own[side.other() as usize] {
        end_output();
    }
    Stop::End
}

async fn within<T>(limit: Option<Duration>, act: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match limit {
        None => act.await,
        Some(limit) => timeout(limit, act).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
    }
}

/// Closes standard output for whoever reads it, although this process lives on.
fn end_output() {
    if let Ok(nothing) = File::options().write(true).open("/dev/null") {
        // Then they see the end when this process ends.
        let _ = rustix::stdio::dup2_stdout(nothing);
    }
}

/// Returns when the process at the other end is proved dead, soon after the end of what it sent; else never.
async fn proved(life: &Life) -> Death {
    match life.death(PATIENCE).await {
        Ok(Some(death)) => death,
        _ => std::future::pending().await,
    }
}

async fn some<T, F: Future<Output = T>>(future: std::pin::Pin<&mut Option<F>>) -> T {
    match future.as_pin_mut() {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Whether a program has failed, or a process was killed, although its bytes have ended in order.
async fn last_look(lives: &[Life; 2]) -> How {
    for side in Side::BOTH {
        let life = &lives[side as usize];
        let is_child = life.capabilities().identity == Identity::Child;
        let patience = if is_child { PATIENCE } else { GLANCE };
        let Ok(Some(Death::Exited(status))) = life.death(patience).await else { continue };
        if is_child && !status.success() {
            return How::Status { side, status };
        }
        if is_killed(Death::Exited(status)) {
            let scheme = life.capabilities().scheme;
            let text =
                format!("the process behind {scheme}: was killed ({status}); what came from it may be cut short");
            return How::Lost { side, error: Error::new(Kind::PeerDied, text) };
        }
    }
    How::Over
}

fn not_all(error: Error) -> Error {
    Error::new(error.kind(), format!("{error}; it has not taken all that was sent to it"))
}

/// Whether anything has come lately.
struct Watch {
    limit: Duration,
    seen: u64,
    since: Instant,
}

impl Watch {
    fn new(limit: Option<Duration>, seen: u64) -> Self {
        Self { limit: limit.unwrap_or_default(), seen, since: Instant::now() }
    }

    async fn wait(&self) {
        sleep((self.limit / 8).max(Duration::from_millis(1))).await;
    }

    fn is_idle(&mut self, total: u64) -> bool {
        if total != self.seen {
            (self.seen, self.since) = (total, Instant::now());
        }
        self.since.elapsed() >= self.limit
    }
}

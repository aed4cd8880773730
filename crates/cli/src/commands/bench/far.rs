//! The other end of what is measured: a process of its own that does as it is told over a Unix socket, and says what it saw.
//!
//! It is this program again, with the hidden `--far`. It ends when the socket does, so it never outlives whoever measures. Within one process
//! (`mem:`) it is a thread.

use std::{
    env,
    io::{Read, Write},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crosstie_core::{Endpoint, Error};
use crosstie_net::{Connection, Listener, PipeEnds, connector, listen};
use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    line::{Kind, Line, PATIENCE, open_far, place},
    percentiles::Percentiles,
};
use crate::exit::{Code, Failure};

/// How long one order may take, and how long the far end waits for the next.
const LONG: Duration = Duration::from_secs(60);
/// How long after a line has failed the far end may still be about to end.
const DYING: Duration = Duration::from_millis(200);
/// How long the far end may take to end once it is not needed any more.
const ENDING: Duration = Duration::from_secs(1);
/// Messages this long come so seldom that the time of each may be asked for.
const SELDOM: usize = 4096;
/// The longest order or answer.
const MAX_LINE: usize = 4096;

/// As a stamp: no more come.
pub(super) const END: u64 = 0;

/// What the far end is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Open the line.
    Open { kind: Kind, endpoint: String, back: Option<String> },
    /// Send each message back.
    Echo { size: usize, count: u64 },
    /// Take messages, as many as `count`. If they are stamped, note how long ago, until the stamp is [`END`]. Before one is lost, nothing may
    /// come `pauses` times in a row for as long as one that was sent at once would take at most.
    Take { size: usize, count: u64, stamped: bool, pauses: u32 },
}

/// What the far end says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Somebody may come to this place.
    Ready(String),
    Open,
    Done(Seen),
    Failed(String),
}

/// What was seen of messages.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) received: u64,
    /// From the first to the last of them, in seconds.
    pub(super) seconds: f64,
    /// Processor time of the process meanwhile, in nanoseconds.
    pub(super) processor: u64,
    pub(super) latency: Option<Percentiles>,
}

/// Nanoseconds of the clock that all processes of a machine share.
pub(super) fn now() -> u64 {
    nanos(ClockId::Monotonic)
}

/// Nanoseconds for which this process has had a processor.
pub(super) fn processor() -> u64 {
    nanos(ClockId::ProcessCPUTime)
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The far end, as whoever measures sees it.
pub(super) struct Far {
    control: Connection,
    body: Body,
    /// It has said itself why it cannot go on.
    has_told: bool,
}

enum Body {
    Process(Child),
    Thread(Option<JoinHandle<()>>),
}

impl Far {
    /// Starts it, with `ends` as its standard streams if there are any. `control` is where it will ask what to do.
    pub(super) fn start(control: &Endpoint, ends: Option<PipeEnds>) -> Result<Self, Error> {
        let listener = listen(control)?;
        let body = if control.target().scheme() == "mem" {
            let control = control.clone();
            Body::Thread(Some(thread::spawn(move || {
                // What fails is told over the control line.
                let _ = serve(&control.to_string());
            })))
        } else {
            let mut command = Command::new(env::current_exe()?);
            command.args(["bench", "--far", &control.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
            if let Some(ends) = ends {
                command.stdin(ends.reader).stdout(ends.writer);
            }
            Body::Process(command.spawn()?)
        };
        Self::meet(listener.as_ref(), body)
    }

    fn meet(listener: &dyn Listener, mut body: Body) -> Result<Self, Error> {
        let until = Instant::now() + PATIENCE;
        loop {
            match listener.accept(DYING) {
                Ok(control) => return Ok(Self { control, body, has_told: false }),
                Err(error) if error.kind() != crosstie_core::Kind::Timeout || Instant::now() > until => {
                    return Err(error);
                }
                Err(error) => {
                    if let Body::Process(child) = &mut body
                        && let Some(status) = child.try_wait()?
                    {
                        return Err(dead(child.id(), status, &error));
                    }
                }
            }
        }
    }

    /// Tells it what to do.
    pub(super) fn tell(&mut self, order: &Order) -> Result<(), Error> {
        write(&mut self.control, order)
    }

    /// What it says next.
    pub(super) fn answer(&mut self) -> Result<Answer, Error> {
        match read(&mut self.control)? {
            Some(Answer::Failed(text)) => {
                self.has_told = true;
                Err(Error::new(crosstie_core::Kind::Io, format!("the far end: {text}")))
            }
            Some(answer) => Ok(answer),
            None => Err(Error::new(crosstie_core::Kind::Disconnected, "the far end is gone")),
        }
    }

    /// Why a line to it has failed: its own words, or its death.
    pub(super) fn explain(&mut self, error: Error) -> Error {
        use crosstie_core::Kind::{Disconnected, Io, PeerDied, Timeout};
        let Body::Process(child) = &mut self.body else { return error };
        if self.has_told || !matches!(error.kind(), Disconnected | Io | PeerDied | Timeout) {
            return error;
        }
        let pid = child.id();
        let Some(status) = ended(child, DYING) else {
            return Error::new(error.kind(), format!("{error} (the far end, process {pid}, lives)"));
        };
        while let Ok(Some(answer)) = read(&mut self.control) {
            if let Answer::Failed(text) = answer {
                return Error::new(error.kind(), format!("the far end: {text}"));
            }
        }
        dead(pid, status, &error)
    }

    /// What it has seen since it was told to send back or to take.
    pub(super) fn seen(&mut self) -> Result<Seen, Error> {
        match self.answer()? {
            Answer::Done(seen) => Ok(seen),
            other => Err(unexpected(&other)),
        }
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        // It ends with the control line.
        self.control.shutdown();
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        match self {
            Self::Process(child) => {
                // It removes what it has made, sockets above all; one that stands still is not waited for.
                let _ = ended(child, ENDING);
                let _ = child.kill();
                let _ = child.wait();
            }
            Self::Thread(thread) => {
                if let Some(thread) = thread.take() {
                    let _ = thread.join();
                }
            }
        }
    }
}

/// How it has ended, if it has by then. The standard library has no wait with a time limit, so it is asked again and again.
fn ended(child: &mut Child, within: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + within;
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(1)),
            outcome => return outcome.ok().flatten(),
        }
    }
}

fn dead(pid: u32, status: ExitStatus, error: &Error) -> Error {
    let text = format!("the far end, process {pid}, has ended ({status}) before it was done: {error}");
    Error::new(crosstie_core::Kind::PeerDied, text)
}

pub(super) fn unexpected(answer: &Answer) -> Error {
    Error::new(crosstie_core::Kind::Protocol, format!("the far end said {answer:?}, which was not its turn"))
}

/// Is the far end: does what comes over `control` until that ends.
pub(crate) fn serve(control: &str) -> Result<(), Failure> {
    let endpoint: Endpoint = control.parse().map_err(|error| Failure::usage(format!("--far: {error}")))?;
    let mut control = connector(&endpoint)?.connect(PATIENCE)?;
    if endpoint.target().scheme() != "mem" {
        // Ctrl-C ends who measures, and this end then puts away what it has.
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::default())?;
    }
    let mut line = None;
    // Without anybody who measures there is nobody to be told why it ends.
    while let Ok(Some(order)) = read(&mut control) {
        if let Err(error) = obey(order, &mut line, &mut control) {
            // Nobody may be left to hear it.
            let _ = write(&mut control, &Answer::Failed(error.to_string()));
            return Err(Failure::Command { code: Code::Failure as u8, message: None });
        }
    }
    Ok(())
}

fn obey(order: Order, line: &mut Option<Box<dyn Line>>, control: &mut Connection) -> Result<(), Error> {
    let not_open = || Error::new(crosstie_core::Kind::Protocol, "no line is open");
    match order {
        Order::Open { kind, endpoint, back } => {
            let back = back.as_deref().map(place).transpose()?;
            let ready = |place| write(control, &Answer::Ready(place));
            *line = Some(open_far(kind, &place(&endpoint)?, back.as_ref(), ready)?);
            write(control, &Answer::Open)
        }
        Order::Echo { size, count } => {
            let seen = echo(line.as_deref_mut().ok_or_else(not_open)?, size, count)?;
            write(control, &Answer::Done(seen))
        }
        Order::Take { size, count, stamped, pauses } => {
            let seen = take(line.as_deref_mut().ok_or_else(not_open)?, size, count, stamped, pauses)?;
            write(control, &Answer::Done(seen))
        }
    }
}

fn echo(line: &mut dyn Line, size: usize, count: u64) -> Result<Seen, Error> {
    let (mut message, mut received, before) = (vec![0; size], 0, processor());
    while received < count && line.receive(&mut message)? {
        line.send(&message)?;
        line.flush()?;
        received += 1;
    }
    Ok(Seen { received, processor: processor() - before, ..Seen::default() })
}

fn take(line: &mut dyn Line, size: usize, count: u64, stamped: bool, pauses: u32) -> Result<Seen, Error> {
    let (mut message, mut received, before) = (vec![0; size], 0, processor());
    let mut latency = Histogram::<u64>::new(3).map_err(std::io::Error::other)?;
    let mut first = Instant::now();
    let (mut last, mut paused) = (first, 0);
    while stamped || received < count {
        if !line.receive(&mut message)? {
            if paused == pauses {
                break;
            }
            paused += 1;
            continue;
        }
        paused = 0;
        if received == 0 {
            first = Instant::now();
        }
        if stamped {
            let due = message.first_chunk().map_or(END, |stamp| u64::from_le_bytes(*stamp));
            if due == END {
                break;
            }
            latency.record(now().saturating_sub(due).max(1)).map_err(std::io::Error::other)?;
        }
        received += 1;
        if received == count || received % 16 == 0 || size >= SELDOM {
            last = Instant::now();
        }
    }
    Ok(Seen {
        received,
        seconds: last.duration_since(first).as_secs_f64(),
        processor: processor() - before,
        latency: stamped.then(|| Percentiles::of(&latency)),
    })
}

fn write(control: &mut Connection, what: &impl Serialize) -> Result<(), Error> {
    let mut line = serde_json::to_vec(what).map_err(std::io::Error::other)?;
    line.push(b'\n');
    Ok(control.write_all(&line)?)
}

/// The next line, or none if the other side has ended.
fn read<T: DeserializeOwned>(control: &mut Connection) -> Result<Option<T>, Error> {
    control.set_timeout(Some(LONG));
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        if control.read(&mut byte)? == 0 {
            return Ok(None);
        }
        if byte == *b"\n" {
            break;
        }
        line.push(byte[0]);
        if line.len() > MAX_LINE {
            return Err(Error::new(crosstie_core::Kind::Limit, "a line of the far end is too long"));
        }
    }
    Ok(Some(serde_json::from_slice(&line).map_err(std::io::Error::other)?))
}

//! Honest clients: two publishers with a subscriber each, a requester with a responder, and newcomers one after the other.
//!
//! Each message carries the phase in which it was sent, its number and the time; its receiver checks the order and notes how long
//! it took. Nobody may miss one, in any phase.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crosstie_sys::time_slice;

use super::connection::Connection;

/// The time between two messages of a publisher.
const BEAT: Duration = Duration::from_millis(2);
/// The time between two requests.
const REST: Duration = Duration::from_millis(4);
/// The time between two newcomers.
const NEXT: Duration = Duration::from_millis(50);
/// How many publishers there are.
const PAIRS: usize = 2;

/// What is going on while something is sent.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Phase {
    Quiet,
    Attack,
    After,
}

/// A time before and during the attack.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) quiet: Duration,
    pub(super) attack: Duration,
}

/// How the honest clients fared.
pub(super) struct Figures {
    /// The 99th percentiles.
    pub(super) messages: Times,
    pub(super) requests: Times,
    /// The longest that a newcomer took from connecting to its own first message.
    pub(super) newcomers: Times,
    pub(super) newcomer_count: usize,
    pub(super) troubles: Vec<String>,
}

/// The clients at work.
pub(super) struct Honest {
    stage: Arc<Stage>,
    messages: Vec<JoinHandle<io::Result<Samples>>>,
    requests: Vec<JoinHandle<io::Result<Samples>>>,
    newcomers: JoinHandle<io::Result<Samples>>,
}

/// What all of them look at.
struct Stage {
    begun: Instant,
    phase: AtomicU8,
    is_over: AtomicBool,
}

/// How long each took, by phase.
#[derive(Default)]
struct Samples([Vec<Duration>; 3]);

impl Honest {
    pub(super) fn start(port: u16, with_password: bool) -> io::Result<Self> {
        let stage = Arc::new(Stage {
            begun: Instant::now(),
            phase: AtomicU8::new(Phase::After as u8),
            is_over: AtomicBool::new(false),
        });
        let mut messages = Vec::new();
        for pair in 0..PAIRS {
            let (mut to, from) = (Connection::open(port, with_password)?, Connection::open(port, with_password)?);
            to.say(&format!("SUB honest.{pair} 1\r\n"))?;
            to.fence()?;
            let own = Arc::clone(&stage);
            messages.push(spawn(move || publish(&own, from, pair)));
            let own = Arc::clone(&stage);
            messages.push(spawn(move || receive(&own, to)));
        }
        let (mut responder, mut requester) =
            (Connection::open(port, with_password)?, Connection::open(port, with_password)?);
        responder.say("SUB honest.service 1\r\n")?;
        responder.fence()?;
        requester.say("SUB honest.inbox.* 1\r\n")?;
        let own = Arc::clone(&stage);
        let requests = vec![spawn(move || respond(responder)), spawn(move || request(&own, requester))];
        let own = Arc::clone(&stage);
        let newcomers = spawn(move || come(&own, port, with_password));
        Ok(Self { stage, messages, requests, newcomers })
    }

    /// Lets them work for `time` in a phase.
    pub(super) fn pass(&self, phase: Phase, time: Duration) {
        self.stage.phase.store(phase as u8, Ordering::SeqCst);
        thread::sleep(time);
    }

    /// Waits until what they have begun is done.
    pub(super) fn end(self) -> Figures {
        self.stage.is_over.store(true, Ordering::SeqCst);
        let mut troubles = Vec::new();
        let mut gather = |what: &str, threads: Vec<JoinHandle<io::Result<Samples>>>| {
            let mut all = Samples::default();
            for thread in threads {
                match thread.join() {
                    Ok(Ok(samples)) => all.extend(samples),
                    Ok(Err(error)) => troubles.push(format!("honest {what}: {error}")),
                    Err(_) => troubles.push(format!("honest {what}: the client panicked")),
                }
            }
            all
        };
        let messages = gather("message", self.messages);
        let requests = gather("request", self.requests);
        let newcomers = gather("newcomer", vec![self.newcomers]);
        Figures {
            messages: messages.times(99),
            requests: requests.times(99),
            newcomers: newcomers.times(100),
            newcomer_count: newcomers.0[Phase::Attack as usize].len(),
            troubles,
        }
    }
}

/// Starts a thread that gets a processor soon once it is woken: what is measured is the server, not how long the scheduler lets the
/// attacker's process, which has no part in the connection, keep the processor that an honest client waits for.
fn spawn(client: impl FnOnce() -> io::Result<Samples> + Send + 'static) -> JoinHandle<io::Result<Samples>> {
    thread::spawn(|| {
        time_slice::ask_for(time_slice::SHORTEST)?;
        client()
    })
}

impl Stage {
    fn phase(&self) -> u8 {
        self.phase.load(Ordering::SeqCst)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }
}

impl Samples {
    fn note(&mut self, phase: u8, time: Duration) {
        self.0[usize::from(phase)].push(time);
    }

    fn extend(&mut self, other: Self) {
        for (own, more) in self.0.iter_mut().zip(other.0) {
            own.extend(more);
        }
    }

    fn times(&self, percent: usize) -> Times {
        let percentile = |phase: Phase| {
            let mut times = self.0[phase as usize].clone();
            times.sort_unstable();
            let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
            times.get(index).copied().unwrap_or_default()
        };
        Times { quiet: percentile(Phase::Quiet), attack: percentile(Phase::Attack) }
    }
}

/// Publishes one message after the other: phase, number, time. The last one is empty.
fn publish(stage: &Stage, connection: Connection, pair: usize) -> io::Result<Samples> {
    let mut writer = connection.writer()?;
    let mut number = 0u64;
    while !stage.is_over() {
        let text = format!("{} {number} {} {:-<40}", stage.phase(), stage.begun.elapsed().as_nanos(), "");
        writer.write_all(format!("PUB honest.{pair} {}\r\n{text}\r\n", text.len()).as_bytes())?;
        number += 1;
        thread::sleep(BEAT);
    }
    writer.write_all(format!("PUB honest.{pair} 0\r\n\r\n").as_bytes())?;
    Ok(Samples::default())
}

fn receive(stage: &Stage, mut connection: Connection) -> io::Result<Samples> {
    let mut samples = Samples::default();
    for expected in 0u64.. {
        let message = connection.message()?;
        if message.payload.is_empty() {
            break;
        }
        let text = String::from_utf8(message.payload).map_err(io::Error::other)?;
        let mut words = text.split(' ').map(|word| word.parse::<u64>().unwrap_or(u64::MAX));
        let (phase, number, sent) = (words.next(), words.next(), words.next());
        if number != Some(expected) {
            return Err(io::Error::other(format!("expected message {expected}, got '{text}'")));
        }
        let sent = Duration::from_nanos(sent.unwrap_or_default());
        samples.note(phase.unwrap_or_default() as u8, stage.begun.elapsed().saturating_sub(sent));
    }
    Ok(samples)
}

/// Answers until an empty request comes.
fn respond(mut connection: Connection) -> io::Result<Samples> {
    loop {
        let message = connection.message()?;
        let Some(reply) = message.reply else { return Ok(Samples::default()) };
        let text = String::from_utf8_lossy(&message.payload).into_owned();
        connection.say(&format!("PUB {reply} {}\r\n{text}\r\n", text.len()))?;
    }
}

fn request(stage: &Stage, mut connection: Connection) -> io::Result<Samples> {
    let mut samples = Samples::default();
    let mut number = 0u64;
    while !stage.is_over() {
        let (phase, begun) = (stage.phase(), Instant::now());
        let text = number.to_string();
        connection.say(&format!("PUB honest.service honest.inbox.{number} {}\r\n{text}\r\n", text.len()))?;
        let answer = connection.message()?;
        if answer.payload != text.as_bytes() {
            return Err(io::Error::other(format!("expected the answer to {number}, got another")));
        }
        samples.note(phase, begun.elapsed());
        number += 1;
        thread::sleep(REST);
    }
    connection.say("PUB honest.service 0\r\n\r\n")?;
    Ok(samples)
}

/// Comes anew again and again, each time as far as its own first message.
fn come(stage: &Stage, port: u16, with_password: bool) -> io::Result<Samples> {
    let mut samples = Samples::default();
    while !stage.is_over() {
        let (phase, begun) = (stage.phase(), Instant::now());
        let mut connection = Connection::open(port, with_password)?;
        connection.say("SUB honest.newcomer 1\r\nPUB honest.newcomer 5\r\nhello\r\n")?;
        connection.message()?;
        samples.note(phase, begun.elapsed());
        drop(connection);
        thread::sleep(NEXT);
    }
    Ok(samples)
}

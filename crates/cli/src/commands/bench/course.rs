//! What is measured over one endpoint, between two processes.
//!
//! * **Round trips**, one after the other: what a question and its answer cost.
//! * **One way**, as fast as it goes, small messages and large ones: what flows.
//! * **Open loop**: messages leave at a fixed rate whatever happens, and the time counts from the moment each was due. So a stall is
//!   not forgiven to the messages that it held up ("coordinated omission", Gil Tene, 2015).

use std::{
    hint, thread,
    time::{Duration, Instant},
};

use crosstie_core::{Endpoint, Error};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::{
    far::{Answer, END, Far, Order, Seen, now, processor, unexpected},
    line::{self, Kind, LOST, Line, Near},
    percentiles::Percentiles,
};

/// What a large message holds.
pub(super) const LARGE: usize = 64 * 1024;
/// Round trips, and messages, before the measurement, which also say how many fit into it.
const WARM: u64 = 300;
const MOST: u64 = 20_000_000;
/// So long before a message is due the sender stays awake: the clock that wakes a thread is not that exact.
const AWAKE: Duration = Duration::from_micros(120);

/// What to measure.
pub(super) struct Course {
    pub(super) size: usize,
    /// Messages per second in the open loop.
    pub(super) rate: u64,
    /// How long each part takes, about.
    pub(super) part: Duration,
}

/// What was measured.
pub(super) struct Figures {
    pub(super) round_trip: Option<Percentiles>,
    pub(super) small: Flow,
    pub(super) large: Option<Flow>,
    pub(super) paced: Paced,
}

/// Messages one way, as fast as they went.
pub(super) struct Flow {
    pub(super) size: usize,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) per_second: f64,
    /// Processor time of both ends per message, in nanoseconds.
    pub(super) processor: f64,
}

/// Messages one way, on time.
pub(super) struct Paced {
    pub(super) rate: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
    /// They left so late that the latencies are those of another rate.
    pub(super) missed: bool,
    pub(super) latency: Percentiles,
}

impl Flow {
    pub(super) fn bytes_per_second(&self) -> f64 {
        self.per_second * self.size as f64
    }

    pub(super) const fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }
}

impl Figures {
    pub(super) fn json(&self) -> Value {
        let flow = |flow: &Flow| {
            json!({
                "size": flow.size, "sent": flow.sent, "received": flow.received, "lost": flow.lost(),
                "per_second": flow.per_second, "bytes_per_second": flow.bytes_per_second(),
                "processor_ns_per_message": flow.processor,
            })
        };
        json!({
            "round_trip_ns": self.round_trip.map(|times| times.json()),
            "one_way": flow(&self.small),
            "one_way_large": self.large.as_ref().map(flow),
            "open_loop": {
                "rate": self.paced.rate, "sent": self.paced.sent, "received": self.paced.received,
                "rate_missed": self.paced.missed, "latency_ns": self.paced.latency.json(),
            },
        })
    }
}

/// Messages per second. The time begins with the first that was received; where some are lost, those that came may all have come in a moment,
/// and it is that of the sender.
fn rate(sent: u64, seen: &Seen, sending: f64) -> f64 {
    let seconds = if seen.received < sent { seen.seconds.max(sending) } else { seen.seconds };
    if seconds > 0.0 { seen.received.saturating_sub(1) as f64 / seconds } else { 0.0 }
}

/// Opens a line to a far end that is started for it, and runs the course. `control` is where the two talk about it.
pub(super) fn run(kind: Kind, endpoint: &Endpoint, control: &Endpoint, course: &Course) -> Result<Figures, Error> {
    let (near, ends) = Near::prepare(kind, endpoint)?;
    let mut far = Far::start(control, ends)?;
    measure(kind, endpoint, near, &mut far, course).map_err(|error| far.explain(error))
}

fn measure(kind: Kind, endpoint: &Endpoint, near: Near, far: &mut Far, course: &Course) -> Result<Figures, Error> {
    far.tell(&Order::Open { kind, endpoint: endpoint.to_string(), back: near.back() })?;
    let place = match far.answer()? {
        Answer::Ready(place) => line::place(&place)?,
        other => return Err(unexpected(&other)),
    };
    let mut line = near.open(&place)?;
    match far.answer()? {
        Answer::Open => {}
        other => return Err(unexpected(&other)),
    }
    Run { line: line.as_mut(), far, course }.all(kind)
}

struct Run<'a> {
    line: &'a mut dyn Line,
    far: &'a mut Far,
    course: &'a Course,
}

impl Run<'_> {
    fn all(mut self, kind: Kind) -> Result<Figures, Error> {
        let round_trip = if kind.is_two_way() { Some(self.round_trips()?) } else { None };
        let small = self.flow(self.course.size)?;
        let large = LARGE.min(self.line.max_len());
        let large = if large > self.course.size { Some(self.flow(large)?) } else { None };
        let paced = self.paced()?;
        Ok(Figures { round_trip, small, large, paced })
    }

    /// How many fit into a part if `count` take `taken`.
    fn fitting(&self, count: u64, taken: Duration) -> u64 {
        let each = taken.as_secs_f64().max(1e-9) / count as f64;
        ((self.course.part.as_secs_f64() / each) as u64).clamp(64, MOST)
    }

    fn round_trips(&mut self) -> Result<Percentiles, Error> {
        let begun = Instant::now();
        self.go_round(WARM)?;
        Ok(Percentiles::of(&self.go_round(self.fitting(WARM, begun.elapsed()))?))
    }

    fn go_round(&mut self, count: u64) -> Result<Histogram<u64>, Error> {
        let mut message = vec![b'x'; self.course.size];
        let mut times = Histogram::new(3).map_err(std::io::Error::other)?;
        self.far.tell(&Order::Echo { size: self.course.size, count })?;
        for _ in 0..count {
            let begun = now();
            self.line.send(&message)?;
            self.line.flush()?;
            if !self.line.receive(&mut message)? {
                return Err(Error::new(crosstie_core::Kind::Timeout, "a message that was alone on its way is lost"));
            }
            times.record((now() - begun).max(1)).map_err(std::io::Error::other)?;
        }
        self.far.seen()?;
        Ok(times)
    }

    fn flow(&mut self, size: usize) -> Result<Flow, Error> {
        let warm = if size >= LARGE / 2 { WARM } else { 10 * WARM };
        let begun = Instant::now();
        self.pour(size, warm)?;
        self.pour(size, self.fitting(warm, begun.elapsed()))
    }

    fn pour(&mut self, size: usize, count: u64) -> Result<Flow, Error> {
        let message = vec![b'x'; size];
        self.far.tell(&Order::Take { size, count, stamped: false, pauses: 0 })?;
        let (begun, before) = (Instant::now(), processor());
        for _ in 0..count {
            self.line.send(&message)?;
        }
        self.line.flush()?;
        let sending = begun.elapsed().as_secs_f64();
        let seen = self.far.seen()?;
        let both = processor() - before + seen.processor;
        Ok(Flow {
            size,
            sent: count,
            received: seen.received,
            per_second: rate(count, &seen, sending),
            processor: both as f64 / seen.received.max(1) as f64,
        })
    }

    fn paced(&mut self) -> Result<Paced, Error> {
        let rate = self.course.rate;
        let count = ((rate as f64 * self.course.part.as_secs_f64()) as u64).clamp(rate.clamp(2, 16), MOST);
        let mut message = vec![b'x'; self.course.size];
        // At a rate of few per second the next one is not lost because it is not due yet.
        let pauses = Duration::from_secs_f64(1.0 / rate as f64).as_millis().div_ceil(LOST.as_millis()) as u32;
        self.far.tell(&Order::Take { size: self.course.size, count, stamped: true, pauses })?;
        let (begun, epoch) = (Instant::now(), now());
        let (mut late, mut sent) = (Duration::ZERO, 0);
        // A rate that is far out of reach would take for ever.
        while sent < count && late < self.course.part {
            let due = Duration::from_secs_f64(sent as f64 / rate as f64);
            thread::sleep((due.saturating_sub(begun.elapsed())).saturating_sub(AWAKE));
            while begun.elapsed() < due {
                hint::spin_loop();
            }
            late = begun.elapsed().saturating_sub(due);
            let stamp = epoch + u64::try_from(due.as_nanos()).unwrap_or(u64::MAX);
            message[..8].copy_from_slice(&stamp.to_le_bytes());
            self.line.send(&message)?;
            self.line.flush()?;
            sent += 1;
        }
        message[..8].copy_from_slice(&END.to_le_bytes());
        self.line.send(&message)?;
        self.line.flush()?;
        let seen = self.far.seen()?;
        // A queue that grows shows in its last message.
        let missed = late > self.course.part / 20;
        Ok(Paced { rate, sent, received: seen.received, missed, latency: seen.latency.unwrap_or_default() })
    }
}

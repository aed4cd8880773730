//! Deliveries per second and server processor time per delivery, with a bounded number of messages under way.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use super::gate::Gate;
use super::publishing::publish;
use super::receiving::receive;
use crate::error::{Error, Result};
use crate::process::cpu_ns;
use crate::wire::{STAMP_LEN, connect, subscribe};

/// Publishers, subscribers and payload; every subscriber gets every message. Written `8to8/128`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    pub(crate) publishers: usize,
    pub(crate) subscribers: usize,
    pub(crate) payload: usize,
}

impl Workload {
    pub(crate) const fn new(publishers: usize, subscribers: usize, payload: usize) -> Self {
        Self { publishers, subscribers, payload }
    }

    /// Messages that may be under way: 4 MiB of payload, between 256 and 16 Ki messages.
    pub(crate) fn window(&self) -> u64 {
        (4 * 1024 * 1024 / self.payload as u64).clamp(256, 16 * 1024)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}to{}/{}", self.publishers, self.subscribers, self.payload)
    }
}

impl FromStr for Workload {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (ends, payload) = text.split_once('/')?;
            let (publishers, subscribers) = ends.split_once("to")?;
            let (publishers, subscribers) = (publishers.parse().ok()?, subscribers.parse().ok()?);
            let payload = payload.parse().ok()?;
            let sound = (1..=256).contains(&publishers)
                && (1..=256).contains(&subscribers)
                && (STAMP_LEN..=128 * 1024).contains(&payload);
            sound.then_some(Self { publishers, subscribers, payload })
        };
        parse().ok_or_else(|| {
            Error::new(format!("expected a workload such as 1to8/128 (payload 8 to 131072 bytes), got {text:?}"))
        })
    }
}

/// How long a run warms up and measures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) warm_up: Duration,
    pub(crate) measure: Duration,
}

/// What one run found.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Sample {
    /// Deliveries per second, all subscribers together.
    pub(crate) rate: f64,
    /// Server processor time per delivery, in microseconds.
    pub(crate) cpu_us: Option<f64>,
}

/// Loads `server` and returns after every message sent has been received by every subscriber.
///
/// # Errors
/// If the server loses, repeats, cuts or reorders a message, or ends a connection.
pub(crate) fn throughput(server: SocketAddr, pid: Option<u32>, load: Workload, timing: Timing) -> Result<Sample> {
    let mut subscribers = Vec::new();
    for _ in 0..load.subscribers {
        let mut stream = connect(server)?;
        subscribe(&mut stream)?;
        subscribers.push(stream);
    }
    let publishers = (0..load.publishers).map(|_| connect(server)).collect::<Result<Vec<_>>>()?;
    let gate = Gate::new(load.subscribers, load.window());
    drive(
        &gate,
        pid,
        timing,
        |sent| receive(subscribers, load.publishers, load.payload, &gate, sent),
        || publish(&publishers, load.payload, &gate),
    )
}

/// Runs the two sides on a thread each, measures meanwhile, and returns after both have ended.
///
/// `publish` ends when the gate stops and returns how many it sent; `receive` is told that number and ends when it has as
/// many.
pub(crate) fn drive(
    gate: &Gate,
    pid: Option<u32>,
    timing: Timing,
    receive: impl FnOnce(&dyn Fn() -> Option<u64>) -> Result<()> + Send,
    publish: impl FnOnce() -> Result<u64> + Send,
) -> Result<Sample> {
    let sent = OnceLock::new();
    let sent = &sent;
    thread::scope(|scope| {
        let receiving = scope.spawn(move || receive(&|| sent.get().copied()).inspect_err(|_| gate.fail()));
        let publishing = scope.spawn(move || {
            let count = publish().inspect_err(|_| gate.fail())?;
            sent.set(count).expect("one thread publishes");
            Ok(())
        });
        let sample = measure(gate, pid, timing);
        gate.stop();
        let (receiving, publishing) = (join(receiving), join(publishing));
        receiving?;
        publishing?;
        sample
    })
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(Error::new("a thread of the load generator panicked")))
}

fn measure(gate: &Gate, pid: Option<u32>, timing: Timing) -> Result<Sample> {
    let cpu = || pid.map(cpu_ns).transpose();
    thread::sleep(timing.warm_up);
    let (start, deliveries, used) = (Instant::now(), gate.deliveries(), cpu()?);
    thread::sleep(timing.measure);
    let (elapsed, deliveries, end) = (start.elapsed(), gate.deliveries() - deliveries, cpu()?);
    let cpu_us = match (used, end) {
        (Some(used), Some(end)) if deliveries > 0 => Some((end - used) as f64 / 1e3 / deliveries as f64),
        _ => None,
    };
    Ok(Sample { rate: deliveries as f64 / elapsed.as_secs_f64(), cpu_us })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_reads_as_it_is_written() {
        let load = Workload::new(1, 8, 128);
        assert_eq!(load.to_string().parse::<Workload>().unwrap(), load);
        for wrong in ["", "1to8", "0to1/16", "1to1/7", "1to1/x"] {
            assert!(wrong.parse::<Workload>().is_err(), "{wrong}");
        }
    }
}

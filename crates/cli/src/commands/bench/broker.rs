//! Rate and latency through a broker, by our own client.
//!
//! With `--rate` messages leave on time whatever comes back (an open loop), and latency counts from the moment a message was due, so a
//! broker that stalls is not spared the messages that it held up.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crosstie::blocking::Client;
use hdrhistogram::Histogram;
use serde_json::json;

use super::{host::Host, percentiles::Percentiles};
use crate::{
    args::BenchArgs,
    commands::input::connect,
    exit::{Code, Failure},
    output::Output,
};

/// How many messages may be under way without a fixed rate, so that the broker is measured and not its buffers.
const WINDOW: u64 = 8192;

/// Bytes of a payload, unless set.
const SIZE: u32 = 128;

struct Run {
    begun: Instant,
    stop: AtomicBool,
    published: AtomicU64,
    /// The fewest messages any subscriber has received is what publishers may run ahead of.
    received: Vec<AtomicU64>,
}

pub(crate) fn run(args: &BenchArgs, server: &str, output: &Output) -> Result<(), Failure> {
    let subject = format!("crosstie.bench.{:016x}", fastrand::u64(..));
    let run = Arc::new(Run {
        begun: Instant::now(),
        stop: AtomicBool::new(false),
        published: AtomicU64::new(0),
        received: (0..args.subs).map(|_| AtomicU64::new(0)).collect(),
    });
    let ready = Arc::new(Barrier::new(usize::from(args.subs) + 1));
    let subscribers: Vec<_> = (0..args.subs)
        .map(|index| {
            let (run, ready, subject, client) =
                (Arc::clone(&run), Arc::clone(&ready), subject.clone(), connect(server)?);
            Ok(thread::spawn(move || subscribe(&client, &subject, &run, usize::from(index), &ready)))
        })
        .collect::<Result<_, Failure>>()?;
    ready.wait();
    if output.is_watched() {
        output.note(&format!("measuring for {} s …", args.seconds.as_secs_f64()));
    }
    // Before it begins: the load is that of others.
    let host = Host::now();
    let started = Instant::now();
    let publishers: Vec<_> = (0..args.pubs)
        .map(|_| {
            let (run, subject, client) = (Arc::clone(&run), subject.clone(), connect(server)?);
            let (size, rate) = (size(args) as usize, args.rate);
            Ok(thread::spawn(move || publish(&client, &subject, &run, size, rate)))
        })
        .collect::<Result<_, Failure>>()?;
    thread::sleep(args.seconds);
    run.stop.store(true, Ordering::Relaxed);
    let missed = args.rate.map(|rate| is_missed(rate, args, run.published.load(Ordering::Relaxed)));
    for publisher in publishers {
        publisher.join().map_err(|_| broken("a publisher has panicked"))??;
    }
    let elapsed = started.elapsed();
    let published = run.published.load(Ordering::Relaxed);
    let mut latency = Histogram::<u64>::new(3).map_err(broken)?;
    let (mut received, mut dropped) = (0, 0);
    for subscriber in subscribers {
        let seen = subscriber.join().map_err(|_| broken("a subscriber has panicked"))??;
        received += seen.count;
        dropped += seen.dropped;
        latency.add(&seen.latency).map_err(broken)?;
    }
    report(args, output, &host, elapsed, [published, received, dropped], missed, &latency)
}

fn size(args: &BenchArgs) -> u32 {
    args.size.unwrap_or(SIZE)
}

/// True if so much less was published than asked for that the figures are those of another rate.
fn is_missed(rate: u64, args: &BenchArgs, published: u64) -> bool {
    let asked = rate as f64 * f64::from(args.pubs) * args.seconds.as_secs_f64();
    // One message of each is due at the end.
    (published as f64) < asked * 0.95 - f64::from(args.pubs)
}

/// A measurement that cannot be trusted.
fn broken(what: impl ToString) -> Failure {
    Failure::new(Code::Failure, "bench", what.to_string())
}

struct Seen {
    count: u64,
    dropped: u64,
    latency: Histogram<u64>,
}

fn publish(client: &Client, subject: &str, run: &Run, size: usize, rate: Option<u64>) -> Result<(), Failure> {
    let subject: crosstie::Subject = subject.parse().map_err(|_| broken("the subject is one"))?;
    let begun = Instant::now();
    let mut sent = 0u64;
    while !run.stop.load(Ordering::Relaxed) {
        let due = match rate {
            Some(rate) => {
                let due = begun + Duration::from_secs_f64(sent as f64 / rate as f64);
                thread::sleep(due.saturating_duration_since(Instant::now()));
                due
            }
            None => {
                wait_for_window(run);
                Instant::now()
            }
        };
        let mut payload = vec![0u8; size];
        let since = u64::try_from(due.duration_since(run.begun).as_nanos()).unwrap_or(u64::MAX);
        payload[..8].copy_from_slice(&since.to_le_bytes());
        client.publish_message(crosstie::Message::new(subject.clone(), payload))?;
        run.published.fetch_add(1, Ordering::Relaxed);
        sent += 1;
    }
    Ok(client.flush()?)
}

fn wait_for_window(run: &Run) {
    let slowest = || run.received.iter().map(|count| count.load(Ordering::Relaxed)).min().unwrap_or(0);
    while run.published.load(Ordering::Relaxed).saturating_sub(slowest()) > WINDOW && !run.stop.load(Ordering::Relaxed)
    {
        thread::yield_now();
    }
}

fn subscribe(client: &Client, subject: &str, run: &Run, index: usize, ready: &Barrier) -> Result<Seen, Failure> {
    let subscribed = client.subscribe(subject).and_then(|subscription| client.flush().map(|()| subscription));
    ready.wait();
    let mut subscription = subscribed?;
    let mut latency = Histogram::new(3).map_err(broken)?;
    let mut count = 0;
    loop {
        match subscription.next_timeout(Duration::from_millis(300)) {
            Ok(Some(message)) => {
                count += 1;
                run.received[index].store(count, Ordering::Relaxed);
                if let Some(sent) = message.payload.first_chunk::<8>() {
                    let now = u64::try_from(run.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    let waited = now.saturating_sub(u64::from_le_bytes(*sent)).max(1);
                    latency.record(waited).map_err(broken)?;
                }
            }
            Ok(None) => break,
            // Quiet after the end is the end; before it, the rate is just low.
            Err(_) if run.stop.load(Ordering::Relaxed) => break,
            Err(_) => {}
        }
    }
    Ok(Seen { count, dropped: subscription.dropped(), latency })
}

fn report(
    args: &BenchArgs,
    output: &Output,
    host: &Host,
    elapsed: Duration,
    counts: [u64; 3],
    missed: Option<bool>,
    latency: &Histogram<u64>,
) -> Result<(), Failure> {
    let [published, received, dropped] = counts;
    let expected = published * u64::from(args.subs);
    let rate = |count: u64| (count as f64 / elapsed.as_secs_f64()) as u64;
    let latency = Percentiles::of(latency);
    let value = json!({
        "published": published, "received": received, "lost": expected.saturating_sub(received), "dropped_by_client": dropped,
        "seconds": elapsed.as_secs_f64(), "publish_rate": rate(published), "deliver_rate": rate(received),
        "size": size(args), "pubs": args.pubs, "subs": args.subs, "rate": args.rate, "rate_missed": missed,
        "latency_ns": latency.json(), "host": host.json(),
    });
    output.data(&value, || {
        let warning = args.rate.filter(|_| missed == Some(true)).map_or_else(String::new, |rate| {
            let asked = rate.saturating_mul(u64::from(args.pubs));
            format!("THE RATE WAS MISSED: asked for {asked}/s, see above; the latencies are those of a queue that grows\n")
        });
        let kind = if args.rate.is_some() { "latency from the moment due" } else { "latency under full load" };
        format!(
            "published  {published:>12}   {:>10}/s\nreceived   {received:>12}   {:>10}/s   lost {}\n{kind}: {}\n{warning}host: {}\n",
            rate(published),
            rate(received),
            expected.saturating_sub(received),
            latency.line(),
            host.line(),
        )
        .into_bytes()
    })
}

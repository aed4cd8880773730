//! The pipe keeps order and bounds whatever the seed, and a seed replays its run.

use std::time::Duration;

use crosstie_core::{Mono, Seeded};
use crosstie_sim::{Agenda, Log, Lost, Pipe, Weather};

const WEATHER: Weather = Weather { capacity: 64, longest_chunk: 9, longest_delay: Duration::from_millis(5) };

/// Sends 1,000 bytes through a pipe; what arrived, and the log's hash.
fn carry(seed: u64) -> (Vec<u8>, u64) {
    let (mut random, mut log, mut agenda) = (Seeded::new(seed), Log::new(), Agenda::new());
    let sent: Vec<u8> = (0..1000u32).map(|n| (n % 251) as u8).collect();
    let (mut pipe, mut written, mut arrived) = (Pipe::new(WEATHER), 0, Vec::new());
    agenda.plan(Mono::ZERO, ());
    while agenda.take().is_some() {
        let now = agenda.now();
        while let Some(chunk) = pipe.read(now).unwrap() {
            log.note(now, chunk.len());
            arrived.extend(chunk);
        }
        written += pipe.write(&sent[written..], now, &mut random).unwrap();
        assert!(pipe.held() <= WEATHER.capacity, "seed {seed}");
        if let Some(at) = pipe.next_arrival() {
            agenda.plan(at, ());
        }
    }
    (arrived, log.hash())
}

#[test]
fn bytes_arrive_in_order_and_whole_for_every_seed() {
    let sent: Vec<u8> = (0..1000u32).map(|n| (n % 251) as u8).collect();
    for seed in 0..100 {
        assert_eq!(carry(seed).0, sent, "seed {seed}");
    }
}

#[test]
fn a_seed_replays_its_run_and_another_does_not() {
    assert_eq!(carry(1).1, carry(1).1);
    assert_ne!(carry(1).1, carry(2).1);
}

#[test]
fn a_cut_loses_what_was_on_its_way() {
    let mut pipe = Pipe::new(WEATHER);
    pipe.write(b"lost", Mono::ZERO, &mut Seeded::new(3)).unwrap();
    pipe.cut();
    assert_eq!(pipe.read(Mono::MAX), Err(Lost));
    assert_eq!(pipe.write(b"x", Mono::ZERO, &mut Seeded::new(3)), Err(Lost));
    assert_eq!(pipe.held(), 0);
}

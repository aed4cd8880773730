//! Everything a seed decides before its run begins: the weather, the limits, who takes part, and what goes wrong when.

use std::time::Duration;

use crosstie_broker::Options;
use crosstie_client::ConnectOptions;
use crosstie_core::{Mono, Randomness, Seeded};

use crate::{
    fault::{Fault, FaultKind, Faults},
    pipe::Weather,
    sabotage::Sabotage,
};

/// How much of everything there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes that may wait in the broker for one client.
    pub(crate) pending: usize,
    /// Bytes that a client keeps while the server is away.
    pub(crate) kept: usize,
    /// Bytes that wait in a client before its user has to wait.
    pub(crate) write_buffer: usize,
    /// The longest padding of a payload.
    pub(crate) padding: usize,
}

impl Limits {
    /// The most output of a client: what is there before its user has to wait, one publication, what was kept, and the client's own words.
    pub(crate) const fn most_output(&self) -> usize {
        const OWN_WORDS: usize = 16 * 1024;
        self.write_buffer + self.kept + self.padding + OWN_WORDS
    }
}

/// What a seed decides.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) clients: usize,
    /// How many workers share the broker's connections.
    pub(crate) workers: usize,
    pub(crate) weather: Weather,
    pub(crate) limits: Limits,
    pub(crate) connect_timeout: Duration,
    /// The longest pause between two acts of one user.
    pub(crate) longest_idle: Duration,
    pub(crate) faults: Vec<(Mono, Fault)>,
    /// When all faults are over.
    pub(crate) faults_end: Mono,
    /// When all must work again.
    pub(crate) well_by: Mono,
    pub(crate) sabotage: Option<Sabotage>,
}

/// How long a client and the broker wait for a sign of life, and how many questions may stay unanswered.
const PING: (Duration, u32) = (Duration::from_millis(400), 2);
const WRITE_DEADLINE: Duration = Duration::from_millis(700);
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(300));
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How long users act and faults happen.
const BUSY: Duration = Duration::from_millis(2500);
/// How long after the last fault all must work again: a half-open connection has to be found out on either end, then a greeting may be
/// lost with a connection that was dialed in vain, and a pause follows each.
const HEALING: Duration = Duration::from_secs(6);

impl Plan {
    pub(crate) fn new(seed: u64, faults: Faults, sabotage: Option<Sabotage>) -> Self {
        let mut random = Seeded::new(seed ^ 0x5eed);
        let capacity = 64 << random.below(11);
        // A slower wire than this would take longer for the users' words than a run takes.
        let slowest = Duration::from_micros(capacity as u64 * 1000 / 128);
        let longest_delay = Duration::from_micros(1 + random.below(50_000)).min(slowest);
        let longest_chunk = [7, 64, 512, 65_536][random.below(4) as usize];
        let is_calm = faults.is_empty() || random.below(8) == 0;
        let pending: usize = if is_calm { 1 << 20 } else { 4096 << random.below(9) };
        // So tight that it is sure to be met.
        let pending = if sabotage == Some(Sabotage::LooseBroker) { 4096 } else { pending };
        let limits = Limits {
            pending,
            kept: 256 << random.below(8),
            write_buffer: 256 << random.below(8),
            padding: if pending >= 1 << 17 && capacity >= 4096 { 9000 } else { 100 },
        };
        let clients = 3 + random.below(4) as usize;
        let faults_end = Mono::ZERO + BUSY;
        let mut plan = Self {
            seed,
            clients,
            workers: 1 + random.below(3) as usize,
            weather: Weather { capacity, longest_chunk, longest_delay },
            limits,
            connect_timeout: CONNECT_TIMEOUT,
            longest_idle: Duration::from_millis(20 + random.below(100)),
            faults: Vec::new(),
            faults_end,
            well_by: faults_end + HEALING,
            sabotage,
        };
        if !is_calm {
            plan.faults = Fault::draw_all(faults, clients, BUSY, &mut plan.random("faults", 0));
        }
        plan
    }

    /// The source of chance for one purpose: what one part of a run draws changes nothing for another.
    pub(crate) fn random(&self, purpose: &str, n: u64) -> Seeded {
        let mut mixed = Seeded::new(self.seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ n);
        let salt = purpose.bytes().fold(0u64, |salt, byte| salt.wrapping_mul(257) ^ u64::from(byte));
        Seeded::new(mixed.next_u64() ^ salt)
    }

    /// What the broker is told.
    pub(crate) fn broker_options(&self) -> Options {
        let mut options = Options::default();
        options.limits.max_pending = self.limits.pending * self.loose(Sabotage::LooseBroker);
        options.ping_interval = PING.0;
        options.max_pings_out = PING.1;
        options.write_deadline = WRITE_DEADLINE;
        options
    }

    /// What a client is told.
    pub(crate) fn connect_options(&self, client: usize) -> ConnectOptions {
        ConnectOptions::new()
            .name(format!("client {client}"))
            .retry_on_initial_connect()
            .connect_timeout(self.connect_timeout)
            .ping(PING.0, PING.1)
            .backoff(BACKOFF.0, BACKOFF.1)
            .reconnect_buffer(self.limits.kept * self.loose(Sabotage::LooseClient))
            .write_buffer(self.limits.write_buffer)
    }

    /// The weather as the wires have it.
    pub(crate) fn wire_weather(&self) -> Weather {
        Weather { capacity: self.weather.capacity * self.loose(Sabotage::LooseWire), ..self.weather }
    }

    /// How many times a limit is too wide.
    fn loose(&self, sabotage: Sabotage) -> usize {
        if self.sabotage == Some(sabotage) { 64 } else { 1 }
    }

    /// A line about it, for the log.
    pub(crate) fn summary(&self) -> String {
        let kinds: Vec<&str> = self.faults.iter().map(|(_, fault)| FaultKind::of(fault).name()).collect();
        format!(
            "seed {}: {} clients, {} workers, {:?}, {:?}, faults {kinds:?}",
            self.seed, self.clients, self.workers, self.weather, self.limits
        )
    }
}

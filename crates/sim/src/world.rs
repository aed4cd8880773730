//! One run: the broker, its clients and the network between them, in one thread and in virtual time.

use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc, time::Duration};

use crosstie_core::{ManualClock, Mono, Randomness, Seeded};

use crate::{
    agenda::Agenda,
    fact::{Fact, Place},
    fault::Fault,
    guest::Guest,
    host::Host,
    judge::Judge,
    log::Log,
    plan::Plan,
    report::Report,
    sabotage::{Sabotage, Saboteur},
    user::User,
    wire::Side,
    wires::Wires,
};

/// What happens at a time.
enum Happening {
    /// A client program starts.
    Start {
        client: usize,
    },
    /// Its user does something.
    Act {
        client: usize,
    },
    /// Its session is due.
    Wake {
        client: usize,
    },
    /// Its attempt to connect is decided.
    Dial {
        client: usize,
        attempt: u64,
    },
    /// Something has arrived.
    Arrive {
        wire: u64,
        side: Side,
    },
    /// The broker has something due.
    Sweep,
    /// The fault of this number strikes.
    Strike(usize),
    /// An end learns that its connection is over.
    Tell {
        wire: u64,
        side: Side,
    },
    /// A client reads on.
    Resume {
        client: usize,
        stalls: u64,
    },
    /// The broker that leaves ends one more connection.
    Leave {
        life: u64,
        pause: Duration,
        away: Duration,
    },
    /// The broker is there again.
    Return {
        life: u64,
    },
    FaultsOver,
    ProbesBegin,
    Probe {
        client: usize,
        round: u64,
    },
    Flush {
        client: usize,
    },
    End,
}

/// A client program with its user.
struct Seat {
    guest: Guest,
    user: User,
    wake: Mono,
    stalls: u64,
}

/// How the broker is away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Away {
    /// Its system says so to whoever dials.
    Refusing,
    /// Nobody says anything.
    Silent,
}

pub(crate) struct World {
    plan: Plan,
    clock: Arc<ManualClock>,
    agenda: Agenda<Happening>,
    random: Seeded,
    wires: Wires,
    host: Option<Host>,
    /// How many brokers there were: what was planned for an earlier one means nothing to a later one.
    life: u64,
    away: Away,
    is_leaving: bool,
    sweep: Mono,
    seats: BTreeMap<usize, Seat>,
    touched: BTreeSet<usize>,
    refusing_until: Mono,
    hanging_until: Mono,
    saboteur: Saboteur,
    facts: Vec<Fact>,
    judge: Judge,
    log: Log,
    counts: BTreeMap<String, u64>,
}

/// How long a broken program takes to start again, at most.
const RESTART_MS: u64 = 400;
/// The most reactions to one happening, and to each other. Some thousands follow when a wide wire is filled by small chunks.
const MAX_ROUNDS: u32 = 100_000;
/// Between the probes' parts, so that each finds the one before done.
const STEP: Duration = Duration::from_millis(1500);

impl World {
    pub(crate) fn new(plan: Plan, log: Log) -> Self {
        let clock = Arc::new(ManualClock::new());
        let wires = Wires::new(Arc::clone(&clock));
        let saboteur = Saboteur::new(plan.sabotage, plan.random("sabotage", 0));
        let mut world = Self {
            random: plan.random("network", 0),
            clock,
            agenda: Agenda::new(),
            wires,
            host: None,
            life: 0,
            away: Away::Refusing,
            is_leaving: false,
            sweep: Mono::MAX,
            seats: BTreeMap::new(),
            touched: BTreeSet::new(),
            refusing_until: Mono::ZERO,
            hanging_until: Mono::ZERO,
            saboteur,
            facts: Vec::new(),
            judge: Judge::default(),
            log,
            counts: BTreeMap::new(),
            plan,
        };
        world.log.note(Mono::ZERO, world.plan.summary());
        world.plan_all();
        world
    }

    fn plan_all(&mut self) {
        let (over, well) = (self.plan.faults_end, self.plan.well_by);
        self.agenda.plan(Mono::ZERO, Happening::Return { life: 0 });
        for client in 0..self.plan.clients {
            let at = Mono::ZERO + Duration::from_micros(self.random.below(50_000));
            self.agenda.plan(at, Happening::Start { client });
        }
        for (n, (at, _)) in self.plan.faults.iter().enumerate() {
            self.agenda.plan(*at, Happening::Strike(n));
        }
        self.agenda.plan(over, Happening::FaultsOver);
        self.agenda.plan(well, Happening::ProbesBegin);
        self.agenda.plan(well + STEP * 4, Happening::End);
    }

    /// Runs to the end.
    pub(crate) fn run(mut self) -> Report {
        let (mut instant, mut count) = (Mono::ZERO, 0);
        while let Some(happening) = self.agenda.take() {
            count = if instant == self.now() { count + 1 } else { 0 };
            instant = self.now();
            self.clock.advance_to(self.agenda.now());
            let is_end = matches!(happening, Happening::End);
            self.happen(happening);
            let mut rests = self.settle();
            if count > MAX_ROUNDS {
                self.facts.push(Fact::Restless);
                rests = false;
            }
            self.tell();
            if is_end || !rests {
                break;
            }
        }
        self.count();
        let (violations, mut counts) = self.judge.finish();
        counts.extend(self.counts);
        Report { seed: self.plan.seed, hash: self.log.hash(), violations, counts, log: self.log }
    }

    const fn now(&self) -> Mono {
        self.agenda.now()
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now();
        match happening {
            Happening::Start { client } => self.start(client),
            Happening::Act { client } => self.act(client),
            Happening::Wake { client } => {
                if let Some(seat) = self.seats.get_mut(&client) {
                    seat.wake = Mono::MAX;
                    self.touched.insert(client);
                }
            }
            Happening::Dial { client, attempt } => self.dial(client, attempt),
            Happening::Arrive { wire, side } => self.arrive(wire, side),
            Happening::Sweep => {
                self.sweep = Mono::MAX;
                if let Some(host) = &mut self.host {
                    host.sweep(now);
                }
            }
            Happening::Strike(n) => self.strike(self.plan.faults[n].1),
            Happening::Tell { wire, side } => {
                if let Some(wire) = self.wires.get(wire) {
                    wire.tell(side);
                }
                self.arrive(wire, side);
            }
            Happening::Resume { client, stalls } => self.resume(client, stalls),
            Happening::Leave { life, pause, away } => self.leave(life, pause, away),
            Happening::Return { life } => self.come_back(life),
            Happening::FaultsOver => self.facts.push(Fact::FaultsOver),
            Happening::ProbesBegin => self.begin_probes(),
            Happening::Probe { client, round } => self.with(client, |seat, now, facts| {
                let epoch = seat.guest.epoch_of_publication();
                seat.user.probe(&mut seat.guest.session, round, epoch, now, facts);
            }),
            Happening::Flush { client } => {
                self.with(client, |seat, _, facts| seat.user.flush(&mut seat.guest.session, facts))
            }
            Happening::End => self.facts.push(Fact::End),
        }
    }

    fn with(&mut self, client: usize, act: impl FnOnce(&mut Seat, Mono, &mut Vec<Fact>)) {
        let now = self.now();
        if let Some(seat) = self.seats.get_mut(&client) {
            act(seat, now, &mut self.facts);
            self.touched.insert(client);
        }
    }

    // ── clients ─────────────────────────────────────────────────────────────────────────────────────────────────

    fn start(&mut self, client: usize) {
        let is_patient = self.saboteur.does(Sabotage::NoDeadline);
        let (guest, user) = (Guest::new(client, &self.plan), User::new(client, &self.plan, is_patient));
        self.seats.insert(client, Seat { guest, user, wake: Mono::MAX, stalls: 0 });
        self.with(client, |seat, _, facts| seat.user.begin(&mut seat.guest.session, facts));
        self.plan_act(client);
    }

    fn plan_act(&mut self, client: usize) {
        let nanos = self.random.below(self.plan.longest_idle.as_nanos() as u64) + self.saboteur.stray_number();
        let at = self.now() + Duration::from_nanos(nanos);
        if at < self.plan.faults_end {
            self.agenda.plan(at, Happening::Act { client });
        }
    }

    fn act(&mut self, client: usize) {
        if self.seats.contains_key(&client) {
            self.with(client, |seat, now, facts| {
                let epoch = seat.guest.epoch_of_publication();
                seat.user.act(&mut seat.guest.session, epoch, now, facts);
            });
            self.plan_act(client);
        }
    }

    fn dial(&mut self, client: usize, attempt: u64) {
        let now = self.now();
        let Some(seat) = self.seats.get_mut(&client) else { return };
        let is_dead = self.saboteur.does(Sabotage::NeverDial) && attempt > 1;
        let is_silent = self.host.is_none() && self.away == Away::Silent;
        if is_dead || is_silent || now < self.hanging_until {
            return;
        }
        self.touched.insert(client);
        if self.host.is_none() || self.is_leaving || now < self.refusing_until {
            return seat.guest.refused(attempt, now);
        }
        let wire = self.wires.make(client, &self.plan);
        if seat.guest.dialed(attempt, Arc::clone(&wire), now, &mut self.facts) {
            self.facts.push(Fact::Joined { client, wire: wire.id() });
            if let Some(host) = &mut self.host {
                host.accept(wire, now);
            }
        }
    }

    fn arrive(&mut self, wire: u64, side: Side) {
        let now = self.now();
        match side {
            Side::Broker => {
                self.wires.looked(wire, side);
                if let Some(host) = &mut self.host {
                    host.readable(wire, now);
                }
            }
            Side::Client => {
                let client = self.wires.client(wire);
                // Nobody looks again before a stalled client resumes.
                if let Some(seat) = self.seats.get_mut(&client).filter(|seat| !seat.guest.is_stalled) {
                    self.wires.looked(wire, side);
                    seat.guest.readable(wire, now, &mut self.facts, &mut self.saboteur);
                    self.touched.insert(client);
                }
            }
        }
    }

    fn resume(&mut self, client: usize, stalls: u64) {
        let Some(seat) = self.seats.get_mut(&client).filter(|seat| seat.stalls == stalls) else { return };
        seat.guest.is_stalled = false;
        if let Some(wire) = seat.guest.wire().map(|wire| wire.id()) {
            self.arrive(wire, Side::Client);
        }
    }

    // ── until nothing happens any more at this time ─────────────────────────────────────────────────────────────

    /// Lets everybody react to what was done, until nobody has anything left to do now. False if that never comes.
    fn settle(&mut self) -> bool {
        let mut rounds = 0;
        loop {
            rounds += 1;
            if rounds > MAX_ROUNDS {
                self.facts.push(Fact::Restless);
                return false;
            }
            let (stirred, touched) = (self.wires.stirred(), std::mem::take(&mut self.touched));
            if stirred.is_empty() && touched.is_empty() {
                break;
            }
            let now = self.now();
            for wire in stirred {
                if wire.room_for_client {
                    self.touched.insert(wire.client);
                }
                if let Some(host) = &mut self.host {
                    if wire.is_over {
                        host.readable(wire.id, now);
                    } else if wire.room_for_broker {
                        host.writable(wire.id, now);
                    }
                }
                for (at, side) in wire.arrivals {
                    self.agenda.plan(at, Happening::Arrive { wire: wire.id, side });
                }
            }
            for client in touched {
                self.turn(client);
            }
            self.note_left();
        }
        self.plan_sweep();
        self.measure();
        true
    }

    fn turn(&mut self, client: usize) {
        let now = self.now();
        let Some(seat) = self.seats.get_mut(&client) else { return };
        let wants = seat.guest.turn(&self.plan, now, &mut self.facts, &mut self.saboteur);
        let epoch = seat.guest.epoch_of_publication();
        seat.user.collect(&mut seat.guest.session, epoch, now, &mut self.facts);
        if seat.guest.session.has_output() && !seat.guest.has_backlog() {
            self.touched.insert(client);
        }
        let until = wants.until.min(seat.user.due());
        if until < seat.wake {
            seat.wake = until;
            self.agenda.plan(until, Happening::Wake { client });
        }
        if seat.guest.has_ended {
            self.seats.remove(&client);
            return self.replace(client);
        }
        if let Some(attempt) = wants.dial {
            let at = now + Duration::from_micros(100 + self.random.below(5000));
            self.agenda.plan(at, Happening::Dial { client, attempt });
        }
    }

    /// A client that has ended is followed by a new program in its place.
    fn replace(&mut self, client: usize) {
        let at = self.now() + Duration::from_millis(self.random.below(RESTART_MS));
        self.agenda.plan(at, Happening::Start { client: client + self.plan.clients });
    }

    fn note_left(&mut self) {
        for wire in self.host.as_mut().map(Host::take_left).unwrap_or_default() {
            self.facts.push(Fact::Left { client: self.wires.client(wire), wire });
        }
    }

    fn plan_sweep(&mut self) {
        let due = self.host.as_ref().map_or(Mono::MAX, Host::due);
        if due < self.sweep {
            self.sweep = due;
            self.agenda.plan(due, Happening::Sweep);
        }
    }

    fn measure(&mut self) {
        let now = self.now();
        let limit = self.plan.weather.capacity;
        self.facts.push(Fact::Held { place: Place::Wire, bytes: self.wires.held(), limit });
        if let Some(host) = &self.host {
            let (bytes, limit) = (host.most_pending(now), self.plan.limits.pending);
            self.facts.push(Fact::Held { place: Place::Broker, bytes, limit });
        }
    }

    /// Tells the log and the judge what has happened.
    fn tell(&mut self) {
        let now = self.now();
        for fact in std::mem::take(&mut self.facts) {
            if fact.is_logged() {
                self.log.note(now, format_args!("{fact:?}"));
            }
            self.judge.hear(&fact, now);
        }
    }

    fn begin_probes(&mut self) {
        self.facts.push(Fact::ProbesBegin);
        let clients: Vec<usize> = self.seats.keys().copied().collect();
        let now = self.now();
        for client in clients {
            self.agenda.plan(now, Happening::Flush { client });
            for round in 0..User::ROUNDS {
                let at = now + STEP + Duration::from_millis(30) * u32::try_from(round).unwrap_or(0);
                self.agenda.plan(at, Happening::Probe { client, round });
            }
            self.agenda.plan(now + STEP * 2, Happening::Flush { client });
            self.agenda.plan(now + STEP * 3, Happening::Flush { client });
        }
    }

    // ── faults ──────────────────────────────────────────────────────────────────────────────────────────────────

    fn strike(&mut self, fault: Fault) {
        let now = self.now();
        self.facts.push(Fact::Fault(format!("{fault:?}")));
        match fault {
            Fault::Cut { client, loses, client_notices, broker_notices } => {
                let Some(wire) = self.current(client).and_then(|id| self.seats[&id].guest.wire().cloned()) else {
                    return;
                };
                self.facts.push(Fact::Touched { client: self.wires.client(wire.id()) });
                if loses {
                    wire.sever()
                } else {
                    wire.interrupt()
                }
                for (side, after) in [(Side::Client, client_notices), (Side::Broker, broker_notices)] {
                    if let Some(after) = after {
                        self.agenda.plan(now + after, Happening::Tell { wire: wire.id(), side });
                    }
                }
            }
            Fault::Stall { client, time } => {
                let Some(seat) = self.current(client).and_then(|id| self.seats.get_mut(&id)) else { return };
                seat.stalls += 1;
                seat.guest.is_stalled = true;
                let (client, stalls) = (seat.guest.id(), seat.stalls);
                self.agenda.plan(now + time, Happening::Resume { client, stalls });
            }
            Fault::Kill { client, silently } => {
                let Some(client) = self.current(client) else { return };
                self.seats.remove(&client);
                for wire in self.wires.of(client) {
                    if silently { wire.sever() } else { wire.close(Side::Client) }
                }
                self.facts.push(Fact::Gone { client, is_killed: true });
                self.replace(client);
            }
            Fault::Refuse { time } => self.refusing_until = self.refusing_until.max(now + time),
            Fault::Hang { time } => self.hanging_until = self.hanging_until.max(now + time),
            Fault::Restart { silently, time } => self.go(if silently { Away::Silent } else { Away::Refusing }, time),
            Fault::LameDuck { grace, time } => {
                let Some(host) = self.host.as_mut().filter(|_| !self.is_leaving) else { return };
                host.lame_duck(now);
                self.is_leaving = true;
                let pause = grace / 4;
                self.agenda.plan(now + pause, Happening::Leave { life: self.life, pause, away: time });
            }
        }
    }

    /// The client program that has this place now.
    fn current(&self, place: usize) -> Option<usize> {
        self.seats.keys().copied().find(|client| client % self.plan.clients == place)
    }

    fn leave(&mut self, life: u64, pause: Duration, away: Duration) {
        let now = self.now();
        let Some(host) = self.host.as_mut().filter(|_| self.life == life) else { return };
        if host.disconnect_one(now) {
            self.agenda.plan(now + pause, Happening::Leave { life, pause, away });
        } else {
            self.go(Away::Refusing, away);
        }
    }

    /// The broker is gone, with all it knows, and comes back in time.
    fn go(&mut self, away: Away, time: Duration) {
        self.note_left();
        self.count();
        let Some(host) = self.host.take() else { return };
        for id in host.wires() {
            self.facts.push(Fact::Left { client: self.wires.client(id), wire: id });
            if let Some(wire) = self.wires.get(id) {
                match away {
                    Away::Silent => wire.sever(),
                    Away::Refusing => wire.close(Side::Broker),
                }
            }
        }
        (self.away, self.is_leaving) = (away, false);
        self.agenda.plan(self.now() + time, Happening::Return { life: self.life });
    }

    /// Adds up what this broker has done.
    fn count(&mut self) {
        let (slow, stale) = self.host.as_ref().map_or((0, 0), |host| host.cut_off(self.agenda.now()));
        for (name, count) in [("slow consumers", slow), ("stale connections", stale)] {
            *self.counts.entry(name.to_owned()).or_default() += count;
        }
    }

    fn come_back(&mut self, life: u64) {
        if self.life == life {
            self.life += 1;
            let (now, mut random) = (self.now(), self.plan.random("broker", self.life));
            self.host = Some(Host::new(self.plan.broker_options(), self.plan.workers, &mut random, now));
        }
    }
}

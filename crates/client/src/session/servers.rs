//! The servers a client knows, and when to try which.

use std::time::Duration;

use crosstie_core::{HostPort, Randomness, Target};

/// Addresses in the order in which they are tried. Those a server told of come behind those the user gave.
pub(super) struct Servers {
    /// Those the user gave, and behind them those a server told of.
    known: Vec<Target>,
    given: usize,
    /// Where the next attempt goes.
    next: usize,
    /// Attempts since the last success.
    failures: u32,
    /// Connections in a row that did not last.
    drops: u32,
    /// The last thing that went wrong was such a connection, or one that had lasted: not an attempt.
    dropped: bool,
}

impl Servers {
    /// How many addresses are kept at most.
    const MAX: usize = 256;

    /// The user's addresses, shuffled if there is `chance`, so that many clients with one list spread over its servers.
    pub(super) fn new(mut known: Vec<Target>, chance: Option<&mut dyn Randomness>) -> Self {
        if let Some(random) = chance {
            for last in (1..known.len()).rev() {
                known.swap(last, place(random, last));
            }
        }
        Self { given: known.len(), known, next: 0, failures: 0, drops: 0, dropped: false }
    }

    /// The address to try now; the one after it comes next time.
    pub(super) fn next(&mut self) -> Target {
        let target = self.known[self.next % self.known.len()].clone();
        self.next = (self.next + 1) % self.known.len();
        target
    }

    /// Those the user gave.
    pub(super) fn given(&self) -> &[Target] {
        &self.known[..self.given]
    }

    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// True if every server was tried in vain since the last success.
    pub(super) fn have_all_failed(&self) -> bool {
        self.round() > 0
    }

    fn round(&self) -> u32 {
        self.failures / u32::try_from(self.known.len()).unwrap_or(u32::MAX)
    }

    /// An attempt to connect failed.
    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.dropped = false;
    }

    /// A connection was lost. Only one that `lasted` shows that the servers are well again: a welcome alone may be followed by the next loss.
    pub(super) fn dropped(&mut self, lasted: bool) {
        self.failed();
        self.drops = if lasted { 1 } else { self.drops.saturating_add(1) };
        self.dropped = true;
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Takes over what a server told of, `host:port` with IPv6 in brackets, in place of what was told before: servers come and go, those the
    /// user gave stay. With `chance` each is put in a random place.
    pub(super) fn learn(&mut self, urls: &[String], mut chance: Option<&mut dyn Randomness>) {
        if urls.is_empty() {
            return;
        }
        let told: Vec<Target> = urls.iter().filter_map(|url| address(url)).collect();
        let mut at = self.given;
        while at < self.known.len() {
            if told.contains(&self.known[at]) {
                at += 1;
                continue;
            }
            self.known.remove(at);
            self.next -= usize::from(self.next > at);
        }
        for target in told {
            if self.known.len() >= Self::MAX || self.known.contains(&target) {
                continue;
            }
            let behind = self.known.len() - self.given;
            let at = self.given + chance.as_deref_mut().map_or(behind, |random| place(random, behind));
            self.known.insert(at, target);
            // Whoever's turn it was keeps it.
            self.next += usize::from(self.next > at);
        }
        self.next %= self.known.len();
    }

    /// How long to wait before the next attempt: always after a connection was lost, and otherwise nothing while there are servers not yet tried
    /// in this round. The pause doubles with every round, and with every connection that did not last; half of it is random.
    pub(super) fn pause(&self, (shortest, longest): (Duration, Duration), random: &mut dyn Randomness) -> Duration {
        let round = self.round();
        if round == 0 && self.failures > 0 && !self.dropped {
            return Duration::ZERO;
        }
        let step = round.max(self.drops).saturating_sub(1).min(20);
        let full = shortest.saturating_mul(1 << step).min(longest);
        let half = full / 2;
        half + Duration::from_nanos(random.below(u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).max(1)))
    }
}

/// A place from 0 to `last`.
fn place(random: &mut dyn Randomness, last: usize) -> usize {
    usize::try_from(random.below(last as u64 + 1)).expect("not above `last`")
}

fn address(url: &str) -> Option<Target> {
    let (host, port) = url.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some(Target::Tcp { host: HostPort { host, port: port.parse().ok()? } })
}

#[cfg(test)]
mod tests {
    use crosstie_core::Seeded;

    use super::*;

    fn targets(n: u16) -> Vec<Target> {
        (0..n).map(|port| Target::Tcp { host: HostPort { host: "h".into(), port } }).collect()
    }

    fn servers(n: u16) -> Servers {
        Servers::new(targets(n), None)
    }

    /// A round of attempts, as ports.
    fn round(servers: &mut Servers) -> Vec<u16> {
        let port = |target| if let Target::Tcp { host } = target { host.port } else { 0 };
        (0..servers.known.len()).map(|_| port(servers.next())).collect()
    }

    #[test]
    fn clients_with_one_list_begin_at_different_servers_and_try_all() {
        let mut firsts = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let mut order = round(&mut Servers::new(targets(4), Some(&mut Seeded::new(seed))));
            firsts.insert(order[0]);
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3]);
        }
        assert_eq!(firsts.len(), 4, "every one is somebody's first");
    }

    #[test]
    fn control_without_chance_the_order_is_the_users() {
        assert_eq!(round(&mut servers(4)), [0, 1, 2, 3]);
    }

    #[test]
    fn what_servers_told_before_makes_room_and_nobody_loses_its_turn() {
        let mut servers = servers(2);
        let told = |ports: &[u16]| ports.iter().map(|port| format!("h:{port}")).collect::<Vec<_>>();
        servers.learn(&told(&[0, 7, 8, 9]), Some(&mut Seeded::new(3)));
        let mut all = round(&mut servers);
        assert_eq!(all[..2], [0, 1], "those of the user come first");
        all.sort_unstable();
        assert_eq!(all, [0, 1, 7, 8, 9]);
        servers.next();
        servers.learn(&told(&[9]), None);
        assert_eq!(round(&mut servers), [1, 9, 0]);
        servers.learn(&[], None);
        assert_eq!(servers.known.len(), 3, "a server that tells nothing takes nothing away");
    }

    #[test]
    fn the_pause_doubles_up_to_its_limit_and_is_jittered() {
        let mut servers = servers(1);
        let limits = (Duration::from_millis(100), Duration::from_secs(1));
        let mut random = Seeded::new(1);
        let mut last = Duration::ZERO;
        for expected in [100, 200, 400, 800, 1000, 1000] {
            servers.failed();
            let pause = servers.pause(limits, &mut random);
            let full = Duration::from_millis(expected);
            assert!(pause >= full / 2 && pause < full, "{pause:?} of {full:?}");
            assert_ne!(pause, last, "jitter");
            last = pause;
        }
    }

    #[test]
    fn all_servers_are_tried_before_a_pause() {
        let mut servers = servers(3);
        servers.failed();
        assert_eq!(
            servers.pause((Duration::from_secs(1), Duration::from_secs(9)), &mut Seeded::new(1)),
            Duration::ZERO
        );
        assert_eq!(
            (0..4).map(|_| servers.next().to_string()).collect::<Vec<_>>(),
            ["tcp://h:0", "tcp://h:1", "tcp://h:2", "tcp://h:0"]
        );
    }

    #[test]
    fn servers_that_welcome_and_drop_are_tried_ever_more_slowly() {
        let mut servers = servers(3);
        let limits = (Duration::from_millis(100), Duration::from_secs(1));
        let mut random = Seeded::new(1);
        let mut drop = |servers: &mut Servers, lasted| {
            servers.succeeded();
            servers.dropped(lasted);
            servers.pause(limits, &mut random)
        };
        for expected in [100, 200, 400, 800, 1000, 1000] {
            let (pause, full) = (drop(&mut servers, false), Duration::from_millis(expected));
            assert!(pause >= full / 2 && pause < full, "{pause:?} of {full:?}");
        }
        let pause = drop(&mut servers, true);
        assert!(pause >= limits.0 / 2 && pause < limits.0, "{pause:?} after a connection that had lasted");
        servers.failed();
        assert_eq!(servers.pause(limits, &mut random), Duration::ZERO, "the others are tried without a pause");
    }

    #[test]
    fn what_servers_tell_is_learnt_once() {
        let mut servers = servers(1);
        servers.learn(&["[::1]:5".into(), "h:0".into(), "nonsense".into(), "[::1]:5".into()], None);
        assert_eq!(servers.known.len(), 2);
    }
}

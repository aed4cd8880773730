//! The servers a client knows, and when to try which.

use std::time::Duration;

use crosstie_core::{HostPort, Randomness, Target};

/// Addresses in the order in which they are tried. Those a server told of are added behind those the user gave.
pub(super) struct Servers {
    known: Vec<Target>,
    next: usize,
    /// Attempts since the last success.
    failures: u32,
}

impl Servers {
    /// How many addresses are kept at most.
    const MAX: usize = 256;

    pub(super) const fn new(known: Vec<Target>) -> Self {
        Self { known, next: 0, failures: 0 }
    }

    /// The address to try now; the one after it comes next time.
    pub(super) fn next(&mut self) -> Target {
        let target = self.known[self.next % self.known.len()].clone();
        self.next = (self.next + 1) % self.known.len();
        target
    }

    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Adds what a server told of: `host:port`, IPv6 in brackets.
    pub(super) fn learn(&mut self, urls: &[String]) {
        for url in urls {
            let Some((host, port)) = url.rsplit_once(':') else {
                continue;
            };
            let Ok(port) = port.parse() else { continue };
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let target = Target::Tcp { host: HostPort { host, port } };
            if self.known.len() < Self::MAX && !self.known.contains(&target) {
                self.known.push(target);
            }
        }
    }

    /// How long to wait before the next attempt: nothing while there are servers not yet tried in this round, then a pause that
    /// doubles with every round, half of it random.
    pub(super) fn pause(&self, (shortest, longest): (Duration, Duration), random: &mut dyn Randomness) -> Duration {
        let round = self.failures / u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        if round == 0 && self.failures > 0 {
            return Duration::ZERO;
        }
        let full = shortest.saturating_mul(1 << round.saturating_sub(1).min(20)).min(longest);
        let half = full / 2;
        half + Duration::from_nanos(random.below(u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).max(1)))
    }
}

#[cfg(test)]
mod tests {
    use crosstie_core::Seeded;

    use super::*;

    fn servers(n: u16) -> Servers {
        Servers::new((0..n).map(|port| Target::Tcp { host: HostPort { host: "h".into(), port } }).collect())
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
    fn what_servers_tell_is_learnt_once() {
        let mut servers = servers(1);
        servers.learn(&["[::1]:5".into(), "h:0".into(), "nonsense".into(), "[::1]:5".into()]);
        assert_eq!(servers.known.len(), 2);
    }
}

//! A row of the table for each attack, and what is wrong with it.

use std::time::Duration;

use super::honest::Figures;

/// What became of an attack.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// The part of a core that the attacker used.
    pub(super) share: f64,
    pub(super) figures: Figures,
    /// The higher 99th percentile with a server that nobody attacked, at the same time.
    pub(super) elsewhere: Duration,
    /// The most memory that the server had resident.
    pub(super) peak: u64,
    /// What is wrong whatever the latency was.
    pub(super) troubles: Vec<String>,
    pub(super) tolerated: Duration,
}

pub(super) const HEAD: &str = "\
attack              its CPU   messages p99, ms   requests p99, ms   spared    newcomers worst, ms      RSS peak   verdict
                               quiet   attack     quiet   attack    server     quiet  attack (count)        MiB
------------------------------------------------------------------------------------------------------------------";

impl Row {
    pub(super) fn line(&self) -> String {
        let ms = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1e3);
        let f = &self.figures;
        format!(
            "{:<18} {:>6.1} %  {:>6}   {:>6}    {:>6}   {:>6}    {:>6}    {:>6}  {:>6} {:>7}    {:>7.1}   {}",
            self.name,
            self.share * 100.0,
            ms(f.messages.quiet),
            ms(f.messages.attack),
            ms(f.requests.quiet),
            ms(f.requests.attack),
            ms(self.elsewhere),
            ms(f.newcomers.quiet),
            ms(f.newcomers.attack),
            format!("({})", f.newcomer_count),
            self.peak as f64 / f64::from(1 << 20),
            match self.verdict() {
                Some(_) => "FAILED".to_owned(),
                None if self.lateness(self.tolerated).is_some() => "ok (machine)".to_owned(),
                None => "ok".to_owned(),
            },
        )
    }

    /// What is wrong, if anything.
    pub(super) fn verdict(&self) -> Option<String> {
        let mut all = self.troubles.clone();
        all.extend(self.lateness(self.tolerated.max(2 * self.elsewhere)));
        (!all.is_empty()).then(|| format!("{}: {}", self.name, all.join("; ")))
    }

    /// True if nothing was wrong but the time it took, even if the machine was to blame for that.
    pub(super) fn is_worth_another_round(&self) -> bool {
        self.troubles.is_empty() && self.lateness(self.tolerated).is_some()
    }

    fn lateness(&self, tolerated: Duration) -> Option<String> {
        let f = &self.figures;
        let late = [("messages", &f.messages), ("requests", &f.requests)].into_iter().filter_map(|(what, times)| {
            let limit = (2 * times.quiet).max(tolerated);
            (times.attack > limit).then(|| format!("{what} late: p99 {:.1?}, limit {limit:.1?}", times.attack))
        });
        let late: Vec<_> = late.collect();
        (!late.is_empty()).then(|| late.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::honest::Times;

    fn row(quiet_ms: u64, attack_ms: u64, troubles: &[&str]) -> Row {
        let times = Times { quiet: Duration::from_millis(quiet_ms), attack: Duration::from_millis(attack_ms) };
        let figures =
            Figures { messages: times, requests: times, newcomers: times, newcomer_count: 1, troubles: Vec::new() };
        let troubles = troubles.iter().map(ToString::to_string).collect();
        let elsewhere = Duration::ZERO;
        Row { name: "x", share: 0.2, figures, elsewhere, peak: 1, troubles, tolerated: Duration::from_millis(2) }
    }

    #[test]
    fn twice_the_quiet_time_or_the_tolerated_is_well() {
        assert_eq!(row(0, 2, &[]).verdict(), None);
        assert_eq!(row(5, 10, &[]).verdict(), None);
    }

    #[test]
    fn control_more_than_that_is_late_and_trouble_is_final() {
        assert!(row(1, 3, &[]).is_worth_another_round());
        assert!(row(5, 11, &[]).verdict().is_some_and(|why| why.contains("late")));
        assert!(!row(1, 3, &["dead"]).is_worth_another_round());
        assert!(row(1, 1, &["dead"]).line().contains("FAILED"));
        assert_eq!(row(1, 1, &["dead"]).verdict().as_deref(), Some("x: dead"));
    }

    #[test]
    fn what_a_spared_server_meets_with_is_the_machines_doing() {
        let late = row(1, 9, &[]);
        assert!(late.line().contains("FAILED"));
        let row = Row { elsewhere: Duration::from_millis(5), ..late };
        assert!(row.line().contains("ok (machine)") && row.verdict().is_none() && row.is_worth_another_round());
    }
}

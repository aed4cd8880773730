//! A rate that is kept: so many bytes per second, without bursts after a pause.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The pace of one direction.
pub(super) struct Pace {
    rate: Option<u64>,
    due: Instant,
}

/// Pieces leave so often, so that what is slow is slow evenly.
const PIECES_PER_SECOND: u64 = 20;

impl Pace {
    pub(super) fn new(rate: Option<u64>) -> Self {
        Self { rate, due: Instant::now() }
    }

    /// The most bytes to read at a time, out of `most`.
    pub(super) fn piece(&self, most: usize) -> usize {
        let piece = self.rate.map_or(u64::MAX, |rate| (rate / PIECES_PER_SECOND).max(1));
        most.min(usize::try_from(piece).unwrap_or(usize::MAX))
    }

    /// Waits until `bytes` more may go.
    pub(super) async fn wait(&mut self, bytes: usize) {
        let Some(rate) = self.rate else { return };
        sleep_until(self.due).await;
        let took = Duration::from_secs_f64(bytes as f64 / rate as f64);
        // What was not used while nothing came is not made up for.
        self.due = self.due.max(Instant::now()) + took;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(act: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(act);
    }

    #[test]
    fn so_many_bytes_take_so_long_and_a_pause_is_not_made_up_for() {
        run(async {
            let begun = Instant::now();
            let mut pace = Pace::new(Some(1_000_000));
            assert_eq!(pace.piece(1 << 20), 50_000);
            // The first goes at once, the others one after the other.
            for _ in 0..5 {
                pace.wait(50_000).await;
            }
            assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
            sleep_until(Instant::now() + Duration::from_millis(300)).await;
            let again = Instant::now();
            for _ in 0..3 {
                pace.wait(50_000).await;
            }
            assert!(again.elapsed() >= Duration::from_millis(100), "{:?}", again.elapsed());
        });
    }

    #[test]
    fn control_without_a_rate_nothing_waits() {
        run(async {
            let mut pace = Pace::new(None);
            assert_eq!(pace.piece(1 << 20), 1 << 20);
            let begun = Instant::now();
            for _ in 0..1000 {
                pace.wait(usize::MAX).await;
            }
            assert!(begun.elapsed() < Duration::from_secs(10));
        });
    }
}

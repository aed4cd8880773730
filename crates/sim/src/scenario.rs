//! What a run is told: which faults may happen, and which promise is broken on purpose.

use crate::{fault::Faults, log::Log, plan::Plan, report::Report, sabotage::Sabotage, world::World};

/// What every run of a series has in common.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Which faults may happen.
    pub faults: Faults,
    /// Which promise is broken.
    pub sabotage: Option<Sabotage>,
    /// How many lines of the log are kept.
    pub log_lines: usize,
}

impl Default for Scenario {
    fn default() -> Self {
        Self { faults: Faults::all(), sabotage: None, log_lines: 200 }
    }
}

impl Scenario {
    /// Runs one seed. The same seed gives the same report, on every machine.
    pub fn run(&self, seed: u64) -> Report {
        let plan = Plan::new(seed, self.faults.clone(), self.sabotage);
        World::new(plan, Log::keeping(self.log_lines)).run()
    }
}

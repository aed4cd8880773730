//! The faults of one connection: what its plan decides, and where that is written down.

use std::{sync::Arc, time::Duration};

use crosstie_core::fault::{Decision, Direction, Fault, Plan, Taken};

use super::log::FaultLog;

/// What meets one connection.
#[derive(Clone)]
pub(crate) struct FaultLine {
    plan: Arc<Plan>,
    connection: u64,
    log: FaultLog,
    /// How long a frame waits for one that overtakes it.
    hold: Duration,
}

impl FaultLine {
    pub(crate) const fn new(plan: Arc<Plan>, connection: u64, log: FaultLog, hold: Duration) -> Self {
        Self { plan, connection, log, hold }
    }

    pub(crate) const fn log(&self) -> &FaultLog {
        &self.log
    }

    pub(crate) const fn hold(&self) -> Duration {
        self.hold
    }

    pub(crate) fn decide(&self, direction: Direction, frame: u64, len: usize) -> Decision {
        self.plan.decide(self.connection, direction, frame, u32::try_from(len).unwrap_or(u32::MAX))
    }

    pub(crate) fn note(&self, direction: Direction, frame: u64, fault: Fault) -> Taken {
        let taken = Taken { connection: self.connection, direction, frame, fault };
        self.log.note(taken);
        taken
    }
}

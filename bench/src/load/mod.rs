//! The load generator: raw sockets, one thread per side, so that the broker and not its load is measured.

mod gate;
mod idle;
mod paced;
mod publishing;
mod receiving;
mod throughput;

pub(crate) use self::idle::{Idle, idle};
pub(crate) use self::paced::{Paced, paced};
pub(crate) use self::throughput::{Sample, Timing, Workload, throughput};

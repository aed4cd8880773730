//! The load generator: raw sockets, one thread per side, so that the broker and not its load is measured.

mod gate;
mod idle;
mod paced;
mod publishing;
mod receiving;
mod throughput;

pub(crate) use self::gate::Gate;
pub(crate) use self::idle::{idle, raise_files};
pub(crate) use self::paced::paced;
pub(crate) use self::publishing::publish;
pub(crate) use self::receiving::receive;
pub(crate) use self::throughput::{Sample, Timing, Workload, drive, throughput};

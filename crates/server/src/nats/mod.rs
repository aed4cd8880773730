//! nats-server's contract: its command line, its configuration files, its ports file, as far as core NATS goes.

mod address;
mod flags;
mod grammar;
mod invocation;
mod keys;
mod refused;

pub use self::invocation::main_nats;

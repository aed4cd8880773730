//! nats-server's contract: its command line, its configuration files, its ports file, as far as core NATS goes.

mod address;
mod grammar;
mod keys;
mod refused;



//! The server process: configuration, signals, logs and monitoring around the broker.
//!
//! [`main_serve`] is `crosstie serve` with Crosstie's own configuration, [`main_nats`] is `crosstie nats` with nats-server's command
//! line; both block until a signal ends them. [`Server`] is the same server inside a process that has a log and signals of its own.
#![forbid(unsafe_code)]

mod config;
#[doc(hidden)]
pub mod fuzzing;
mod monitor;
mod nats;
mod process;
mod regular_file;
mod serve;
mod settings;
mod tree;

pub use crosstie_broker::NATS_VERSION;

pub use crate::{
    config::{KEYS, Key, Layers, Loaded, Origin, check_config, commented, mistakes, reference, values},
    nats::{main_nats, run_nats},
    process::{SignalCommand, send_signal},
    serve::{Server, main_serve},
    settings::{LogFormat, LogSettings, Settings},
    tree::ConfigError,
};

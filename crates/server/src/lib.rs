//! The server process: configuration, signals, logs and monitoring around the broker.
#![forbid(unsafe_code)]

mod nats;
mod settings;
mod tree;

pub use crate::{
    settings::{LogFormat, LogSettings, Settings},
    tree::ConfigError,
};

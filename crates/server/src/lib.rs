//! The server process: configuration, signals, logs and monitoring around the broker.

#![forbid(unsafe_code)]

//! The server process: configuration, signals, logs and monitoring around the broker.

//! Protocols as state machines: bytes and now in, frames and actions out.

//! Transports: TCP, Unix socket and in-memory streams behind one trait.
#![forbid(unsafe_code)]

mod socket;

pub use crate::socket::{Peer, SocketListener, SocketTransport};

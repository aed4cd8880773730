//! Transports: TCP and Unix sockets, and a pair in memory, behind the same traits.
//!
//! | file | what it is for |
//! | --- | --- |
//! | `socket/` | listeners and connections that never block, for a reactor |
//! | `connect` | active connections, for tokio and for a thread of its own |
//! | `memory` | two ends in this process, for tests and simulations |
#![forbid(unsafe_code)]

mod connect;
mod memory;
mod socket;

pub use crate::{
    connect::{AsyncStream, connect, connect_async},
    memory::{MemoryTransport, memory_pair},
    socket::{Peer, SocketListener, SocketTransport},
};

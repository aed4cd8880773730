//! The operating system: the only Crosstie crate that may call it with unsafe code.
//!
//! One idea per file, each with a safe face. rustix is used where it has the call, libc where it has not.
#![warn(unsafe_op_in_unsafe_fn)]

mod limits;
mod poller;
mod socket;

pub use crate::{
    limits::{raise_descriptor_limit, reserve_descriptors, widen_backlog},
    poller::{Event, Interest, Poller, Waker},
    socket::{PeerProcess, begin_tcp, connect_unix, connect_unix_abstract, connection_error, peer_process, wait_ready},
};

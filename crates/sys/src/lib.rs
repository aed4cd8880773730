//! The operating system: the only Crosstie crate that calls it with unsafe code.
//!
//! One idea per file, each with a safe face. rustix is used where it has the call, libc where it has not.
//!
//! | for | there is |
//! | --- | --- |
//! | memory | [`Mapping`], [`sealed_memory`], [`unnamed_file`] with [`reserve`] and [`publish`] |
//! | waiting | [`futex`], [`time_slice`], [`Poller`], [`Signal`] (an eventfd), [`ProcessHandle`] (a pidfd) |
//! | life and death | [`range_lock`], [`ForkClosed`], [`Incarnation`], [`process`] |
//! | handing over | [`send_descriptors`], [`receive_descriptors`], [`tell_senders`] |
//!
//! Two features are for tests: `trial` (processes to be killed) and `crash-points` (named places where a process may end).
#![warn(unsafe_op_in_unsafe_fn)]

mod crash;
mod datagram;
mod descriptors;
mod fork;
pub mod futex;
mod incarnation;
mod inheritance;
mod inherited;
mod limits;
mod mapping;
pub mod membarrier;
mod memory_file;
mod monotonic;
mod poller;
pub mod process;
mod process_handle;
pub mod processors;
mod publish;
pub mod range_lock;
mod signal;
mod socket;
pub mod time_slice;
#[cfg(feature = "trial")]
pub mod trial;

pub use crate::crash::uncounted;
#[cfg(feature = "crash-points")]
pub use crate::crash::{CrashPlan, NEXT_POINT, Planned, hit, plan_crash};
pub use crate::{
    datagram::{receive_from_process, tell_senders},
    descriptors::{
        MAX_DESCRIPTORS, receive_descriptors, send_descriptors, try_receive_descriptors, try_send_descriptors,
    },
    fork::ForkClosed,
    incarnation::Incarnation,
    inheritance::Inheritance,
    inherited::{DescriptorKind, Direction, inherited, pass_on, reopened},
    limits::{raise_descriptor_limit, reserve_descriptors, widen_backlog},
    mapping::{Access, Mapping, page_size},
    memory_file::{is_sealed, sealed_memory},
    monotonic::monotonic_nanos,
    poller::{Event, Interest, Poller, Waker},
    process_handle::ProcessHandle,
    publish::{publish, reserve, unnamed_file},
    signal::Signal,
    socket::{
        PeerLife, PeerProcess, begin_tcp, connect_unix, connect_unix_abstract, connection_error, is_listening,
        peer_life, peer_process, unconfirmed, wait_ready,
    },
};

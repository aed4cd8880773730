//! The shared-memory plane: memory that several processes share and that stays whole when one of them dies.
//!
//! | to | take | what a killed process leaves |
//! | --- | --- | --- |
//! | change a value, one process at a time | [`Region`], [`Mutex`] | the value as it was last committed; the next holder is told |
//! | change parts of a large value | [`TxRegion`] | as above, by an undo journal |
//! | change a value that many hold to read | [`RwLock`] | as above; its readers are withdrawn |
//! | let so many in at a time | [`Semaphore`] | its permits return |
//! | send messages from one process to another | [`Ring`], [`ByteRing`] | what was sent is received, whole; its successor goes on |
//! | hand over large messages without copying | [`Pool`], and a ring for the tokens | its buffers return |
//! | publish the newest value of something | [`Latest`] | the last whole value |
//! | wait for several of these at once | [`Notifier`], [`wait_any`] | whoever waits for it is woken |
//!
//! All of them have `create`, `open` and `open_or_create`, which take a [`Directory`] and a name, and wait until a [`Deadline`] ([`deadline_after`],
//! [`Deadline::NEVER`]). At most 32 may take part in one at a time, fewer in a ring; a [`Latest`] is made for so many readers.
//!
//! A [`Segment`] is one stretch of shared memory; a [`Participant`] is this process's place in it. Everything else stands on
//! these two, and what else is here is for tools that look at them. What a segment holds, byte by byte, is in `docs/segment-format.md`.
//!
//! # Unsafe code
//!
//! Three things are not for the compiler to see, and each has one keeper. That an address lies within the mapping and is aligned: `Section` and
//! `Segment` check it against a header that was checked as a copy, and a handle keeps the memory mapped. That a reference to memory which others
//! write is allowed: types behind one are made of atomics alone, which [`Shared`] says. That bytes which somebody else left are a value: that is
//! what [`ShmSafe`] says, and the derive checks.
//!
//! Atomics come through [`sync`] alone, so that loom can take their place (`--cfg loom`).
#![deny(clippy::undocumented_unsafe_blocks)]

#[cfg(not(all(target_os = "linux", target_endian = "little", target_pointer_width = "64")))]
compile_error!("the shared-memory plane needs a 64-bit, little-endian Linux");

mod faults;
mod latest;
mod layout;
mod lock;
#[cfg(all(test, loom))]
mod models;
mod pool;
mod ring;
mod steps;
mod stream;
pub mod sync;
mod wait;

#[cfg(not(loom))]
mod anatomy;
#[cfg(not(loom))]
mod clock;
#[cfg(not(loom))]
mod death;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod events;
#[cfg(not(loom))]
mod header;
#[cfg(not(loom))]
mod housekeeping;
#[cfg(not(loom))]
mod inspect;
#[cfg(not(loom))]
mod name;
#[cfg(not(loom))]
mod notifier;
#[cfg(not(loom))]
mod participant;
#[cfg(not(loom))]
mod random;
#[cfg(not(loom))]
mod recoverers;
#[cfg(not(loom))]
mod schema;
#[cfg(not(loom))]
mod segment;
#[cfg(not(loom))]
mod value_seen;

pub use crate::layout::{
    Event, EventRow, LockCell, ParticipantId, ParticipantSlot, ParticipantState, Standing, WaiterEntry, WaiterRow,
};

#[cfg(not(loom))]
pub use crate::{
    anatomy::{Span, SpanRole},
    clock::{deadline_after, now, wall},
    death::Death,
    error::{Error, Result},
    events::{Act, Happened},
    header::{FeatureClass, Features, Header, Kind, LAYOUT, Refusal, SectionKind, SectionRow, SegmentId, State},
    housekeeping::{Outcome, Swept, remove, sweep},
    inspect::ParticipantInfo,
    latest::{Latest, Reader, Snapshot, Writer},
    lock::{
        Acquired, Fenced, HeldPart, LockError, LockHolder, LockKind, LockOutcome, LockStatus, LockWaiter, Mutex,
        MutexGuard, MutexWaiter, Permit, PermitWaiter, ReadGuard, Recovery, Region, RegionGuard, RegionWaiter, RwLock,
        RwLockWaiter, Semaphore, TxError, TxGuard, TxRegion, TxWaiter, WriteGuard,
    },
    name::{NameError, SegmentName},
    notifier::Notifier,
    participant::{Keeper, Life, Participant},
    pool::{Pool, PoolLoan, PoolSample, PoolWaiter, SizeClass, Token},
    ring::{
        Awaited, ByteReceiver, ByteRing, ByteSender, Frame, FrameLoan, Loan, ReceiveError, Receiver, Ring, Sample,
        SendError, Sender, wait_any,
    },
    schema::{Element, Reserved, ShmSafe},
    segment::{Directory, Expect, Listed, Pinned, Section, Segment, Shared, Spec},
    stream::{StreamMemory, StreamSide, Wakes},
    value_seen::ValueSeen,
    wait::WaitPolicy,
};
#[doc(inline)]
#[cfg(not(loom))]
pub use crosstie_macros::ShmSafe;
// What is given to the methods here, and what they give.
#[doc(inline)]
#[cfg(not(loom))]
pub use crosstie_core::{Deadline, FencingToken, Mono};

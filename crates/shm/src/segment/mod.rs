//! One stretch of memory that several processes map, with everything in it that they need to share it safely.
//!
//! ```text
//! spec       what to build, what to expect        directory  where named segments live
//! memory     the mapping, and views into it       named      create, open, replace, remove, by name
//!                                                 anonymous  create, hand over, receive
//! ```

mod anonymous;
mod directory;
mod memory;
mod named;
mod spec;

pub(crate) use self::{directory::TEMPORARY, memory::READY};
pub use self::{
    directory::{Directory, Listed},
    memory::{Pinned, Section, Segment, Shared},
    spec::{Expect, Spec},
};

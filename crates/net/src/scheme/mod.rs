//! The schemes, one file each: how it listens, how it connects.

pub(crate) mod exec;
pub(crate) mod fd;
pub(crate) mod fifo;
pub(crate) mod mem;
pub(crate) mod pipe;
pub(crate) mod shm;
pub(crate) mod socket;
pub(crate) mod tcp;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod unix;

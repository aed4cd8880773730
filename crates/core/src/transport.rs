//! An ordered, two-way stream of bytes that never blocks.

use std::io::{self, IoSlice};

/// One end of a connection.
///
/// Every method takes `&self`, since reading and writing go on from different threads: the thread that read a message writes it
/// to the subscriber itself. An implementation with state of its own (TLS) guards that state inside.
///
/// Nothing blocks: where a call would, it returns [`io::ErrorKind::WouldBlock`], and the driver waits for readiness in
/// its own way (a descriptor and epoll, or the simulation's event queue).
pub trait ByteTransport: Send + Sync {
    /// Reads what is there into `buf`; `Ok(0)` means the peer has ended its direction.
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes as much as fits now, from several slices in order, and returns how many bytes that were.
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Ends both directions. Reads and writes that come later return an error or end of stream.
    fn shutdown(&self);
}

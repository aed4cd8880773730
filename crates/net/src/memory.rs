//! Two ends of a connection in this process.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crosstie_core::ByteTransport;

/// One end. What one end writes the other reads; each direction holds a bounded number of bytes.
pub struct MemoryTransport {
    inbound: Arc<Mutex<Direction>>,
    outbound: Arc<Mutex<Direction>>,
}

struct Direction {
    bytes: VecDeque<u8>,
    capacity: usize,
    closed: bool,
}

/// Two ends that are connected, with room for `capacity` bytes on the way in each direction.
pub fn memory_pair(capacity: usize) -> (MemoryTransport, MemoryTransport) {
    let direction = || Arc::new(Mutex::new(Direction { bytes: VecDeque::new(), capacity, closed: false }));
    let (there, back) = (direction(), direction());
    let first = MemoryTransport { inbound: Arc::clone(&back), outbound: Arc::clone(&there) };
    (first, MemoryTransport { inbound: there, outbound: back })
}

fn lock(direction: &Mutex<Direction>) -> MutexGuard<'_, Direction> {
    direction.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ByteTransport for MemoryTransport {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut inbound = lock(&self.inbound);
        if inbound.bytes.is_empty() {
            return if inbound.closed { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let count = buf.len().min(inbound.bytes.len());
        for (slot, byte) in buf.iter_mut().zip(inbound.bytes.drain(..count)) {
            *slot = byte;
        }
        Ok(count)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut outbound = lock(&self.outbound);
        if outbound.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = outbound.capacity - outbound.bytes.len();
        let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
        if room == 0 && wanted > 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let bytes = slices.iter().flat_map(|slice| slice.iter().copied());
        outbound.bytes.extend(bytes.take(room));
        Ok(wanted.min(room))
    }

    fn shutdown(&self) {
        lock(&self.inbound).closed = true;
        lock(&self.outbound).closed = true;
    }
}

impl Drop for MemoryTransport {
    fn drop(&mut self) {
        self.shutdown();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_in_order_and_no_more_than_fit() {
        let (a, b) = memory_pair(4);
        assert_eq!(a.try_write(&[IoSlice::new(b"ab"), IoSlice::new(b"cde")]).unwrap(), 4);
        assert_eq!(a.try_write(&[IoSlice::new(b"e")]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let mut buf = [0; 8];
        assert_eq!(b.try_read(&mut buf).unwrap(), 4);
        assert_eq!(&buf[..4], b"abcd");
        assert_eq!(b.try_read(&mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn what_was_written_before_the_end_is_still_read() {
        let (a, b) = memory_pair(4);
        a.try_write(&[IoSlice::new(b"x")]).unwrap();
        drop(a);
        let mut buf = [0; 8];
        assert_eq!((b.try_read(&mut buf).unwrap(), b.try_read(&mut buf).unwrap()), (1, 0));
        assert_eq!(b.try_write(&[IoSlice::new(b"y")]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}

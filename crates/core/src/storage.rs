//! A flat file, as a trait: what a durable format asks of the medium.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

/// A resizable array of bytes that can be forced to durable storage.
///
/// Five operations are all that a log needs, so a test can put a disk in their place that loses unsynced writes or fails at
/// the n-th call. Reads and writes are positioned; nothing is appended implicitly.
///
/// # Durability
///
/// Bytes survive a crash of the machine only after [`Storage::sync_data`] has returned `Ok`. After an error of it nothing
/// may be assumed of any write since the last success, and the call must not be repeated.
pub trait Storage: Send + Sync {
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// True if the length is zero.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or extends with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Fills `buf` from `offset`; an error of kind `UnexpectedEof` if there are not as many bytes.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `data` at `offset`, extending if needed.
    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()>;
    /// Forces content and length to durable storage.
    fn sync_data(&self) -> io::Result<()>;
}

/// Storage in this process's memory. It survives nothing.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    bytes: Mutex<Vec<u8>>,
}

impl MemoryStorage {
    fn with<T>(&self, act: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        act(&mut self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

impl Storage for MemoryStorage {
    fn len(&self) -> io::Result<u64> {
        Ok(self.with(|bytes| bytes.len() as u64))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = index(len)?;
        self.with(|bytes| bytes.resize(len, 0));
        Ok(())
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let start = index(offset)?;
        self.with(|bytes| {
            let end = start.checked_add(buf.len()).filter(|end| *end <= bytes.len());
            let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
            buf.copy_from_slice(&bytes[start..end]);
            Ok(())
        })
    }

    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let start = index(offset)?;
        let end = start.checked_add(data.len()).ok_or(io::ErrorKind::InvalidInput)?;
        self.with(|bytes| {
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[start..end].copy_from_slice(data);
        });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_past_the_end_extends_with_zeros_and_a_read_past_it_fails() {
        let storage = MemoryStorage::default();
        storage.write_all_at(b"xy", 3).unwrap();
        let mut all = [9; 5];
        storage.read_exact_at(&mut all, 0).unwrap();
        assert_eq!(&all, b"\0\0\0xy");
        assert_eq!(storage.read_exact_at(&mut all, 1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

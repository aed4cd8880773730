//! Memory without a name: a memfd that nobody can shrink, grow or unseal.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};

/// The seals that make a mapping safe from faults: its length is fixed for ever.
const FIXED_LENGTH: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// A new memory file of `len` zero bytes, sealed in its length. `name` shows up in `/proc` and nowhere else.
///
/// # Errors
///
/// The operating system's: too little memory, too many descriptors.
pub fn sealed_memory(name: &str, len: u64) -> io::Result<OwnedFd> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    super::reserve(&file, len)?;
    fcntl_add_seals(&file, FIXED_LENGTH)?;
    Ok(file)
}

/// True if nobody can change the file's length any more.
///
/// # Errors
///
/// The operating system's; `InvalidInput` if it is no memory file.
pub fn is_sealed(file: impl AsFd) -> io::Result<bool> {
    Ok(fcntl_get_seals(file)?.contains(SealFlags::SHRINK | SealFlags::GROW))
}

#[cfg(test)]
mod tests {
    use rustix::fs::ftruncate;

    use super::*;

    #[test]
    fn a_sealed_file_keeps_its_length() {
        let file = sealed_memory("fixed", 8192).unwrap();
        assert!(is_sealed(&file).unwrap());
        assert!(ftruncate(&file, 4096).is_err());
        assert!(ftruncate(&file, 16384).is_err());
    }
}

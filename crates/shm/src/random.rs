//! Numbers that nobody else has.

use std::{fs::File, io, io::Read};

/// Sixteen random bytes of the kernel's.
pub(crate) fn sixteen_bytes() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

//! What both ends do with a stream of bytes, whoever made it.

use std::io::{Read, Write};

use super::place::Side;
use crate::error::{Error, Result};

/// Does so many rounds on behalf of one side. Both are called with the same counts.
pub(super) type Rounds = Box<dyn FnMut(u64) -> Result<()>>;

/// A small message.
pub(super) const SMALL: usize = 64;
/// A large one.
pub(super) const LARGE: usize = 64 * 1024;

/// A small message there and back, one after the other.
pub(super) fn echo(side: Side, mut stream: impl Read + Write + 'static) -> Rounds {
    let mut message = [b'x'; SMALL];
    Box::new(move |count| {
        for _ in 0..count {
            if side == Side::Measurer {
                stream.write_all(&message)?;
            }
            stream.read_exact(&mut message)?;
            if side == Side::Peer {
                stream.write_all(&message)?;
            }
        }
        Ok(())
    })
}

/// Messages from the measurer to the peer, one write for each, and in the end one byte back.
pub(super) fn one_way(side: Side, mut stream: impl Read + Write + 'static, size: usize) -> Rounds {
    let message = vec![b'x'; size];
    let mut read = vec![0; LARGE];
    Box::new(move |count| {
        if side == Side::Measurer {
            for _ in 0..count {
                stream.write_all(&message)?;
            }
            return Ok(stream.read_exact(&mut read[..1])?);
        }
        let mut left = count * size as u64;
        while left > 0 {
            // Nothing of the next rounds comes before the answer to these.
            let came = stream.read(&mut read)?;
            if came == 0 || read[..came].iter().step_by(4096).any(|byte| *byte != b'x') {
                return Err(Error::new("expected more of the same bytes"));
            }
            left -= came as u64;
        }
        Ok(stream.write_all(b"!")?)
    })
}

//! Segments without a name: sealed memory, handed from process to process over Unix sockets.

use std::os::fd::{AsFd, OwnedFd};

use super::{
    memory::Segment,
    spec::{Expect, Spec},
};
use crate::{
    error::{Error, Result},
    header::Refusal,
};

/// What messages call a segment before its own name is known.
const RECEIVED: &str = "(received)";
/// The byte that carries the descriptor.
const GREETING: [u8; 1] = *b"S";

impl Segment {
    /// A new segment that only this process and those to whom it is [sent](Self::send) can map. It ends when the last of them lets go of it.
    /// `fill` sees it first. `name` is for people and may be empty.
    ///
    /// # Errors
    ///
    /// [`Error::Spec`], [`Error::NoSpace`], what `fill` says, the operating system's.
    pub fn anonymous(name: &str, spec: &Spec, fill: impl FnOnce(&Self) -> Result<()>) -> Result<Self> {
        if name.len() > 64 {
            return Err(Error::Spec { what: format!("a name of at most 64 bytes, came {}", name.len()) });
        }
        let header = Self::plan(spec, name, 1)?;
        let bytes = header.len;
        let file = crosstie_sys::sealed_memory("crosstie", bytes).map_err(|source| match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::OutOfMemory => {
                Error::NoSpace { segment: name.to_owned(), bytes, place: "memory".to_owned() }
            }
            _ => Error::System { doing: format!("making {bytes} bytes of memory for segment `{name}`"), source },
        })?;
        Self::build(file, header, fill)
    }

    /// The segment behind a descriptor that another process sent. It must be sealed in its length, so that nobody can take memory away
    /// that is mapped here.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], and the operating system's.
    pub fn from_descriptor(file: OwnedFd, expect: &Expect) -> Result<Self> {
        let is_sealed = crosstie_sys::is_sealed(&file);
        if !matches!(is_sealed, Ok(true)) {
            let came = if is_sealed.is_ok() { "memory that can be made shorter" } else { "something else" };
            let refusal = Refusal::NotMemory { expected: "memory sealed in its length", came: came.to_owned() };
            return Err(Error::Refused { segment: RECEIVED.to_owned(), refusal });
        }
        Self::of_file(file, expect, RECEIVED)
    }

    /// Hands it to the process at the other end of a Unix socket, which [receives](Self::receive) it.
    ///
    /// # Errors
    ///
    /// The operating system's.
    ///
    /// # Blocking
    ///
    /// While the socket has no room, unless it is non-blocking.
    pub fn send(&self, socket: impl AsFd) -> Result<()> {
        crosstie_sys::send_descriptors(socket, &GREETING, &[self.as_fd()])
            .map(|_| ())
            .map_err(Error::system(format!("sending segment `{}`", self.label())))
    }

    /// The segment that the process at the other end of a Unix socket [sends](Self::send).
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if what came is none; the operating system's, `UnexpectedEof` if nothing more comes.
    ///
    /// # Blocking
    ///
    /// Until it comes, unless the socket is non-blocking or has a time-out.
    pub fn receive(socket: impl AsFd, expect: &Expect) -> Result<Self> {
        let doing = || Error::system("receiving a segment");
        let mut byte = [0; 1];
        let (count, descriptors) = crosstie_sys::receive_descriptors(socket, &mut byte).map_err(doing())?;
        if count == 0 {
            return Err(doing()(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let came = descriptors.len();
        match <[OwnedFd; 1]>::try_from(descriptors) {
            Ok([file]) if byte == GREETING => Self::from_descriptor(file, expect),
            _ => {
                let came = format!("{came} descriptors with byte {:#04x}", byte[0]);
                let refusal = Refusal::NotMemory { expected: "one descriptor with byte 0x53", came };
                Err(Error::Refused { segment: RECEIVED.to_owned(), refusal })
            }
        }
    }
}

//! What the two ends of datagrams in shared memory have to agree on.

use std::io;

use crosstie_core::UnixAddress;
use crosstie_shm::Directory;

use crate::shared_stream::Form;

/// Bytes of one sender that wait to be received.
const CAPACITY: u32 = 256 * 1024;

pub(super) const LETTERS: Form = Form { magic: b"ctletter", capacity: CAPACITY };

/// The longest datagram: it has the ring for itself, and its length is written before it.
pub(crate) const LONGEST: usize = CAPACITY as usize - size_of::<u32>();

/// Senders that one receiver hears. Each has memory for its ring, two of which are mapped, and six descriptors at either end.
pub(crate) const MOST_SENDERS: usize = 64;

/// What the receiver says to one more.
pub(super) const NO_PLACE: u8 = b'F';

/// Where the socket of a name is: only this user can reach it.
pub(super) fn address(name: &str) -> io::Result<UnixAddress> {
    let directory = Directory::of_user().map_err(io::Error::other)?;
    Ok(UnixAddress::Path(directory.path().join(format!("{name}.letters"))))
}

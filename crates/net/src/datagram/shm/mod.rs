//! Datagrams over `shm:`: one ring of letters for each sender, in sealed memory that it hands over a Unix socket.
//!
//! A sender is alone with its ring, so it never waits for another's, and one that dies in the middle of writing has written nothing. The socket carries
//! nothing after the greeting but its end, which is that of the other side; or one byte from a receiver who has no place left.

mod form;
mod receiver;
mod sender;

pub(crate) use self::form::{LONGEST, MOST_SENDERS};
pub(super) use self::{receiver::receive, sender::send};

//! Descriptors handed to another process over a Unix socket.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, recvmsg, sendmsg,
    },
};

/// The most descriptors that one message carries here.
pub const MAX_DESCRIPTORS: usize = 16;

const SPACE: usize = rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS));

/// Sends `bytes` (at least one) with `descriptors` and returns how many of the bytes went. The receiver gets descriptors of its own for the same open
/// file descriptions: whatever a description holds, such as a lock, both hold.
///
/// # Errors
///
/// `InvalidInput` for no bytes or more than [`MAX_DESCRIPTORS`]; others of the operating system.
///
/// # Blocking
///
/// While the socket has no room, unless it is non-blocking.
pub fn send_descriptors(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    send(socket.as_fd(), bytes, descriptors, SendFlags::empty())
}

/// As [`send_descriptors`], but never waits, whatever the socket does.
///
/// # Errors
///
/// As [`send_descriptors`]; `WouldBlock`.
pub fn try_send_descriptors(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    send(socket.as_fd(), bytes, descriptors, SendFlags::DONTWAIT)
}

fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>], flags: SendFlags) -> io::Result<usize> {
    if bytes.is_empty() || descriptors.len() > MAX_DESCRIPTORS {
        let what = format!(
            "expected at least 1 byte and at most {MAX_DESCRIPTORS} descriptors, came {} and {}",
            bytes.len(),
            descriptors.len()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        let fits = control.push(SendAncillaryMessage::ScmRights(descriptors));
        assert!(fits, "the space was counted for this many");
    }
    loop {
        match sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags | SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome?),
        }
    }
}

/// Receives bytes into `bytes` and the descriptors that came with them, closed on exec. Zero bytes are the end of the stream.
///
/// # Errors
///
/// `InvalidData` if more than [`MAX_DESCRIPTORS`] came (they are closed); others of the operating system.
///
/// # Blocking
///
/// Until something comes, unless the socket is non-blocking or has a time-out.
pub fn receive_descriptors(socket: impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    receive(socket.as_fd(), bytes, RecvFlags::empty())
}

/// As [`receive_descriptors`], but never waits, whatever the socket does.
///
/// # Errors
///
/// As [`receive_descriptors`]; `WouldBlock`.
pub fn try_receive_descriptors(socket: impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    receive(socket.as_fd(), bytes, RecvFlags::DONTWAIT)
}

fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8], flags: RecvFlags) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, flags | RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            outcome => break outcome?,
        }
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            descriptors.extend(came);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        let what = format!("expected at most {MAX_DESCRIPTORS} descriptors in a message, more came");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok((received.bytes, descriptors))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read, os::unix::net::UnixStream};

    use super::*;

    #[test]
    fn a_descriptor_arrives_as_another_number_for_the_same_thing() {
        let (here, there) = UnixStream::pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        assert_eq!(send_descriptors(&here, b"a pipe", &[writer.as_fd()]).unwrap(), 6);
        drop(writer);
        let mut bytes = [0; 16];
        let (count, descriptors) = receive_descriptors(&there, &mut bytes).unwrap();
        assert_eq!(&bytes[..count], b"a pipe");
        let [writer] = <[OwnedFd; 1]>::try_from(descriptors).unwrap();
        io::Write::write_all(&mut File::from(writer), b"through").unwrap();
        let mut told = String::new();
        reader.read_to_string(&mut told).unwrap();
        assert_eq!(told, "through");
    }

    #[test]
    fn too_many_are_refused_and_the_end_of_the_stream_is_zero_bytes() {
        let (here, there) = UnixStream::pair().unwrap();
        let many = [here.as_fd(); MAX_DESCRIPTORS + 1];
        assert_eq!(send_descriptors(&here, b"x", &many).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        drop(here);
        assert_eq!(receive_descriptors(&there, &mut [0; 8]).unwrap().0, 0);
    }
}

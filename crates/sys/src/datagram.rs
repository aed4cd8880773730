//! Datagrams with who sent them, for which the kernel vouches.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd},
};

use crate::socket::PeerProcess;

/// Has the kernel say with each datagram that comes to a Unix socket who sent it. Call it before the socket has a name, so that none comes without.
///
/// # Errors
///
/// The operating system's.
pub fn tell_senders(socket: impl AsFd) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_passcred(socket, true)?)
}

/// Room for the credentials and for nothing else: descriptors that somebody sends along are let go by the kernel.
#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; SPACE]);

// SAFETY: CMSG_SPACE computes a size and touches no memory.
const SPACE: usize = unsafe { libc::CMSG_SPACE(size_of::<libc::ucred>() as libc::c_uint) } as usize;

/// Takes a datagram without waiting: how long it is, which may be more than fits into `buf`, and who sent it, if the kernel [says so](tell_senders).
///
/// # Errors
///
/// `WouldBlock` if none is there; others of the operating system.
pub fn receive_from_process(socket: impl AsFd, buf: &mut [u8]) -> io::Result<(usize, Option<PeerProcess>)> {
    let mut bytes = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    let mut control = Control([const { MaybeUninit::uninit() }; SPACE]);
    // SAFETY: a `msghdr` of zeroes is a valid one that has neither name, bytes nor control.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut bytes;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = SPACE;
    // With TRUNC the kernel tells the whole length, whatever fits.
    let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC | libc::MSG_CMSG_CLOEXEC;
    let count = loop {
        // SAFETY: `message` leads to `buf` and `control`, with their lengths, and both outlive the call; the descriptor is open, since it is borrowed.
        let count = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, flags) };
        match usize::try_from(count) {
            Ok(count) => break count,
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    };
    Ok((count, sender(&message)))
}

fn sender(message: &libc::msghdr) -> Option<PeerProcess> {
    // SAFETY: the kernel has set the length of the control that it wrote, which lies in memory that the caller still holds; CMSG_FIRSTHDR gives null if
    // that has no room for a header.
    let first = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() }?;
    let is_sender = first.cmsg_level == libc::SOL_SOCKET
        && first.cmsg_type == libc::SCM_CREDENTIALS
        && first.cmsg_len as usize >= size_of::<libc::cmsghdr>() + size_of::<libc::ucred>();
    if !is_sender {
        return None;
    }
    // SAFETY: the header says that a `ucred` follows it, as long as one is; any bytes make one, and it need not be aligned.
    let credentials = unsafe { libc::CMSG_DATA(first).cast::<libc::ucred>().read_unaligned() };
    Some(PeerProcess { pid: credentials.pid.unsigned_abs(), uid: credentials.uid, gid: credentials.gid })
}

#[cfg(test)]
mod tests {
    use std::{io::IoSlice, os::unix::net::UnixDatagram};

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    #[test]
    fn the_kernel_says_who_sent_each() {
        let (here, there) = UnixDatagram::pair().unwrap();
        here.send(b"before it was asked").unwrap();
        tell_senders(&there).unwrap();
        here.send(b"hello").unwrap();
        let mut buf = [0; 8];
        let (len, _) = receive_from_process(&there, &mut buf).unwrap();
        assert_eq!(len, 19, "the whole length, whatever fits");
        let (len, sender) = receive_from_process(&there, &mut buf).unwrap();
        assert_eq!(&buf[..len], b"hello");
        let sender = sender.unwrap();
        assert_eq!((sender.pid, sender.uid), (std::process::id(), rustix::process::getuid().as_raw()));
        assert_eq!(receive_from_process(&there, &mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        // The control: nobody asked, nobody says.
        there.send(b"back").unwrap();
        assert_eq!(receive_from_process(&here, &mut buf).unwrap(), (4, None));
    }

    #[test]
    fn descriptors_that_come_along_are_not_kept() {
        let (here, there) = UnixDatagram::pair().unwrap();
        tell_senders(&there).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [writer.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        sendmsg(&here, &[IoSlice::new(b"x")], &mut control, SendFlags::empty()).unwrap();
        drop(writer);
        let (len, sender) = receive_from_process(&there, &mut [0; 8]).unwrap();
        assert!(len == 1 && sender.is_some());
        // All of its writers are gone, or this would wait for ever.
        assert_eq!(io::Read::read(&mut &reader, &mut [0; 8]).unwrap(), 0);
    }
}

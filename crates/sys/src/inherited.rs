//! Descriptors that this process was started with, known by their numbers.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    sync::{Mutex, PoisonError},
};

use rustix::{
    fs::{FileType, Mode, OFlags, fcntl_getfl, fstat, open},
    io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd},
};

/// The numbers of standard input, output and error, which the standard library uses as long as the process lives.
const STANDARD: RawFd = 3;

/// Takes the descriptor that this process inherited under `number`. It can be taken once; those below 3 are copied, because the
/// standard library keeps them.
///
/// What was inherited is told from what this process has opened by the flag *close on exec*: whoever inherits a descriptor finds it without, and
/// everything that is opened in Rust has it. What was taken gets it.
///
/// # Errors
///
/// `NotFound` if there is no such descriptor; `ResourceBusy` if it was opened by this process, or taken already.
pub fn inherited(number: u32) -> io::Result<OwnedFd> {
    /// Two who take the same must not both find it without the flag.
    static TAKING: Mutex<()> = Mutex::new(());
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("this process inherited no descriptor {number}"));
    let number = RawFd::try_from(number).map_err(|_| missing())?;
    let _taking = TAKING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the borrow ends within this function, and is used only to ask about the number: if there is no such descriptor, the answer is so.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = match fcntl_getfd(borrowed) {
        Ok(flags) => flags,
        Err(Errno::BADF) => return Err(missing()),
        Err(error) => return Err(error.into()),
    };
    if number < STANDARD {
        return Ok(fcntl_dupfd_cloexec(borrowed, STANDARD)?);
    }
    if flags.contains(FdFlags::CLOEXEC) {
        let text = format!("descriptor {number} was not inherited: this process has opened it, or taken it already");
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
    }
    fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    // SAFETY: it is open and was inherited, so no value of this process owns it; the flag that was just set keeps it from being taken twice.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Makes a descriptor one that children inherit under its number, which is returned, and that [`inherited`] takes.
///
/// # Errors
///
/// The operating system's.
pub fn pass_on(descriptor: OwnedFd) -> io::Result<u32> {
    use std::os::fd::IntoRawFd;
    fcntl_setfd(&descriptor, FdFlags::empty())?;
    Ok(descriptor.into_raw_fd().unsigned_abs())
}

/// What a descriptor leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptorKind {
    /// A socket.
    Socket,
    /// A pipe, with or without a name.
    Pipe,
    /// A terminal or another device.
    Device,
    /// A file, always ready.
    File,
}

/// In which directions a descriptor can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Reading only.
    Read,
    /// Writing only.
    Write,
    /// Both.
    Both,
}

impl DescriptorKind {
    /// The kind of a descriptor, and its direction.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a directory and the like; the operating system's.
    pub fn of(descriptor: impl AsFd) -> io::Result<(Self, Direction)> {
        let direction = match fcntl_getfl(&descriptor)? & OFlags::RWMODE {
            OFlags::RDONLY => Direction::Read,
            OFlags::WRONLY => Direction::Write,
            _ => Direction::Both,
        };
        let kind = match FileType::from_raw_mode(fstat(&descriptor)?.st_mode) {
            FileType::Socket => Self::Socket,
            FileType::Fifo => Self::Pipe,
            FileType::CharacterDevice => Self::Device,
            FileType::RegularFile => Self::File,
            other => {
                let text = format!("expected a socket, pipe, device or file, found {other:?}");
                return Err(io::Error::new(io::ErrorKind::Unsupported, text));
            }
        };
        Ok((kind, direction))
    }
}

/// The same pipe or device through an open file description of its own, which does not block. Whoever else has the old one is left as it was.
///
/// # Errors
///
/// The operating system's: `PermissionDenied` for a terminal of somebody else.
pub fn reopened(descriptor: impl AsFd, direction: Direction) -> io::Result<OwnedFd> {
    let access = match direction {
        Direction::Read => OFlags::RDONLY,
        Direction::Write => OFlags::WRONLY,
        Direction::Both => OFlags::RDWR,
    };
    let path = format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd());
    Ok(open(path, access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_inherited_is_taken_once_and_what_was_opened_is_not() {
        let (reader, _writer) = io::pipe().unwrap();
        let own = reader.as_raw_fd().unsigned_abs();
        assert_eq!(inherited(own).unwrap_err().kind(), io::ErrorKind::ResourceBusy, "this process opened it");
        let number = pass_on(reader.into()).unwrap();
        let taken = inherited(number).unwrap();
        assert_eq!(inherited(number).unwrap_err().kind(), io::ErrorKind::ResourceBusy, "it is taken");
        assert_eq!(DescriptorKind::of(&taken).unwrap(), (DescriptorKind::Pipe, Direction::Read));
        assert_eq!(inherited(1_000_000).unwrap_err().kind(), io::ErrorKind::NotFound);
        // The standard ones are copied, again and again.
        assert!(inherited(0).is_ok() && inherited(0).is_ok());
    }

    #[test]
    fn a_reopened_pipe_does_not_block_and_leaves_the_other_alone() {
        let (reader, _writer) = io::pipe().unwrap();
        let again = reopened(&reader, Direction::Read).unwrap();
        assert_eq!(rustix::io::read(&again, &mut [0; 1]), Err(Errno::AGAIN));
        assert!(!fcntl_getfl(&reader).unwrap().contains(OFlags::NONBLOCK));
    }
}

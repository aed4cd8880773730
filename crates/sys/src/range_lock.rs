//! Locks on single bytes of a file that belong to an open file description and end with it.
//!
//! Of all locks on files these are the only ones that fit: they do not vanish when some other descriptor of the file is closed (as those of
//! POSIX do), they cover a byte (as `flock` does not), and the kernel drops them when the last descriptor of the description closes, however
//! its process ended. The other side of it: whoever got the descriptor by `fork` or over a socket holds the lock as well. A byte may lie
//! beyond the end of the file.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

/// Takes the write lock of byte `at` for the description behind `file`, without waiting. False means that another description has it; what
/// this description has already is given again.
///
/// # Errors
///
/// The operating system's; the file must be open for writing.
pub fn try_lock(file: impl AsFd, at: u64) -> io::Result<bool> {
    let mut request = request(libc::F_WRLCK, at);
    match control(&file, libc::F_OFD_SETLK, &mut request) {
        Ok(()) => Ok(true),
        // POSIX allows both.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives back the lock of byte `at`. Not having it is no error.
///
/// # Errors
///
/// The operating system's.
pub fn unlock(file: impl AsFd, at: u64) -> io::Result<()> {
    control(&file, libc::F_OFD_SETLK, &mut request(libc::F_UNLCK, at))
}

/// True if a description other than that behind `file` has the lock of byte `at`.
///
/// # Errors
///
/// The operating system's.
pub fn is_locked_elsewhere(file: impl AsFd, at: u64) -> io::Result<bool> {
    let mut request = request(libc::F_WRLCK, at);
    control(&file, libc::F_OFD_GETLK, &mut request)?;
    Ok(i32::from(request.l_type) != libc::F_UNLCK)
}

fn request(kind: libc::c_int, at: u64) -> libc::flock {
    // SAFETY: `flock` is a record of integers, for which zero is a value; the process id must be zero for these locks.
    let mut request: libc::flock = unsafe { std::mem::zeroed() };
    request.l_type = i16::try_from(kind).expect("the kinds of locks are small numbers");
    request.l_whence = i16::try_from(libc::SEEK_SET).expect("the ways to seek are small numbers");
    request.l_start = i64::try_from(at).expect("a place in a file is below 2^63");
    request.l_len = 1;
    request
}

fn control(file: &impl AsFd, command: libc::c_int, request: &mut libc::flock) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed for the call, and the three commands take a `flock` that is ours alone.
    let outcome = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), command, std::ptr::from_mut(request)) };
    if outcome == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::OwnedFd};

    use super::*;

    fn reopened(file: &OwnedFd) -> File {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        File::options().read(true).write(true).open(path).unwrap()
    }

    #[test]
    fn a_byte_has_one_holder_until_its_description_ends() {
        let file = crate::sealed_memory("bytes", 4096).unwrap();
        let (one, two) = (reopened(&file), reopened(&file));
        let far = (1 << 40) + 5;
        assert!(try_lock(&one, far).unwrap());
        assert!(!try_lock(&two, far).unwrap());
        assert!(is_locked_elsewhere(&two, far).unwrap());
        assert!(!is_locked_elsewhere(&one, far).unwrap(), "its own lock is no obstacle to a description");
        assert!(try_lock(&two, far + 1).unwrap(), "the next byte is another lock");
        // A copy of the descriptor is the same description: only the last one to close ends it.
        let copy = one.try_clone().unwrap();
        drop(one);
        assert!(is_locked_elsewhere(&two, far).unwrap());
        drop(copy);
        assert!(!is_locked_elsewhere(&two, far).unwrap());
        assert!(try_lock(&two, far).unwrap());
        unlock(&two, far).unwrap();
        assert!(try_lock(reopened(&file), far).unwrap());
    }
}

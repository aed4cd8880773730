//! Files that appear whole: made without a name, filled, then linked to one.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags, fallocate, fstatvfs, linkat, openat},
    io::Errno,
    process::{Resource, getrlimit},
};

/// A file without a name on the file system of `directory`, or `None` where the file system has none (`O_TMPFILE`).
///
/// # Errors
///
/// The operating system's.
pub fn unnamed_file(directory: impl AsFd, mode: u32) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match openat(directory, c".", flags, Mode::from_bits_truncate(mode)) {
        Ok(file) => Ok(Some(file)),
        // A file system without it says the first; an old kernel below an overlay says one of the others.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Gives `file` its `len` bytes now, so that a full file system is an error here and no fault later. What the file system cannot have is refused before
/// anything of it is taken, so that nobody else finds it full meanwhile.
///
/// # Errors
///
/// `StorageFull`; `FileTooLarge` beyond the limit that this process has for its files; others of the operating system.
pub fn reserve(file: impl AsFd, len: u64) -> io::Result<()> {
    // Going beyond it is answered with SIGXFSZ, which ends the process.
    if let Some(limit) = getrlimit(Resource::Fsize).current.filter(|limit| len > *limit) {
        let text = format!("files of this process may have {limit} bytes at most; raise the limit (ulimit -f)");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    let system = fstatvfs(&file)?;
    // One without a limit has no blocks.
    if system.f_blocks > 0 && len.div_ceil(system.f_frsize.max(1)) > system.f_bfree {
        return Err(Errno::NOSPC.into());
    }
    loop {
        match fallocate(&file, FallocateFlags::empty(), 0, len) {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome?),
        }
    }
}

/// Links a file made by [`unnamed_file`] to `name` in `directory`. From then on everyone sees it, whole.
///
/// # Errors
///
/// `AlreadyExists` if the name is taken, whoever took it; others of the operating system.
pub fn publish(file: impl AsFd, directory: impl AsFd, name: impl AsRef<Path>) -> io::Result<()> {
    // Linking by descriptor alone needs a capability before Linux 6.10; the way through /proc needs none.
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    Ok(linkat(CWD, path, directory, name.as_ref(), AtFlags::SYMLINK_FOLLOW)?)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_name_is_given_once() {
        let folder = std::env::temp_dir();
        let directory = File::open(&folder).unwrap();
        let name = format!("crosstie-publish-{}", std::process::id());
        let make = || {
            let file = unnamed_file(&directory, 0o600).unwrap()?;
            reserve(&file, 4096).unwrap();
            Some(file)
        };
        // A temporary folder on a file system without unnamed files has nothing to test.
        if let (Some(first), Some(second)) = (make(), make()) {
            publish(first, &directory, &name).unwrap();
            assert_eq!(publish(second, &directory, &name).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(std::fs::metadata(folder.join(&name)).unwrap().len(), 4096);
            std::fs::remove_file(folder.join(&name)).unwrap();
        }
    }

    #[test]
    fn what_there_is_no_room_for_takes_none() {
        let directory = File::open(std::env::temp_dir()).unwrap();
        let system = fstatvfs(&directory).unwrap();
        if let (Some(file), 1..) = (unnamed_file(&directory, 0o600).unwrap(), system.f_blocks) {
            let refused = reserve(&file, 2 * system.f_blocks * system.f_frsize).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
            let taken = rustix::fs::fstat(&file).unwrap();
            assert_eq!((taken.st_size, taken.st_blocks), (0, 0));
        }
    }
}

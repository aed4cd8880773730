//! The right to listen at a path: a lock beside it, which ends with its holder.
//!
//! A socket's file outlives its listener, so whoever binds has to tell a dead one from a live one and remove it. Between looking and removing,
//! another may have done the same and put a live one there. Hence a lock on a file of its own, `PATH.lock`, from before the look until after
//! the end: among those who keep it, nobody ever removes a live socket.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, open};

/// The lock of one path. Dropped, it is free again, and its file is gone.
pub(crate) struct Claim {
    file: File,
    path: PathBuf,
    /// Device and number of the socket's file, once it is there.
    ours: Option<(u64, u64)>,
}

impl Claim {
    /// Takes the lock, without waiting.
    pub(crate) fn lay(socket: &Path) -> io::Result<Self> {
        let mut name = OsString::from(socket);
        name.push(".lock");
        let path = PathBuf::from(name);
        loop {
            // Not through a symbolic link that somebody has put there.
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let file = File::from(open(&path, flags, Mode::RUSR | Mode::WUSR)?);
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let text = format!("somebody listens on '{}' already", socket.display());
                    return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // The holder before us may have removed the file between our opening and our locking it: then it is nobody's lock.
            if fs::symlink_metadata(&path)
                .is_ok_and(|there| file.metadata().is_ok_and(|here| number(&here) == number(&there)))
            {
                return Ok(Self { file, path, ours: None });
            }
        }
    }

    /// Remembers the socket that was bound.
    pub(crate) fn made(&mut self, socket: &Path) -> io::Result<()> {
        self.ours = Some(number(&fs::symlink_metadata(socket)?));
        Ok(())
    }

    /// True if what is at the path is the socket that was bound, and not what somebody else has put in its place.
    pub(crate) fn is_still_ours(&self, socket: &Path) -> bool {
        self.ours.is_some() && fs::symlink_metadata(socket).ok().map(|there| number(&there)) == self.ours
    }
}

/// True if a socket is at the path, whether somebody listens or not.
///
/// # Errors
///
/// `AlreadyExists` if something else is there, which nobody removes.
pub(crate) fn has_socket(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => Ok(true),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else is there")),
        Err(_) => Ok(false),
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // While it is locked, so that whoever locks it next finds out.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

fn number(file: &fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

//! A directory in which the processes of one command meet: gone in the end, or with the next such command if this one was killed.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

/// Locked as long as the supervisor lives. The lock goes with the process, whatever ends it.
const LOCK: &str = "supervisor";

/// A directory that is removed in the end.
pub(crate) struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// A new directory in `parent` whose name begins with `prefix`, which nobody else may enter.
    pub(crate) fn new(parent: &Path, prefix: &str) -> io::Result<Self> {
        let number = fastrand::u64(..);
        // It gets the name that is looked for only once it is locked.
        let unlocked = parent.join(format!(".{prefix}{number:016x}"));
        DirBuilder::new().mode(0o700).create(&unlocked)?;
        let lock = File::create(unlocked.join(LOCK))?;
        lock.lock()?;
        let path = parent.join(format!("{prefix}{number:016x}"));
        fs::rename(&unlocked, &path)?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to the next one.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Whether whoever made `directory` is gone.
pub(crate) fn is_abandoned(directory: &Path) -> io::Result<bool> {
    Ok(File::open(directory.join(LOCK))?.try_lock().is_ok())
}

/// Removes what such commands of this user have left in `parent` that are gone, once `clear` has removed what each has elsewhere and says so.
/// What cannot be removed stays.
pub(crate) fn sweep(parent: &Path, prefix: &str, clear: impl Fn(&Path) -> bool) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let own = rustix::process::geteuid().as_raw();
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)) {
        // The metadata is that of the entry itself, even if it is a link.
        let is_own = entry.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == own);
        if is_own && is_abandoned(&entry.path()).unwrap_or(false) && clear(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "crosstie-trial-";

    #[test]
    fn what_a_killed_supervisor_left_is_removed_and_what_a_living_one_has_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let living = Scratch::new(parent.path(), PREFIX).unwrap();
        let left = parent.path().join(format!("{PREFIX}left"));
        let strange = parent.path().join(format!("{PREFIX}strange"));
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        fs::create_dir(&strange).unwrap();
        assert!(!is_abandoned(living.path()).unwrap() && is_abandoned(&left).unwrap());
        sweep(parent.path(), PREFIX, |_| false);
        assert!(left.is_dir());
        sweep(parent.path(), PREFIX, |path| path == left);
        assert!(living.path().is_dir() && strange.is_dir() && !left.exists());
        drop(living);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}

//! The folder of one trial, which must be empty again when the trial is over.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A new folder, removed with all that is left in it when dropped.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
}

impl Place {
    /// An empty folder in `root`, open to this user alone.
    pub(super) fn new(root: &Path, name: &str) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;

        let path = root.join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it, by name.
    pub(super) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed is in a folder for temporary files.
        let _ = fs::remove_dir_all(&self.path);
    }
}

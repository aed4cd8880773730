//! The file that holds the process id while the server runs.

use std::{fs, path::PathBuf, process};

use crosstie_core::{Error, Kind};

use crate::regular_file::read_regular_file;

/// The most bytes a pid file may have: a number, and room for white space.
pub(super) const MAX_PID_FILE: u64 = 64;

/// A pid file; it is removed with this value, unless somebody else has taken it over.
pub(crate) struct PidFile {
    path: PathBuf,
}

impl PidFile {
    pub(crate) fn write(path: PathBuf) -> Result<Self, Error> {
        fs::write(&path, process::id().to_string()).map_err(|error| {
            Error::new(Kind::Io, format!("cannot write the pid file '{}'", path.display())).because(error)
        })?;
        Ok(Self { path })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let text = read_regular_file(&self.path, MAX_PID_FILE);
        let is_ours = text.is_ok_and(|text| text.trim() == process::id().to_string());
        if is_ours {
            // Nobody is left to be told, and a stale pid file does no harm: the next server overwrites it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_goes_with_its_process_unless_another_took_it() {
        let path = std::env::temp_dir().join(format!("crosstie-pid-{}", process::id()));
        let file = PidFile::write(path.clone()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), process::id().to_string());
        drop(file);
        assert!(!path.exists());

        let file = PidFile::write(path.clone()).unwrap();
        fs::write(&path, "1").unwrap();
        drop(file);
        assert!(path.exists());
        fs::remove_file(&path).unwrap();
    }
}

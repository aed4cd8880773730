//! Folders made and removed, with errors that name them.

use std::fs;
use std::path::Path;

use crate::failure::{Failure, Result};

/// Makes a folder with its parents.
pub(crate) fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Failure::failed(format!("cannot create {}: {error}", folder.display())))
}

/// Removes a folder with all it holds; an absent one is fine.
pub(crate) fn clear(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::failed(format!("cannot remove {}: {error}", folder.display())))
        }
        _ => Ok(()),
    }
}

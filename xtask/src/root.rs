//! The root folder of the project, found from wherever a chore was started.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of the workspace.
///
/// Cargo names this crate's folder in the environment whenever it runs the binary or its tests; a binary started by hand looks upward
/// from the current folder.
pub(crate) fn workspace() -> PathBuf {
    let start = env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .or_else(|| env::current_dir().ok())
        .unwrap_or_else(|| PathBuf::from("."));
    start.ancestors().find(|folder| is_root(folder)).map_or_else(|| start.clone(), Path::to_path_buf)
}

fn is_root(folder: &Path) -> bool {
    folder.join("xtask/Cargo.toml").is_file() && folder.join("Cargo.toml").is_file()
}

//! The server under test, and the places that suites share.

use std::env;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use crate::failure::{Failure, Result};
use crate::root;
use crate::tools::{self, Tool};

/// What every suite is told.
pub(super) struct Trial {
    /// The program under test.
    pub(super) server: PathBuf,
    /// A folder that holds nothing but the link `nats-server` to it.
    path: PathBuf,
    pub(super) all: bool,
}

impl Trial {
    pub(super) fn new(server: Option<&str>, all: bool) -> Result<Self> {
        let server = match server {
            Some(named) => match Tool::from_str(named, false) {
                Ok(tool) => tools::install(tool)?,
                Err(_) => PathBuf::from(named),
            },
            None => build()?,
        };
        let server = server
            .canonicalize()
            .map_err(|error| Failure::failed(format!("no server at {}: {error}", server.display())))?;
        let path = suites_folder().join(format!("path-{}", std::process::id()));
        tools::clear(&path)?;
        tools::make_folder(&path)?;
        symlink(&server, path.join("nats-server")).map_err(Failure::failed)?;
        Ok(Self { server, path, all })
    }

    /// The search path on which `nats-server` is the server under test.
    pub(super) fn search_path(&self) -> String {
        let old = env::var("PATH").unwrap_or_default();
        format!("{}:{old}", self.path.display())
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // Nothing is lost if the folder stays: it lies under `target`.
        let _ = tools::clear(&self.path);
    }
}

/// Where suites are unpacked and built.
pub(super) fn suites_folder() -> PathBuf {
    root::workspace().join("target/suites")
}

/// The files that belong to a suite and are ours.
pub(super) fn own_files(suite: &str) -> PathBuf {
    root::workspace().join("xtask/suites").join(suite)
}

/// The cargo that runs us.
pub(super) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from))
}

/// Builds our own binary.
fn build() -> Result<PathBuf> {
    let root = root::workspace();
    let built = cargo()
        .args(["build", "--quiet", "--package", "crosstie-cli"])
        .current_dir(&root)
        .status()
        .map_err(Failure::failed)?;
    if !built.success() {
        return Err(Failure::failed("crosstie does not build"));
    }
    Ok(target_folder(&root).join("debug/crosstie"))
}

fn target_folder(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder))
}

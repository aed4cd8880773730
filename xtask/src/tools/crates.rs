//! The Rust client's package, taken from where cargo keeps what it downloads.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::folder;
use super::process::run;
use crate::failure::{Failure, Result};

const VERSION: &str = "0.51.0";
const HASH: &str = "a4f92759f418774b78c36ef07885849150ce950c67d9bcdeff8a9c253f57d9a1";

/// A throw-away package that depends on the one we want: cargo fetches it, checks it, and says where it lies.
pub(super) fn async_nats(into: &Path) -> Result<()> {
    let asking = into.join("asking");
    folder::make(&asking.join("src"))?;
    let manifest = asking.join("Cargo.toml");
    let text = format!(
        "[package]\nname = \"asking\"\nedition = \"2021\"\n\n[dependencies]\nasync-nats = {{ version = \"={VERSION}\", \
         default-features = false }}\n\n[workspace]\n"
    );
    fs::write(&manifest, text).map_err(Failure::failed)?;
    fs::write(asking.join("src/lib.rs"), "").map_err(Failure::failed)?;
    let mut command = Command::new(env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from));
    command.args(["metadata", "--format-version=1", "--manifest-path"]).arg(&manifest);
    let told = run(&mut command)?;
    let lock = fs::read_to_string(asking.join("Cargo.lock")).map_err(Failure::failed)?;
    if !lock.contains(HASH) {
        return Err(Failure::failed(format!("async-nats {VERSION} does not hash to {HASH}")));
    }
    let packages = folder_of(&told)?;
    run(Command::new("cp").arg("-r").arg(packages.join(".")).arg(into))?;
    folder::clear(&asking)
}

fn folder_of(metadata: &str) -> Result<PathBuf> {
    let metadata: Value = serde_json::from_str(metadata).map_err(Failure::failed)?;
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "async-nats" && package["version"] == VERSION)
        .and_then(|package| package["manifest_path"].as_str())
        .and_then(|manifest| Path::new(manifest).parent())
        .map(Path::to_path_buf)
        .ok_or_else(|| Failure::failed(format!("cargo did not say where async-nats {VERSION} lies")))
}

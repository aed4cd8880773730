//! Foreign programs and sources that checks need, put under `target/tools` and never into the system.
//!
//! Each comes from its ordinary registry by the registry's own client, pinned by version and by hash (`xtask/pins/`). A tool is
//! unpacked beside its place and moved there whole, so a folder under `target/tools` is complete or absent.

mod crates;
mod debian;
mod folder;
mod process;
mod python;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;

use crate::failure::{Failure, NOT_RUN, Result};
use crate::root;

pub(crate) use folder::{clear, make as make_folder};
pub(crate) use process::run as run_quietly;
pub(crate) use python::interpreter as python;

/// A foreign program or source that a check needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    /// The newest nats-server: what we compare with
    #[value(name = "nats-server-2.15.1")]
    NatsServer2_15,
    /// An older nats-server: what many still run
    #[value(name = "nats-server-2.10.26")]
    NatsServer2_10,
    /// The nats-server of Debian 12
    #[value(name = "nats-server-2.9.10")]
    NatsServer2_9,
    /// pytest, for the suite of nats-py
    #[value(name = "pytest-8.3.5")]
    Pytest,
    /// The Python client's source package, with its tests
    #[value(name = "nats-py-2.9.0")]
    NatsPy,
    /// The Rust client's package, with its tests
    #[value(name = "async-nats-0.51.0")]
    AsyncNats,
    /// The headers of Boost, for its message queue, which we compare with
    #[value(name = "boost-1.74.0")]
    Boost,
}

/// The arguments of `cargo xtask tools`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which to install; all without one
    #[arg(value_enum)]
    tools: Vec<Tool>,
}

/// Installs tools and prints where they are, or why they are not.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let wanted = if args.tools.is_empty() { Tool::value_variants() } else { &args.tools };
    let mut missing = false;
    for &tool in wanted {
        match install(tool) {
            Ok(path) => println!("{:20} {}", tool.name(), path.display()),
            Err(Failure::NotRun(why)) => {
                missing = true;
                println!("{:20} NOT RUN: {why}", tool.name());
            }
            Err(failed) => return Err(failed),
        }
    }
    if missing {
        eprintln!("not every tool can be had here");
        return Ok(ExitCode::from(NOT_RUN));
    }
    Ok(ExitCode::SUCCESS)
}

/// The path of an installed tool: the program itself, or the folder of a source package.
///
/// Installs it first if it is absent, which needs the network and blocks for seconds. Two at once wait for each other.
///
/// # Errors
///
/// `NotRun` if this machine cannot have the tool (no network, no pip, not Debian); `Failed` if what arrived is not what was pinned.
pub(crate) fn install(tool: Tool) -> Result<PathBuf> {
    let shelf = root::workspace().join("target/tools");
    make_folder(&shelf)?;
    let place = shelf.join(tool.name());
    if place.exists() {
        return Ok(tool.inside(&place));
    }
    // pytest is fetched on the way to nats-py, so it takes its own turn before the lock is held.
    if tool == Tool::NatsPy {
        install(Tool::Pytest)?;
    }
    let lock = File::create(shelf.join(".lock")).map_err(Failure::failed)?;
    lock.lock().map_err(Failure::failed)?;
    if place.exists() {
        return Ok(tool.inside(&place));
    }
    let fresh = shelf.join(format!(".{}.part", tool.name()));
    clear(&fresh)?;
    make_folder(&fresh)?;
    match tool {
        Tool::NatsServer2_15 | Tool::NatsServer2_10 => python::nats_server(tool.name(), &fresh)?,
        Tool::NatsServer2_9 => debian::nats_server(&fresh)?,
        Tool::Pytest => python::pytest(&fresh)?,
        Tool::NatsPy => python::nats_py(&shelf.join(Tool::Pytest.name()), &fresh)?,
        Tool::AsyncNats => crates::async_nats(&fresh)?,
        Tool::Boost => debian::boost(&fresh)?,
    }
    fs::rename(&fresh, &place).map_err(Failure::failed)?;
    Ok(tool.inside(&place))
}

impl Tool {
    /// Name and version, which is also the folder under `target/tools`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NatsServer2_15 => "nats-server-2.15.1",
            Self::NatsServer2_10 => "nats-server-2.10.26",
            Self::NatsServer2_9 => "nats-server-2.9.10",
            Self::Pytest => "pytest-8.3.5",
            Self::NatsPy => "nats-py-2.9.0",
            Self::AsyncNats => "async-nats-0.51.0",
            Self::Boost => "boost-1.74.0",
        }
    }

    /// What callers want from inside that folder.
    fn inside(self, place: &Path) -> PathBuf {
        match self {
            Self::NatsServer2_15 | Self::NatsServer2_10 | Self::NatsServer2_9 => place.join("nats-server"),
            Self::Pytest | Self::NatsPy | Self::AsyncNats | Self::Boost => place.to_path_buf(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_called_by_the_name_of_its_folder() {
        for tool in Tool::value_variants() {
            let value = tool.to_possible_value().expect("no tool is hidden");
            assert_eq!(value.get_name(), tool.name());
        }
    }
}

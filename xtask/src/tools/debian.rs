//! What Debian 12 ships, unpacked without installing it: nats-server, and the headers of Boost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::folder;
use super::process::run;
use crate::failure::{Failure, Result};

/// A package, with one hash for each architecture we test on; apt itself has checked the archive's signature.
struct Package {
    name: &'static str,
    version: &'static str,
    hashes: [(&'static str, &'static str); 1],
}

const NATS_SERVER: Package = Package {
    name: "nats-server",
    version: "2.9.10-1+b3",
    hashes: [("amd64", "9f69ebb6f612e652382fde175622160dcd81fd97f2356f5da80bb5c3f48513dd")],
};

const BOOST: Package = Package {
    name: "libboost1.74-dev",
    version: "1.74.0+ds1-21",
    hashes: [("amd64", "ba14fe04d7f138f874bd3ab3a20c4fd1e9f654e271449b8f3e48d20f942dbb93")],
};

pub(super) fn nats_server(into: &Path) -> Result<()> {
    let unpacked = unpack(&NATS_SERVER, into)?;
    fs::rename(unpacked.join("usr/sbin/nats-server"), into.join("nats-server")).map_err(Failure::failed)?;
    folder::clear(&unpacked)
}

/// `into/boost` holds the headers.
pub(super) fn boost(into: &Path) -> Result<()> {
    let unpacked = unpack(&BOOST, into)?;
    fs::rename(unpacked.join("usr/include/boost"), into.join("boost")).map_err(Failure::failed)?;
    folder::clear(&unpacked)
}

/// The folder that the package's files are in.
fn unpack(package: &Package, into: &Path) -> Result<PathBuf> {
    let architecture = run(Command::new("dpkg").arg("--print-architecture"))?;
    let architecture = architecture.trim();
    let Some((_, hash)) = package.hashes.iter().find(|(known, _)| *known == architecture) else {
        return Err(Failure::not_run(format!("no hash is pinned for Debian on {architecture}")));
    };
    let wanted = format!("{}={}", package.name, package.version);
    let mut fetch = Command::new("apt-get");
    fetch.args(["--quiet", "download", &wanted]).current_dir(into);
    run(&mut fetch).map_err(|failure| match failure {
        Failure::NotRun(why) => Failure::not_run(format!("Debian's {wanted} cannot be had: {why}")),
        failed => failed,
    })?;
    let package = fs::read_dir(into)
        .map_err(Failure::failed)?
        .filter_map(std::result::Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| Failure::not_run(format!("apt-get downloaded no package for {wanted}")))?;
    let sum = run(Command::new("sha256sum").arg(&package))?;
    if sum.split_whitespace().next() != Some(hash) {
        return Err(Failure::failed(format!("{wanted} should hash to {hash}, and is {sum}")));
    }
    let unpacked = into.join("unpacked");
    run(Command::new("dpkg").arg("-x").arg(&package).arg(&unpacked))?;
    fs::remove_file(package).map_err(Failure::failed)?;
    Ok(unpacked)
}

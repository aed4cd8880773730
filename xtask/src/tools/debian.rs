//! nats-server as Debian 12 ships it, unpacked without installing it.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::folder;
use super::process::run;
use crate::failure::{Failure, Result};

const VERSION: &str = "2.9.10-1+b3";

/// One hash for each architecture we test on; apt itself has checked the archive's signature.
const HASHES: [(&str, &str); 1] = [("amd64", "9f69ebb6f612e652382fde175622160dcd81fd97f2356f5da80bb5c3f48513dd")];

pub(super) fn nats_server(into: &Path) -> Result<()> {
    let architecture = run(Command::new("dpkg").arg("--print-architecture"))?;
    let architecture = architecture.trim();
    let Some((_, hash)) = HASHES.iter().find(|(known, _)| *known == architecture) else {
        return Err(Failure::not_run(format!("no hash is pinned for Debian on {architecture}")));
    };
    let wanted = format!("nats-server={VERSION}");
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
    fs::rename(unpacked.join("usr/sbin/nats-server"), into.join("nats-server")).map_err(Failure::failed)?;
    fs::remove_file(package).map_err(Failure::failed)?;
    folder::clear(&unpacked)
}

//! Where the segments are, as the command line and the environment say it.

use std::path::{Path, PathBuf};

use clap::Args;
use crosstie::shm::{self, Directory};

use crate::exit::Failure;

/// Where the segments are.
#[derive(Args)]
pub(crate) struct Place {
    /// The directory of segments [default: the first of $RUNTIME_DIRECTORY/crosstie, $XDG_RUNTIME_DIR/crosstie
    /// and /dev/shm/crosstie-UID whose variable is set]
    ///
    /// With CROSSTIE_DIR_GROUP, the number of a group, everybody in that group may use the directory that CROSSTIE_DIR names.
    #[arg(long, env = "CROSSTIE_DIR", hide_env_values = true, global = true)]
    dir: Option<PathBuf>,
}

/// A directory to look into.
pub(crate) enum Found {
    There(Directory),
    /// Nobody has made it yet, so nobody shares anything there.
    NotYet(PathBuf),
}

impl Place {
    /// The directory, made if it is not there.
    pub(super) fn open(&self) -> Result<Directory, Failure> {
        Ok(match self.named() {
            Some(dir) => Directory::at(dir)?,
            None => Directory::of_user()?,
        })
    }

    /// The directory to look into; nothing is made. One that the command line names is to be there.
    pub(crate) fn find(&self) -> Result<Found, Failure> {
        let named = self.named();
        match named.map_or_else(Directory::existing_of_user, Directory::existing_at) {
            Ok(directory) => Ok(Found::There(directory)),
            Err(shm::Error::NoDirectory { path }) if named.is_none() => Ok(Found::NotYet(path)),
            Err(error) => Err(error.into()),
        }
    }

    /// What the command line names, if it does.
    fn named(&self) -> Option<&Path> {
        // The variable of the same name may go with one that names a group.
        self.dir.as_deref().filter(|dir| std::env::var_os("CROSSTIE_DIR").as_deref() != Some(dir.as_os_str()))
    }
}

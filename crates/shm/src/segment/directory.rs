//! Where named segments live: a directory that belongs to one user, or to a group, and to nobody else.

use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat, unlinkat},
    io::Errno,
    process::{Gid, geteuid},
};

use crate::{
    error::{Error, Result},
    header::Refusal,
    name::SegmentName,
};

/// The directory of segments. A cheap handle.
///
/// It is opened once, without following a symbolic link, and checked; everything in it is reached through that descriptor, so that nobody can
/// put another directory in its place later.
#[derive(Clone, Debug)]
pub struct Directory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    folder: OwnedFd,
    group: Option<u32>,
}

/// A file in the directory that holds a segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The segment's name.
    pub name: SegmentName,
    /// Which generation of it the file holds.
    pub generation: u32,
}

impl Listed {
    /// The file's name in the directory.
    pub fn file(&self) -> String {
        self.name.file(self.generation)
    }
}

/// The environment variables that say where segments live, the first that is set wins, and the last resort.
const CHOSEN: &str = "CROSSTIE_DIR";
const GROUP: &str = "CROSSTIE_DIR_GROUP";
const OF_SERVICE: &str = "RUNTIME_DIRECTORY";
const OF_USER: &str = "XDG_RUNTIME_DIR";
const IN_MEMORY: &str = "/dev/shm";
/// Our directory within one that is for others, too.
const OWN: &str = "crosstie";

impl Directory {
    /// This user's directory: `CROSSTIE_DIR`, else `RUNTIME_DIRECTORY/crosstie` (which systemd sets for a service), else
    /// `XDG_RUNTIME_DIR/crosstie`, else `/dev/shm/crosstie-UID`. It is made if it is not there. `CROSSTIE_DIR_GROUP`, the number of a
    /// group, opens that of `CROSSTIE_DIR` to a group.
    ///
    /// # Errors
    ///
    /// [`Error::Directory`] if it is not this user's alone (or the group's), or is a symbolic link; [`Error::NoDirectory`] if that which it
    /// should be made in is not there; [`Error::Variable`]; the operating system's.
    pub fn of_user() -> Result<Self> {
        let (path, group) = chosen_by(variable)?;
        Self::open(path, group, Missing::IsMade)
    }

    /// The directory of [`of_user`](Self::of_user) if it is there, to look at what is in it: nothing is made.
    ///
    /// # Errors
    ///
    /// [`Error::NoDirectory`]; as [`of_user`](Self::of_user).
    pub fn existing_of_user() -> Result<Self> {
        let (path, group) = chosen_by(variable)?;
        Self::open(path, group, Missing::IsTold)
    }

    /// The directory at `path`, for this user alone; made with mode 0700 if it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Directory`], [`Error::NoDirectory`]; the operating system's.
    pub fn at(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open(path.into(), None, Missing::IsMade)
    }

    /// The directory at `path`, for this user alone, if it is there: nothing is made.
    ///
    /// # Errors
    ///
    /// [`Error::NoDirectory`], [`Error::Directory`].
    pub fn existing_at(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open(path.into(), None, Missing::IsTold)
    }

    /// The directory at `path`, for everybody in `group`, the number of one; made with mode 0770 if it is not there. Whoever is in the group may
    /// read, change and remove every segment in it.
    ///
    /// # Errors
    ///
    /// [`Error::Directory`], [`Error::NoDirectory`]; the operating system's.
    pub fn of_group(path: impl Into<PathBuf>, group: u32) -> Result<Self> {
        Self::open(path.into(), Some(group), Missing::IsMade)
    }

    fn open(path: PathBuf, group: Option<u32>, missing: Missing) -> Result<Self> {
        let refuse = |what: String| Error::Directory { path: path.clone(), what };
        let system = |what: &str, error: Errno| {
            let doing = format!("the directory of segments {}: {what}", path.display());
            Error::System { doing, source: error.into() }
        };
        let most = if group.is_some() { 0o770 } else { 0o700 };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || openat(CWD, &path, flags, Mode::empty());
        let folder = match open() {
            Ok(folder) => folder,
            Err(Errno::NOENT) if missing == Missing::IsTold => return Err(Error::NoDirectory { path }),
            Err(Errno::NOENT) => {
                match mkdirat(CWD, &path, Mode::from_bits_truncate(0o700)) {
                    // Somebody else may have made it meanwhile; it is checked below whoever did.
                    Ok(()) | Err(Errno::EXIST) => {}
                    // That would be somebody else's to make, with a mode that is not for us to choose.
                    Err(Errno::NOENT) if path.parent().is_some_and(|parent| !parent.exists()) => {
                        let parent = path.parent().unwrap_or(&path).to_path_buf();
                        return Err(Error::NoDirectory { path: parent });
                    }
                    Err(error) => return Err(system("it cannot be made", error)),
                }
                let folder = open().map_err(|error| system("it cannot be opened", error))?;
                if let Some(group) = group {
                    let made_over = rustix::fs::fchown(&folder, None, Some(Gid::from_raw(group)));
                    made_over.map_err(|error| system(&format!("it cannot be given to group {group}"), error))?;
                    // After the change of the group, and not through the umask.
                    let opened = rustix::fs::fchmod(&folder, Mode::from_bits_truncate(most));
                    opened.map_err(|error| system("it cannot be opened to the group", error))?;
                }
                folder
            }
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let what = "expected a directory, came a symbolic link or a file; name the directory itself".to_owned();
                return Err(refuse(what));
            }
            Err(error) => return Err(system("it cannot be opened", error)),
        };
        let stat = fstat(&folder).map_err(|error| system("it cannot be looked at", error))?;
        check_owner(&stat, group).map_err(|refusal| refuse(refusal.to_string()))?;
        let mode = stat.st_mode & 0o777;
        if mode & !most != 0 {
            // Others may live in it: it is not for them to be locked out.
            let what = format!(
                "expected a directory for this alone, of mode {most:04o} at most, came {mode:04o}; name one in it instead"
            );
            return Err(refuse(what));
        }
        Ok(Self(Arc::new(Inner { path, folder, group })))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The segments in it, by name and generation. Files that are none are left out.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut found: Vec<_> = self
            .files()?
            .iter()
            .filter_map(|file| SegmentName::of_file(file))
            .map(|(name, generation)| Listed { name, generation })
            .collect();
        found.sort();
        Ok(found)
    }

    /// The generations of `name` that there are, highest first.
    pub(crate) fn generations(&self, name: &SegmentName) -> Result<Vec<u32>> {
        let listed = self.list()?;
        Ok(listed.into_iter().rev().filter(|file| file.name == *name).map(|file| file.generation).collect())
    }

    /// The names of all files, as far as they are text.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let doing = || Error::system(format!("listing {}", self.path().display()));
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0.folder).map_err(|error| doing()(error.into()))? {
            let entry = entry.map_err(|error| doing()(error.into()))?;
            if let Ok(name) = entry.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// The file of this name, checked to be a regular one, of the right owner, that others cannot change. `None` if there is none.
    pub(crate) fn file(&self, file: &str, is_to_look_at: bool) -> Result<Option<OwnedFd>> {
        let access = if is_to_look_at { OFlags::RDONLY } else { OFlags::RDWR };
        // NONBLOCK: opening a pipe that somebody put there must not hang.
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let refuse = |refusal| Error::Refused { segment: file.to_owned(), refusal };
        let opened = match openat(&self.0.folder, file, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(None),
            Err(error @ (Errno::LOOP | Errno::ISDIR | Errno::NXIO)) => {
                let came = match error {
                    Errno::LOOP => "a symbolic link",
                    Errno::ISDIR => "a directory",
                    _ => "a socket or the like",
                };
                return Err(refuse(Refusal::NotMemory { expected: "a file", came: came.to_owned() }));
            }
            Err(error) => {
                let place = self.path().join(file);
                return Err(Error::System { doing: format!("opening {}", place.display()), source: error.into() });
            }
        };
        let stat = fstat(&opened).map_err(|error| Error::system(format!("looking at `{file}`"))(error.into()))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::RegularFile {
            let came = match kind {
                FileType::Directory => "a directory".to_owned(),
                FileType::Fifo => "a pipe".to_owned(),
                other => format!("{other:?}"),
            };
            return Err(refuse(Refusal::NotMemory { expected: "a file", came }));
        }
        check_owner(&stat, self.0.group).map_err(refuse)?;
        let (expected, came) = (self.file_mode(), stat.st_mode & 0o777);
        if came & !expected != 0 {
            return Err(refuse(Refusal::Mode { expected, came }));
        }
        Ok(Some(opened))
    }

    /// A file without a name, which [`publish`](Self::publish) gives one; or, where there are none, one with a name that begins with a dot.
    pub(crate) fn new_file(&self) -> Result<NewFile> {
        let doing = |error: io::Error| Error::system(format!("making a file in {}", self.path().display()))(error);
        let mode = self.file_mode();
        let unnamed = crosstie_sys::unnamed_file(&self.0.folder, mode).map_err(doing)?;
        let new = match unnamed {
            Some(file) => NewFile { file, temporary: None },
            None => self.temporary_file().map_err(doing)?,
        };
        if let Some(group) = self.0.group {
            let shared = rustix::fs::fchown(&new.file, None, Some(Gid::from_raw(group)))
                .and_then(|()| rustix::fs::fchmod(&new.file, Mode::from_bits_truncate(mode)));
            shared.map_err(|error| doing(error.into()))?;
        }
        Ok(new)
    }

    fn temporary_file(&self) -> io::Result<NewFile> {
        let random = u128::from_be_bytes(crate::random::sixteen_bytes()?);
        let name = format!("{TEMPORARY}{random:032x}");
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.0.folder, &name, flags, Mode::from_bits_truncate(self.file_mode()))?;
        // For as long as somebody is at it, `gc` leaves it alone.
        crosstie_sys::range_lock::try_lock(&file, 0)?;
        Ok(NewFile { file, temporary: Some(Temporary { directory: self.clone(), name }) })
    }

    /// Gives `file` the name `name`, once: false if it is taken.
    pub(crate) fn publish(&self, file: impl AsFd, name: &str) -> Result<bool> {
        match crosstie_sys::publish(file, &self.0.folder, name) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(source) => {
                Err(Error::System { doing: format!("linking {}", self.path().join(name).display()), source })
            }
        }
    }

    /// True if `name` stands for the very file that `opened` is.
    pub(crate) fn is_file(&self, name: &str, opened: impl AsFd) -> Result<bool> {
        let doing =
            |error: Errno| Error::system(format!("looking at {}", self.path().join(name).display()))(error.into());
        let ours = fstat(opened).map_err(doing)?;
        match rustix::fs::statat(&self.0.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(theirs) => Ok((theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(doing(error)),
        }
    }

    /// Removes the file; that there is none is no error.
    pub(crate) fn remove(&self, file: &str) -> Result<()> {
        match unlinkat(&self.0.folder, file, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => {
                let place = self.path().join(file);
                Err(Error::System { doing: format!("removing {}", place.display()), source: error.into() })
            }
        }
    }

    fn file_mode(&self) -> u32 {
        if self.0.group.is_some() { 0o660 } else { 0o600 }
    }
}

/// How names of files begin that are not published yet.
pub(crate) const TEMPORARY: &str = ".building-";

/// A file that nobody else sees yet.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(crate) file: OwnedFd,
    /// Removes the temporary name when dropped.
    pub(crate) temporary: Option<Temporary>,
}

/// A name that goes when this value does.
#[derive(Debug)]
pub(crate) struct Temporary {
    directory: Directory,
    name: String,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What stays behind is what `gc` finds.
        let _ = self.directory.remove(&self.name);
    }
}

/// What becomes of a directory that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    IsMade,
    IsTold,
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Where this user's directory is, and the group that it is for.
fn chosen_by(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<(PathBuf, Option<u32>)> {
    if let Some(path) = variable(CHOSEN) {
        let Some(group) = variable(GROUP) else { return Ok((path, None)) };
        let number = group.to_str().and_then(|text| text.parse().ok());
        let what = || format!("expected the number of a group in {GROUP}, came `{}`", group.display());
        let group = number.ok_or_else(|| Error::Variable { what: what() })?;
        return Ok((path, Some(group)));
    }
    if let Some(list) = variable(OF_SERVICE) {
        // systemd lists several with colons between them.
        let bytes = list.as_os_str().as_bytes();
        let first = bytes.split(|byte| *byte == b':').next().unwrap_or(bytes);
        // The directory itself is open to readers unless the service says otherwise.
        return Ok((Path::new(OsStr::from_bytes(first)).join(OWN), None));
    }
    if let Some(path) = variable(OF_USER) {
        return Ok((path.join(OWN), None));
    }
    Ok((Path::new(IN_MEMORY).join(format!("crosstie-{}", geteuid().as_raw())), None))
}

/// A segment belongs to this user or, in a group's directory, to anybody in the group.
fn check_owner(stat: &Stat, group: Option<u32>) -> Result<(), Refusal> {
    let me = geteuid().as_raw();
    match group {
        None if stat.st_uid != me => {
            Err(Refusal::Owner { expected: format!("user {me}"), came: format!("user {}", stat.st_uid) })
        }
        Some(group) if stat.st_gid != group => {
            Err(Refusal::Owner { expected: format!("group {group}"), came: format!("group {}", stat.st_gid) })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The directory that is chosen with these variables set.
    fn chosen(set: &[(&str, &Path)]) -> Result<Directory> {
        let variable = |name: &str| set.iter().find(|(set, _)| *set == name).map(|(_, value)| value.to_path_buf());
        let (path, group) = chosen_by(variable)?;
        Directory::open(path, group, Missing::IsMade)
    }

    #[test]
    fn the_first_variable_that_is_set_says_where() {
        let folder = tempfile::tempdir().unwrap();
        let (named, service, user) = (folder.path().join("named"), folder.path().join("service"), folder.path());
        std::fs::create_dir(&service).unwrap();
        let all = [(CHOSEN, named.as_path()), (OF_SERVICE, &service), (OF_USER, user)];
        assert_eq!(chosen(&all).unwrap().path(), named);
        assert_eq!(chosen(&all[1..]).unwrap().path(), service.join("crosstie"));
        assert_eq!(chosen(&all[2..]).unwrap().path(), user.join("crosstie"));
        let several = PathBuf::from(format!("{}:/nowhere", service.display()));
        assert_eq!(chosen(&[(OF_SERVICE, &several)]).unwrap().path(), service.join("crosstie"));
        let last = chosen(&[]).unwrap();
        assert_eq!(last.path(), Path::new(&format!("/dev/shm/crosstie-{}", geteuid().as_raw())));
    }

    #[test]
    fn who_looks_makes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segments");
        let told = Directory::existing_at(&path).unwrap_err();
        assert!(matches!(&told, Error::NoDirectory { path: missing } if *missing == path), "{told}");
        assert!(!path.exists());
        // The control: whoever is to work in it makes it, and then it is found.
        Directory::at(&path).unwrap();
        assert_eq!(Directory::existing_at(&path).unwrap().path(), path);
    }

    #[test]
    fn a_parent_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let parent = folder.path().join("nowhere");
        let told = Directory::at(parent.join("segments")).unwrap_err();
        assert!(matches!(&told, Error::NoDirectory { path } if *path == parent), "{told}");
        // The control: one that is there is not said to be missing.
        let told = Directory::at("/proc/segments").unwrap_err();
        assert!(matches!(&told, Error::System { .. }), "{told}");
    }

    #[test]
    fn a_group_is_a_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shared");
        let group = rustix::process::getegid().as_raw().to_string();
        let shared = chosen(&[(CHOSEN, &path), (GROUP, Path::new(&group))]).unwrap();
        assert_eq!(shared.0.group.map(|group| group.to_string()), Some(group));
        let refused = chosen(&[(CHOSEN, &path), (GROUP, Path::new("staff"))]).unwrap_err().to_string();
        assert!(refused.contains("expected the number of a group in CROSSTIE_DIR_GROUP, came `staff`"), "{refused}");
    }

    #[test]
    fn where_there_are_no_unnamed_files_a_temporary_name_does() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::at(folder.path().join("segments")).unwrap();
        let new = directory.temporary_file().unwrap();
        assert!(directory.files().unwrap()[0].starts_with(TEMPORARY));
        assert!(directory.publish(&new.file, "it@1").unwrap());
        assert!(!directory.publish(&new.file, "it@1").unwrap(), "a name is given once");
        drop(new);
        assert_eq!(directory.files().unwrap(), ["it@1"]);
    }
}

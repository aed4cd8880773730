//! Where a process listens, said by the process where others of its user can see it, and nowhere else.
//!
//! A listener keeps a sealed memory file open whose name is [`NAME`], with its endpoint in it. It is found among the descriptors of the process
//! (`/proc/PID/fd`), by whoever may look there: the same user and root. It has no name in any directory, so there is nothing to tidy up: when the
//! process ends, however that happens, the kernel takes it away. A child that was forked has it too, until it executes something: the number of
//! the process stands in it, so what it says is not taken for the child's.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

use crosstie_core::Endpoint;
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, memfd_create, open};

/// What the memory file is called.
const NAME: &str = "crosstie-endpoint";
/// What it begins with.
const HEAD: &str = "crosstie-endpoint 1";
/// The most bytes that one has: an endpoint has 8,192 at most.
const LONGEST: u64 = 16 * 1024;

/// What is said as long as it is kept.
pub(crate) struct Announcement(#[expect(dead_code, reason = "it is kept open, and others read it")] File);

/// Says that this process listens at `endpoint`, for `what`. Where that cannot be said it is not: nothing but `crosstie ps` asks.
pub(crate) fn announce(what: &str, endpoint: &Endpoint) -> Option<Announcement> {
    let say = || -> io::Result<File> {
        let mut file = File::from(memfd_create(NAME, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
        write!(file, "{HEAD}\n{}\n{what}\n{endpoint}\n", std::process::id())?;
        fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok(file)
    };
    say().ok().map(Announcement)
}

/// What a process says of one of its listeners. It is text that came from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Announced {
    /// For what it listens: `stream`, `datagram`.
    pub what: String,
    /// Where, as text: nobody vouches for it.
    pub endpoint: String,
}

/// What the process `pid` says of its listeners, as far as this user may see it.
///
/// # Errors
///
/// The operating system's: `NotFound` if there is no such process, `PermissionDenied` if it is another user's.
pub fn announced_by(pid: u32) -> io::Result<Vec<Announced>> {
    let mut said = Vec::new();
    let mut own_number = None;
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let Ok(entry) = entry else { continue };
        let is_one = fs::read_link(entry.path()).is_ok_and(|to| {
            to.to_str().and_then(|to| to.strip_prefix("/memfd:")).is_some_and(|to| to.starts_with(NAME))
        });
        if !is_one {
            continue;
        }
        // Closed since it was listed, or something else of that name.
        let Some(text) = read(&entry.path()) else { continue };
        let own_number = own_number.get_or_insert_with(|| innermost(pid));
        said.extend(parse(&text).filter(|(number, _)| own_number.is_none_or(|own| own == *number)).map(|(_, it)| it));
    }
    said.sort_by(|one, other| one.endpoint.cmp(&other.endpoint));
    Ok(said)
}

/// The text of a file. In a file system of its own a process may call a pipe or a device what it likes: opening such a thing must not wait, and it is not read.
fn read(path: &Path) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).ok()?);
    let mut text = String::new();
    let is_file = file.metadata().is_ok_and(|meta| meta.is_file());
    (is_file && file.take(LONGEST).read_to_string(&mut text).is_ok()).then_some(text)
}

/// The number of a process in the innermost of its namespaces, which is how it knows itself.
fn innermost(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().next_back()?.parse().ok()
}

fn parse(text: &str) -> Option<(u32, Announced)> {
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return None;
    }
    let (number, what, endpoint) = (lines.next()?.parse().ok()?, lines.next()?, lines.next()?);
    Some((number, Announced { what: what.to_owned(), endpoint: endpoint.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(endpoint: &str) -> bool {
        announced_by(std::process::id()).unwrap().iter().any(|it| it.endpoint == endpoint)
    }

    #[test]
    fn a_listener_is_seen_as_long_as_it_is_there() {
        let at = "unix:@announced-here";
        let listener = crate::listen(&at.parse().unwrap()).unwrap();
        assert!(said(at));
        drop(listener);
        assert!(!said(at));
    }

    #[test]
    fn control_what_another_process_has_said_is_not_taken_for_ours() {
        let file = announce("stream", &"unix:@inherited".parse().unwrap()).unwrap();
        assert!(said("unix:@inherited"));
        drop(file);
        assert_eq!(parse("crosstie-endpoint 1\n12\nstream\nunix:/a\n").unwrap().0, 12);
        for other in
            ["", "crosstie-endpoint 2\n1\na\nb\n", "crosstie-endpoint 1\nx\na\nb\n", "crosstie-endpoint 1\n1\n"]
        {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    /// As a process may show it that wants to stop whoever looks.
    #[test]
    fn a_pipe_of_that_name_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        assert_eq!(read(&path), None);
        let file = folder.path().join("file");
        fs::write(&file, HEAD).unwrap();
        assert_eq!(read(&file).as_deref(), Some(HEAD), "the control: a file is read");
    }
}

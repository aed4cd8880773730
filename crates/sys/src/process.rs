//! What tells one process from another: start time, PID namespace, boot.

use std::{fs, io, os::unix::fs::MetadataExt};

/// What a process is, for people, and to check a pidfd with. No part of it proves that the process is alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Its number in its own PID namespace.
    pub pid: u32,
    /// The inode of that namespace; 0 if `/proc` does not tell.
    pub namespace: u64,
    /// When it started, in clock ticks since boot; 0 if `/proc` does not tell.
    pub start: u64,
}

/// This process.
pub fn identity() -> Identity {
    let pid = std::process::id();
    Identity { pid, namespace: pid_namespace().unwrap_or(0), start: start_time(pid).ok().flatten().unwrap_or(0) }
}

/// The inode of this process's PID namespace.
///
/// # Errors
///
/// The operating system's, where `/proc` is not mounted.
pub fn pid_namespace() -> io::Result<u64> {
    Ok(fs::metadata("/proc/self/ns/pid")?.ino())
}

/// When the process `pid` of this PID namespace started, in clock ticks since boot; `None` if there is none.
///
/// # Errors
///
/// `InvalidData` if `/proc` speaks in another way than the kernel documents.
pub fn start_time(pid: u32) -> io::Result<Option<u64>> {
    // The 22nd of all fields.
    field(pid, 19, "a start time")
}

/// True if the process `pid` of this PID namespace is stopped by a signal; false if it is not, or there is none.
///
/// # Errors
///
/// As [`start_time`].
pub fn is_stopped(pid: u32) -> io::Result<bool> {
    Ok(field::<char>(pid, 0, "a state")? == Some('T'))
}

/// A field of what the kernel tells of a process, counted from 0 after its name.
fn field<T: std::str::FromStr>(pid: u32, index: usize, what: &str) -> io::Result<Option<T>> {
    let path = if pid == std::process::id() { "/proc/self/stat".to_owned() } else { format!("/proc/{pid}/stat") };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // The second field is the program's name in brackets, which may hold anything, brackets too.
    let after_name = text.rsplit_once(')').map(|(_, rest)| rest);
    let found = after_name.and_then(|rest| rest.split_whitespace().nth(index)).and_then(|field| field.parse().ok());
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, format!("expected {what} in {path}"));
    found.map(Some).ok_or_else(wrong)
}

/// The id of this boot of the machine: what it holds in memory cannot be older.
///
/// # Errors
///
/// The operating system's, and `InvalidData` if it is no UUID.
pub fn boot_id() -> io::Result<[u8; 16]> {
    let path = "/proc/sys/kernel/random/boot_id";
    let text = fs::read_to_string(path)?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let what = || io::Error::new(io::ErrorKind::InvalidData, format!("expected 32 hexadecimal digits in {path}"));
    if digits.len() != 32 {
        return Err(what());
    }
    let number = u128::from_str_radix(&digits, 16).map_err(|_| what())?;
    Ok(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_start_and_a_namespace() {
        let this = identity();
        assert_eq!(this.pid, std::process::id());
        assert!(this.start > 0 && this.namespace > 0, "{this:?}");
        assert_eq!(start_time(this.pid).unwrap(), Some(this.start));
        assert_eq!(start_time(u32::MAX).unwrap(), None);
    }

    #[test]
    fn the_boot_has_one_id() {
        let id = boot_id().unwrap();
        assert_ne!(id, [0; 16]);
        assert_eq!(id, boot_id().unwrap());
    }
}

//! How much the operating system lets this process have.

use std::{io, os::fd::AsFd};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open descriptors to the hard one and returns it; `None` means that there is no limit.
///
/// A server with many connections needs it: the usual soft limit of 1024 is there for programs that use `select`.
pub fn raise_descriptor_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

/// Lets as many connections wait on a listener to be accepted as the operating system allows.
///
/// The standard library asks for 128. Beyond that the kernel drops what comes, and whoever connects tries again only after a second.
///
/// # Errors
///
/// The operating system's; `EINVAL` if the socket does not listen.
pub fn widen_backlog(listener: impl AsFd) -> io::Result<()> {
    // The kernel cuts it to `net.core.somaxconn`.
    Ok(rustix::net::listen(listener, i32::MAX)?)
}

/// Makes room for `count` descriptors at once. Call it while the process has one thread yet, or few that are in no hurry.
///
/// The kernel's table of a process grows by doubling. Where the process has several threads, whoever opens the descriptor that does not fit
/// waits until no processor can look at the old table any more, which takes ten milliseconds and more.
pub fn reserve_descriptors(count: usize) {
    let highest = match getrlimit(Resource::Nofile).current {
        Some(limit) => limit.min(count as u64).saturating_sub(1),
        None => count as u64,
    };
    let Ok(highest) = i32::try_from(highest) else { return };
    // The table stays as large as it has once been. That it cannot be made so large is no harm.
    if let Ok(any) = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC) {
        let _ = rustix::io::fcntl_dupfd_cloexec(&any, highest);
    }
}

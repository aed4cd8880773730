//! How long a thread may run before another that waits for the same processor gets its turn.

use std::{io, time::Duration};

/// The shortest that the kernel gives: it takes anything shorter for this.
pub const SHORTEST: Duration = Duration::from_micros(100);

/// What `sched_getattr` and `sched_setattr` tell of a thread: the first version of the kernel's structure, which every kernel takes.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    /// In nanoseconds. For an ordinary thread this is its slice, since Linux 6.12; kernels before ignore it.
    runtime: u64,
    deadline: u64,
    period: u64,
}

const SIZE: u32 = size_of::<Attributes>() as u32;

/// Asks for slices of `length` for the calling thread. Threads that it starts are like others again; if it has a negative nice value, theirs is
/// zero.
///
/// A short slice means that a thread that has been asleep gets a processor sooner, at the cost of less at a time: the scheduler lets it go before
/// one whose slice is longer, and its share in the long run stays what it was. It needs no privilege. Before Linux 6.12 it does nothing.
///
/// The rule is that of the EEVDF scheduler: who has the earliest virtual deadline runs, and a deadline is one slice away.
///
/// # Errors
///
/// The operating system's: where a sandbox forbids the call, mostly `PermissionDenied` or `Unsupported`, and the thread runs as before. `InvalidInput` if the calling thread is not scheduled in the ordinary way, but by a real-time policy: it need
/// not ask.
pub fn ask_for(length: Duration) -> io::Result<()> {
    let mut attributes = current()?;
    if attributes.policy != libc::SCHED_OTHER as u32 && attributes.policy != libc::SCHED_BATCH as u32 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("expected a thread of the ordinary policy, found policy {}: it needs no slice", attributes.policy),
        ));
    }
    attributes.flags |= libc::SCHED_FLAG_RESET_ON_FORK as u64;
    attributes.runtime = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    // SAFETY: the kernel reads `size` bytes of `attributes`, which it states to be its own size, and changes nothing but the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What holds for the calling thread.
fn current() -> io::Result<Attributes> {
    let mut attributes = Attributes::default();
    // SAFETY: the kernel writes at most `SIZE` bytes into `attributes`, which is as long and of which every bit pattern is valid.
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, SIZE, 0) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    attributes.size = SIZE;
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Since Linux 6.12 the kernel tells the slice; before, it tells nothing.
    fn told() -> Duration {
        Duration::from_nanos(current().unwrap().runtime)
    }

    #[test]
    fn a_thread_has_the_slice_that_it_asked_for_and_its_children_have_not() {
        let before = told();
        std::thread::spawn(move || {
            ask_for(SHORTEST).unwrap();
            let own = told();
            let childs = std::thread::spawn(told).join().unwrap();
            if before.is_zero() {
                assert!(own.is_zero() || own == SHORTEST, "a kernel that knows of no slices told {own:?}");
            } else {
                assert_eq!((own, childs), (SHORTEST, before));
            }
        })
        .join()
        .unwrap();
    }

    /// Makes one call fail with `errno` in the calling thread, as sandboxes do.
    fn forbid(call: libc::c_long, errno: libc::c_int) {
        let step = |code: u32, jt, jf, k| libc::sock_filter { code: u16::try_from(code).unwrap(), jt, jf, k };
        // The number of the call comes first in what the filter is given.
        let mut steps = [
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
            step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, u32::try_from(call).unwrap()),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | u32::try_from(errno).unwrap()),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
        // SAFETY: the kernel copies the four steps, which outlive the call, and both calls concern the calling thread alone.
        let outcomes = unsafe {
            [
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program),
            ]
        };
        assert_eq!(outcomes, [0, 0], "{}", io::Error::last_os_error());
    }

    #[test]
    fn where_a_sandbox_forbids_it_an_error_is_all_that_comes_of_it() {
        for call in [libc::SYS_sched_setattr, libc::SYS_sched_getattr] {
            for errno in [libc::EPERM, libc::ENOSYS] {
                std::thread::spawn(move || {
                    let before = told();
                    forbid(call, errno);
                    assert_eq!(ask_for(SHORTEST).unwrap_err().raw_os_error(), Some(errno));
                    if call != libc::SYS_sched_getattr {
                        assert_eq!(told(), before);
                    }
                })
                .join()
                .unwrap();
            }
        }
    }

    #[test]
    fn niceness_stays_what_it_was() {
        std::thread::spawn(|| {
            let before = current().unwrap().nice;
            ask_for(SHORTEST).unwrap();
            assert_eq!(current().unwrap().nice, before);
        })
        .join()
        .unwrap();
    }
}

//! Which processors a thread may run on, and moving it to one.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The processors that the calling thread may use, one bit each; those beyond the 63rd share the last bit.
///
/// All bits are set if the kernel does not say.
pub fn allowed() -> u64 {
    let Ok(set) = sched_getaffinity(None) else {
        return u64::MAX;
    };
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).fold(0, |mask, cpu| mask | 1 << cpu.min(63))
}

/// Lets the calling thread run on processor `cpu` and no other.
///
/// # Errors
///
/// The operating system's; `InvalidInput` if there is no such processor or the process may not use it.
pub fn pin(cpu: usize) -> std::io::Result<()> {
    if cpu >= CpuSet::MAX_CPU {
        return Err(rustix::io::Errno::INVAL.into());
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// The processors that the machine has in use, whether this process may run there or not; 1 if that cannot be known.
pub fn online() -> u32 {
    // SAFETY: asks for a number.
    let count = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    u32::try_from(count).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_may_use_one_processor() {
        std::thread::spawn(|| {
            let first = allowed().trailing_zeros() as usize;
            pin(first).unwrap();
            assert_eq!(allowed(), 1 << first);
        })
        .join()
        .unwrap();
    }
}

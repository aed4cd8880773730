//! A process that counts its own instructions, and is killed at one of them.
//!
//! The processor's trap flag has it interrupted behind every instruction; the handler counts, and kills at zero. A trap costs a
//! microsecond, a tenth of what a step under `ptrace` costs, and needs no privilege. A system call counts as one instruction.

#[cfg(target_arch = "x86_64")]
pub use counted::{die_after, stop_counting};

/// Whether instructions can be counted on this processor.
pub const CAN_STEP: bool = cfg!(target_arch = "x86_64");

#[cfg(target_arch = "x86_64")]
mod counted {
    use std::arch::asm;
    use std::io;
    use std::ptr;
    use std::sync::atomic::{AtomicU64, Ordering};

    static LEFT: AtomicU64 = AtomicU64::new(0);
    static MADE: AtomicU64 = AtomicU64::new(0);

    extern "C" fn on_trap(_: libc::c_int) {
        let left = LEFT.load(Ordering::Relaxed);
        if left == 0 {
            // SAFETY: plain calls without pointers, which a signal handler may make.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        }
        LEFT.store(left.wrapping_sub(1), Ordering::Relaxed);
        MADE.store(MADE.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Has this process killed when it has made so many more instructions, unless it calls [`stop_counting`] before. For a process with one thread.
    ///
    /// # Errors
    ///
    /// What `sigaction` refuses.
    #[inline(never)]
    pub fn die_after(instructions: u64) -> io::Result<()> {
        // SAFETY: all-zero is a valid `sigaction`: no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_trap as extern "C" fn(libc::c_int) as usize;
        // SAFETY: the handler touches two atomics and makes calls that a handler may make; the old action is not asked for.
        if unsafe { libc::sigaction(libc::SIGTRAP, &action, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        LEFT.store(instructions, Ordering::Relaxed);
        MADE.store(0, Ordering::Relaxed);
        // SAFETY: the flags go through the stack, which is as before afterwards; the trap flag changes no result of any instruction.
        unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
        Ok(())
    }

    /// Ends the counting; says how many instructions were made.
    #[inline(never)]
    pub fn stop_counting() -> u64 {
        // SAFETY: as above.
        unsafe { asm!("pushfq", "and qword ptr [rsp], -257", "popfq") };
        MADE.load(Ordering::Relaxed)
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod refused {
    use std::io;

    /// Has this process killed when it has made so many more instructions.
    ///
    /// # Errors
    ///
    /// Always: this processor does not let a process trap itself.
    pub fn die_after(_instructions: u64) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    /// Ends the counting; says how many instructions were made.
    pub fn stop_counting() -> u64 {
        0
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub use refused::{die_after, stop_counting};

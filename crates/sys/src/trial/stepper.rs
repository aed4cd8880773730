//! A process that counts its own instructions, and is killed at one of them.
//!
//! The processor's trap flag has it interrupted behind every instruction; the handler counts, and kills at zero. That costs a
//! signal each, where `ptrace` costs two switches between processes, and needs no privilege. A system call counts as one instruction.

#[cfg(target_arch = "x86_64")]
pub use counted::{count_instructions, count_on, die_after, stop_counting};

/// Whether instructions can be counted on this processor.
pub const CAN_STEP: bool = cfg!(target_arch = "x86_64");

#[cfg(target_arch = "x86_64")]
mod counted {
    use std::arch::asm;
    use std::io;
    use std::ptr;
    use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

    static LEFT: AtomicU64 = AtomicU64::new(0);
    static MADE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());

    extern "C" fn on_trap(_: libc::c_int) {
        let left = LEFT.load(Ordering::Relaxed);
        if left == 0 {
            // SAFETY: plain calls without pointers, which a signal handler may make.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        }
        LEFT.store(left.wrapping_sub(1), Ordering::Relaxed);
        // SAFETY: null, or from the static reference that `count_instructions` was given.
        if let Some(made) = unsafe { MADE.load(Ordering::Relaxed).as_ref() } {
            made.store(made.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// Gets this process ready for [`die_after`]; the instructions that it makes from there on are counted in `made`. For a process with one thread.
    ///
    /// # Errors
    ///
    /// What `sigaction` refuses.
    pub fn count_instructions(made: &'static AtomicU64) -> io::Result<()> {
        MADE.store(ptr::from_ref(made).cast_mut(), Ordering::Relaxed);
        // SAFETY: all-zero is a valid `sigaction`: no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_trap as extern "C" fn(libc::c_int) as usize;
        // SAFETY: the handler touches atomics and makes calls that a handler may make; the old action is not asked for.
        if unsafe { libc::sigaction(libc::SIGTRAP, &action, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Has this process killed when it has made so many more instructions, unless it calls [`stop_counting`] before. Needs [`count_instructions`].
    #[inline(never)]
    pub fn die_after(instructions: u64) {
        LEFT.store(instructions, Ordering::Relaxed);
        // SAFETY: the flags go through the stack, which is as before afterwards; the trap flag changes no result of any instruction.
        unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    }

    /// Goes on counting where [`stop_counting`] ended it.
    #[inline(never)]
    pub fn count_on() {
        // SAFETY: as above.
        unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    }

    /// Ends the counting; says whether this thread was counting.
    #[inline(never)]
    pub fn stop_counting() -> bool {
        let flags: u64;
        // SAFETY: as above.
        unsafe {
            asm!("pushfq", "mov {flags}, qword ptr [rsp]", "and qword ptr [rsp], -257", "popfq", flags = out(reg) flags)
        };
        flags & 0x100 != 0
    }
}

/// Ends the process at once: no destructor, no handler.
pub fn leave(code: i32) -> ! {
    stop_counting();
    // SAFETY: `_exit` has no preconditions and does not return.
    unsafe { libc::_exit(code) }
}

#[cfg(not(target_arch = "x86_64"))]
mod refused {
    use std::io;
    use std::sync::atomic::AtomicU64;

    /// Gets this process ready for [`die_after`].
    ///
    /// # Errors
    ///
    /// Always: this processor does not let a process trap itself.
    pub fn count_instructions(_made: &'static AtomicU64) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    /// Nothing: nothing can be counted.
    pub fn die_after(_instructions: u64) {}

    /// Nothing: nothing can be counted.
    pub fn count_on() {}

    /// Nothing: nothing is counted.
    pub fn stop_counting() -> bool {
        false
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub use refused::{count_instructions, count_on, die_after, stop_counting};

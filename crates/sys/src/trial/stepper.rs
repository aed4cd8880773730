//! A process that counts its own instructions, and is killed at one of them.
//!
//! The processor's trap flag has it interrupted behind every instruction; the handler counts, and kills at zero. That costs a
//! signal each, where `ptrace` costs two switches between processes, and needs no privilege. A system call counts as one instruction.
//!
//! To go a long way by single instructions is slow, above all in a virtual machine. Once the way is known, address by address, a process can run
//! at full speed to a breakpoint shortly before its end ([`Way`]). The breakpoint is in its own copy of the page.

#[cfg(target_arch = "x86_64")]
pub use counted::{Counting, count_instructions, count_on, die_after, die_behind, stop_counting};

/// Whether instructions can be counted on this processor.
pub const CAN_STEP: bool = cfg!(target_arch = "x86_64");

/// A way to an instruction boundary: to where this address is reached first, and so many instructions on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    address: u64,
    further: u64,
}

impl Way {
    /// The ways to all places on a road, which tells behind each instruction where the next one is.
    pub fn all(road: &[u64]) -> Vec<Self> {
        let mut seen = std::collections::HashSet::new();
        let mut way = Self { address: 0, further: 0 };
        road.iter()
            .map(|address| {
                way = if seen.insert(*address) {
                    Self { address: *address, further: 0 }
                } else {
                    Self { further: way.further + 1, ..way }
                };
                way
            })
            .collect()
    }
}

#[cfg(target_arch = "x86_64")]
mod counted {
    use std::arch::asm;
    use std::io;
    use std::ptr;
    use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};

    use super::Way;

    /// Instructions to go.
    static LEFT: AtomicU64 = AtomicU64::new(0);
    /// Where the count of those made goes.
    static MADE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
    /// Where the addresses go behind each.
    static ROAD: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
    static ROAD_LENGTH: AtomicUsize = AtomicUsize::new(0);

    /// The address of the breakpoint, or 0; what stands there without it; how far to go on from it; and whether it is meant now.
    static BREAKPOINT: AtomicU64 = AtomicU64::new(0);
    static INSTEAD: AtomicU8 = AtomicU8::new(0);
    static FURTHER: AtomicU64 = AtomicU64::new(0);
    static IS_MEANT: AtomicBool = AtomicBool::new(false);

    /// What interrupts a process that comes to it.
    const INT3: u8 = 0xcc;
    /// The processor's trap flag.
    const TRAP: u64 = 0x100;

    fn die() {
        // SAFETY: plain calls without pointers, which a signal handler may make.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }

    extern "C" fn on_trap(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the kernel gives a handler with SA_SIGINFO the state of what it interrupted, and takes it back from there.
        let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        let next = registers[libc::REG_RIP as usize].cast_unsigned();
        let breakpoint = BREAKPOINT.load(Relaxed);
        if breakpoint != 0 && next == breakpoint + 1 {
            BREAKPOINT.store(0, Relaxed);
            // SAFETY: the page was made writable when the breakpoint was put there, and this byte is what stood there.
            unsafe {
                ptr::with_exposed_provenance_mut::<u8>(breakpoint as usize).write_volatile(INSTEAD.load(Relaxed))
            };
            registers[libc::REG_RIP as usize] -= 1;
            if IS_MEANT.load(Relaxed) {
                match FURTHER.load(Relaxed) {
                    0 => die(),
                    further => {
                        LEFT.store(further - 1, Relaxed);
                        registers[libc::REG_EFL as usize] |= TRAP.cast_signed();
                    }
                }
            }
            return;
        }
        let left = LEFT.load(Relaxed);
        if left == 0 {
            die();
        }
        LEFT.store(left.wrapping_sub(1), Relaxed);
        // SAFETY: null, or from the static references that `count_instructions` was given; the place is within them.
        unsafe {
            if let Some(made) = MADE.load(Relaxed).as_ref() {
                let at = made.load(Relaxed);
                if at < ROAD_LENGTH.load(Relaxed) as u64 {
                    (*ROAD.load(Relaxed).add(at as usize)).store(next, Relaxed);
                }
                made.store(at + 1, Relaxed);
            }
        }
    }

    /// Gets this process ready for [`die_after`]; the instructions that it makes from there on are counted in `made`, and where it is behind each of
    /// the first goes to `road`. For a process with one thread.
    ///
    /// # Errors
    ///
    /// What `sigaction` refuses.
    pub fn count_instructions(made: &'static AtomicU64, road: &'static [AtomicU64]) -> io::Result<()> {
        MADE.store(ptr::from_ref(made).cast_mut(), Relaxed);
        ROAD.store(road.as_ptr().cast_mut(), Relaxed);
        ROAD_LENGTH.store(road.len(), Relaxed);
        // SAFETY: all-zero is a valid `sigaction`: no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_flags = libc::SA_SIGINFO;
        action.sa_sigaction = on_trap as extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) as usize;
        // SAFETY: the handler touches atomics, its context and the page of the breakpoint, and makes calls that a handler may make; the old
        // action is not asked for.
        if unsafe { libc::sigaction(libc::SIGTRAP, &action, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Has this process killed when it has made so many more instructions, unless it calls [`stop_counting`] before. Needs [`count_instructions`].
    #[inline(never)]
    pub fn die_after(instructions: u64) {
        LEFT.store(instructions, Relaxed);
        // SAFETY: the flags go through the stack, which is as before afterwards; the trap flag changes no result of any instruction.
        unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    }

    /// Has this process killed at the end of this way, unless it calls [`stop_counting`] before or does not come that way. Needs [`count_instructions`].
    #[inline(never)]
    pub fn die_behind(way: Way) {
        const PAGE: u64 = 4096;
        let address = ptr::with_exposed_provenance_mut::<u8>(way.address as usize);
        let page = ptr::with_exposed_provenance_mut((way.address & !(PAGE - 1)) as usize);
        // SAFETY: the address is that of an instruction which this program made, so the page is code; it stays code, and this process has a copy of its own.
        // Where the system refuses there is no breakpoint.
        if unsafe { libc::mprotect(page, PAGE as usize, libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC) } != 0 {
            return;
        }
        FURTHER.store(way.further, Relaxed);
        IS_MEANT.store(true, Relaxed);
        // SAFETY: as above. The handler puts back what stands here before it is run; whoever of the process comes there first is this thread, for it is the only one
        // that does this work.
        unsafe {
            INSTEAD.store(address.read_volatile(), Relaxed);
            BREAKPOINT.store(way.address, Relaxed);
            address.write_volatile(INT3);
        }
    }

    /// How a process was counting when it stopped.
    #[derive(Clone, Copy, Debug)]
    pub struct Counting {
        by_steps: bool,
        by_breakpoint: bool,
    }

    /// Goes on counting where [`stop_counting`] ended it.
    #[inline(never)]
    pub fn count_on(counting: Counting) {
        IS_MEANT.store(counting.by_breakpoint, Relaxed);
        if counting.by_steps {
            // SAFETY: as in `die_after`.
            unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
        }
    }

    /// Ends the counting; says how this thread was counting.
    #[inline(never)]
    pub fn stop_counting() -> Counting {
        let flags: u64;
        // SAFETY: as in `die_after`.
        unsafe {
            asm!("pushfq", "mov {flags}, qword ptr [rsp]", "and qword ptr [rsp], -257", "popfq", flags = out(reg) flags);
        }
        Counting { by_steps: flags & TRAP != 0, by_breakpoint: IS_MEANT.swap(false, Relaxed) }
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

    use super::Way;

    /// How a process was counting when it stopped: not at all.
    #[derive(Clone, Copy, Debug)]
    pub struct Counting;

    /// Gets this process ready for [`die_after`].
    ///
    /// # Errors
    ///
    /// Always: this processor does not let a process trap itself.
    pub fn count_instructions(_made: &'static AtomicU64, _road: &'static [AtomicU64]) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    /// Nothing: nothing can be counted.
    pub fn die_after(_instructions: u64) {}

    /// Nothing: nothing can be counted.
    pub fn die_behind(_way: Way) {}

    /// Nothing: nothing can be counted.
    pub fn count_on(_counting: Counting) {}

    /// Nothing: nothing is counted.
    pub fn stop_counting() -> Counting {
        Counting
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub use refused::{Counting, count_instructions, count_on, die_after, die_behind, stop_counting};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_leads_to_the_last_new_address_and_on_from_there() {
        let ways = Way::all(&[10, 11, 12, 11, 12, 13]);
        let way = |address, further| Way { address, further };
        assert_eq!(ways, [way(10, 0), way(11, 0), way(12, 0), way(12, 1), way(12, 2), way(13, 0)]);
    }
}

//! A process that counts its own instructions, and is killed at one of them.
//!
//! The processor's trap flag has it interrupted behind every instruction; the handler counts, and kills at zero. That costs a
//! signal each, where `ptrace` costs two switches between processes, and needs no privilege. A system call counts as one instruction.
//!
//! To go a long way by single instructions is slow, above all in a virtual machine. Once the way is known, address by address, a process can run
//! at full speed to a breakpoint shortly before its end ([`Way`](super::Way)). The breakpoint is in its own copy of the page.

#[cfg(target_arch = "x86_64")]
pub use counted::{
    Counting, count_instructions, count_on, die_after, die_at_change, die_behind, meets_point, stop_counting, survey,
};

/// Whether instructions can be counted on this processor.
pub const CAN_STEP: bool = cfg!(target_arch = "x86_64");

#[cfg(target_arch = "x86_64")]
mod counted {
    use std::arch::asm;
    use std::io;
    use std::ptr;
    use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    };

    use super::super::road::{Place, Road, Way};
    use super::super::watch::{self, Call};

    /// Instructions to go, or changes; the other is as far away as can be.
    static LEFT: AtomicU64 = AtomicU64::new(0);
    static CHANGES_LEFT: AtomicU64 = AtomicU64::new(u64::MAX);
    /// Whether changes are looked for.
    static WATCHES: AtomicBool = AtomicBool::new(false);
    /// Where the instructions go.
    static ROAD: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
    static ROAD_LENGTH: AtomicUsize = AtomicUsize::new(0);
    /// What says that this process lives, until it is about to die.
    static ALIVE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
    /// A crash point was met since the last instruction that was counted.
    static IS_AT_POINT: AtomicBool = AtomicBool::new(false);

    /// The address of the breakpoint, or 0; what stands there without it; how far to go on from it; and whether it is meant now.
    static BREAKPOINT: AtomicU64 = AtomicU64::new(0);
    static INSTEAD: AtomicU8 = AtomicU8::new(0);
    static FURTHER: AtomicU64 = AtomicU64::new(0);
    static IS_MEANT: AtomicBool = AtomicBool::new(false);

    /// What interrupts a process that comes to it.
    const INT3: u8 = 0xcc;
    /// What calls the system.
    const SYSCALL: [u8; 2] = [0x0f, 0x05];
    /// The processor's trap flag.
    const TRAP: u64 = 0x100;

    /// Says that this process lives no longer, which is about to be so.
    pub(super) fn lives_no_longer() {
        // SAFETY: null, or the static cell that `count_instructions` was given.
        if let Some(alive) = unsafe { ALIVE.load(Relaxed).as_ref() } {
            alive.store(0, SeqCst);
        }
    }

    fn die() {
        lives_no_longer();
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
        let mut is_changed = false;
        if WATCHES.load(Relaxed) {
            is_changed = watch::is_changed(registers[libc::REG_RAX as usize] as usize, road().unwrap_or(Road::none()));
            watch::comes(call_at(next, registers));
        }
        let changes_left = CHANGES_LEFT.load(Relaxed) - u64::from(is_changed);
        CHANGES_LEFT.store(changes_left, Relaxed);
        let left = LEFT.load(Relaxed);
        if left == 0 || changes_left == 0 {
            die();
        }
        LEFT.store(left - 1, Relaxed);
        if let Some(road) = road() {
            road.record(Place { next, is_changed, is_first: IS_AT_POINT.swap(false, Relaxed) });
        }
    }

    /// The system call that stands at `next`, if one does.
    fn call_at(next: u64, registers: &[libc::greg_t]) -> Option<Call> {
        let instruction = ptr::with_exposed_provenance::<[u8; 2]>(next as usize);
        // SAFETY: the instruction that is run next is mapped; where it ends with the page after one byte, the one before was the last that could be run there, and
        // both are in one mapping of code, as a linker lays it out.
        if unsafe { instruction.read_unaligned() } != SYSCALL {
            return None;
        }
        let register = |at: libc::c_int| registers[at as usize] as usize;
        let arguments = [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10].map(register);
        Some(Call { number: register(libc::REG_RAX), arguments })
    }

    fn road() -> Option<Road> {
        let cells = ROAD.load(Relaxed);
        // SAFETY: null, or the static cells of the road that `count_instructions` was given, all of them.
        (!cells.is_null()).then(|| Road::of(unsafe { std::slice::from_raw_parts(cells, ROAD_LENGTH.load(Relaxed)) }))
    }

    /// Gets this process ready to be counted: to be surveyed, or to die at some place, just before which `alive` becomes 0: whoever takes over what
    /// it held may do so before anybody is told of its end. For a process with one thread.
    ///
    /// # Errors
    ///
    /// What `sigaction` refuses.
    pub fn count_instructions(road: Road, alive: &'static AtomicU64) -> io::Result<()> {
        ALIVE.store(ptr::from_ref(alive).cast_mut(), Relaxed);
        ROAD.store(road.cells().as_ptr().cast_mut(), Relaxed);
        ROAD_LENGTH.store(road.cells().len(), Relaxed);
        // SAFETY: all-zero is a valid `sigaction`: no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_flags = libc::SA_SIGINFO;
        action.sa_sigaction = on_trap as extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) as usize;
        // SAFETY: the handler touches atomics, its context, the page of the breakpoint and what is watched, and makes calls that a handler may make;
        // the old action is not asked for.
        if unsafe { libc::sigaction(libc::SIGTRAP, &action, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    #[inline(always)]
    fn trap() {
        // SAFETY: the flags go through the stack, which is as before afterwards; the trap flag changes no result of any instruction.
        unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    }

    /// What a process leaves with that cannot see what it changes.
    const BLIND: i32 = 5;

    fn watch() {
        if road().is_none_or(|road| watch::begin(&[road.address()], true).is_err()) {
            super::leave(BLIND);
        }
        WATCHES.store(true, Relaxed);
    }

    /// Has all instructions from here on recorded on the road, with what changes for others, until [`stop_counting`]. Needs [`count_instructions`].
    /// If what is shared cannot be watched, the process leaves with 5.
    #[inline(never)]
    pub fn survey() {
        watch();
        LEFT.store(u64::MAX, Relaxed);
        trap();
    }

    /// A crash point is met, which begins a section of the road.
    pub fn meets_point() {
        IS_AT_POINT.store(true, Relaxed);
    }

    /// Has this process killed when it has made so many more instructions, unless it calls [`stop_counting`] before. Needs [`count_instructions`].
    #[inline(never)]
    pub fn die_after(instructions: u64) {
        LEFT.store(instructions, Relaxed);
        trap();
    }

    /// Has this process killed behind its so-manieth change of what others can see, from 1, unless it calls [`stop_counting`] before.
    /// Needs [`count_instructions`].
    #[inline(never)]
    pub fn die_at_change(changes: u64) {
        watch();
        CHANGES_LEFT.store(changes, Relaxed);
        LEFT.store(u64::MAX, Relaxed);
        trap();
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
        watch::something_is_unseen();
        if counting.by_steps {
            trap();
        }
    }

    /// Ends the counting; says how this thread was counting.
    #[inline(never)]
    pub fn stop_counting() -> Counting {
        let flags: u64;
        // SAFETY: as in `trap`.
        unsafe {
            asm!("pushfq", "mov {flags}, qword ptr [rsp]", "and qword ptr [rsp], -257", "popfq", flags = out(reg) flags);
        }
        Counting { by_steps: flags & TRAP != 0, by_breakpoint: IS_MEANT.swap(false, Relaxed) }
    }
}

/// Ends the process at once: no destructor, no handler. What it held is free from then on, as if it had been killed.
pub fn leave(code: i32) -> ! {
    stop_counting();
    #[cfg(target_arch = "x86_64")]
    counted::lives_no_longer();
    // SAFETY: `_exit` has no preconditions and does not return.
    unsafe { libc::_exit(code) }
}

#[cfg(not(target_arch = "x86_64"))]
mod refused {
    use std::io;

    use super::super::road::{Road, Way};

    /// How a process was counting when it stopped: not at all.
    #[derive(Clone, Copy, Debug)]
    pub struct Counting;

    /// Gets this process ready for [`die_after`].
    ///
    /// # Errors
    ///
    /// Always: this processor does not let a process trap itself.
    pub fn count_instructions(_road: Road, _alive: &'static std::sync::atomic::AtomicU64) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    /// Nothing: nothing can be counted.
    pub fn survey() {}

    /// Nothing: nothing can be counted.
    pub fn meets_point() {}

    /// Nothing: nothing can be counted.
    pub fn die_after(_instructions: u64) {}

    /// Nothing: nothing can be counted.
    pub fn die_at_change(_changes: u64) {}

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
pub use refused::{
    Counting, count_instructions, count_on, die_after, die_at_change, die_behind, meets_point, stop_counting, survey,
};

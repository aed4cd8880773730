//! A process that is interrupted at each of its deeds, and is killed just before one of them.
//!
//! A *deed* is what another process could notice: a store into shared memory, or a system call that is not known to be the caller's own affair. In
//! between the process runs at full speed. What it shares for writing is mapped for reading, so each store is a fault: the handler counts it, lets the one
//! instruction through by the processor's trap flag, and looks whether any byte is another. System calls are sent to a handler by the kernel (syscall user
//! dispatch), which makes them itself.
//!
//! So a piece of work costs by what it does to others, not by its instructions: some hundred signals instead of tens of thousands. And who dies just before a deed
//! leaves what whoever dies at any boundary since the deed before would have left: in between, its registers and its private memory have changed, which go with it.
//!
//! All of it runs in signal handlers: it keeps its state in statics, allocates nothing, and trusts that one thread is counted.

use std::collections::HashMap;

use super::road::Place;

#[cfg(target_arch = "x86_64")]
pub use interrupted::{Pause, die_at_the_end, end_deeds, interrupt_deeds, pause_deeds, resume_deeds};

/// A deed: how often the instruction at this address does something that others can see before it does this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deed {
    /// The address of the instruction.
    pub instruction: u64,
    /// How often it does something before.
    pub passes: u64,
}

impl Deed {
    /// Those that a road of deeds leads by which changed something, in their order; with their numbers from 1, those counted that changed nothing.
    pub fn all(places: &[Place]) -> Vec<(u64, Self)> {
        let mut passes = HashMap::new();
        let mut deeds = Vec::new();
        for (number, place) in (1..).zip(places) {
            let passes: &mut u64 = passes.entry(place.next).or_default();
            if place.is_changed {
                deeds.push((number, Self { instruction: place.next, passes: *passes }));
            }
            *passes += 1;
        }
        deeds
    }
}

#[cfg(target_arch = "x86_64")]
mod interrupted {
    use std::arch::{asm, global_asm};
    use std::io;
    use std::ptr;
    use std::sync::atomic::{
        AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    };

    use super::super::road::{Place, Road};
    use super::super::watch::{self, Call};
    use super::Deed;

    /// Whether deeds are interrupted at all, and the thread whose.
    static IS_ON: AtomicBool = AtomicBool::new(false);
    static THREAD: AtomicI32 = AtomicI32::new(0);
    /// The instruction before a deed of which it dies, and how often that is still to be let pass.
    static DIES_AT: AtomicU64 = AtomicU64::new(0);
    static PASSES: AtomicU64 = AtomicU64::new(0);
    /// Where the deeds are recorded; empty where they are only counted.
    static ROAD: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
    static ROAD_LENGTH: AtomicUsize = AtomicUsize::new(0);
    /// What says that this process lives, until it is about to die.
    static ALIVE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
    /// The store that is let through: its instruction and where it stores.
    static STORE: AtomicU64 = AtomicU64::new(0);
    static STORES_AT: AtomicUsize = AtomicUsize::new(0);
    /// What the kernel looks at before each system call of the counted thread: whether it is sent to the handler.
    static SELECTOR: AtomicU8 = AtomicU8::new(ALLOW);

    const ALLOW: u8 = 0;
    const BLOCK: u8 = 1;
    const PR_SET_SYSCALL_USER_DISPATCH: libc::c_long = 59;
    const PR_SYS_DISPATCH_OFF: libc::c_long = 0;
    const PR_SYS_DISPATCH_ON: libc::c_long = 1;
    const SA_RESTORER: u64 = 0x0400_0000;
    /// The processor's trap flag.
    const TRAP: u64 = 0x100;
    /// What a process leaves with that does what cannot be interrupted, such as to start a thread.
    const NOT_TO_BE_INTERRUPTED: i32 = 6;

    // Handlers go back through this, which the kernel lets pass whatever the selector says.
    global_asm!(
        ".global crosstie_trial_restorer",
        ".hidden crosstie_trial_restorer",
        "crosstie_trial_restorer:",
        "mov rax, 15",
        "syscall",
        "ud2",
    );
    unsafe extern "C" {
        fn crosstie_trial_restorer();
    }
    /// Bytes of it.
    const RESTORER: usize = 16;

    #[repr(C)]
    struct KernelAction {
        handler: usize,
        flags: u64,
        restorer: usize,
        mask: u64,
    }

    /// Has this thread interrupted at each deed from here on, until [`end_deeds`], and records those on `road`: by the instruction that does it. Just before the
    /// `last`, the process dies, and `alive` becomes 0. What is written to the memory of `alive` and of `road` is no deed.
    ///
    /// # Errors
    ///
    /// What the system refuses: syscall user dispatch came with Linux 5.11.
    pub fn interrupt_deeds(road: Road, last: Option<Deed>, alive: &'static AtomicU64) -> io::Result<()> {
        ALIVE.store(ptr::from_ref(alive).cast_mut(), Relaxed);
        ROAD.store(road.cells().as_ptr().cast_mut(), Relaxed);
        ROAD_LENGTH.store(road.cells().len(), Relaxed);
        if let Some(last) = last {
            DIES_AT.store(last.instruction, Relaxed);
            PASSES.store(last.passes, Relaxed);
        }
        watch::begin(&[road.address(), ptr::from_ref(alive).addr()], !road.cells().is_empty())?;
        // SAFETY: `gettid` has no preconditions.
        THREAD.store(unsafe { libc::gettid() }, Relaxed);
        act_on(libc::SIGSEGV, on_store)?;
        act_on(libc::SIGTRAP, on_stored)?;
        act_on(libc::SIGSYS, on_call)?;
        let begin = (crosstie_trial_restorer as unsafe extern "C" fn() as usize) as libc::c_long;
        let selector = SELECTOR.as_ptr().expose_provenance() as libc::c_long;
        let words = [PR_SYS_DISPATCH_ON, begin, RESTORER as libc::c_long, selector];
        // SAFETY: the stretch is the restorer's, the selector is a static byte.
        if unsafe {
            libc::syscall(libc::SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, words[0], words[1], words[2], words[3])
        } != 0
        {
            return Err(io::Error::last_os_error());
        }
        IS_ON.store(true, SeqCst);
        watch::protect(true);
        SELECTOR.store(BLOCK, SeqCst);
        Ok(())
    }

    /// Takes a handler for a signal, with the way back that the kernel lets pass.
    fn act_on(
        signal: libc::c_int,
        handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void),
    ) -> io::Result<()> {
        let flags = (libc::SA_SIGINFO | libc::SA_NODEFER).cast_unsigned();
        let action = KernelAction {
            handler: handler as usize,
            flags: u64::from(flags) | SA_RESTORER,
            restorer: crosstie_trial_restorer as unsafe extern "C" fn() as usize,
            mask: 0,
        };
        let none: *const KernelAction = ptr::null();
        // SAFETY: the action is one as the kernel has it, whose signal set has 8 bytes; the handlers touch statics and what is watched, and make calls that a
        // handler may make.
        match unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, ptr::from_ref(&action), none, 8) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Ends the interruptions; nothing if there were none.
    pub fn end_deeds() {
        if !IS_ON.load(Relaxed) {
            return;
        }
        SELECTOR.store(ALLOW, SeqCst);
        watch::protect(false);
        if let Some(road) = road()
            && watch::is_any_changed()
        {
            road.was_blind();
        }
        IS_ON.store(false, SeqCst);
        let off = PR_SYS_DISPATCH_OFF;
        // SAFETY: a plain call without pointers.
        unsafe { libc::syscall(libc::SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, off, 0, 0, 0) };
    }

    /// Kills this process.
    pub fn die_at_the_end(alive: &AtomicU64) -> ! {
        alive.store(0, SeqCst);
        // SAFETY: plain calls without pointers.
        unsafe {
            libc::kill(libc::getpid(), libc::SIGKILL);
            libc::_exit(NOT_TO_BE_INTERRUPTED)
        }
    }

    /// What was paused.
    #[derive(Clone, Copy, Debug)]
    pub struct Pause(bool);

    /// Lets everything pass until [`resume_deeds`].
    pub fn pause_deeds() -> Pause {
        let is_on = IS_ON.load(Relaxed);
        if is_on {
            SELECTOR.store(ALLOW, SeqCst);
            watch::protect(false);
        }
        Pause(is_on)
    }

    /// Interrupts again. What has changed meanwhile is the deed of whoever paused.
    pub fn resume_deeds(pause: Pause) {
        if pause.0 {
            watch::is_any_changed();
            watch::protect(true);
            SELECTOR.store(BLOCK, SeqCst);
        }
    }

    fn road() -> Option<Road> {
        let cells = ROAD.load(Relaxed);
        let length = ROAD_LENGTH.load(Relaxed);
        // SAFETY: null, or the static cells of the road that `interrupt_deeds` was given, all of them.
        (!cells.is_null() && length > 0).then(|| Road::of(unsafe { std::slice::from_raw_parts(cells, length) }))
    }

    /// A deed is about to be done by the instruction at this address.
    fn comes(instruction: u64) {
        if instruction != DIES_AT.load(Relaxed) {
            return;
        }
        let passes = PASSES.load(Relaxed);
        if passes > 0 {
            PASSES.store(passes - 1, Relaxed);
            return;
        }
        // The kernel looks after what the dead held in what it has mapped, and must be able to write there.
        watch::protect(false);
        // SAFETY: null, or static cells; plain calls without pointers.
        unsafe {
            if let Some(alive) = ALIVE.load(Relaxed).as_ref() {
                alive.store(0, SeqCst);
            }
            libc::kill(libc::getpid(), libc::SIGKILL);
        }
    }

    fn went(instruction: u64, is_changed: bool) {
        if let Some(road) = road() {
            road.record(Place { next: instruction, is_changed, is_first: false });
        }
    }

    /// Lets the calls of a handler pass; afterwards all is as it was.
    struct Passing(u8);

    impl Passing {
        fn begin() -> Self {
            Self(SELECTOR.swap(ALLOW, SeqCst))
        }
    }

    impl Drop for Passing {
        fn drop(&mut self) {
            SELECTOR.store(self.0, SeqCst);
        }
    }

    /// Whether this is the thread whose deeds are counted. Another one is let through uncounted.
    fn is_counted() -> bool {
        // SAFETY: `gettid` has no preconditions.
        unsafe { libc::gettid() == THREAD.load(Relaxed) }
    }

    extern "C" fn on_store(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the kernel gives a handler with SA_SIGINFO the state of what it interrupted, and takes it back from there.
        let (at, registers) =
            unsafe { ((*info).si_addr().addr(), &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs) };
        let is_counted = is_counted();
        // Another thread's selector is never looked at, and the counted one's is not its own.
        let passing = is_counted.then(Passing::begin);
        if !watch::is_watched(at) {
            // It comes again, and ends the process.
            // SAFETY: a plain call that a handler may make.
            unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
            return;
        }
        if is_counted {
            let instruction = registers[libc::REG_RIP as usize].cast_unsigned();
            comes(instruction);
            STORE.store(instruction, Relaxed);
        }
        STORES_AT.store(at, Relaxed);
        watch::protect_near(at, false);
        registers[libc::REG_EFL as usize] |= TRAP.cast_signed();
        drop(passing);
    }

    extern "C" fn on_stored(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: as in `on_store`.
        let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        let is_counted = is_counted();
        let passing = is_counted.then(Passing::begin);
        registers[libc::REG_EFL as usize] &= !TRAP.cast_signed();
        if is_counted {
            // What is mapped twice has changed at both places.
            let is_changed = road().is_some() && watch::is_any_changed();
            went(STORE.load(Relaxed), is_changed);
        }
        watch::protect_near(STORES_AT.load(Relaxed), true);
        drop(passing);
    }

    extern "C" fn on_call(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: as in `on_store`.
        let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
        let passing = Passing::begin();
        let registers = &mut context.uc_mcontext.gregs;
        let register = |at: libc::c_int| registers[at as usize] as usize;
        let number = register(libc::REG_RAX);
        let words =
            [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8, libc::REG_R9].map(register);
        let instruction = registers[libc::REG_RIP as usize].cast_unsigned();
        const STARTS: [libc::c_long; 5] =
            [libc::SYS_clone, libc::SYS_clone3, libc::SYS_fork, libc::SYS_vfork, libc::SYS_rt_sigreturn];
        if STARTS.iter().any(|call| *call as usize == number) {
            // SAFETY: `_exit` has no preconditions and does not return.
            unsafe { libc::_exit(NOT_TO_BE_INTERRUPTED) };
        }
        let call = Call { number, arguments: [words[0], words[1], words[2], words[3]] };
        let is_deed = !watch::is_private(call.number, call.arguments);
        if is_deed {
            comes(instruction);
        }
        // SAFETY: the interrupted program makes this call with these words, here as there.
        let result = unsafe { raw_call(number, words) };
        registers[libc::REG_RAX as usize] = result as i64;
        if number == libc::SYS_rt_sigprocmask as usize {
            let mut mask = 0_u64;
            let none: *const u64 = ptr::null();
            // SAFETY: asks for the mask, which has 8 bytes; the one that the handler goes back to begins the set that is there.
            unsafe {
                libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, none, ptr::from_mut(&mut mask), 8);
                *ptr::from_mut(&mut context.uc_sigmask).cast::<u64>() = mask;
            }
        }
        watch::follow(call.number, call.arguments, result);
        if is_deed {
            if road().is_some() {
                watch::is_any_changed();
            }
            went(instruction, true);
        }
        drop(passing);
    }

    /// A system call.
    ///
    /// # Safety
    ///
    /// As that call.
    unsafe fn raw_call(number: usize, words: [usize; 6]) -> usize {
        let result;
        // SAFETY: as the caller says; the kernel keeps all other registers.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") number => result,
                in("rdi") words[0],
                in("rsi") words[1],
                in("rdx") words[2],
                in("r10") words[3],
                in("r8") words[4],
                in("r9") words[5],
                lateout("rcx") _,
                lateout("r11") _,
            );
        }
        result
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod refused {
    use std::io;
    use std::sync::atomic::AtomicU64;

    use super::super::road::Road;
    use super::Deed;

    /// Nothing.
    #[derive(Clone, Copy, Debug)]
    pub struct Pause;

    /// # Errors
    ///
    /// Always: this processor does not let a process trap itself.
    pub fn interrupt_deeds(_road: Road, _last: Option<Deed>, _alive: &'static AtomicU64) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    /// Nothing: nothing is interrupted.
    pub fn end_deeds() {}

    /// Nothing: nothing is interrupted.
    pub fn pause_deeds() -> Pause {
        Pause
    }

    /// Nothing: nothing is interrupted.
    pub fn resume_deeds(_pause: Pause) {}

    /// Ends this process.
    pub fn die_at_the_end(_alive: &AtomicU64) -> ! {
        std::process::abort()
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub use refused::{Pause, die_at_the_end, end_deeds, interrupt_deeds, pause_deeds, resume_deeds};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deed_is_told_by_how_often_its_instruction_did_something_before() {
        let place = |next, is_changed| Place { next, is_changed, is_first: false };
        let deeds = Deed::all(&[place(7, true), place(8, false), place(7, false), place(8, true), place(7, true)]);
        let deed = |instruction, passes| Deed { instruction, passes };
        assert_eq!(deeds, [(1, deed(7, 0)), (4, deed(8, 1)), (5, deed(7, 2))]);
    }
}

//! What a process may do to itself in the middle of anything: end, stop, fork, become another program.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// How a process meets its end, or nearly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Killed, with no last word.
    Kill,
    /// Stopped, as a debugger or a full disk of a container does; someone else lets it go on.
    Stop,
    /// Leaves at once, without unwinding.
    Exit,
    /// Forks a child that holds on to all that it inherited; then is killed.
    Fork,
    /// Becomes another program, which lives on under the same id.
    Exec,
    /// Unmaps every segment that it has, whatever it holds, and goes on: to its next look at one, which it does not survive.
    Unmap,
}

/// Where the ids of children that hold on to things are left for whoever takes them away.
static LEFT_BEHIND: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());

/// Whether this process was told to fork, which it does at its next crash point.
static FORKS_SOON: AtomicBool = AtomicBool::new(false);

/// Forks and ends, if a signal has asked for it.
#[cfg(feature = "crash-points")]
pub(crate) fn fork_if_told() {
    if FORKS_SOON.load(Ordering::Relaxed) {
        Act::Fork.perform();
    }
}

/// How long a child that holds on, or a program that was become, lives if nobody takes it away.
const LIFE: u32 = 20;

impl Act {
    /// Does it, here and now. Comes back from [`Act::Stop`] and [`Act::Unmap`] alone.
    ///
    /// All but [`Act::Fork`] call nothing that a signal handler may not call.
    pub fn perform(self) {
        // SAFETY: each of these calls but `fork` is safe in a signal handler. That leaves a child of one thread that
        // calls `alarm`, `signal` and `pause` and no more; the words for `execv` are static and end with a null.
        unsafe {
            match self {
                Self::Kill => drop(libc::kill(libc::getpid(), libc::SIGKILL)),
                // To this very thread, which stops before its next instruction: sent to the process, another thread may take it first.
                Self::Stop => drop(libc::raise(libc::SIGSTOP)),
                Self::Exit => libc::_exit(0),
                Self::Fork => {
                    match libc::fork() {
                        0 => {
                            libc::signal(libc::SIGALRM, libc::SIG_DFL);
                            libc::alarm(LIFE);
                            loop {
                                libc::pause();
                            }
                        }
                        pid if pid > 0 => {
                            if let Some(cell) = LEFT_BEHIND.load(Ordering::Relaxed).as_ref() {
                                cell.store(u64::from(pid.unsigned_abs()), Ordering::Release);
                            }
                        }
                        _ => {}
                    }
                    libc::kill(libc::getpid(), libc::SIGKILL);
                }
                Self::Unmap => unmap_segments(),
                Self::Exec => {
                    let words = [c"sleep".as_ptr(), c"20".as_ptr(), ptr::null()];
                    libc::execv(c"/bin/sleep".as_ptr(), words.as_ptr());
                    libc::_exit(127);
                }
            }
        }
    }

    /// The signal that makes a process do this, once it has called [`act_on_signals`].
    pub fn signal(self) -> i32 {
        match self {
            Self::Kill => libc::SIGKILL,
            Self::Stop => libc::SIGSTOP,
            Self::Exit => libc::SIGUSR1,
            Self::Fork => libc::SIGUSR2,
            Self::Exec => libc::SIGVTALRM,
            Self::Unmap => libc::SIGPROF,
        }
    }
}

/// Has this process act at whatever instant a signal reaches it, or for [`Act::Fork`] at the next crash point; the id of a child that [`Act::Fork`] leaves behind goes to `left_behind`.
///
/// # Errors
///
/// What `sigaction` refuses.
pub fn act_on_signals(left_behind: &'static AtomicU64) -> io::Result<()> {
    extern "C" fn on_signal(signal: libc::c_int) {
        for act in [Act::Exit, Act::Exec, Act::Unmap] {
            if act.signal() == signal {
                act.perform();
                return;
            }
        }
        // What a program runs around a fork may not be run in a signal handler.
        FORKS_SOON.store(true, Ordering::Relaxed);
    }

    LEFT_BEHIND.store(ptr::from_ref(left_behind).cast_mut(), Ordering::Relaxed);
    for act in [Act::Exit, Act::Fork, Act::Exec, Act::Unmap] {
        // SAFETY: all-zero is a valid `sigaction`: no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // Whoever is to fork goes on with what it is at until then.
        action.sa_flags = libc::SA_RESTART;
        action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as usize;
        // SAFETY: the handler calls only what a signal handler may; the old action is not asked for.
        if unsafe { libc::sigaction(act.signal(), &action, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Unmaps what is mapped from files that are called as segments are, with an `@` in their names. Their places stay taken by memory that nobody may look
/// at: were another segment mapped there, whoever still means the first one would write into it.
///
/// # Safety
///
/// Whoever looks at one of them afterwards is killed for it. Calls only what a signal handler may.
unsafe fn unmap_segments() {
    const MOST: usize = 1 << 16;
    static mut TEXT: [u8; MOST] = [0; MOST];

    // SAFETY: the text is this handler's alone, which does not interrupt itself; the calls get what they ask for; what is unmapped are whole mappings.
    unsafe {
        // Nobody wants to see how it ends.
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
        libc::close(libc::STDERR_FILENO);
        let file = libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        let text = &mut *ptr::addr_of_mut!(TEXT);
        let mut length = 0;
        while let read @ 1.. = libc::read(file, text[length..].as_mut_ptr().cast(), MOST - length) {
            length += read.unsigned_abs();
        }
        libc::close(file);
        for line in text[..length].split(|byte| *byte == b'\n').filter(|line| line.contains(&b'@')) {
            let mut ends = line.split(|byte| *byte == b'-' || *byte == b' ').map(hexadecimal);
            if let (Some(begin), Some(end)) = (ends.next(), ends.next()) {
                let (place, length) = (ptr::with_exposed_provenance_mut(begin), end.saturating_sub(begin));
                let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
                libc::mmap(place, length, libc::PROT_NONE, flags, -1, 0);
            }
        }
    }
}

/// The number in these digits.
fn hexadecimal(digits: &[u8]) -> usize {
    digits.iter().fold(0, |number, digit| number << 4 | (*digit as char).to_digit(16).unwrap_or(0) as usize)
}

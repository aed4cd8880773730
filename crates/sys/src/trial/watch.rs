//! Whether a process that counts its instructions has changed anything that another can see.
//!
//! That is the bytes of all memory that it shares, compared with a copy behind each instruction, and what the kernel keeps for it: locks,
//! descriptors, sleepers. The latter changes by system calls alone, so each is taken for a change, except those of a list that are the
//! caller's own affair. Between two changes the process changes its registers and its private memory, of which nothing is left when it
//! dies: so whoever survives it cannot tell at which of those boundaries it died.
//!
//! To compare everything each time would be slow, and most of it is never written. So behind each instruction those pieces are compared that
//! were once found changed, and all of them every [`ALL_EVERY`] instructions. If that finds another one changed, the survey was [blind](Road::is_blind)
//! to it, and is to be made again: from then on it is among those that are compared.
//!
//! All of it runs in a signal handler: it keeps its state in statics, allocates nothing, and trusts that one thread counts.

use std::fs;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

use super::road::Road;

/// Stretches of shared memory that one process has, at most.
const MOST: usize = 256;
/// Room for the copies of them all.
const ROOM: usize = Road::WORDS * APART;
/// Compared at a time.
const PIECE: usize = 1024;
/// The kernel maps whole ones.
const PAGE: usize = 4096;
/// No instruction stores more at a time, to either side of where it faulted.
const REACH: usize = 64;
/// Copies begin at multiples of this, so that the pieces of each are whole words of the [`Road`]'s.
const APART: usize = 64 * PIECE;
/// All pieces are compared behind every so-manieth instruction.
const ALL_EVERY: usize = 64;

/// One stretch: where it begins, how long it is (0 if it is gone), and where its copy is.
struct Stretch {
    begin: AtomicUsize,
    length: AtomicUsize,
    copy: AtomicUsize,
}

static STRETCHES: [Stretch; MOST] =
    [const { Stretch { begin: AtomicUsize::new(0), length: AtomicUsize::new(0), copy: AtomicUsize::new(0) } }; MOST];
/// How many there were, gone ones among them; and how much of the room for copies is taken.
static COUNT: AtomicUsize = AtomicUsize::new(0);
static ROOM_AT: AtomicUsize = AtomicUsize::new(0);
static ROOM_LEFT: AtomicUsize = AtomicUsize::new(0);
/// Whether there are copies to compare with, and whether stores fault now.
static COMPARES: AtomicBool = AtomicBool::new(false);
static IS_PROTECTED: AtomicBool = AtomicBool::new(false);
/// Something was done uncounted, or there was no room to see everything.
static IS_UNSEEN: AtomicBool = AtomicBool::new(false);
/// Instructions since all pieces were compared.
static SINCE_ALL: AtomicUsize = AtomicUsize::new(0);
/// Whether the next instruction is a system call, its number and what it is called with.
static IS_CALL: AtomicBool = AtomicBool::new(false);
static CALL: [AtomicUsize; 5] = [const { AtomicUsize::new(0) }; 5];

/// What a system call is made with, by the registers that carry it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) number: usize,
    /// The first four arguments.
    pub(super) arguments: [usize; 4],
}

/// Takes note of all that this process shares for writing, except what lies at one of `except`; and if `compares`, copies it, to be compared from now on.
///
/// # Errors
///
/// What `mmap` and `/proc` refuse; more stretches, or longer ones, than there is room for.
pub(super) fn begin(except: &[usize], compares: bool) -> io::Result<()> {
    COMPARES.store(compares, Relaxed);
    if ROOM_AT.load(Relaxed) == 0 {
        // SAFETY: a new mapping at an address of the kernel's choice disturbs no other.
        let room =
            unsafe { mmap_anonymous(ptr::null_mut(), ROOM, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)? };
        ROOM_AT.store(room.expose_provenance(), Relaxed);
        ROOM_LEFT.store(ROOM, Relaxed);
    }
    let maps = fs::read_to_string("/proc/self/maps")?;
    for (begin, end) in maps.lines().filter_map(shared_for_writing) {
        if !except.iter().any(|except| (begin..end).contains(except)) && !add(begin, end - begin) {
            return Err(io::Error::other("more shared memory than can be watched"));
        }
    }
    Ok(())
}

/// The stretch of a line of `/proc/PID/maps`, if it is shared and may be written.
fn shared_for_writing(line: &str) -> Option<(usize, usize)> {
    let (range, rest) = line.split_once(' ')?;
    let (begin, end) = range.split_once('-')?;
    if !rest.starts_with("rw-s") {
        return None;
    }
    Some((usize::from_str_radix(begin, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

/// Watches one more stretch; false if there is no room.
fn add(begin: usize, length: usize) -> bool {
    let (at, left) = (COUNT.load(Relaxed), ROOM_LEFT.load(Relaxed));
    let room = length.next_multiple_of(APART);
    if at == MOST || left < room {
        return false;
    }
    let copy = ROOM_AT.load(Relaxed) + ROOM - left;
    ROOM_LEFT.store(left - room, Relaxed);
    STRETCHES[at].begin.store(begin, Relaxed);
    STRETCHES[at].copy.store(copy, Relaxed);
    STRETCHES[at].length.store(length, Relaxed);
    COUNT.store(at + 1, Relaxed);
    if COMPARES.load(Relaxed) {
        // SAFETY: the stretch is mapped, as the kernel has just said; the copy is `length` bytes of the room that nobody else uses.
        unsafe { ptr::copy_nonoverlapping(at_address(begin), at_address(copy), length) };
    }
    if IS_PROTECTED.load(Relaxed) {
        set_protection(begin, length, true);
    }
    true
}

/// The stretches that there are: where each begins, how long it is, and where its copy is.
fn stretches() -> impl Iterator<Item = (usize, usize, usize)> {
    let all = STRETCHES[..COUNT.load(Relaxed)].iter();
    all.map(|stretch| (stretch.begin.load(Relaxed), stretch.length.load(Relaxed), stretch.copy.load(Relaxed)))
        .filter(|(_, length, _)| *length > 0)
}

/// Has every store into what is watched fault, or none. Called from signal handlers.
pub(super) fn protect(from_stores: bool) {
    IS_PROTECTED.store(from_stores, Relaxed);
    stretches().for_each(|(begin, length, _)| set_protection(begin, length, from_stores));
}

/// Has the stores of one instruction that faulted at this address fault, or not.
pub(super) fn protect_near(address: usize, from_stores: bool) {
    for (begin, length, _) in stretches().filter(|(begin, length, _)| (*begin..begin + length).contains(&address)) {
        let first = (address.saturating_sub(REACH) & !(PAGE - 1)).max(begin);
        let last = (address + REACH).next_multiple_of(PAGE).min(begin + length);
        set_protection(first, last - first, from_stores);
    }
}

fn set_protection(begin: usize, length: usize, from_stores: bool) {
    let protection = if from_stores { libc::PROT_READ } else { libc::PROT_READ | libc::PROT_WRITE };
    // SAFETY: the stretch is mapped, and shared for writing by whoever mapped it. A store that faults for this goes to a handler. What is refused is seen: a store
    // that is let through and faults again is let through again.
    unsafe { libc::mprotect(at_address(begin).cast(), length, protection) };
}

/// Whether this address is in what is watched.
pub(super) fn is_watched(address: usize) -> bool {
    stretches().any(|(begin, length, _)| (begin..begin + length).contains(&address))
}

/// Whether anything that is watched has changed that was not looked at since.
pub(super) fn is_any_changed() -> bool {
    stretches().fold(false, |is_changed, (begin, length, copy)| {
        // SAFETY: both are mapped, and as long; the copy is this process's alone.
        unsafe { catch_up(begin, copy, length) || is_changed }
    })
}

fn at_address(address: usize) -> *mut u8 {
    ptr::with_exposed_provenance_mut(address)
}

/// What was done since the last [`is_changed`] was not counted; whatever it was, it is a change.
pub(super) fn something_is_unseen() {
    IS_UNSEEN.store(true, Relaxed);
}

/// Remembers the system call that is the next instruction, if it is one.
pub(super) fn comes(call: Option<Call>) {
    IS_CALL.store(call.is_some(), Relaxed);
    if let Some(Call { number, arguments }) = call {
        let words = [number, arguments[0], arguments[1], arguments[2], arguments[3]];
        CALL.iter().zip(words).for_each(|(cell, word)| cell.store(word, Relaxed));
    }
}

/// Whether the last instruction has changed anything that others can see. `result` is what it returned if it was a system call.
pub(super) fn is_changed(result: usize, road: Road) -> bool {
    let mut is_changed = IS_UNSEEN.swap(false, Relaxed);
    if IS_CALL.swap(false, Relaxed) {
        let [number, arguments @ ..] = [0, 1, 2, 3, 4].map(|at: usize| CALL[at].load(Relaxed));
        is_changed |= !is_private(number, arguments);
        follow(number, arguments, result);
    }
    let since = SINCE_ALL.load(Relaxed) + 1;
    let all = since >= ALL_EVERY;
    SINCE_ALL.store(if all { 0 } else { since }, Relaxed);
    for stretch in &STRETCHES[..COUNT.load(Relaxed)] {
        let (begin, length, copy) =
            (stretch.begin.load(Relaxed), stretch.length.load(Relaxed), stretch.copy.load(Relaxed));
        let first = (copy - ROOM_AT.load(Relaxed)) / APART;
        for (word, at) in (first..).zip((0..length).step_by(APART)) {
            let known = road.written(word);
            let mut left = if all { u64::MAX } else { known };
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                let at = at + bit as usize * PIECE;
                if at >= length {
                    break;
                }
                // SAFETY: the stretch is mapped until it is gone, which `follow` notes; its copy is as long. That others write meanwhile changes what is
                // compared and no more, for no reference is made.
                if unsafe { catch_up(begin + at, copy + at, PIECE) } {
                    is_changed = true;
                    if known & 1 << bit == 0 {
                        road.was_blind_to(word, bit);
                    }
                }
            }
        }
    }
    is_changed
}

/// Whether the two pieces differ; afterwards they do not.
///
/// # Safety
///
/// Both are mapped, and the copy is the caller's alone.
unsafe fn catch_up(piece: usize, copy: usize, length: usize) -> bool {
    let (there, here) = (at_address(piece), at_address(copy));
    // SAFETY: as this function asks of its caller.
    unsafe {
        let differs = libc::memcmp(there.cast(), here.cast(), length) != 0;
        if differs {
            ptr::copy_nonoverlapping(there, here, length);
        }
        differs
    }
}

/// Watches what a system call has mapped, and forgets what it has unmapped.
pub(super) fn follow(number: usize, arguments: [usize; 4], result: usize) {
    let [address, length, protection, flags] = arguments;
    if number == libc::SYS_mmap as usize {
        let is_shared = flags & libc::MAP_SHARED as usize != 0 && protection & libc::PROT_WRITE as usize != 0;
        // An error is one of the last addresses.
        let is_there = result < usize::MAX - PAGE;
        if is_shared && is_there && !add(result, length.next_multiple_of(PAGE)) {
            something_is_unseen();
        }
    }
    if number == libc::SYS_munmap as usize {
        for stretch in STRETCHES.iter().filter(|stretch| stretch.begin.load(Relaxed) == address) {
            stretch.length.store(0, Relaxed);
        }
    }
}

/// Whether a system call is known to leave nothing that another process can see: it asks, it changes this process's own memory or signals, or it
/// opens what is there. What is not known here is taken for a change.
pub(super) fn is_private(number: usize, arguments: [usize; 4]) -> bool {
    const ASKS: &[libc::c_long] = &[
        libc::SYS_read,
        libc::SYS_pread64,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_lseek,
        libc::SYS_access,
        libc::SYS_faccessat,
        libc::SYS_getcwd,
        libc::SYS_readlink,
        libc::SYS_readlinkat,
        libc::SYS_getdents64,
        libc::SYS_uname,
        libc::SYS_sysinfo,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_getppid,
        libc::SYS_getuid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getegid,
        libc::SYS_clock_gettime,
        libc::SYS_getrandom,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_getcpu,
    ];
    const OWN: &[libc::c_long] = &[
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_sigaltstack,
    ];
    const OPENING: usize = (libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY)) as usize;
    let is_among = |calls: &[libc::c_long]| calls.iter().any(|call| *call as usize == number);
    let opens = number == libc::SYS_openat as usize && arguments[2] & OPENING == 0;
    is_among(ASKS) || is_among(OWN) || opens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_shared_for_writing_is_watched() {
        let line = "7f0000001000-7f0000003000 rw-s 00000000 00:1a 42   /dev/shm/trial@1";
        assert_eq!(shared_for_writing(line), Some((0x7f00_0000_1000, 0x7f00_0000_3000)));
        assert_eq!(shared_for_writing(&line.replace("rw-s", "rw-p")), None);
        assert_eq!(shared_for_writing(&line.replace("rw-s", "r--s")), None);
    }

    #[test]
    fn what_is_not_known_to_be_private_is_a_change() {
        let flags = |flags: i32| [0, 0, flags as usize, 0];
        assert!(is_private(libc::SYS_openat as usize, flags(libc::O_RDWR | libc::O_CLOEXEC)));
        assert!(!is_private(libc::SYS_openat as usize, flags(libc::O_RDWR | libc::O_CREAT)));
        assert!(!is_private(libc::SYS_openat as usize, flags(libc::O_RDWR | libc::O_TMPFILE)));
        assert!(!is_private(libc::SYS_fcntl as usize, [0; 4]));
        assert!(!is_private(libc::SYS_close as usize, [0; 4]));
        assert!(!is_private(libc::SYS_futex as usize, [0; 4]));
    }
}

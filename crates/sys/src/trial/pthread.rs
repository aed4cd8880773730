//! The locks of POSIX in shared memory, to show what becomes of them when a process dies.
//!
//! Controls only: a test of our own locks counts if the same test of these fails. One page of a file holds one of each kind.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::path::Path;
use std::ptr;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::mm::{MapFlags, ProtFlags, mmap};

/// What the mutex of a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MutexKind {
    /// Shared between processes, and no more.
    Plain,
    /// Robust: the death of its holder is told to the next one.
    Robust,
    /// Robust, and its holder may lock it again.
    RobustRecursive,
}

/// How a mutex was acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// From nobody.
    Clean,
    /// From a holder that died.
    OwnerDied,
}

/// One page with a mutex, an rwlock, a semaphore, a barrier, a condition variable and words to guard.
#[derive(Clone, Copy, Debug)]
pub struct PosixPage(&'static Layout);

#[repr(C)]
#[derive(Debug)]
struct Layout {
    mutex: Cell<libc::pthread_mutex_t>,
    rwlock: Cell<libc::pthread_rwlock_t>,
    permits: Cell<libc::sem_t>,
    barrier: Cell<libc::pthread_barrier_t>,
    condvar: Cell<libc::pthread_cond_t>,
    words: [AtomicU64; WORDS],
}

/// Something that only libc touches, through its address.
#[repr(C, align(64))]
struct Cell<T>(std::cell::UnsafeCell<MaybeUninit<T>>);

impl<T> Cell<T> {
    fn at(&self) -> *mut T {
        self.0.get().cast()
    }
}

impl<T> std::fmt::Debug for Cell<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

// The libc crate does not name these two for Linux.
unsafe extern "C" {
    fn pthread_rwlock_timedrdlock(lock: *mut libc::pthread_rwlock_t, until: *const libc::timespec) -> libc::c_int;
    fn pthread_rwlock_timedwrlock(lock: *mut libc::pthread_rwlock_t, until: *const libc::timespec) -> libc::c_int;
}

const PAGE: usize = 4096;
const WORDS: usize = 64;
const _: () = assert!(size_of::<Layout>() <= PAGE);

impl PosixPage {
    /// Makes the file and the locks in it: `permits` of the semaphore, `parties` to the barrier.
    ///
    /// # Errors
    ///
    /// What the file system or the initialisers refuse.
    pub fn create(path: &Path, kind: MutexKind, permits: u32, parties: u32) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        file.set_len(PAGE as u64)?;
        let page = Self::map(&file)?;
        page.init(kind, permits, parties)?;
        Ok(page)
    }

    /// The locks of a file that [`create`](Self::create) made. The mapping stays until the process ends, as libc's list of held locks points into it.
    ///
    /// # Errors
    ///
    /// What the file system refuses; a file that is too short.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if file.metadata()?.len() < PAGE as u64 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        Self::map(&file)
    }

    fn map(file: &File) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice disturbs no other.
        let start =
            unsafe { mmap(ptr::null_mut(), PAGE, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, file, 0)? };
        // SAFETY: the mapping is page-aligned, as long as the layout (asserted above), never unmapped and, as the file, never
        // shortened. Every part is a cell that libc alone looks into, or an atomic; any bytes are valid for both.
        Ok(Self(unsafe { &*start.cast::<Layout>() }))
    }

    fn init(self, kind: MutexKind, permits: u32, parties: u32) -> io::Result<()> {
        let shared = libc::PTHREAD_PROCESS_SHARED;
        // SAFETY: every pointer leads to an attribute that the line before initialised, or into this page, which nobody else has yet.
        unsafe {
            let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
            let attributes = attributes.as_mut_ptr();
            done(libc::pthread_mutexattr_init(attributes))?;
            done(libc::pthread_mutexattr_setpshared(attributes, shared))?;
            if kind != MutexKind::Plain {
                done(libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST))?;
            }
            if kind == MutexKind::RobustRecursive {
                done(libc::pthread_mutexattr_settype(attributes, libc::PTHREAD_MUTEX_RECURSIVE))?;
            }
            done(libc::pthread_mutex_init(self.0.mutex.at(), attributes))?;

            let mut attributes = MaybeUninit::<libc::pthread_rwlockattr_t>::uninit();
            let attributes = attributes.as_mut_ptr();
            done(libc::pthread_rwlockattr_init(attributes))?;
            done(libc::pthread_rwlockattr_setpshared(attributes, shared))?;
            done(libc::pthread_rwlock_init(self.0.rwlock.at(), attributes))?;

            if libc::sem_init(self.0.permits.at(), 1, permits) != 0 {
                return Err(io::Error::last_os_error());
            }

            let mut attributes = MaybeUninit::<libc::pthread_barrierattr_t>::uninit();
            let attributes = attributes.as_mut_ptr();
            done(libc::pthread_barrierattr_init(attributes))?;
            done(libc::pthread_barrierattr_setpshared(attributes, shared))?;
            done(libc::pthread_barrier_init(self.0.barrier.at(), attributes, parties))?;

            let mut attributes = MaybeUninit::<libc::pthread_condattr_t>::uninit();
            let attributes = attributes.as_mut_ptr();
            done(libc::pthread_condattr_init(attributes))?;
            done(libc::pthread_condattr_setpshared(attributes, shared))?;
            done(libc::pthread_cond_init(self.0.condvar.at(), attributes))
        }
    }

    /// Words to guard, zero at first.
    pub fn words(self) -> &'static [AtomicU64] {
        &self.0.words
    }

    /// Locks the mutex.
    ///
    /// # Errors
    ///
    /// `TimedOut`; `NotRecoverable` as the raw error `ENOTRECOVERABLE`.
    pub fn lock(self, within: Duration) -> io::Result<Locked> {
        // SAFETY: `create` initialised the mutex; the time outlives the call.
        match unsafe { libc::pthread_mutex_timedlock(self.0.mutex.at(), &wall_deadline(within)) } {
            libc::EOWNERDEAD => Ok(Locked::OwnerDied),
            code => done(code).map(|()| Locked::Clean),
        }
    }

    /// Locks the mutex however long it takes, without looking at a clock first: for measurements.
    ///
    /// # Errors
    ///
    /// As [`PosixPage::lock`], but it never times out.
    #[inline]
    pub fn lock_without_limit(self) -> io::Result<Locked> {
        // SAFETY: `create` initialised the mutex.
        match unsafe { libc::pthread_mutex_lock(self.0.mutex.at()) } {
            libc::EOWNERDEAD => Ok(Locked::OwnerDied),
            code => done(code).map(|()| Locked::Clean),
        }
    }

    /// Declares what a mutex guards whole again, after [`Locked::OwnerDied`].
    ///
    /// # Errors
    ///
    /// What libc refuses: a mutex in another state.
    pub fn make_consistent(self) -> io::Result<()> {
        // SAFETY: `create` initialised the mutex.
        done(unsafe { libc::pthread_mutex_consistent(self.0.mutex.at()) })
    }

    /// Unlocks the mutex.
    ///
    /// # Errors
    ///
    /// What libc refuses: a robust mutex that this thread does not hold.
    pub fn unlock(self) -> io::Result<()> {
        // SAFETY: `create` initialised the mutex; to unlock a plain one that another holds breaks its promise and nothing else.
        done(unsafe { libc::pthread_mutex_unlock(self.0.mutex.at()) })
    }

    /// Locks the rwlock to read.
    ///
    /// # Errors
    ///
    /// `TimedOut`.
    pub fn read_lock(self, within: Duration) -> io::Result<()> {
        // SAFETY: `create` initialised the rwlock; the time outlives the call.
        done(unsafe { pthread_rwlock_timedrdlock(self.0.rwlock.at(), &wall_deadline(within)) })
    }

    /// Locks the rwlock to write.
    ///
    /// # Errors
    ///
    /// `TimedOut`.
    pub fn write_lock(self, within: Duration) -> io::Result<()> {
        // SAFETY: `create` initialised the rwlock; the time outlives the call.
        done(unsafe { pthread_rwlock_timedwrlock(self.0.rwlock.at(), &wall_deadline(within)) })
    }

    /// Unlocks the rwlock.
    ///
    /// # Errors
    ///
    /// What libc refuses.
    pub fn rw_unlock(self) -> io::Result<()> {
        // SAFETY: `create` initialised the rwlock.
        done(unsafe { libc::pthread_rwlock_unlock(self.0.rwlock.at()) })
    }

    /// Takes a permit of the semaphore.
    ///
    /// # Errors
    ///
    /// `TimedOut`; `Interrupted`.
    pub fn take_permit(self, within: Duration) -> io::Result<()> {
        // SAFETY: `create` initialised the semaphore; the time outlives the call.
        match unsafe { libc::sem_timedwait(self.0.permits.at(), &wall_deadline(within)) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Gives a permit back.
    ///
    /// # Errors
    ///
    /// What libc refuses: a count beyond its limit.
    pub fn give_permit(self) -> io::Result<()> {
        // SAFETY: `create` initialised the semaphore.
        match unsafe { libc::sem_post(self.0.permits.at()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits until all parties are at the barrier. There is no deadline: POSIX has none.
    ///
    /// # Errors
    ///
    /// What libc refuses.
    pub fn arrive(self) -> io::Result<()> {
        // SAFETY: `create` initialised the barrier.
        match unsafe { libc::pthread_barrier_wait(self.0.barrier.at()) } {
            libc::PTHREAD_BARRIER_SERIAL_THREAD => Ok(()),
            code => done(code),
        }
    }

    /// Waits for the condition variable, with the mutex held.
    ///
    /// # Errors
    ///
    /// `TimedOut`.
    pub fn wait(self, within: Duration) -> io::Result<()> {
        let deadline = wall_deadline(within);
        // SAFETY: `create` initialised both; the time outlives the call.
        done(unsafe { libc::pthread_cond_timedwait(self.0.condvar.at(), self.0.mutex.at(), &deadline) })
    }

    /// Wakes all who wait for the condition variable. May never come back: that is what it is here to show.
    ///
    /// # Errors
    ///
    /// What libc refuses.
    pub fn broadcast(self) -> io::Result<()> {
        // SAFETY: `create` initialised the condition variable.
        done(unsafe { libc::pthread_cond_broadcast(self.0.condvar.at()) })
    }
}

/// A libc answer that is an error number, or zero.
fn done(code: i32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

/// POSIX counts these deadlines by the wall clock.
fn wall_deadline(within: Duration) -> libc::timespec {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + within;
    libc::timespec { tv_sec: i64::try_from(at.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(at.subsec_nanos()) }
}

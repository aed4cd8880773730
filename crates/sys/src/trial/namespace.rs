//! A child that is process 1 of a PID namespace of its own.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::child::{Child, fork, leave, wait_status};

/// Codes with which the process in the middle says why there is no child.
const REFUSED: u8 = 78;
/// How long the process in the middle may take to make the child.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs `body` as process 1 of a new PID namespace, as the first process of a container does.
///
/// A process in the middle makes the namespace, hands over the child's id and stays until the child ends, so that each of the two dies with
/// the other. Who is not root gets a user namespace with it. `cell`, one of [`shared_cells`](super::shared_cells), carries the id.
///
/// # Errors
///
/// `PermissionDenied` where namespaces are not allowed; what [`fork`] refuses.
pub fn fork_in_own_namespace(cell: &'static AtomicU64, body: impl FnOnce() -> u8) -> io::Result<Child> {
    cell.store(0, Ordering::Release);
    let mut middle = fork(|| {
        if !unshare() {
            return REFUSED;
        }
        // SAFETY: a child of `fork` has one thread.
        match unsafe { libc::fork() } {
            -1 => REFUSED,
            0 => leave(|| {
                // SAFETY: a plain call without pointers. Whether the parent is gone already cannot be asked from inside
                // (its id is 0 here); its end is the end of the test, which outlives this by little.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                body()
            }),
            pid => {
                cell.store(u64::from(pid.unsigned_abs()), Ordering::Release);
                stand_in(pid)
            }
        }
    })?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let pid = cell.load(Ordering::Acquire);
        if pid != 0 {
            return Ok(middle.standing_for(i32::try_from(pid).expect("the kernel's ids fit 22 bits")));
        }
        if middle.try_wait()?.is_some() || Instant::now() > deadline {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        std::thread::yield_now();
    }
}

fn unshare() -> bool {
    // SAFETY: plain calls without pointers, in a process with one thread.
    unsafe { libc::unshare(libc::CLONE_NEWPID) == 0 || libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWPID) == 0 }
}

/// Waits for the child and ends as it did, as far as a code can say.
fn stand_in(pid: i32) -> u8 {
    loop {
        match wait_status(pid, 0) {
            Ok(Some(status)) if libc::WIFEXITED(status) => return u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(1),
            Ok(Some(_)) | Err(_) => return 128 + 9,
            Ok(None) => {}
        }
    }
}

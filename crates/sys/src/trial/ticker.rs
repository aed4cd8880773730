//! A tick that interrupts waiting system calls, so that every wait can look at its deadline.

use std::io;
use std::ptr;
use std::time::Duration;

/// Has this process interrupted with `SIGALRM` again and again, which does nothing but end a blocking call with `EINTR`.
///
/// Children do not inherit the tick. One that repeats has no race: a tick that falls just before the blocking call is followed by another.
///
/// # Errors
///
/// What `sigaction` and `setitimer` refuse.
pub fn tick(every: Duration) -> io::Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}

    // SAFETY: all-zero is a valid `sigaction`: no flags (so no SA_RESTART, which is the point) and an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the handler does nothing, which is safe in any signal context; the old action is not asked for.
    if unsafe { libc::sigaction(libc::SIGALRM, &action, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let period = libc::timeval {
        tv_sec: i64::try_from(every.as_secs()).unwrap_or(1),
        tv_usec: i64::from(every.subsec_micros()),
    };
    let timer = libc::itimerval { it_interval: period, it_value: period };
    // SAFETY: `timer` is initialised; the old value is not asked for.
    if unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

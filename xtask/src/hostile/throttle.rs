//! An attacker held to a quarter of one core: stopped whenever it has used more than its share since it began.

use std::fs;
use std::io;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::cage::{Cage, process};

/// How many hundredths of a core.
const SHARE: u32 = 25;
/// How often it is looked at.
const BEAT: Duration = Duration::from_millis(1);

/// A process under its limit.
pub(super) struct Throttle {
    child: Child,
    begun: Instant,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Throttle {
    pub(super) fn hold(mut child: Child, cage: &Cage) -> io::Result<Self> {
        let (begun, is_over) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let thread = match cage.hold_cpu(child.id()) {
            Ok(true) => None,
            Ok(false) => {
                let (pid, is_over) = (child.id(), Arc::clone(&is_over));
                Some(thread::spawn(move || stop_and_go(pid, begun, &is_over)))
            }
            Err(error) => {
                child.kill()?;
                return Err(error);
            }
        };
        Ok(Self { child, begun, is_over, thread })
    }

    /// Ends it, and says what part of a core it has used.
    pub(super) fn end(self) -> f64 {
        let share = used(self.child.id()).unwrap_or_default().as_secs_f64() / self.begun.elapsed().as_secs_f64();
        drop(self);
        share
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // It is our child and has not been waited for, so the number is still its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn stop_and_go(pid: u32, begun: Instant, is_over: &AtomicBool) {
    let Some(process) = process(pid) else { return };
    let mut is_stopped = false;
    while !is_over.load(Ordering::SeqCst) {
        let allowed = begun.elapsed() * SHARE / 100;
        let is_beyond = used(pid).is_some_and(|used| used > allowed);
        if is_beyond != is_stopped {
            let _ = kill_process(process, if is_beyond { Signal::STOP } else { Signal::CONT });
            is_stopped = is_beyond;
        }
        thread::sleep(BEAT);
    }
}

/// The processor time of a process with one thread.
fn used(pid: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

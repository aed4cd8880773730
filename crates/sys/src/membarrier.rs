//! A memory barrier that one process makes all others execute, so that their own side of it costs nothing.
//!
//! Two processes that each store one word and then load the other's need a full fence on both sides, or both may miss the other's
//! store. Where one side runs ten million times a second and the other only before it goes to sleep, the fence of the
//! busy side can be moved to the sleeper: [`everywhere`] interrupts every processor that runs a registered process. The busy side
//! then keeps the compiler from reordering, and no more.

use std::sync::OnceLock;

use rustix::thread::{MembarrierCommand, membarrier};

/// Registers this process, so that the barriers of others reach its threads; false if the kernel cannot.
///
/// The kernel is asked once per process. The child of a fork is registered as its parent was.
pub fn register() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok())
}

/// Executes a full barrier on every processor that runs a thread of a registered process; false if the kernel cannot.
///
/// It is a full barrier of the calling thread too. It takes a few microseconds where others run, and a system call where none do.
pub fn everywhere() -> bool {
    membarrier(MembarrierCommand::GlobalExpedited).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_can_register_can_be_reached() {
        assert_eq!(register(), everywhere());
    }
}

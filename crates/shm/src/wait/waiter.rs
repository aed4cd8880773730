//! One wait from start to end: look, announce, look again, sleep, and now and then ask whether the other side still lives.

use crosstie_core::{Deadline, Mono};

use super::{
    event::EventCount,
    fence::Fence,
    spin::{SpinBudget, WaitPolicy},
};
use crate::{
    faults::{Fault, is_kept},
    sync::spin_loop,
};

/// The other side of an object, as the waiter needs to know it.
pub(crate) trait Peer {
    /// Whether it left on purpose. It costs one load.
    fn has_left(&self) -> bool;
    /// Whether its process ended without leaving. It may cost a system call.
    fn has_died(&self) -> bool;
    /// The fence that it uses before it looks for sleepers.
    fn fence(&self) -> Fence;
    /// The processors that it may use, one bit each; 0 if nobody has come yet.
    fn processors(&self) -> u64;
}

/// Why a wait ended without what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitEnd {
    /// The deadline has passed.
    TimedOut,
    /// The other side left on purpose.
    Left,
    /// The other side died.
    Died,
}

/// How long a sleep or a busy look lasts until the other side's life is checked again.
pub(crate) const CHECK_EVERY: core::time::Duration = core::time::Duration::from_millis(20);

/// What one side remembers from wait to wait.
#[derive(Debug)]
pub(crate) struct Waiter {
    budget: SpinBudget,
    processors: u64,
    is_only: bool,
    /// Something was there without a wait since the last one.
    flowed: bool,
    /// The last wait was over so soon that we are on the other side's heels.
    on_heels: bool,
}

/// Pauses before the first look while messages flow. Whoever takes each message as it comes steals the line that the other side writes the next one
/// to; a little later several are there at once.
const STEPS_BACK: u32 = 24;
/// A wait of so few looks is no wait for an answer.
const FEW_LOOKS: u32 = 3;

impl Waiter {
    /// A waiter of a process that may use `processors`.
    pub(crate) const fn new(policy: WaitPolicy, processors: u64) -> Self {
        Self { budget: SpinBudget::new(policy), processors, is_only: true, flowed: false, on_heels: false }
    }

    /// The same where others may sleep on the same object: none takes an announcement back, for it may be another's.
    pub(crate) const fn among_others(policy: WaitPolicy, processors: u64) -> Self {
        Self { budget: SpinBudget::new(policy), processors, is_only: false, flowed: false, on_heels: false }
    }

    /// Something was there without a wait.
    #[inline]
    pub(crate) const fn flows(&mut self) {
        self.flowed = true;
    }

    fn withdraw(&self, on: &EventCount) {
        if self.is_only {
            on.withdraw();
        }
    }

    /// Waits until `ready` gives something.
    ///
    /// What the other side did before it left or died still counts: `ready` is asked once more after that has been seen.
    pub(crate) fn wait<R>(
        &mut self,
        on: &EventCount,
        peer: &impl Peer,
        clock: impl Fn() -> Mono,
        deadline: Deadline,
        mut ready: impl FnMut() -> Option<R>,
    ) -> Result<R, WaitEnd> {
        let mut check_at = None;
        let steps_back = self.flowed || self.on_heels;
        (self.flowed, self.on_heels) = (false, false);
        loop {
            let alone = (self.processors | peer.processors()).count_ones() == 1;
            let looks = self.budget.looks(alone);
            if steps_back && looks > 0 && check_at.is_none() {
                (0..STEPS_BACK).for_each(|_| spin_loop());
            }
            for look in 0..looks {
                if let Some(found) = ready() {
                    self.budget.helped();
                    self.on_heels = !steps_back && look <= FEW_LOOKS;
                    return Ok(found);
                }
                spin_loop();
            }
            // Leaving comes after the last thing that was done: pairs with the Release in Seat::leave.
            let has_left = peer.has_left();
            let mut now = clock();
            let is_late = deadline.expired(now);
            if self.budget.is_busy() || has_left || is_late {
                if let Some(found) = ready() {
                    return Ok(found);
                }
            } else {
                let announced = on.announce(|| peer.fence());
                if is_kept(Fault::LookAgain)
                    && let Some(found) = ready()
                {
                    self.withdraw(on);
                    return Ok(found);
                }
                // Who leaves changes its seat and notifies, so this look or the sleep's end tells.
                if !peer.has_left() {
                    self.budget.in_vain();
                    on.sleep(announced, deadline.earlier(Deadline::after(now, CHECK_EVERY)));
                    now = clock();
                }
                self.withdraw(on);
                if let Some(found) = ready() {
                    return Ok(found);
                }
            }
            if has_left {
                return Err(WaitEnd::Left);
            }
            let check_due = *check_at.get_or_insert(now + CHECK_EVERY / 2);
            if is_late || now >= check_due {
                if peer.has_died() {
                    return ready().ok_or(WaitEnd::Died);
                }
                check_at = Some(now + CHECK_EVERY / 2);
            }
            if is_late {
                return Err(WaitEnd::TimedOut);
            }
        }
    }
}

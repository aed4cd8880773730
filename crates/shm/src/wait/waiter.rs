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
    /// How often something was there without a wait since the last one.
    flowed: u32,
    /// Waits in a row that were over so soon that we may be on the other side's heels.
    on_heels: u32,
}

/// Pauses before the first look while messages flow. Whoever takes each message as it comes steals the line that the other side writes the next one
/// to; a little later several are there at once.
const STEPS_BACK: u32 = 24;
/// Pauses where so many came at once that more are on their way.
const MORE_STEPS_BACK: u32 = 96;
/// So many are a stream.
const MANY: u32 = 8;
/// A wait of so few looks may be none for an answer.
const FEW_LOOKS: u32 = 3;
/// Of so many short waits in a row one steps back, to find out whether messages flow. Where each is an answer to one of ours, it was in vain.
const STEP_BACK_AFTER: u32 = 64;

impl Waiter {
    /// A waiter of a process that may use `processors`.
    pub(crate) const fn new(policy: WaitPolicy, processors: u64) -> Self {
        Self { budget: SpinBudget::new(policy), processors, is_only: true, flowed: 0, on_heels: 0 }
    }

    /// The same where others may sleep on the same object: none takes an announcement back, for it may be another's.
    pub(crate) const fn among_others(policy: WaitPolicy, processors: u64) -> Self {
        Self { budget: SpinBudget::new(policy), processors, is_only: false, flowed: 0, on_heels: 0 }
    }

    /// Something was there without a wait.
    #[inline]
    pub(crate) const fn flows(&mut self) {
        self.flowed = self.flowed.saturating_add(1);
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
        let steps_back = match self.flowed {
            0 if self.on_heels < STEP_BACK_AFTER => 0,
            0..MANY => STEPS_BACK,
            _ => MORE_STEPS_BACK,
        };
        self.flowed = 0;
        loop {
            let alone = (self.processors | peer.processors()).count_ones() == 1;
            let looks = self.budget.looks(alone);
            if looks > 0 && check_at.is_none() {
                (0..steps_back).for_each(|_| spin_loop());
            }
            for look in 0..looks {
                if let Some(found) = ready() {
                    self.budget.helped();
                    self.on_heels = if steps_back == 0 && look <= FEW_LOOKS { self.on_heels + 1 } else { 0 };
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
                }
                self.withdraw(on);
                if let Some(found) = ready() {
                    return Ok(found);
                }
                // Only here: who was woken for something needs to know no more.
                now = clock();
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

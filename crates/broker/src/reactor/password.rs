//! The threads that check hashed passwords, so that no reactor waits for one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
};

use super::mailbox::{Command, Mailbox};
use crate::core::PasswordCheck;

/// A reactor's thread for passwords, which starts with the first check and ends with this value.
///
/// What waits for it is bounded by the number of connections that are not yet authenticated. Whoever came last is checked first: where
/// more come than can be checked, each would otherwise wait until it has given up.
pub(super) struct PasswordChecker {
    mailbox: Arc<Mailbox>,
    waiting: Arc<Waiting>,
    is_started: bool,
    tickets: u64,
}

/// What waits to be checked, by ticket.
#[derive(Default)]
struct Waiting {
    checks: Mutex<Checks>,
    /// Rings when there is one more, or when it is over.
    bell: Condvar,
}

#[derive(Default)]
struct Checks {
    by_ticket: BTreeMap<u64, (u64, PasswordCheck)>,
    is_over: bool,
}

impl PasswordChecker {
    pub(super) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self { mailbox, waiting: Arc::default(), is_started: false, tickets: 0 }
    }

    /// Checks it, and sends the outcome to the reactor. The ticket takes it back.
    pub(super) fn submit(&mut self, token: u64, check: PasswordCheck) -> u64 {
        if !self.is_started {
            self.is_started = start(Arc::clone(&self.mailbox), Arc::clone(&self.waiting));
        }
        self.tickets += 1;
        if self.is_started {
            self.waiting.lock().by_ticket.insert(self.tickets, (token, check));
            self.waiting.bell.notify_one();
        } else {
            self.mailbox.send(Command::Checked { token, is_right: false });
        }
        self.tickets
    }

    /// Forgets a check whose client is gone, unless it has begun.
    pub(super) fn cancel(&self, ticket: u64) {
        self.waiting.lock().by_ticket.remove(&ticket);
    }
}

impl Drop for PasswordChecker {
    fn drop(&mut self) {
        self.waiting.lock().is_over = true;
        self.waiting.bell.notify_one();
    }
}

impl Waiting {
    fn lock(&self) -> std::sync::MutexGuard<'_, Checks> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest, once there is one; `None` when it is over.
    fn next(&self) -> Option<(u64, PasswordCheck)> {
        let is_idle = |checks: &mut Checks| checks.by_ticket.is_empty() && !checks.is_over;
        let mut checks = self.bell.wait_while(self.lock(), is_idle).unwrap_or_else(PoisonError::into_inner);
        if checks.is_over { None } else { checks.by_ticket.pop_last().map(|(_, check)| check) }
    }
}

/// False if there is no thread to be had.
fn start(mailbox: Arc<Mailbox>, waiting: Arc<Waiting>) -> bool {
    let run = move || {
        while let Some((token, check)) = waiting.next() {
            mailbox.send(Command::Checked { token, is_right: check.run() });
        }
    };
    match thread::Builder::new().name("crosstie-password".into()).spawn(run) {
        Ok(_) => true,
        Err(error) => {
            tracing::error!(%error, "cannot start the thread that checks passwords");
            false
        }
    }
}

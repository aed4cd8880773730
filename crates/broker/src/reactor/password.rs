//! The thread that checks hashed passwords, so that no reactor waits for one.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use super::mailbox::{Command, Mailbox};
use crate::core::PasswordCheck;

/// A thread that starts with the first check and ends with this value.
///
/// What waits for it is bounded by the number of connections that are not yet authenticated.
pub(super) struct PasswordChecker {
    mailbox: Arc<Mailbox>,
    checks: Option<mpsc::Sender<(u64, PasswordCheck)>>,
}

impl PasswordChecker {
    pub(super) const fn new(mailbox: Arc<Mailbox>) -> Self {
        Self { mailbox, checks: None }
    }

    /// Checks it, and sends the outcome to the reactor.
    pub(super) fn submit(&mut self, token: u64, check: PasswordCheck) {
        let mailbox = &self.mailbox;
        let checks = self.checks.get_or_insert_with(|| start(Arc::clone(mailbox)));
        if checks.send((token, check)).is_err() {
            self.mailbox.send(Command::Checked { token, is_right: false });
        }
    }
}

fn start(mailbox: Arc<Mailbox>) -> mpsc::Sender<(u64, PasswordCheck)> {
    let (sender, receiver) = mpsc::channel::<(u64, PasswordCheck)>();
    let run = move || {
        for (token, check) in receiver {
            mailbox.send(Command::Checked { token, is_right: check.run() });
        }
    };
    // Without a thread the receiver is dropped, and `submit` refuses.
    if let Err(error) = thread::Builder::new().name("crosstie-password".into()).spawn(run) {
        tracing::error!(%error, "cannot start the thread that checks passwords");
    }
    sender
}

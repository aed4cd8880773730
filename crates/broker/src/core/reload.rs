//! Other options for a running broker: what may change, and what becomes of the clients that are there.

use std::sync::{Arc, atomic::Ordering};

use crosstie_core::{Error, Kind, Mono};

use super::{
    Core,
    auth::admission,
    counters::count,
    departed::Reason,
    lock::lock,
    peer::{Peer, Subscription},
    permissions::{Rights, Subscribe},
    quote::quoted,
    worker::Worker,
};
use crate::options::Options;

/// What a reload has done to the clients that were there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// Connections cut off, because what let them in is no longer there.
    pub cut_off: usize,
    /// Subscriptions ended, because they are no longer allowed.
    pub subscriptions_ended: usize,
}

impl Core {
    /// Puts `options` in force, from any thread; [`Broker::reload`](crate::Broker::reload) says what that means. `worker` is
    /// one that no reactor uses meanwhile.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidInput`] if an option has changed that needs a new start. Nothing has changed then.
    pub fn reload(&self, worker: &mut Worker, options: Options, now: Mono) -> Result<Reloaded, Error> {
        let before = self.in_force.view();
        refuse_fixed(&before, &options)?;
        self.in_force.replace(options);
        self.options_since.store(now.as_nanos(), Ordering::Relaxed);
        worker.heed(&self.in_force);
        let told = |options: &Options| self.info_now(options, options.tls.as_ref());
        if told(&before) != told(&worker.options) {
            self.tell_info(worker);
        }
        let mut done = Reloaded::default();
        for peer in self.peers() {
            self.review(worker, &peer, now, &mut done);
        }
        self.flush(worker, now);
        Ok(done)
    }

    /// Holds a client that is there to the options in force.
    fn review(&self, worker: &mut Worker, peer: &Arc<Peer>, now: Mono, done: &mut Reloaded) {
        let mut standing = lock(&peer.standing);
        // Who is not let in yet is held to them when it is.
        let Some(shown) = &standing.shown else { return };
        // Read under the lock: if there are two reloads at a time, the later one has the last word.
        let Some(admission) = admission(&self.in_force.view().auth, shown) else {
            drop(standing);
            self.append(worker, peer, b"-ERR 'Authorization Violation'\r\n");
            peer.flush(&mut worker.spares, false, now, &self.counters.pending_bytes);
            self.disconnect_for(peer, Reason::AuthenticationFailure);
            done.cut_off += 1;
            return;
        };
        lock(&peer.about).user = admission.user;
        if admission.permissions.as_ref() == standing.rights.as_ref().map(Rights::rules) {
            return;
        }
        match (&mut standing.rights, admission.permissions) {
            (Some(rights), Some(rules)) => rights.change(rules),
            (rights, rules) => *rights = rules.map(Rights::new),
        }
        let rights = standing.rights.as_ref();
        peer.notes_replies.store(rights.is_some_and(Rights::notes_replies), Ordering::Relaxed);
        // Release pairs with the Acquire of whoever publishes.
        peer.is_restricted.store(rights.is_some(), Ordering::Release);
        let subscriptions: Vec<_> = lock(&peer.subscriptions).iter().cloned().collect();
        for subscription in subscriptions {
            let may = rights.map(|rights| rights.may_subscribe(&subscription.subject, subscription.queue.as_deref()));
            match may {
                None => subscription.hide(Vec::new()),
                Some(Subscribe::Allowed { hidden }) => subscription.hide(hidden),
                Some(Subscribe::Denied) => {
                    self.end_denied(worker, &subscription);
                    done.subscriptions_ended += 1;
                }
            }
        }
    }

    fn end_denied(&self, worker: &mut Worker, subscription: &Arc<Subscription>) {
        count(&self.counters.permission_violations, 1);
        lock(&subscription.peer.subscriptions).forget(subscription);
        self.directory.remove(subscription);
        let (subject, sid) = (quoted(&subscription.subject), quoted(&subscription.sid));
        let text = format!("-ERR 'Permissions Violation for Subscription to {subject} (sid {sid})'\r\n");
        self.append(worker, &subscription.peer, text.as_bytes());
    }
}

/// Names the options that have changed although they need a new start.
fn refuse_fixed(before: &Options, after: &Options) -> Result<(), Error> {
    let fixed = [
        ("server_name", before.server_name != after.server_name),
        ("advertise_host", before.advertise_host != after.advertise_host),
        ("reactors", before.reactors != after.reactors),
        ("spin", before.spin != after.spin),
    ];
    let changed: Vec<_> = fixed.iter().filter(|(_, changed)| *changed).map(|(name, _)| *name).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let text =
        format!("{} cannot change while the broker runs: start it anew, or leave it as it was", changed.join(", "));
    Err(Error::new(Kind::InvalidInput, text))
}

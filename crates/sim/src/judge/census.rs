//! What is known of every client and subscription, as far as the facts told so far.

use std::collections::{BTreeMap, BTreeSet};

use crate::fact::Fact;

/// A client.
#[derive(Default)]
pub(super) struct Client {
    pub(super) epoch: u64,
    pub(super) is_connected: bool,
    /// A fault has struck its current connection, which may not know yet.
    pub(super) is_touched: bool,
    pub(super) is_gone: bool,
    /// The connections that the broker has of it.
    pub(super) wires: BTreeSet<u64>,
}

/// A subscription.
pub(super) struct Sub {
    pub(super) client: usize,
    pub(super) pattern: String,
    pub(super) group: Option<String>,
    pub(super) answers: bool,
    pub(super) state: State,
    /// When its user last changed something about it, as a number of facts.
    pub(super) changed: u64,
    /// Since then, and since its client connected, the broker has confirmed all it was told.
    pub(super) is_settled: bool,
    pub(super) received: u64,
    /// Its user has asked for its end.
    pub(super) may_close: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// Ends after so many messages.
    Limited(u64),
    Draining,
    Ended,
}

/// A flush that was begun.
struct Flush {
    began: u64,
    epoch: u64,
}

/// Everything known.
#[derive(Default)]
pub(super) struct Census {
    /// How many facts were told: a clock for what happened before what.
    pub(super) facts: u64,
    pub(super) clients: BTreeMap<usize, Client>,
    pub(super) subs: BTreeMap<u64, Sub>,
    flushes: BTreeMap<(usize, u64), Flush>,
    /// The connection that each publication goes out with, by sender and number.
    pub(super) epochs: BTreeMap<(usize, u64), u64>,
    pub(super) subjects: BTreeMap<(usize, u64), String>,
    /// When the flush that was confirmed just now had begun.
    pub(super) flushed: Option<u64>,
    pub(super) are_faults_over: bool,
    pub(super) is_probing: bool,
}

impl Census {
    pub(super) fn note(&mut self, fact: &Fact) {
        self.facts += 1;
        let facts = self.facts;
        self.flushed = None;
        match fact {
            Fact::Started { client } => {
                self.clients.insert(*client, Client::default());
            }
            Fact::Dialed { client } => self.client(*client).is_touched = false,
            Fact::Connected { client, epoch } => {
                let entry = self.client(*client);
                (entry.epoch, entry.is_connected) = (*epoch, true);
                self.unsettle(*client);
            }
            Fact::Lost { client } => {
                self.client(*client).is_connected = false;
                self.unsettle(*client);
            }
            Fact::Leaving { client } => {
                for sub in self.subs.values_mut().filter(|sub| sub.client == *client) {
                    if sub.state != State::Ended {
                        sub.state = State::Draining;
                    }
                    (sub.changed, sub.is_settled, sub.may_close) = (facts, false, true);
                }
            }
            Fact::Gone { client, .. } => {
                let entry = self.client(*client);
                (entry.is_connected, entry.is_gone) = (false, true);
                for sub in self.subs.values_mut().filter(|sub| sub.client == *client) {
                    (sub.state, sub.is_settled) = (State::Ended, false);
                }
            }
            Fact::Joined { client, wire } => {
                self.client(*client).wires.insert(*wire);
            }
            Fact::Left { client, wire } => {
                self.client(*client).wires.remove(wire);
            }
            Fact::Touched { client } => self.client(*client).is_touched = true,
            Fact::Subscribed { client, sub, pattern, group, answers } => {
                let made = Sub {
                    client: *client,
                    pattern: pattern.clone(),
                    group: group.clone(),
                    answers: *answers,
                    state: State::Open,
                    changed: facts,
                    is_settled: false,
                    received: 0,
                    may_close: false,
                };
                self.subs.insert(*sub, made);
            }
            Fact::Limited { sub, max, .. } => self.change(*sub, State::Limited(*max)),
            Fact::Draining { sub, .. } => self.change(*sub, State::Draining),
            Fact::Unsubscribed { sub, .. } | Fact::Closed { sub, .. } => self.change(*sub, State::Ended),
            Fact::Published { client, n, epoch, subject, .. } => {
                self.epochs.insert((*client, *n), *epoch);
                self.subjects.insert((*client, *n), subject.clone());
            }
            Fact::Received { sub, .. } => {
                if let Some(sub) = self.subs.get_mut(sub) {
                    sub.received += 1;
                }
            }
            Fact::FlushBegan { client, flush } => {
                let epoch = self.client(*client).epoch;
                self.flushes.insert((*client, *flush), Flush { began: facts, epoch });
            }
            Fact::Flushed { client, flush, ok } => self.flushed(*client, *flush, *ok),
            Fact::FaultsOver => self.are_faults_over = true,
            Fact::ProbesBegin => self.is_probing = true,
            _ => {}
        }
    }

    fn flushed(&mut self, client: usize, flush: u64, ok: bool) {
        let Some(flush) = self.flushes.remove(&(client, flush)) else { return };
        if !ok || flush.epoch != self.clients[&client].epoch || !self.clients[&client].is_connected {
            return;
        }
        self.flushed = Some(flush.began);
        for sub in self.subs.values_mut().filter(|sub| sub.client == client && sub.changed < flush.began) {
            sub.is_settled = true;
        }
    }

    fn client(&mut self, client: usize) -> &mut Client {
        self.clients.entry(client).or_default()
    }

    fn change(&mut self, sub: u64, state: State) {
        if let Some(sub) = self.subs.get_mut(&sub) {
            (sub.state, sub.changed, sub.is_settled) = (state, self.facts, false);
            sub.may_close |= matches!(state, State::Limited(_) | State::Draining);
        }
    }

    fn unsettle(&mut self, client: usize) {
        for sub in self.subs.values_mut().filter(|sub| sub.client == client) {
            (sub.changed, sub.is_settled) = (self.facts, false);
        }
    }

    /// True if the client has one connection, both ends agree on it, and no fault has struck it.
    pub(super) fn is_sound(&self, client: usize) -> bool {
        let client = &self.clients[&client];
        client.is_connected && !client.is_touched && client.wires.len() == 1
    }

    /// True if the broker may still have something of the client's: it may give messages to what nobody hears.
    pub(super) fn is_known_to_broker(&self, client: usize) -> bool {
        !self.clients[&client].wires.is_empty()
    }

    /// True if whatever is published from now on reaches the subscription, unless a fault comes.
    pub(super) fn is_sure(&self, sub: &Sub) -> bool {
        sub.state == State::Open && sub.is_settled && self.is_sound(sub.client)
    }
}

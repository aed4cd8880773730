//! Nobody receives what it did not subscribe to, in its mailbox or on the wire.

use std::collections::BTreeMap;

use super::census::{Census, State};
use crate::{fact::Fact, letter::Letter, subject::fits, verdict::Rule};

/// What each client has asked its server for on its current connection.
#[derive(Default)]
pub(super) struct Subscribed {
    wired: BTreeMap<(usize, u64), String>,
}

impl Subscribed {
    pub(super) fn judge(&mut self, fact: &Fact, census: &Census) -> Option<(Rule, String)> {
        let broken = match fact {
            Fact::Dialed { client } => {
                self.wired.retain(|(owner, _), _| owner != client);
                None
            }
            Fact::Wired { client, sid, pattern } => {
                self.wired.insert((*client, *sid), pattern.clone());
                None
            }
            Fact::Framed { client, sid, subject } => match self.wired.get(&(*client, *sid)) {
                Some(pattern) if fits(pattern, subject) => None,
                Some(pattern) => Some(format!("client {client} was sent '{subject}' for its '{pattern}' (sid {sid})")),
                None => Some(format!("client {client} was sent '{subject}' for sid {sid}, which it never asked for")),
            },
            Fact::Received { sub, subject, letter, .. } => received(*sub, subject, letter.as_ref(), census),
            _ => None,
        };
        broken.map(|text| (Rule::Subscribed, text))
    }
}

fn received(sub: u64, subject: &str, letter: Option<&Letter>, census: &Census) -> Option<String> {
    let Some(known) = census.subs.get(&sub) else {
        return Some(format!("subscription {sub} got '{subject}' before it was made"));
    };
    if !fits(&known.pattern, subject) {
        return Some(format!("subscription {sub} to '{}' got '{subject}'", known.pattern));
    }
    let Some(letter) = letter else {
        return Some(format!("subscription {sub} got a payload on '{subject}' that nobody wrote"));
    };
    let sent = census.subjects.get(&(letter.from, letter.n));
    if letter.subject != subject || sent.is_none_or(|sent| sent != subject) {
        return Some(format!("subscription {sub} got '{letter}' on '{subject}', where it was never published"));
    }
    match known.state {
        State::Limited(max) if known.received > max => {
            Some(format!("subscription {sub} got its message {} although it ends after {max}", known.received))
        }
        // A client that leaves politely ends before its user has looked at the last messages.
        State::Ended if !census.clients[&known.client].is_gone => {
            Some(format!("subscription {sub} got '{letter}' after its end"))
        }
        _ => None,
    }
}

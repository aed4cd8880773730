//! Once the faults are over, everything works again: connections, subscriptions, and no more losses.

use super::census::{Census, State};
use crate::{fact::Fact, letter::About, verdict::Rule};

/// What is expected after the faults. That every probe arrives is `delivery`'s to say.
#[derive(Default)]
pub(super) struct Healing {
    probes: u64,
}

impl Healing {
    pub(super) fn judge(&mut self, fact: &Fact, census: &Census) -> Vec<(Rule, String)> {
        let broken = match fact {
            Fact::ProbesBegin => sick(census),
            Fact::Lost { client } if census.is_probing => {
                vec![format!("client {client} lost its connection without a fault")]
            }
            Fact::Closed { sub, .. } if !may_close(*sub, census) => {
                vec![format!("subscription {sub} has ended for no reason")]
            }
            Fact::Published { about: About::Probe, .. } => {
                self.probes += 1;
                if self.probes == 1 { unsettled(census) } else { Vec::new() }
            }
            Fact::Restless => vec!["everybody reacts to everybody, and time stands still".to_owned()],
            Fact::End if self.probes == 0 => vec!["no probe was sent: nobody could".to_owned()],
            _ => Vec::new(),
        };
        broken.into_iter().map(|text| (Rule::Healing, text)).collect()
    }
}

fn sick(census: &Census) -> Vec<String> {
    let living = census.clients.iter().filter(|(_, client)| !client.is_gone);
    let unsound = living.filter(|(id, _)| !census.is_sound(**id));
    let tell = |(id, client): (&usize, &super::census::Client)| {
        let (connected, wires) = (client.is_connected, client.wires.len());
        format!("client {id} has not healed: connected {connected}, and the broker has {wires} connections of it")
    };
    unsound.map(tell).collect()
}

fn unsettled(census: &Census) -> Vec<String> {
    let open = census.subs.iter().filter(|(_, sub)| sub.state == State::Open && !census.is_sure(sub));
    open.map(|(id, sub)| format!("subscription {id} of client {} was not confirmed before the probes", sub.client))
        .collect()
}

/// True if its user has asked for the end, or its client has ended.
fn may_close(sub: u64, census: &Census) -> bool {
    census.subs.get(&sub).is_some_and(|sub| sub.may_close || census.clients[&sub.client].is_gone)
}

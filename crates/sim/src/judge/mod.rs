//! The judge of a run: hears every fact and holds it against the rules.

mod census;
mod delivery;
mod healing;
mod order;
mod requests;
mod subscribed;

use std::collections::BTreeMap;

use crosstie_core::Mono;

use self::{
    census::Census, delivery::Delivery, healing::Healing, order::Order, requests::Requests, subscribed::Subscribed,
};
use crate::{
    fact::Fact,
    verdict::{Rule, Violation},
};

/// How many violations of a run are kept: the first ones tell the most.
const MAX_TOLD: usize = 50;

/// The judge of one run.
#[derive(Default)]
pub(crate) struct Judge {
    census: Census,
    order: Order,
    subscribed: Subscribed,
    delivery: Delivery,
    healing: Healing,
    requests: Requests,
    violations: Vec<Violation>,
}

impl Judge {
    pub(crate) fn hear(&mut self, fact: &Fact, now: Mono) {
        self.census.note(fact);
        let census = &self.census;
        let mut broken: Vec<(Rule, String)> = Vec::new();
        broken.extend(self.order.judge(fact, census));
        broken.extend(self.subscribed.judge(fact, census));
        broken.extend(self.delivery.judge(fact, census));
        broken.extend(self.healing.judge(fact, census));
        broken.extend(self.requests.judge(fact, census, now));
        broken.extend(bounds(fact));
        for (rule, text) in broken {
            if self.violations.len() < MAX_TOLD {
                self.violations.push(Violation::new(rule, now, text));
            }
        }
    }

    /// What was broken, and what was seen, by name.
    pub(crate) fn finish(self) -> (Vec<Violation>, BTreeMap<String, u64>) {
        let mut counts = BTreeMap::new();
        counts.insert("published".to_owned(), self.census.epochs.len() as u64);
        counts.insert("received".to_owned(), self.census.subs.values().map(|sub| sub.received).sum());
        counts.insert("owed".to_owned(), self.delivery.owed);
        counts.insert("connections".to_owned(), self.census.clients.values().map(|client| client.epoch).sum());
        counts.extend(self.requests.ends.into_iter().map(|(end, count)| (format!("requests {end}"), count)));
        (self.violations, counts)
    }
}

fn bounds(fact: &Fact) -> Option<(Rule, String)> {
    match fact {
        Fact::Held { place, bytes, limit } if bytes > limit => {
            Some((Rule::Bounds, format!("{place:?} holds {bytes} bytes of at most {limit}")))
        }
        _ => None,
    }
}

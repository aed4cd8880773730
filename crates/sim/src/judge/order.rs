//! Order, and nothing twice.

use std::collections::{BTreeMap, BTreeSet};

use super::census::Census;
use crate::{fact::Fact, letter::About, verdict::Rule};

/// What each subscription got last from each publisher, over each of its connections.
#[derive(Default)]
pub(super) struct Order {
    last: BTreeMap<(u64, usize, u64), u64>,
    seen: BTreeSet<(u64, usize, u64)>,
    answered: BTreeSet<(usize, u64)>,
}

impl Order {
    pub(super) fn judge(&mut self, fact: &Fact, census: &Census) -> Option<(Rule, String)> {
        let broken = match fact {
            Fact::Received { sub, letter: Some(letter), .. } => self.received(*sub, letter.from, letter.n, census),
            Fact::Heard { letter: Some(letter), .. } if matches!(letter.about, About::Answer { .. }) => {
                let is_new = self.answered.insert((letter.from, letter.n));
                (!is_new).then(|| format!("the answer '{letter}' came twice"))
            }
            _ => None,
        };
        broken.map(|text| (Rule::Order, text))
    }

    fn received(&mut self, sub: u64, from: usize, n: u64, census: &Census) -> Option<String> {
        if !self.seen.insert((sub, from, n)) {
            return Some(format!("subscription {sub} got publication {n} of client {from} twice"));
        }
        // Over two connections of the publisher there is no order: what was on its way on the old one may come later.
        let epoch = *census.epochs.get(&(from, n))?;
        let last = self.last.entry((sub, from, epoch)).or_default();
        let before = std::mem::replace(last, n.max(*last));
        (before > n).then(|| format!("subscription {sub} got publication {n} of client {from} after its {before}"))
    }
}

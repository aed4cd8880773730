//! What must arrive, and at how many members of a group.
//!
//! A publication may get lost only if a fault excuses it. None does, and the publication must have arrived, once
//!
//! 1. the subscription was settled when it was published: a flush begun after it was made was confirmed on its client's connection,
//! 2. the publisher's flush, begun after the publication, was confirmed on the connection that the publication went out with, and
//! 3. the subscriber's flush, begun after that, was confirmed on the connection it had when the message was published.
//!
//! Whatever ends a connection before its step excuses the loss. For a queue group the three hold for every member that the broker may know.

use std::collections::{BTreeMap, BTreeSet};

use super::census::{Census, State, Sub};
use crate::{fact::Fact, letter::About, subject::fits, verdict::Rule};

/// A message that must arrive unless an excuse turns up.
struct Due {
    target: Target,
    /// The connection it goes out with.
    epoch: u64,
    /// When it was published.
    taken: u64,
    /// When the publisher's flush was confirmed.
    reached: Option<u64>,
    /// The clients whose flush is still to be confirmed.
    waits_for: BTreeSet<usize>,
    is_probe: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum Target {
    Sub(u64),
    Group(String),
}

/// Every message that is due.
#[derive(Default)]
pub(super) struct Delivery {
    due: BTreeMap<(usize, u64), Vec<Due>>,
    /// Which group has got which message.
    taken: BTreeMap<(String, usize, u64), u64>,
    /// How many publications had to arrive.
    pub(super) owed: u64,
}

impl Delivery {
    pub(super) fn judge(&mut self, fact: &Fact, census: &Census) -> Vec<(Rule, String)> {
        match fact {
            Fact::Published { client, n, subject, epoch, about } => {
                self.published((*client, *n), subject, *epoch, *about == About::Probe, census);
            }
            Fact::Received { sub, letter: Some(letter), .. } => {
                return self.received(*sub, (letter.from, letter.n), census);
            }
            Fact::Flushed { client, .. } => {
                if let Some(began) = census.flushed {
                    return self.flushed(*client, began, census);
                }
            }
            Fact::Lost { client } | Fact::Gone { client, .. } => {
                self.excuse(|from, due| from == *client && due.reached.is_none() || due.waits_for.contains(client));
                self.excuse_groups_of(*client, census);
            }
            Fact::Leaving { client } => {
                self.excuse(|_, due| due.waits_for.contains(client));
                self.excuse_groups_of(*client, census);
            }
            Fact::Left { client, .. } | Fact::Touched { client } => self.excuse_groups_of(*client, census),
            Fact::Subscribed { client, sub, group: Some(group), .. } => self.joins(*client, *sub, group, census),
            Fact::Limited { sub, .. }
            | Fact::Draining { sub, .. }
            | Fact::Unsubscribed { sub, .. }
            | Fact::Closed { sub, .. } => {
                self.excuse(|_, due| due.target == Target::Sub(*sub));
                if let Some(group) = &census.subs[sub].group {
                    self.excuse(|_, due| due.target == Target::Group(group.clone()));
                }
            }
            Fact::End => return self.end(),
            _ => {}
        }
        Vec::new()
    }

    fn published(&mut self, id: (usize, u64), subject: &str, epoch: u64, is_probe: bool, census: &Census) {
        let mut dues = Vec::new();
        let mut groups: BTreeMap<&str, Option<BTreeSet<usize>>> = BTreeMap::new();
        for (sub, known) in census.subs.iter().filter(|(_, known)| fits(&known.pattern, subject)) {
            match &known.group {
                None if census.is_sure(known) => dues.push((Target::Sub(*sub), BTreeSet::from([known.client]))),
                None => {}
                Some(group) => {
                    let members = groups.entry(group).or_insert_with(|| Some(BTreeSet::new()));
                    if is_over_everywhere(known, census) {
                        continue;
                    }
                    match members {
                        Some(members) if census.is_sure(known) => drop(members.insert(known.client)),
                        _ => *members = None,
                    }
                }
            }
        }
        let groups =
            groups.into_iter().filter_map(|(group, members)| Some((Target::Group(group.to_owned()), members?)));
        dues.extend(groups.filter(|(_, members)| !members.is_empty()));
        self.owed += dues.len() as u64;
        let taken = census.facts;
        let due = |(target, waits_for)| Due { target, epoch, taken, reached: None, waits_for, is_probe };
        self.due.insert(id, dues.into_iter().map(due).collect());
    }

    fn received(&mut self, sub: u64, id: (usize, u64), census: &Census) -> Vec<(Rule, String)> {
        let Some(known) = census.subs.get(&sub) else { return Vec::new() };
        let target = known.group.clone().map_or(Target::Sub(sub), Target::Group);
        if let Some(dues) = self.due.get_mut(&id) {
            dues.retain(|due| due.target != target);
        }
        let Some(group) = &known.group else { return Vec::new() };
        let other = self.taken.insert((group.clone(), id.0, id.1), sub).filter(|other| *other != sub);
        let text = |other| {
            format!(
                "group '{group}' got publication {} of client {} twice, by subscriptions {other} and {sub}",
                id.1, id.0
            )
        };
        other.map(|other| (Rule::OneMember, text(other))).into_iter().collect()
    }

    fn flushed(&mut self, client: usize, began: u64, census: &Census) -> Vec<(Rule, String)> {
        let epoch = census.clients[&client].epoch;
        let mut broken = Vec::new();
        for (id, dues) in &mut self.due {
            dues.retain_mut(|due| {
                if due.waits_for.contains(&client) && due.reached.is_some_and(|reached| reached < began) {
                    due.waits_for.remove(&client);
                }
                let is_late = due.waits_for.is_empty();
                if is_late {
                    broken.push(due.broken(*id, "the flushes of both sides were confirmed"));
                }
                !is_late
            });
        }
        for ((_, _), dues) in self.due.range_mut((client, 0)..(client + 1, 0)) {
            for due in dues.iter_mut().filter(|due| due.epoch == epoch && due.reached.is_none() && due.taken < began) {
                due.reached = Some(census.facts);
            }
        }
        self.due.retain(|_, dues| !dues.is_empty());
        broken
    }

    /// A new member may get what is published already.
    fn joins(&mut self, client: usize, sub: u64, group: &str, census: &Census) {
        let pattern = &census.subs[&sub].pattern;
        for (id, dues) in &mut self.due {
            let fits = census.subjects.get(id).is_some_and(|subject| fits(pattern, subject));
            for due in dues.iter_mut().filter(|due| fits && due.target == Target::Group(group.to_owned())) {
                due.waits_for.insert(client);
            }
        }
    }

    fn excuse(&mut self, is_excused: impl Fn(usize, &Due) -> bool) {
        for ((from, _), dues) in &mut self.due {
            dues.retain(|due| !is_excused(*from, due));
        }
        self.due.retain(|_, dues| !dues.is_empty());
    }

    /// What the broker gave to a member that is gone is lost.
    fn excuse_groups_of(&mut self, client: usize, census: &Census) {
        let own = census.subs.values().filter(|sub| sub.client == client);
        let groups: BTreeSet<&String> = own.filter_map(|sub| sub.group.as_ref()).collect();
        self.excuse(|_, due| matches!(&due.target, Target::Group(group) if groups.contains(group)));
    }

    fn end(&mut self) -> Vec<(Rule, String)> {
        let left = std::mem::take(&mut self.due);
        left.iter().flat_map(|(id, dues)| dues.iter().map(|due| due.broken(*id, "all was quiet for long"))).collect()
    }
}

/// True if the broker has nothing of it any more, on whichever connection.
fn is_over_everywhere(sub: &Sub, census: &Census) -> bool {
    let is_confirmed = sub.is_settled && census.is_sound(sub.client);
    sub.state == State::Ended && (is_confirmed || !census.is_known_to_broker(sub.client))
}

impl Due {
    fn broken(&self, (from, n): (usize, u64), since: &str) -> (Rule, String) {
        let (rule, whom) = match &self.target {
            Target::Sub(sub) => (Rule::Delivery, format!("subscription {sub}")),
            Target::Group(group) => (Rule::OneMember, format!("nobody of group '{group}', not one member")),
        };
        let rule = if self.is_probe { Rule::Healing } else { rule };
        (rule, format!("publication {n} of client {from} has not reached {whom} although {since}"))
    }
}

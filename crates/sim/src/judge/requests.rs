//! Every request ends, and truthfully: an answer, no responders, a time-out and a lost connection are never mixed up.
//!
//! * An answer answers this request.
//! * *No responders* is told only if no subscription that answers was there all the while; and where there never was one, it must be told before
//!   a flush begun after the request is confirmed.
//! * *Disconnected* is told if, and only if, the connection that the request went out with was lost.
//! * *Timed out* is told only once the time is up, and only if no answer had to be there: see `delivery` for when it had to.

use std::collections::{BTreeMap, BTreeSet};

use crosstie_core::{Kind, Mono};

use super::census::Census;
use crate::{
    fact::{Fact, Outcome},
    letter::{About, Letter},
    subject::fits,
    verdict::Rule,
};

struct Question {
    subject: String,
    epoch: u64,
    asked: u64,
    until: Mono,
    missing: u64,
    /// Subscriptions that answer and were there all the while.
    answerers: BTreeSet<u64>,
    /// Its connection was lost.
    is_lost: bool,
    /// Answers that must arrive.
    due: Vec<Answer>,
}

/// An answer on its way.
struct Answer {
    from: usize,
    n: u64,
    epoch: u64,
    taken: u64,
    /// When the answerer's flush was confirmed.
    reached: Option<u64>,
}

/// Every question under way, by asker and number.
#[derive(Default)]
pub(super) struct Requests {
    open: BTreeMap<(usize, u64), Question>,
    /// How many ended in which way.
    pub(super) ends: BTreeMap<String, u64>,
}

impl Requests {
    pub(super) fn judge(&mut self, fact: &Fact, census: &Census, now: Mono) -> Vec<(Rule, String)> {
        let broken = match fact {
            Fact::Asked { client, n, subject, until, answers } => {
                let answering = census.subs.iter().filter(|(_, sub)| sub.answers && fits(&sub.pattern, subject));
                let question = Question {
                    subject: subject.clone(),
                    epoch: census.epochs[&(*client, *n)],
                    asked: census.facts,
                    until: *until,
                    missing: *answers,
                    answerers: answering.filter(|(_, sub)| census.is_sure(sub)).map(|(id, _)| *id).collect(),
                    is_lost: false,
                    due: Vec::new(),
                };
                self.open.insert((*client, *n), question);
                None
            }
            Fact::Published { client, n, epoch, about: About::Answer { to, n: question }, .. } => {
                let answer = Answer { from: *client, n: *n, epoch: *epoch, taken: census.facts, reached: None };
                if let Some(question) = self.open.get_mut(&(*to, *question)) {
                    question.due.push(answer);
                }
                None
            }
            Fact::Heard { client, n, letter } => self.heard((*client, *n), letter.as_ref()),
            Fact::Settled { client, n, outcome } => self.settled((*client, *n), outcome, census, now),
            Fact::Lost { client } => {
                self.lost(*client, census);
                None
            }
            Fact::Gone { client, is_killed: true } => {
                self.open.retain(|(asker, _), _| asker != client);
                None
            }
            Fact::Flushed { client, .. } => census.flushed.and_then(|began| self.flushed(*client, began, census)),
            Fact::End => self.open.first_key_value().map(|(id, question)| question.tell(*id, "never ended")),
            _ => None,
        };
        if fact.unsettles() {
            for question in self.open.values_mut() {
                question.answerers.retain(|sub| census.is_sure(&census.subs[sub]));
            }
        }
        broken.map(|text| (Rule::Requests, text)).into_iter().collect()
    }

    fn heard(&mut self, id: (usize, u64), letter: Option<&Letter>) -> Option<String> {
        let question = self.open.get_mut(&id)?;
        question.missing = question.missing.saturating_sub(1);
        let Some(letter) = letter else { return Some(question.tell(id, "got an answer that nobody wrote")) };
        question.due.retain(|due| (due.from, due.n) != (letter.from, letter.n));
        let is_its_own = letter.about == About::Answer { to: id.0, n: id.1 };
        (!is_its_own).then(|| question.tell(id, format!("got '{letter}', which answers something else")))
    }

    fn settled(&mut self, id: (usize, u64), outcome: &Outcome, census: &Census, now: Mono) -> Option<String> {
        let question = self.open.remove(&id)?;
        *self.ends.entry(format!("{outcome:?}")).or_default() += 1;
        match outcome {
            Outcome::Answered if question.missing > 0 => Some("ended as answered without its answers".to_owned()),
            Outcome::Answered => None,
            Outcome::Failed(Kind::NoResponders) => question
                .answerers
                .first()
                .map(|sub| format!("was told that nobody answers, but subscription {sub} was there all the while")),
            Outcome::Failed(Kind::Disconnected) if question.is_lost => None,
            Outcome::Failed(Kind::Disconnected) => {
                Some(format!("was told that its connection ({}) is lost, which it is not", question.epoch))
            }
            Outcome::Failed(Kind::Timeout) if now < question.until => Some("timed out before its time".to_owned()),
            Outcome::Failed(Kind::Timeout) if question.is_lost => {
                Some("was told of a time-out, but its connection was lost".to_owned())
            }
            Outcome::Failed(Kind::Timeout) => None,
            Outcome::Failed(Kind::Closed) if census.clients[&id.0].is_gone => None,
            Outcome::Failed(kind) => Some(format!("failed as {kind:?}, for no reason")),
        }
        .map(|text| question.tell(id, text))
    }

    fn lost(&mut self, client: usize, census: &Census) {
        let epoch = census.clients[&client].epoch;
        for (id, question) in &mut self.open {
            question.is_lost |= id.0 == client && question.epoch == epoch;
            question.due.retain(|due| due.from != client || due.reached.is_some());
        }
    }

    fn flushed(&mut self, client: usize, began: u64, census: &Census) -> Option<String> {
        let epoch = census.clients[&client].epoch;
        let mut broken = None;
        for (id, question) in &mut self.open {
            for due in &mut question.due {
                if due.from == client && due.epoch == epoch && due.taken < began && due.reached.is_none() {
                    due.reached = Some(census.facts);
                }
            }
            if id.0 != client || question.epoch != epoch || question.asked > began {
                continue;
            }
            let was_heard = |sub: &super::census::Sub| sub.answers && fits(&sub.pattern, &question.subject);
            if !census.subs.values().any(was_heard) {
                broken = Some(question.tell(*id, "was not told that nobody answers, though the broker has read it"));
            }
            if let Some(due) = question.due.iter().find(|due| due.reached.is_some_and(|reached| reached < began)) {
                broken = Some(question.tell(*id, format!("did not get answer {} of client {}", due.n, due.from)));
            }
        }
        broken
    }
}

impl Question {
    fn tell(&self, (client, n): (usize, u64), what: impl AsRef<str>) -> String {
        format!("request {n} of client {client} on '{}' {}", self.subject, what.as_ref())
    }
}

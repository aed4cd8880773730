//! The user of a simulated client: publishes, subscribes, asks, answers, flushes and leaves, as the seed has it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use crosstie_client::session::{Feed, Mailbox, Session};
use crosstie_core::{Kind, Message, Mono, Randomness, Result, Seeded, Subject};

use crate::{
    fact::{Fact, Outcome},
    letter::{About, Letter},
    plan::Plan,
};

/// A subscription of a user.
struct Sub {
    id: u64,
    sid: u64,
    feed: Arc<Feed>,
    answers: bool,
}

/// A question whose answer is waited for.
struct Question {
    n: u64,
    token: u64,
    mailbox: Arc<Mailbox<Result<Message>>>,
    until: Mono,
    /// Answers still to come.
    missing: u64,
}

/// What one client program does.
pub(crate) struct User {
    id: usize,
    random: Seeded,
    subs: Vec<Sub>,
    made: u64,
    published: u64,
    questions: Vec<Question>,
    flushes: Vec<(u64, Arc<Mailbox<Result<()>>>)>,
    flushed: u64,
    padding: usize,
    /// Answers what others ask.
    answers: bool,
    /// Never gives up on a question.
    is_patient: bool,
}

/// How long a question is waited for.
const PATIENCE: Duration = Duration::from_millis(900);
/// The most subscriptions of one user.
const MAX_SUBS: usize = 8;

impl User {
    pub(crate) fn new(id: usize, plan: &Plan, is_patient: bool) -> Self {
        Self {
            id,
            random: plan.random("user", id as u64),
            subs: Vec::new(),
            made: 0,
            published: 0,
            questions: Vec::new(),
            flushes: Vec::new(),
            flushed: 0,
            padding: plan.limits.padding,
            answers: (id % plan.clients).is_multiple_of(2),
            is_patient,
        }
    }

    /// What it does first.
    pub(crate) fn begin(&mut self, session: &mut Session, facts: &mut Vec<Fact>) {
        facts.push(Fact::Started { client: self.id });
        self.subscribe(session, "t.>".into(), None, false, facts);
        for _ in 0..1 + self.random.below(3) {
            self.subscribe_to_something(session, facts);
        }
        if self.answers {
            self.subscribe(session, "ask.>".into(), Some("answerers".into()), true, facts);
            self.subscribe(session, "ask-all.*".into(), None, true, facts);
        }
    }

    /// Does one thing, which may be to leave.
    pub(crate) fn act(&mut self, session: &mut Session, epoch: u64, now: Mono, facts: &mut Vec<Fact>) {
        match self.random.below(100) {
            0..55 => self.publish_something(session, epoch, facts),
            55..60 => {
                for _ in 0..self.random.below(40) {
                    self.publish_something(session, epoch, facts);
                }
            }
            60..68 => {
                let subject = format!("ask.{}", self.random.below(3));
                self.ask(session, &subject, 1, epoch, now, facts);
            }
            // Every other client answers it.
            68..72 => self.ask(session, "ask-all.0", 2, epoch, now, facts),
            72..75 => self.ask(session, "void.0", 1, epoch, now, facts),
            75..88 => self.flush(session, facts),
            88..94 => self.subscribe_to_something(session, facts),
            94 => {
                // What it gives says no more than the end of the client does.
                if session.drain().is_ok() {
                    facts.push(Fact::Leaving { client: self.id });
                }
            }
            _ => self.end_something(session, facts),
        }
    }

    /// How many rounds of probes reach every subject.
    pub(crate) const ROUNDS: u64 = 6;

    /// Sends a probe to the subject of this round, so that everybody has something to hear.
    pub(crate) fn probe(&mut self, session: &mut Session, round: u64, epoch: u64, now: Mono, facts: &mut Vec<Fact>) {
        let subject = format!("t.{}.{}", round / 2 % 3, round % 2);
        self.publish(session, subject, None, About::Probe, epoch, facts);
        self.ask(session, &format!("ask.{}", round % 3), 1, epoch, now, facts);
    }

    pub(crate) fn flush(&mut self, session: &mut Session, facts: &mut Vec<Fact>) {
        let Ok(mailbox) = session.flush() else { return };
        self.flushed += 1;
        self.flushes.push((self.flushed, mailbox));
        facts.push(Fact::FlushBegan { client: self.id, flush: self.flushed });
    }

    /// Takes what has come, answers questions, and gives up on those that took too long.
    pub(crate) fn collect(&mut self, session: &mut Session, epoch: u64, now: Mono, facts: &mut Vec<Fact>) {
        let mut to_answer = Vec::new();
        let client = self.id;
        self.subs.retain(|sub| {
            while let Some(message) = sub.feed.try_take() {
                let letter = Letter::parse(&message.payload);
                let subject = message.subject.to_string();
                if let (true, Some(reply), Some(letter)) = (sub.answers, &message.reply, &letter) {
                    to_answer.push((reply.to_string(), About::Answer { to: letter.from, n: letter.n }));
                }
                facts.push(Fact::Received { client, sub: sub.id, subject, letter });
            }
            let has_ended = sub.feed.has_ended();
            if has_ended {
                facts.push(Fact::Closed { client, sub: sub.id });
            }
            !has_ended
        });
        for (subject, about) in to_answer {
            // Somebody who never answers is asked now and then.
            if self.random.below(12) > 0 {
                self.publish(session, subject, None, about, epoch, facts);
            }
        }
        self.settle(session, now, facts);
    }

    fn settle(&mut self, session: &mut Session, now: Mono, facts: &mut Vec<Fact>) {
        let (client, is_patient) = (self.id, self.is_patient);
        self.questions.retain_mut(|question| {
            let outcome = loop {
                match question.mailbox.try_take() {
                    Some(Ok(message)) => {
                        let letter = Letter::parse(&message.payload);
                        facts.push(Fact::Heard { client, n: question.n, letter });
                        question.missing = question.missing.saturating_sub(1);
                    }
                    Some(Err(error)) => break Outcome::Failed(error.kind()),
                    None if question.missing == 0 => break Outcome::Answered,
                    None if question.mailbox.has_ended() => break Outcome::Failed(Kind::Closed),
                    None if now >= question.until && !is_patient => break Outcome::Failed(Kind::Timeout),
                    None => return true,
                }
            };
            session.forget(question.token);
            facts.push(Fact::Settled { client, n: question.n, outcome });
            false
        });
        self.flushes.retain(|(flush, mailbox)| {
            let Some(result) = mailbox.try_take() else { return true };
            facts.push(Fact::Flushed { client, flush: *flush, ok: result.is_ok() });
            false
        });
    }

    /// When it wants to be called again, whatever happens.
    pub(crate) fn due(&self) -> Mono {
        let waits = self.questions.iter().filter(|_| !self.is_patient);
        waits.map(|question| question.until).min().unwrap_or(Mono::MAX)
    }

    fn publish_something(&mut self, session: &mut Session, epoch: u64, facts: &mut Vec<Fact>) {
        let subject = format!("t.{}.{}", self.random.below(3), self.random.below(2));
        self.publish(session, subject, None, About::Nothing, epoch, facts);
    }

    fn publish(
        &mut self,
        session: &mut Session,
        subject: String,
        reply: Option<Subject>,
        about: About,
        epoch: u64,
        facts: &mut Vec<Fact>,
    ) {
        let mut message = self.letter(&subject, about);
        message.reply = reply;
        // Too much is under way, or kept: this one is not sent, and nothing is promised about it.
        if let Ok(true) = session.publish(&message) {
            self.published += 1;
            facts.push(Fact::Published { client: self.id, n: self.published, subject, epoch, about });
        }
    }

    fn ask(
        &mut self,
        session: &mut Session,
        subject: &str,
        answers: u64,
        epoch: u64,
        now: Mono,
        facts: &mut Vec<Fact>,
    ) {
        let message = self.letter(subject, About::Question);
        if let Ok(Some(answer)) = session.request(message, answers) {
            self.published += 1;
            let (client, n, until) = (self.id, self.published, now + PATIENCE);
            let subject = subject.to_owned();
            facts.push(Fact::Published { client, n, subject: subject.clone(), epoch, about: About::Question });
            facts.push(Fact::Asked { client, n, subject, until, answers });
            self.questions.push(Question { n, token: answer.token, mailbox: answer.mailbox, until, missing: answers });
        }
    }

    fn letter(&mut self, subject: &str, about: About) -> Message {
        // Only what nobody waits for is long: on a slow wire, whatever stands behind it takes long as well.
        let is_long = self.random.below(8) == 0 && about == About::Nothing;
        let longest = if is_long { self.padding } else { 20 };
        let padding = self.random.below(longest as u64) as usize;
        let letter = Letter { from: self.id, n: self.published + 1, subject: subject.to_owned(), about };
        Message::new(subject.parse().expect("simulated subjects are subjects"), letter.payload(padding))
    }

    fn subscribe_to_something(&mut self, session: &mut Session, facts: &mut Vec<Fact>) {
        const PATTERNS: [&str; 7] = ["t.0.0", "t.1.1", "t.*.0", "t.2.*", "t.0.>", "*.1.*", "t.>"];
        const GROUPS: [Option<&str>; 5] = [None, None, None, Some("red"), Some("blue")];
        if self.subs.len() < MAX_SUBS {
            let pattern = PATTERNS[self.random.below(7) as usize].to_owned();
            let group = GROUPS[self.random.below(5) as usize].map(str::to_owned);
            self.subscribe(session, pattern, group, false, facts);
        }
    }

    fn subscribe(
        &mut self,
        session: &mut Session,
        pattern: String,
        group: Option<String>,
        answers: bool,
        facts: &mut Vec<Fact>,
    ) {
        if let Ok((sid, feed)) = session.subscribe(Bytes::from(pattern.clone()), group.clone().map(Bytes::from)) {
            self.made += 1;
            let id = self.id as u64 * 10_000 + self.made;
            self.subs.push(Sub { id, sid, feed, answers });
            facts.push(Fact::Subscribed { client: self.id, sub: id, pattern, group, answers });
        }
    }

    /// Ends a subscription, but never the first one: everybody hears something in the end.
    fn end_something(&mut self, session: &mut Session, facts: &mut Vec<Fact>) {
        if self.subs.len() < 2 {
            return;
        }
        let at = 1 + self.random.below(self.subs.len() as u64 - 1) as usize;
        let (client, sub, sid) = (self.id, self.subs[at].id, self.subs[at].sid);
        match self.random.below(3) {
            0 => {
                session.unsubscribe(sid, None);
                self.subs.remove(at);
                facts.push(Fact::Unsubscribed { client, sub });
            }
            1 => {
                let max = 1 + self.random.below(30);
                session.unsubscribe(sid, Some(max));
                facts.push(Fact::Limited { client, sub, max });
            }
            _ => {
                session.drain_subscription(sid);
                facts.push(Fact::Draining { client, sub });
            }
        }
    }
}

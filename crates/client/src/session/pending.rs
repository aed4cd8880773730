//! Requests that wait for their answers, over one inbox subscription.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use crosstie_core::{Error, Kind, Message, Randomness, Result, Status, Subject};

use crate::mailbox::Mailbox;

/// Where the answers to one request come to.
pub struct Answer {
    /// Names the request to [`Session::forget`](super::Session::forget).
    pub token: u64,
    /// The answers, or why there is none.
    pub mailbox: Arc<Mailbox<Result<Message>>>,
}

struct Expected {
    subject: Subject,
    mailbox: Arc<Mailbox<Result<Message>>>,
    left: u64,
}

/// Every request under way, by the last token of its reply subject.
pub(super) struct Pending {
    prefix: String,
    sid: Option<u64>,
    expected: HashMap<u64, Expected>,
    next: u64,
}

impl Pending {
    /// How many requests may be under way.
    const MAX: usize = 1 << 20;
    /// How many answers to one request are kept for a slow user.
    const MAX_ANSWERS: u64 = 65_536;

    pub(super) fn new(random: &mut dyn Randomness) -> Self {
        Self { prefix: inbox_text(random), sid: None, expected: HashMap::new(), next: 0 }
    }

    pub(super) const fn has_inbox(&self) -> bool {
        self.sid.is_some()
    }

    pub(super) const fn set_inbox(&mut self, sid: u64) {
        self.sid = Some(sid);
    }

    pub(super) fn is_inbox(&self, sid: u64) -> bool {
        self.sid == Some(sid)
    }

    pub(super) fn pattern(&self) -> Bytes {
        Bytes::from(format!("{}.*", self.prefix))
    }

    pub(super) fn subject(&self, token: u64) -> Subject {
        format!("{}.{token}", self.prefix).try_into().expect("letters, digits and dots are a subject")
    }

    /// Expects up to `max` answers from `subject`.
    pub(super) fn expect(&mut self, subject: &Subject, max: u64) -> Result<Answer> {
        if self.expected.len() >= Self::MAX {
            return Err(Error::new(Kind::Limit, format!("{} requests wait for their answers already", Self::MAX)));
        }
        let token = self.next;
        self.next += 1;
        let capacity = usize::try_from(max.min(Self::MAX_ANSWERS)).unwrap_or(1);
        let mailbox = Arc::new(Mailbox::new(capacity));
        self.expected.insert(token, Expected { subject: subject.clone(), mailbox: Arc::clone(&mailbox), left: max });
        Ok(Answer { token, mailbox })
    }

    /// Hands an answer to its request. One that comes too late is dropped.
    pub(super) fn answer(&mut self, message: Message) {
        let token = message.subject.as_str().rsplit('.').next().and_then(|token| token.parse().ok());
        let Some(expected) = token.and_then(|token: u64| self.expected.get_mut(&token)) else {
            return;
        };
        let nobody = message.status.as_ref().is_some_and(|status| status.code == Status::NO_RESPONDERS)
            && message.payload.is_empty();
        expected.left = if nobody { 0 } else { expected.left - 1 };
        expected.mailbox.put(if nobody {
            Err(Error::new(
                Kind::NoResponders,
                format!("nobody answers requests on '{}': the request was not executed", expected.subject),
            ))
        } else {
            Ok(message)
        });
        if let (0, Some(token)) = (expected.left, token) {
            self.forget(token);
        }
    }

    /// Expects no more answers to a request.
    pub(super) fn forget(&mut self, token: u64) {
        if let Some(expected) = self.expected.remove(&token) {
            expected.mailbox.close();
        }
    }

    /// Fails the request to the subject that the server's error `text` may not be published to: the newest, because what it allowed before
    /// it has carried out.
    pub(super) fn deny(&mut self, text: &str) {
        const ERROR: &str = "permissions violation for publish to ";
        let Some(subject) = text.get(ERROR.len()..).filter(|_| text[..ERROR.len()].eq_ignore_ascii_case(ERROR)) else {
            return;
        };
        let subject = subject.trim_matches('"');
        let denied = self.expected.iter().filter(|(_, expected)| expected.subject.as_str() == subject);
        if let Some(token) = denied.map(|(token, _)| *token).max() {
            let error = Error::new(Kind::Denied, format!("the server refused the request: {text}"));
            self.expected[&token].mailbox.put(Err(error));
            self.forget(token);
        }
    }

    pub(super) fn fail_all(&mut self, error: impl Fn() -> Error) {
        let mut expected: Vec<_> = self.expected.drain().collect();
        // In the order they were asked: a map's own order would differ from run to run.
        expected.sort_unstable_by_key(|(token, _)| *token);
        for (_, expected) in expected {
            expected.mailbox.put(Err(error()));
            expected.mailbox.close();
        }
    }
}

/// A subject nobody else uses.
pub(super) fn inbox_subject(random: &mut dyn Randomness) -> Subject {
    inbox_text(random).try_into().expect("letters, digits and dots are a subject")
}

fn inbox_text(random: &mut dyn Randomness) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let name: String = (0..22).map(|_| char::from(ALPHABET[random.below(62) as usize])).collect();
    format!("_INBOX.{name}")
}

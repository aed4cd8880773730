//! A message as the user sees it.

use std::fmt;

use bytes::Bytes;

use crate::{Headers, Subject};

/// What is published and what a subscription receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub subject: Subject,
    /// Where an answer is expected.
    pub reply: Option<Subject>,
    /// Set by a server that speaks for itself instead of a publisher.
    pub status: Option<Status>,
    /// Control information.
    pub headers: Headers,
    /// The data.
    pub payload: Bytes,
}

impl Message {
    /// A message without headers that expects no answer.
    pub fn new(subject: Subject, payload: impl Into<Bytes>) -> Self {
        Self { subject, reply: None, status: None, headers: Headers::new(), payload: payload.into() }
    }
}

/// What a server says about a request instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The code, as in HTTP.
    pub code: u16,
    /// A few words, or nothing.
    pub description: String,
}

impl Status {
    /// Nobody is subscribed to the subject of the request.
    pub const NO_RESPONDERS: u16 = 503;
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {}", self.code, self.description)
    }
}

//! What happens in a run, as far as it is worth a line in the log and a judge's look.

use crosstie_core::{Kind, Mono};

use crate::letter::{About, Letter};

/// One thing that happened. Clients, subscriptions and wires go by their numbers, which are never used twice in a run.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "the log shows every field, through `Debug`; the judges look at fewer")]
pub(crate) enum Fact {
    /// A fault begins or ends.
    Fault(String),
    /// A new client program starts.
    Started {
        client: usize,
    },
    /// Its server lets it in: its `epoch`th connection.
    Connected {
        client: usize,
        epoch: u64,
    },
    /// It has noticed that its connection is gone.
    Lost {
        client: usize,
    },
    /// Its user has asked it to end once what is under way is done.
    Leaving {
        client: usize,
    },
    /// It has ended, on purpose or not.
    Gone {
        client: usize,
        is_killed: bool,
    },
    /// The broker has accepted a connection of the client.
    Joined {
        client: usize,
        wire: u64,
    },
    /// The broker has given it up.
    Left {
        client: usize,
        wire: u64,
    },
    /// The network has done something to it that bytes may not survive.
    Touched {
        client: usize,
    },
    Subscribed {
        client: usize,
        sub: u64,
        pattern: String,
        group: Option<String>,
        answers: bool,
    },
    /// Its user has asked to end a subscription after `max` messages in all.
    Limited {
        client: usize,
        sub: u64,
        max: u64,
    },
    /// Its user has ended a subscription and looks at its messages no more.
    Unsubscribed {
        client: usize,
        sub: u64,
    },
    /// Its user has asked to end a subscription once what is under way has come.
    Draining {
        client: usize,
        sub: u64,
    },
    /// A subscription has come to its end, by itself.
    Closed {
        client: usize,
        sub: u64,
    },
    /// A publication was taken; it goes out with the `epoch`th connection.
    Published {
        client: usize,
        n: u64,
        subject: String,
        epoch: u64,
        about: About,
    },
    /// A subscription's user has got a message. `letter` is what it says, if it says anything.
    Received {
        client: usize,
        sub: u64,
        subject: String,
        letter: Option<Letter>,
    },
    FlushBegan {
        client: usize,
        flush: u64,
    },
    Flushed {
        client: usize,
        flush: u64,
        ok: bool,
    },
    /// A question was taken, as the publication `n` of its client, which waits for so many answers.
    Asked {
        client: usize,
        n: u64,
        subject: String,
        until: Mono,
        answers: u64,
    },
    /// An answer has come. `letter` is what it says, if it says anything.
    Heard {
        client: usize,
        n: u64,
        letter: Option<Letter>,
    },
    /// A question has ended.
    Settled {
        client: usize,
        n: u64,
        outcome: Outcome,
    },
    /// On a new connection: whatever was wired before means nothing any more.
    Dialed {
        client: usize,
    },
    /// The client has asked its server for `pattern` under this id.
    Wired {
        client: usize,
        sid: u64,
        pattern: String,
    },
    /// A delivery has come for this id.
    Framed {
        client: usize,
        sid: u64,
        subject: String,
    },
    /// So many bytes are held where at most `limit` may be.
    Held {
        place: Place,
        bytes: usize,
        limit: usize,
    },
    /// One instant goes on for ever.
    Restless,
    /// From now on there are no faults.
    FaultsOver,
    /// By now everything must work again, and probes go out.
    ProbesBegin,
    /// By now every probe must have arrived, and every question is settled.
    End,
}

/// How a question ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// As many answers as were asked for have come.
    Answered,
    /// Not so many, and why.
    Failed(Kind),
}

/// Where bytes are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On their way.
    Wire,
    /// In the broker, for one client.
    Broker,
    /// In a client, until the server is back.
    Kept,
    /// In a client, to be written.
    Output,
}

impl Fact {
    /// True if it may make a subscription unsure.
    pub(crate) const fn unsettles(&self) -> bool {
        matches!(
            self,
            Self::Lost { .. }
                | Self::Leaving { .. }
                | Self::Gone { .. }
                | Self::Left { .. }
                | Self::Joined { .. }
                | Self::Touched { .. }
                | Self::Limited { .. }
                | Self::Unsubscribed { .. }
                | Self::Draining { .. }
                | Self::Closed { .. }
        )
    }

    /// True if it belongs into the log. What only repeats others does not: it would drown them.
    pub(crate) const fn is_logged(&self) -> bool {
        !matches!(self, Self::Wired { .. } | Self::Framed { .. } | Self::Held { .. })
    }
}

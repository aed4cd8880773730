//! Sabotage: one promise broken on purpose, at a seam of the simulated world, to see that its judge notices.
//!
//! What meddles with frames stands between the wire and a client's session, so that neither the broker nor the client has a hook for it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use clap::ValueEnum;
use crosstie_core::{Randomness, Seeded};

use crate::{
    frames::{delivery, subscription},
    letter::{About, Letter},
    subject::fits,
    verdict::Rule,
};

/// Which promise is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sabotage {
    /// Two deliveries of one publisher change places.
    SwapFrames,
    /// A delivery comes a second time.
    RepeatFrame,
    /// A delivery comes for another subscription as well, which did not ask for it.
    Misroute,
    /// A delivery comes for a subscription that never was.
    StrangeId,
    /// A second member of a queue group gets a message, too.
    SecondMember,
    /// A delivery gets lost on a connection that lives.
    DropFrame,
    /// A client does not subscribe again on its next connection.
    ForgetSubscriptions,
    /// A client waits too long between its attempts to connect: it never dials again.
    NeverDial,
    /// Two requests get each other's answers.
    SwapAnswers,
    /// Who asks is told that nobody listens, although somebody does.
    DenyResponders,
    /// Answers are lost, and who asks waits for ever.
    NoDeadline,
    /// A wire takes more than it should.
    LooseWire,
    /// The broker lets more wait for a client than it should.
    LooseBroker,
    /// A client keeps more for an absent server than it should.
    LooseClient,
    /// Something in the run depends on more than the seed.
    Chance,
}

impl Sabotage {
    /// The rule that it breaks; none if it breaks the replay.
    pub const fn breaks(self) -> Option<Rule> {
        Some(match self {
            Self::SwapFrames | Self::RepeatFrame => Rule::Order,
            Self::Misroute | Self::StrangeId => Rule::Subscribed,
            Self::SecondMember => Rule::OneMember,
            Self::DropFrame => Rule::Delivery,
            Self::ForgetSubscriptions | Self::NeverDial => Rule::Healing,
            Self::SwapAnswers | Self::DenyResponders | Self::NoDeadline => Rule::Requests,
            Self::LooseWire | Self::LooseBroker | Self::LooseClient => Rule::Bounds,
            Self::Chance => return None,
        })
    }
}

/// Who carries the sabotage out.
pub(crate) struct Saboteur {
    sabotage: Option<Sabotage>,
    random: Seeded,
    /// What each client has asked for, by its ids.
    wired: BTreeMap<(usize, u64), Wired>,
    /// What is held back for a client.
    held: BTreeMap<usize, Vec<u8>>,
    /// What a second member is to get: its group, and whose message it is.
    copied: Option<(String, usize, Vec<u8>)>,
    /// The newest publication that a client has got from another.
    newest: BTreeMap<(usize, usize), u64>,
}

struct Wired {
    pattern: String,
    group: Option<String>,
}

impl Saboteur {
    pub(crate) fn new(sabotage: Option<Sabotage>, random: Seeded) -> Self {
        let (wired, held, newest) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { sabotage, random, wired, held, copied: None, newest }
    }

    pub(crate) fn does(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }

    /// True if it looks at frames.
    pub(crate) const fn meddles(&self) -> bool {
        use Sabotage::{Chance, LooseBroker, LooseClient, LooseWire};
        !matches!(self.sabotage, None | Some(Chance | LooseBroker | LooseClient | LooseWire))
    }

    /// A number that differs from run to run where the run must not be one of its seed alone.
    pub(crate) fn stray_number(&self) -> u64 {
        static RUNS: AtomicU64 = AtomicU64::new(1);
        if self.does(Sabotage::Chance) { RUNS.fetch_add(1, Ordering::Relaxed) } else { 0 }
    }

    /// Learns what a client has asked for.
    pub(crate) fn wired(&mut self, client: usize, sid: u64, pattern: &str, group: Option<String>) {
        self.wired.insert((client, sid), Wired { pattern: pattern.to_owned(), group });
    }

    /// False if an operation gets lost on its way out with a client's connection `epoch`.
    pub(crate) fn lets_out(&self, epoch: u64, frame: &[u8]) -> bool {
        // After the first connection, what follows a greeting at once are the subscriptions made again.
        !(self.does(Sabotage::ForgetSubscriptions) && epoch > 1 && subscription(frame).is_some())
    }

    /// What a client gets in place of `frame`.
    pub(crate) fn incoming(&mut self, client: usize, frame: Vec<u8>) -> Vec<Vec<u8>> {
        let Some(seen) = Seen::of(&frame) else { return self.release(client, frame) };
        let is_inbox = self.wired.get(&(client, seen.sid)).is_some_and(|wired| wired.pattern.starts_with("_INBOX"));
        let is_picked = self.odds();
        match self.sabotage {
            Some(Sabotage::SwapFrames) if !is_inbox => self.swap(client, &seen, frame),
            Some(Sabotage::SwapAnswers) if is_inbox => self.swap_answers(client, &seen, frame),
            Some(Sabotage::RepeatFrame) if !is_inbox && is_picked => vec![frame.clone(), frame],
            Some(Sabotage::DropFrame) if !is_inbox && is_picked => Vec::new(),
            Some(Sabotage::NoDeadline) if is_inbox => Vec::new(),
            Some(Sabotage::DenyResponders) if is_inbox => vec![seen.nobody()],
            Some(Sabotage::StrangeId) if is_picked => vec![seen.with_sid(1 << 40), frame],
            Some(Sabotage::Misroute) if !is_inbox => self.misroute(client, &seen, frame),
            Some(Sabotage::SecondMember) if !is_inbox => self.second_member(client, &seen, frame),
            _ => vec![frame],
        }
    }

    fn odds(&mut self) -> bool {
        self.random.below(20) == 0
    }

    /// What was held back follows, unless it has changed places already.
    fn release(&mut self, client: usize, frame: Vec<u8>) -> Vec<Vec<u8>> {
        if self.does(Sabotage::SwapAnswers) {
            return vec![frame];
        }
        self.held.remove(&client).into_iter().chain([frame]).collect()
    }

    fn swap(&mut self, client: usize, seen: &Seen, frame: Vec<u8>) -> Vec<Vec<u8>> {
        let Some(held) = self.held.remove(&client) else {
            if self.odds() {
                self.held.insert(client, frame);
                return Vec::new();
            }
            return vec![frame];
        };
        let before = Seen::of(&held).expect("only deliveries are held back");
        let is_same = before.sid == seen.sid && before.letter.from == seen.letter.from;
        if is_same { vec![frame, held] } else { vec![held, frame] }
    }

    fn swap_answers(&mut self, client: usize, seen: &Seen, frame: Vec<u8>) -> Vec<Vec<u8>> {
        if !matches!(seen.letter.about, About::Answer { .. }) {
            return vec![frame];
        }
        let Some(held) = self.held.remove(&client) else {
            self.held.insert(client, frame);
            return Vec::new();
        };
        let before = Seen::of(&held).expect("only deliveries are held back");
        vec![before.with_body(&seen.body), seen.with_body(&before.body)]
    }

    fn misroute(&mut self, client: usize, seen: &Seen, frame: Vec<u8>) -> Vec<Vec<u8>> {
        let mut own = self.wired.range((client, 0)..(client + 1, 0));
        let other = own.find(|(_, wired)| wired.group.is_none() && !fits(&wired.pattern, &seen.subject));
        let other = other.filter(|(_, wired)| !wired.pattern.starts_with("_INBOX")).map(|((_, sid), _)| *sid);
        match other {
            Some(sid) if self.odds() => vec![seen.with_sid(sid), frame],
            _ => vec![frame],
        }
    }

    /// Remembers what a member of a group gets, and gives it to another one, where the order allows.
    fn second_member(&mut self, client: usize, seen: &Seen, frame: Vec<u8>) -> Vec<Vec<u8>> {
        let newest = self.newest.entry((client, seen.letter.from)).or_default();
        *newest = seen.letter.n.max(*newest);
        if let Some((group, owner, copied)) = self.copied.take() {
            let copy = Seen::of(&copied).expect("only deliveries are copied");
            let is_new = self.newest.get(&(client, copy.letter.from)).is_none_or(|newest| *newest < copy.letter.n);
            let mut own = self.wired.range((client, 0)..(client + 1, 0));
            let member =
                own.find(|(_, wired)| wired.group.as_ref() == Some(&group) && fits(&wired.pattern, &copy.subject));
            match member {
                Some(((_, sid), _)) if owner != client && is_new => return vec![copy.with_sid(*sid), frame],
                _ => self.copied = Some((group, owner, copied)),
            }
        }
        if let Some(group) = self.wired.get(&(client, seen.sid)).and_then(|wired| wired.group.clone()) {
            self.copied = Some((group, client, frame.clone()));
        }
        vec![frame]
    }
}

/// A delivery, taken apart.
struct Seen {
    sid: u64,
    subject: String,
    reply: Option<String>,
    body: Vec<u8>,
    letter: Letter,
}

impl Seen {
    fn of(frame: &[u8]) -> Option<Self> {
        let msg = delivery(frame).filter(|msg| msg.header_len.is_none())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let letter = Letter::parse(msg.body)?;
        let (subject, reply) = (text(msg.subject), msg.reply.map(text));
        Some(Self { sid: msg.sid, subject, reply, body: msg.body.to_vec(), letter })
    }

    fn write(&self, sid: u64, body: &[u8]) -> Vec<u8> {
        let reply = self.reply.as_ref().map_or_else(String::new, |reply| format!(" {reply}"));
        let head = format!("MSG {} {sid}{reply} {}\r\n", self.subject, body.len());
        [head.as_bytes(), body, b"\r\n"].concat()
    }

    fn with_sid(&self, sid: u64) -> Vec<u8> {
        self.write(sid, &self.body)
    }

    fn with_body(&self, body: &[u8]) -> Vec<u8> {
        self.write(self.sid, body)
    }

    /// What a broker says where nobody listens.
    fn nobody(&self) -> Vec<u8> {
        format!("HMSG {} {} 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", self.subject, self.sid).into_bytes()
    }
}

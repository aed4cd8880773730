//! What one subscription receives: a driver fills parcels, the user opens them.
//!
//! A driver only notes where in its read a plain message lies; the message is made when the user takes it. So the driver is done with a
//! read sooner, nothing large goes from hand to hand, and the counts of who shares what are touched by one thread alone.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use crosstie_core::{Headers, Message, Subject};

use crate::mailbox::{Mailbox, Taken};

/// Messages of one read for one subscription, in order.
#[derive(Default)]
pub(crate) struct Parcel {
    chunk: Bytes,
    /// Of all messages that are only noted.
    subject: Option<Subject>,
    notes: VecDeque<Note>,
    /// Those of the notes that are whole messages.
    whole: VecDeque<Message>,
}

/// One message.
#[derive(Clone, Copy)]
enum Note {
    /// Its payload lies there in the chunk, and it has nothing but the parcel's subject.
    Plain { start: u32, end: u32 },
    /// The next of those that are whole.
    Whole,
}

impl Parcel {
    pub(crate) fn len(&self) -> usize {
        self.notes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// True if messages on `subject` with payloads in `chunk` can be noted. Makes room for `expected` of them.
    pub(crate) fn takes(&mut self, subject: &Subject, chunk: &Bytes, expected: usize) -> bool {
        if self.subject.is_none() {
            (self.chunk, self.subject) = (chunk.clone(), Some(subject.clone()));
            self.notes.reserve(expected);
        }
        self.subject.as_ref() == Some(subject)
    }

    /// Notes a message of a subject and a chunk that it [takes](Self::takes).
    #[inline]
    pub(crate) fn note(&mut self, payload: Range<usize>) {
        debug_assert!(payload.end <= self.chunk.len());
        let at = |position| u32::try_from(position).expect("a read is far below 4 GiB");
        self.notes.push_back(Note::Plain { start: at(payload.start), end: at(payload.end) });
    }

    /// Adds a message of any kind.
    pub(crate) fn add(&mut self, message: Message) {
        self.whole.push_back(message);
        self.notes.push_back(Note::Whole);
    }

    /// Drops all but the first `len` messages.
    fn truncate(&mut self, len: usize) {
        self.notes.truncate(len);
        self.whole.truncate(self.notes.iter().filter(|note| matches!(note, Note::Whole)).count());
    }

    #[inline]
    fn pop(&mut self) -> Option<Message> {
        match self.notes.pop_front()? {
            Note::Plain { start, end } => Some(Message {
                subject: self.subject.clone().expect("set before the first note"),
                reply: None,
                status: None,
                headers: Headers::new(),
                payload: self.chunk.slice(start as usize..end as usize),
            }),
            Note::Whole => self.whole.pop_front(),
        }
    }
}

/// The messages of one subscription that its user has not taken yet.
pub struct Feed {
    parcels: Mailbox<Parcel>,
    capacity: usize,
    /// Messages in `parcels`.
    waiting: AtomicUsize,
    dropped: AtomicU64,
    /// Being emptied by [`Feed::try_take`].
    opened: Mutex<Parcel>,
}

impl Feed {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            parcels: Mailbox::new(usize::MAX),
            capacity,
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            opened: Mutex::default(),
        }
    }

    /// Adds all messages that fit, with one wake-up. False if some did not fit; they are dropped and counted then. One side alone may call it.
    // Relaxed is enough: the number is a limit alone, which the other side can only bring further away.
    pub(crate) fn put(&self, mut parcel: Parcel) -> bool {
        let room = self.capacity.saturating_sub(self.waiting.load(Ordering::Relaxed));
        let too_many = parcel.len().saturating_sub(room);
        if too_many > 0 {
            self.dropped.fetch_add(too_many as u64, Ordering::Relaxed);
            parcel.truncate(room);
        }
        if !parcel.is_empty() {
            self.waiting.fetch_add(parcel.len(), Ordering::Relaxed);
            self.parcels.put(parcel);
        }
        too_many == 0
    }

    /// Lets the user take what is there, and no more after that.
    pub(crate) fn close(&self) {
        self.parcels.close();
    }

    /// A message that is there already.
    pub fn try_take(&self) -> Option<Message> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.is_empty() {
            *opened = self.unpack(self.parcels.try_take()?);
        }
        opened.pop()
    }

    /// True if nothing is there and nothing will come.
    pub fn has_ended(&self) -> bool {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).is_empty() && self.parcels.has_ended()
    }

    /// How many messages were dropped because the user was too slow.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Counts what the user has now.
    fn unpack(&self, parcel: Parcel) -> Parcel {
        self.waiting.fetch_sub(parcel.len(), Ordering::Relaxed);
        parcel
    }
}

/// The user's end of a feed: it takes a whole parcel at once, so that the two sides seldom meet. The two hold together at most one parcel
/// more than the feed's capacity.
pub(crate) struct Outlet {
    feed: Arc<Feed>,
    parcel: Parcel,
}

impl Outlet {
    pub(crate) fn new(feed: Arc<Feed>) -> Self {
        Self { feed, parcel: Parcel::default() }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.feed.dropped()
    }

    #[inline]
    pub(crate) fn try_take(&mut self) -> Option<Message> {
        if self.parcel.is_empty() {
            self.parcel = self.feed.unpack(self.feed.parcels.try_take()?);
        }
        self.parcel.pop()
    }

    /// The next message; `None` if there will be no more. Dropping the future loses none.
    pub(crate) async fn take(&mut self) -> Option<Message> {
        if self.parcel.is_empty() {
            self.parcel = self.feed.unpack(self.feed.parcels.take().await?);
        }
        self.parcel.pop()
    }

    pub(crate) fn take_blocking(&mut self, until: Option<Instant>) -> Taken<Message> {
        if self.parcel.is_empty() {
            self.parcel = match self.feed.parcels.take_blocking(until) {
                Taken::Item(parcel) => self.feed.unpack(parcel),
                Taken::Closed => return Taken::Closed,
                Taken::TimedOut => return Taken::TimedOut,
            };
        }
        self.parcel.pop().map_or(Taken::Closed, Taken::Item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(name: &str) -> Subject {
        name.parse().unwrap()
    }

    /// Each sign of `chunk` as a message: digits are noted, anything else is a whole message of another subject.
    fn parcel(chunk: &'static str) -> Parcel {
        let (bytes, mut parcel) = (Bytes::from(chunk), Parcel::default());
        for (at, sign) in chunk.bytes().enumerate() {
            if sign.is_ascii_digit() && parcel.takes(&subject("a"), &bytes, 1) {
                parcel.note(at..at + 1);
            } else {
                parcel.add(Message::new(subject("b"), bytes.slice(at..at + 1)));
            }
        }
        parcel
    }

    fn all(mut next: impl FnMut() -> Option<Message>) -> String {
        std::iter::from_fn(&mut next)
            .map(|message| format!("{}{} ", message.subject, String::from_utf8_lossy(&message.payload)))
            .collect()
    }

    #[test]
    fn noted_and_whole_messages_keep_their_order() {
        let feed = Arc::new(Feed::new(100));
        assert!(feed.put(parcel("12x3y")) && feed.put(parcel("z4")));
        let mut outlet = Outlet::new(Arc::clone(&feed));
        assert_eq!(all(|| outlet.try_take()), "a1 a2 bx a3 by bz a4 ");
        assert!(feed.put(parcel("5x")));
        assert_eq!(all(|| feed.try_take()), "a5 bx ");
    }

    #[test]
    fn a_parcel_keeps_to_one_subject() {
        let (chunk, mut parcel) = (Bytes::from("1"), Parcel::default());
        assert!(parcel.takes(&subject("a"), &chunk, 1));
        parcel.note(0..1);
        assert!(parcel.takes(&subject("a"), &chunk, 1) && !parcel.takes(&subject("b"), &chunk, 1));
    }

    #[test]
    fn what_does_not_fit_is_counted_and_the_oldest_are_kept() {
        let feed = Arc::new(Feed::new(4));
        assert!(feed.put(parcel("1x")));
        assert!(!feed.put(parcel("2yz3")), "two fit, two do not");
        assert!(!feed.put(parcel("4")));
        let mut outlet = Outlet::new(Arc::clone(&feed));
        assert_eq!((all(|| outlet.try_take()).as_str(), outlet.dropped()), ("a1 bx a2 by ", 3));
        assert!(feed.put(parcel("5678")), "there is room again");
        assert!(!feed.has_ended());
        feed.close();
        assert_eq!(all(|| outlet.try_take()), "a5 a6 a7 a8 ", "what was there before the end is still taken");
        assert_eq!((outlet.take_blocking(None), feed.has_ended()), (Taken::Closed, true));
    }

    #[test]
    fn a_feed_that_is_half_taken_has_not_ended() {
        let feed = Feed::new(4);
        feed.put(parcel("12"));
        feed.close();
        assert!(feed.try_take().is_some() && !feed.has_ended());
        assert!(feed.try_take().is_some() && feed.has_ended());
    }
}

//! What one subscription receives: a driver fills parcels, the user opens them.
//!
//! A driver only notes where in its read a plain message lies; the message is made when the user takes it. So the driver is done with a
//! read sooner, nothing large goes from hand to hand, and the counts of who shares what are touched by one thread alone.
//!
//! A message that shares the bytes of its read keeps all of them alive, those of others too. So what is little of its read is copied, unless
//! it belongs to a stream whose user keeps up; and what is not copied counts with the whole read, once.

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
    /// Of all payloads, replies and headers.
    bytes: usize,
    /// What the feed counts for it.
    cost: usize,
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
    /// How many messages are handed over in one step: enough to spare the user most wake-ups, few enough that it can begin while the rest of a
    /// large read is still being parsed.
    pub(crate) const FULL: usize = 64;
    /// Fewer bytes than this are little of a read.
    const LITTLE: usize = 16 * 1024;
    /// A read as large as this is part of a stream.
    const STREAM: usize = 64 * 1024;

    pub(crate) fn len(&self) -> usize {
        self.notes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// True if messages on `subject` with payloads in `chunk` can be noted.
    pub(crate) fn takes(&mut self, subject: &Subject, chunk: &Bytes) -> bool {
        if self.subject.is_none() {
            (self.chunk, self.subject) = (chunk.clone(), Some(subject.clone()));
            self.notes.reserve(Self::FULL);
        }
        self.subject.as_ref() == Some(subject)
    }

    /// Notes a message of a subject and a chunk that it [takes](Self::takes).
    #[inline]
    pub(crate) fn note(&mut self, payload: Range<usize>) {
        debug_assert!(payload.end <= self.chunk.len());
        self.bytes += payload.len();
        let at = |position| u32::try_from(position).expect("a read is far below 4 GiB");
        self.notes.push_back(Note::Plain { start: at(payload.start), end: at(payload.end) });
    }

    /// Adds a message of any kind that shares the bytes of `chunk`.
    pub(crate) fn add(&mut self, message: Message, chunk: &Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk.clone();
        }
        self.bytes += weight(&message);
        self.whole.push_back(message);
        self.notes.push_back(Note::Whole);
    }

    /// Drops all but the first `len` messages.
    fn truncate(&mut self, len: usize) {
        self.notes.truncate(len);
        self.whole.truncate(self.notes.iter().filter(|note| matches!(note, Note::Whole)).count());
        self.bytes = self.weights().sum();
    }

    fn weights(&self) -> impl Iterator<Item = usize> {
        let mut whole = self.whole.iter();
        self.notes.iter().map(move |note| match note {
            Note::Plain { start, end } => (end - start) as usize,
            Note::Whole => whole.next().map_or(0, weight),
        })
    }

    /// How many of the first messages have at most `room` bytes together.
    fn fitting(&self, room: usize) -> usize {
        let mut sum = 0;
        self.weights()
            .take_while(|weight| {
                sum += weight;
                sum <= room
            })
            .count()
    }

    /// True if it is better kept in bytes of its own.
    fn is_little(&self, user_keeps_up: bool) -> bool {
        let is_little = self.bytes < Self::LITTLE;
        if user_keeps_up {
            // Of a stream the rest will follow, and be gone as soon.
            is_little && (self.len() < Self::FULL || self.chunk.len() < Self::STREAM)
        } else {
            is_little || self.bytes < self.chunk.len() / 2
        }
    }

    /// Copies what it shares with its read, so that the rest of that is free.
    fn detach(&mut self) {
        let mut own = Vec::with_capacity(self.bytes);
        for note in &mut self.notes {
            if let Note::Plain { start, end } = note {
                let from = u32::try_from(own.len()).expect("not more than was read");
                own.extend_from_slice(&self.chunk[*start as usize..*end as usize]);
                *note = Note::Plain { start: from, end: from + (*end - *start) };
            }
        }
        for message in &mut self.whole {
            message.payload = Bytes::copy_from_slice(&message.payload);
            message.reply = message.reply.as_ref().map(Subject::detached);
        }
        self.chunk = own.into();
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

/// The bytes of a message that count.
fn weight(message: &Message) -> usize {
    let headers: usize = message.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    message.payload.len() + message.reply.as_ref().map_or(0, |reply| reply.as_str().len()) + headers
}

/// The messages of one subscription that its user has not taken yet.
pub struct Feed {
    parcels: Mailbox<Parcel>,
    capacity: usize,
    capacity_bytes: usize,
    /// Messages in `parcels`.
    waiting: AtomicUsize,
    /// What `parcels` keep alive.
    held: AtomicUsize,
    /// Where the read lies that the last parcel shares; 0 if it shares none.
    last_read: AtomicUsize,
    dropped: AtomicU64,
    /// Being emptied by [`Feed::try_take`].
    opened: Mutex<Parcel>,
}

impl Feed {
    /// With fewer messages than this waiting, the user keeps up.
    const FEW: usize = 1024;

    /// A feed of at most so many messages and bytes. A message larger than that is taken alone.
    pub(crate) fn new(capacity: usize, capacity_bytes: usize) -> Self {
        Self {
            parcels: Mailbox::new(usize::MAX),
            capacity,
            capacity_bytes,
            waiting: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            last_read: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            opened: Mutex::default(),
        }
    }

    /// Adds all messages that fit, with one wake-up. False if some did not fit; they are dropped and counted then. One side alone may call it.
    // Relaxed is enough: the numbers are limits alone, which the other side can only bring further away.
    pub(crate) fn put(&self, mut parcel: Parcel) -> bool {
        let (waiting, all) = (self.waiting.load(Ordering::Relaxed), parcel.len());
        let room = self.capacity.saturating_sub(waiting);
        if all > room {
            parcel.truncate(room);
        }
        let mut read = parcel.chunk.as_ptr().addr();
        // As long as something waits, the last parcel does, and so its read is none that was freed and came again at the same place.
        parcel.cost =
            if waiting > 0 && read == self.last_read.load(Ordering::Relaxed) { 0 } else { parcel.chunk.len() };
        let room = self.capacity_bytes.saturating_sub(self.held.load(Ordering::Relaxed));
        if parcel.cost > room || parcel.is_little(waiting < Self::FEW) {
            let fitting = parcel.fitting(room).max(usize::from(waiting == 0));
            if fitting < parcel.len() {
                parcel.truncate(fitting);
            }
            parcel.detach();
            (parcel.cost, read) = (parcel.bytes, 0);
        }
        let too_many = all - parcel.len();
        if too_many > 0 {
            self.dropped.fetch_add(too_many as u64, Ordering::Relaxed);
        }
        if !parcel.is_empty() {
            self.last_read.store(read, Ordering::Relaxed);
            self.waiting.fetch_add(parcel.len(), Ordering::Relaxed);
            self.held.fetch_add(parcel.cost, Ordering::Relaxed);
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
        self.held.fetch_sub(parcel.cost, Ordering::Relaxed);
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
            if sign.is_ascii_digit() && parcel.takes(&subject("a"), &bytes) {
                parcel.note(at..at + 1);
            } else {
                parcel.add(Message::new(subject("b"), bytes.slice(at..at + 1)), &bytes);
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
        let feed = Arc::new(Feed::new(100, usize::MAX));
        assert!(feed.put(parcel("12x3y")) && feed.put(parcel("z4")));
        let mut outlet = Outlet::new(Arc::clone(&feed));
        assert_eq!(all(|| outlet.try_take()), "a1 a2 bx a3 by bz a4 ");
        assert!(feed.put(parcel("5x")));
        assert_eq!(all(|| feed.try_take()), "a5 bx ");
    }

    #[test]
    fn a_parcel_keeps_to_one_subject() {
        let (chunk, mut parcel) = (Bytes::from("1"), Parcel::default());
        assert!(parcel.takes(&subject("a"), &chunk));
        parcel.note(0..1);
        assert!(parcel.takes(&subject("a"), &chunk) && !parcel.takes(&subject("b"), &chunk));
    }

    #[test]
    fn what_does_not_fit_is_counted_and_the_oldest_are_kept() {
        let feed = Arc::new(Feed::new(4, usize::MAX));
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
        let feed = Feed::new(4, usize::MAX);
        feed.put(parcel("12"));
        feed.close();
        assert!(feed.try_take().is_some() && !feed.has_ended());
        assert!(feed.try_take().is_some() && feed.has_ended());
    }

    /// The bytes of a read, which tell whether anybody still holds them.
    struct Read {
        bytes: Vec<u8>,
        _holder: Arc<()>,
    }

    impl AsRef<[u8]> for Read {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }

    /// Hands a feed `count` messages of `size` bytes each, the first of a read of `read` bytes; and tells who holds that.
    fn handed(feed: &Feed, read: usize, count: usize, size: usize) -> Arc<()> {
        let (held, mut parcel) = (Arc::new(()), Parcel::default());
        let chunk = Bytes::from_owner(Read { bytes: vec![7; read], _holder: Arc::clone(&held) });
        for number in 0..count {
            let payload = number * size..(number + 1) * size;
            if number % 2 == 0 && parcel.takes(&subject("a"), &chunk) {
                parcel.note(payload);
            } else {
                let mut message = Message::new(subject("b"), chunk.slice(payload));
                message.reply = Some(subject("r"));
                parcel.add(message, &chunk);
            }
        }
        feed.put(parcel);
        held
    }

    fn is_free(held: &Arc<()>) -> bool {
        Arc::strong_count(held) == 1
    }

    #[test]
    fn a_small_message_does_not_keep_its_whole_read() {
        let feed = Feed::new(100, usize::MAX);
        let held = handed(&feed, 256 * 1024, 3, 10);
        assert!(is_free(&held));
        assert_eq!(feed.held.load(Ordering::Relaxed), 31, "30 bytes of payload and a reply");
        let messages: Vec<_> = std::iter::from_fn(|| feed.try_take()).collect();
        assert!(messages.iter().all(|message| message.payload == vec![7; 10]));
        assert_eq!(messages[1].reply.as_ref().map(Subject::as_str), Some("r"));
        assert_eq!(feed.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn control_much_of_a_read_is_not_copied() {
        let feed = Feed::new(100, usize::MAX);
        let held = handed(&feed, 256 * 1024, 3, 20 * 1024);
        assert!(!is_free(&held));
        assert_eq!(feed.held.load(Ordering::Relaxed), 256 * 1024, "the whole read counts");
        while feed.try_take().is_some() {}
        *feed.opened.lock().unwrap() = Parcel::default();
        assert!(is_free(&held));
        assert_eq!(feed.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_stream_is_copied_only_once_its_user_falls_behind() {
        let feed = Feed::new(usize::MAX, usize::MAX);
        let first = handed(&feed, 256 * 1024, Parcel::FULL, 10);
        let mut last = Arc::clone(&first);
        while feed.waiting.load(Ordering::Relaxed) <= Feed::FEW {
            last = handed(&feed, 256 * 1024, Parcel::FULL, 10);
        }
        assert!(!is_free(&first) && is_free(&last));
    }

    #[test]
    fn a_read_counts_once_however_many_parcels_share_it() {
        let feed = Feed::new(100, usize::MAX);
        let chunk = Bytes::from(vec![7; 256 * 1024]);
        for _ in 0..3 {
            let mut parcel = Parcel::default();
            assert!(parcel.takes(&subject("a"), &chunk));
            parcel.note(0..64 * 1024);
            feed.put(parcel);
        }
        assert_eq!(feed.held.load(Ordering::Relaxed), 256 * 1024);
    }

    #[test]
    fn bytes_are_bounded_whatever_the_number_of_messages() {
        let limit = 1024 * 1024;
        let bounded = Feed::new(usize::MAX, limit);
        let control = Feed::new(usize::MAX, usize::MAX);
        for size in [10, 1000, 20 * 1024] {
            for _ in 0..100 {
                for feed in [&bounded, &control] {
                    handed(feed, 256 * 1024, 10, size);
                }
                assert!(bounded.held.load(Ordering::Relaxed) <= limit);
            }
        }
        assert!(control.held.load(Ordering::Relaxed) > 10 * limit && control.dropped() == 0);
        let taken = std::iter::from_fn(|| bounded.try_take()).count();
        assert!(taken > 1000, "what is little fits in: {taken}");
        assert_eq!(taken as u64 + bounded.dropped(), 3000);
        assert!(bounded.put(parcel("1")), "there is room again");
    }

    #[test]
    fn a_message_larger_than_the_bound_is_taken_alone() {
        let feed = Feed::new(100, 10);
        handed(&feed, 1000, 3, 100);
        assert_eq!((feed.waiting.load(Ordering::Relaxed), feed.dropped()), (1, 2));
        handed(&feed, 1000, 1, 1);
        assert_eq!(feed.dropped(), 3);
        assert_eq!(feed.try_take().unwrap().payload.len(), 100);
    }
}

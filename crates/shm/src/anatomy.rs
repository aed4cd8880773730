//! What the bytes of a segment are, for people who look at them. The format document says the same at length.

use crate::{
    error::Result,
    header::{Kind, SectionKind},
    latest,
    segment::Segment,
    sync::Ordering::Relaxed,
};

/// Some bytes of a part, and what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where they begin in the part.
    pub at: u64,
    /// How many there are.
    pub len: u64,
    /// What they are.
    pub what: String,
    /// How much it tells.
    pub role: SpanRole,
}

/// How much it tells that some bytes are what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpanRole {
    /// A field of one of many rows that are alike.
    Row,
    /// A part that there is once.
    Part,
    /// A value that the schema describes.
    Value,
}

/// A field of a row: where it begins, how long it is, what it is.
type Field = (u64, u64, &'static str);

const HEADER: &[Field] = &[
    (0, 8, "magic"),
    (8, 4, "byte order"),
    (12, 4, "layout version"),
    (16, 8, "length"),
    (24, 4, "generation"),
    (28, 4, "kind"),
    (32, 24, "feature bits"),
    (56, 16, "boot id"),
    (72, 16, "segment id"),
    (88, 16, "layout hash"),
    (104, 8, "element size"),
    (112, 4, "alignment"),
    (116, 4, "slots"),
    (120, 4, "locks"),
    (124, 4, "elements"),
    (128, 8, "created"),
    (136, 4, "creator"),
    (140, 4, "length of the schema"),
    (144, 512, "table of parts"),
    (656, 3176, "schema"),
    (3832, 64, "name"),
    (3896, 8, "checksum"),
    (3904, 64, "reserved"),
    (3968, 4, "state"),
    (3972, 4, "replaced by"),
    (3976, 4, "membership"),
    (3980, 116, "reserved"),
];
const PARTICIPANT: &[Field] = &[
    (0, 4, "state"),
    (4, 4, "generation"),
    (8, 4, "pid"),
    (12, 4, "reaper"),
    (16, 8, "pid namespace"),
    (24, 8, "start time"),
    (32, 8, "joined"),
    (40, 4, "waits for"),
    (44, 4, "bell"),
    (48, 16, "ready bits"),
    (64, 64, "name"),
    (128, 8, "acts"),
    (136, 120, "reserved"),
];
const LOCK: &[Field] = &[
    (0, 4, "lock word (waiters, holder)"),
    (4, 4, "wake counter"),
    (8, 8, "version"),
    (16, 8, "writing"),
    (24, 8, "fencing token"),
    (32, 8, "foreign token"),
    (40, 8, "deaths"),
    (48, 4, "telling"),
    (52, 4, "deaths in counts"),
    (56, 8, "holding thread"),
    (64, 64, "reserved"),
    (128, 8, "held since"),
    (136, 4, "armed"),
    (144, 8, "waits"),
    (152, 8, "recoveries"),
    (160, 4, "kind"),
    (164, 4, "permits"),
    (168, 8, "place of the counts"),
    (176, 48, "name"),
    (224, 8, "place of the journal"),
    (232, 8, "token of 'held since'"),
    (240, 8, "place of the data"),
    (248, 8, "length of the data"),
];
const WAIT: &[Field] = &[(0, 4, "waits for lock"), (4, 4, "thread"), (8, 8, "since")];
const EVENT: &[Field] = &[(0, 8, "time"), (8, 2, "act"), (10, 2, "object"), (12, 4, "sequence"), (16, 16, "detail")];
const RING: &[Field] = &[
    (0, 128, "seats"),
    (128, 128, "tail: sent so far"),
    (256, 128, "head: taken so far"),
    (384, 128, "wake-up word of the receiver"),
    (512, 128, "wake-up word of the sender"),
];
const RING_CONTROL: u64 = 640;
const LATEST: &[Field] = &[(0, 128, "the writer's seat"), (128, 128, "the latest version"), (256, 128, "wake-up word")];
const LATEST_CONTROL: u64 = 384;
const POOL: &[Field] = &[(0, 256, "size classes"), (256, 128, "wake-up word"), (384, 0, "cells of the buffers")];

impl Segment {
    /// What the bytes of its header are, which are the first page of the segment.
    pub fn header_spans() -> Vec<Span> {
        HEADER.iter().map(|field| span(0, "", field, SpanRole::Part)).collect()
    }

    /// What the bytes of a part are, for those that begin in `from..to`, in order.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt).
    pub fn spans(&self, kind: SectionKind, from: u64, to: u64) -> Result<Vec<Span>> {
        let section = self.section(kind);
        let (row, to) = (u64::from(section.stride()), to.min(section.len()));
        let mut spans = match kind {
            SectionKind::Participants => rows(from, to, row, "slot", 1, 256, PARTICIPANT),
            SectionKind::Locks => rows(from, to, row, "lock", 0, 256, LOCK),
            SectionKind::Waiters => rows(from, to, row, "slot", 1, 16, WAIT),
            SectionKind::Events => rows(from, to, row, "slot", 1, 32, EVENT),
            SectionKind::Data => self.data_spans(from, to)?,
        };
        spans.retain(|span| span.at >= from && span.at < to);
        spans.sort_by_key(|span| span.at);
        Ok(spans)
    }

    fn data_spans(&self, from: u64, to: u64) -> Result<Vec<Span>> {
        let header = self.header();
        let size = header.element.size;
        let all = |fields: &[Field]| fields.iter().map(|field| span(0, "", field, SpanRole::Part)).collect::<Vec<_>>();
        Ok(match header.kind {
            Kind::Ring => {
                let mut spans = all(RING);
                let len = self.data().len();
                if header.elements > 0 && size > 1 && len > RING_CONTROL {
                    let stride = (len - RING_CONTROL) / u64::from(header.elements);
                    let slot: [Field; 2] = [(0, 8, "stamp"), (8, size, "message")];
                    let shifted = |at: u64| at.saturating_sub(RING_CONTROL);
                    let mut slots = rows(shifted(from), shifted(to), stride, "slot", 0, stride.max(1), &slot);
                    slots.iter_mut().for_each(|span| span.at += RING_CONTROL);
                    spans.extend(slots);
                } else {
                    spans.push(named(RING_CONTROL, len.saturating_sub(RING_CONTROL), "frames"));
                }
                spans
            }
            Kind::Pool => all(POOL),
            Kind::Latest => {
                let mut spans = all(LATEST);
                let Some(readers) = latest::readers(size, self.data().len()) else { return Ok(spans) };
                spans.extend((0..readers).map(|reader| {
                    let at = LATEST_CONTROL + u64::from(reader) * 128;
                    Span { role: SpanRole::Row, ..named(at, 128, &format!("reader {}", reader + 1)) }
                }));
                let stride = latest::stride(size) * 8;
                for buffer in 0..u64::from(readers) + 2 {
                    let at = LATEST_CONTROL + u64::from(readers) * 128 + buffer * stride;
                    spans.push(named(at, 8, &format!("buffer {}: written at", buffer + 1)));
                    spans.push(value(at + 8, size, &format!("buffer {}: value", buffer + 1)));
                }
                spans
            }
            _ => self.locked_spans(),
        })
    }

    /// The data of a segment whose locks say where it is.
    fn locked_spans(&self) -> Vec<Span> {
        let locks = (0..self.header().locks).filter_map(|index| self.lock(index));
        let mut spans = Vec::new();
        for cell in locks.filter(|cell| cell.kind.load(Relaxed) != 0) {
            spans.push(named(0, 64, "not used, so that place 0 can mean: none"));
            let place = |word: &crate::sync::AtomicU64| word.load(Relaxed);
            let (counts, journal, data, len) =
                (place(&cell.counts), place(&cell.journal), place(&cell.data), place(&cell.data_len));
            if counts > 0 {
                let bytes = u64::from(self.header().participants) * 8;
                spans.push(named(counts, bytes, "readers or permits of each participant"));
            }
            match (journal, len) {
                (_, 0) => {}
                (0, _) => {
                    let version = place(&cell.version);
                    for copy in 0..2 {
                        let standing = if version % 2 == copy {
                            format!("current, commit {version}")
                        } else {
                            "to be written next".to_owned()
                        };
                        let at = data.saturating_add(copy.saturating_mul(len));
                        spans.push(value(at, len, &format!("value, copy {}: {standing}", copy + 1)));
                    }
                }
                (journal, len) => {
                    spans.push(named(journal, 8, "journal: entries"));
                    spans.push(named(journal.saturating_add(8), 8, "journal: words used"));
                    spans.push(value(data, len, "value, changed in place"));
                }
            }
        }
        spans
    }
}

/// The fields of the rows that overlap `from..to`. A row may have several entries of `entry` bytes.
fn rows(from: u64, to: u64, row: u64, name: &str, first: u64, entry: u64, fields: &[Field]) -> Vec<Span> {
    let (row, entry) = (row.max(1), entry.max(1));
    let mut spans = Vec::new();
    for number in from / row..to.div_ceil(row) {
        for at in (0..(row / entry).max(1)).map(|index| number * row + index * entry) {
            if at < to && at + entry > from {
                let label = format!("{name} {}: ", number + first);
                spans.extend(fields.iter().map(|field| span(at, &label, field, SpanRole::Row)));
            }
        }
    }
    spans
}

fn span(base: u64, label: &str, (at, len, what): &Field, role: SpanRole) -> Span {
    // The first says whose they all are.
    let label = if *at == 0 { label } else { "" };
    Span { at: base + at, len: *len, what: format!("{label}{what}"), role }
}

fn named(at: u64, len: u64, what: &str) -> Span {
    Span { at, len, what: what.to_owned(), role: SpanRole::Part }
}

fn value(at: u64, len: u64, what: &str) -> Span {
    Span { role: SpanRole::Value, ..named(at, len, what) }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;
    use crate::layout::{LockCell, ParticipantSlot, WaiterEntry};

    fn at(fields: &[Field], what: &str) -> usize {
        let found = fields.iter().find(|field| field.2.starts_with(what)).unwrap_or_else(|| panic!("{what}"));
        usize::try_from(found.0).unwrap()
    }

    #[test]
    fn fields_are_where_the_layout_has_them() {
        assert_eq!(at(LOCK, "wake"), offset_of!(LockCell, wake));
        assert_eq!(at(LOCK, "fencing token"), offset_of!(LockCell, token));
        assert_eq!(at(LOCK, "deaths in counts"), offset_of!(LockCell, dead_counts));
        assert_eq!(at(LOCK, "held since"), offset_of!(LockCell, since));
        assert_eq!(at(LOCK, "token of"), offset_of!(LockCell, since_token));
        assert_eq!(at(LOCK, "length of the data"), offset_of!(LockCell, data_len));
        assert_eq!(at(PARTICIPANT, "bell"), offset_of!(ParticipantSlot, bell));
        assert_eq!(at(PARTICIPANT, "acts"), offset_of!(ParticipantSlot, events));
        assert_eq!(at(WAIT, "since"), offset_of!(WaiterEntry, since));
    }

    #[test]
    fn fields_of_a_row_follow_each_other() {
        for fields in [HEADER, PARTICIPANT, WAIT, EVENT, RING, LATEST] {
            for pair in fields.windows(2) {
                assert_eq!(pair[0].0 + pair[0].1, pair[1].0, "{pair:?}");
            }
        }
        assert!(LOCK.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
    }

    #[test]
    fn rows_are_told_where_they_are_asked_for() {
        let spans = rows(256, 512, 256, "slot", 1, 256, PARTICIPANT);
        assert_eq!((spans.len(), spans[0].at, spans[0].what.as_str()), (PARTICIPANT.len(), 256, "slot 2: state"));
        let spans = rows(32, 48, 128, "slot", 1, 16, WAIT);
        assert_eq!((spans.len(), spans[0].at, spans[0].what.as_str()), (3, 32, "slot 1: waits for lock"));
    }
}

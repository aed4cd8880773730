//! `crosstie shm dump`: bytes of a segment, and what they are.

use std::fmt::Write;

use clap::{Args, ValueEnum};
use crosstie::shm::{Directory, Kind, Section, SectionKind, Segment, Span, SpanRole};
use serde_json::{Value, json};

use super::{schema, table::wrap, target::Target, text};
use crate::{exit::Failure, output::Output};

/// Bytes that are read at a time.
const PIECE: u64 = 64 * 1024;
const LINE: u64 = 16;
/// How long a line of text is.
const WIDTH: usize = 78;

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie shm dump ledger --length 64
  crosstie shm dump ledger --part header  the first page of the segment
  crosstie shm dump ledger --part locks   lock words, tokens, since when
  crosstie shm dump ledger --raw > ledger.bin

Lines that begin with # name what begins in the bytes below them, by its place
in the part. A * stands for more lines like the one above it.")]
pub(super) struct DumpArgs {
    #[command(flatten)]
    target: Target,
    /// Which part of the segment
    #[arg(long, value_enum, default_value_t = Part::Data)]
    part: Part,
    /// Where to begin in it
    #[arg(long, default_value_t = 0)]
    offset: u64,
    /// How many bytes; to the end if not given
    #[arg(long)]
    length: Option<u64>,
    /// The bytes themselves, and nothing about them
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    Header,
    Participants,
    Locks,
    Waiters,
    Events,
    Data,
}

/// The bytes of a part, and what they are.
enum Bytes {
    Header(Vec<u8>),
    Section(Section),
}

impl Bytes {
    fn of(segment: &Segment, part: Part) -> Self {
        Self::Section(segment.section(match part {
            Part::Header => return Self::Header(segment.header_bytes()),
            Part::Participants => SectionKind::Participants,
            Part::Locks => SectionKind::Locks,
            Part::Waiters => SectionKind::Waiters,
            Part::Events => SectionKind::Events,
            Part::Data => SectionKind::Data,
        }))
    }

    fn name(&self) -> String {
        match self {
            Self::Header(_) => "header".to_owned(),
            Self::Section(section) => section.kind().to_string(),
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::Header(page) => page.len() as u64,
            Self::Section(section) => section.len(),
        }
    }

    fn copy(&self, at: u64, len: u64) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Header(page) => {
                let (at, len) = (usize::try_from(at).unwrap_or(0), usize::try_from(len).unwrap_or(0));
                Ok(page[at..at + len].to_vec())
            }
            Self::Section(section) => Ok(section.copy(at, len)?),
        }
    }

    /// What begins in `from..to`.
    fn spans(&self, segment: &Segment, from: u64, to: u64) -> Result<Vec<Span>, Failure> {
        Ok(match self {
            Self::Header(_) => Segment::header_spans(),
            Self::Section(section) => segment.spans(section.kind(), from, to)?,
        })
    }

    /// The fields of the values in it, by the schema.
    fn fields(&self, segment: &Segment) -> Result<Vec<Span>, Failure> {
        let header = segment.header();
        let Self::Section(section) = self else { return Ok(Vec::new()) };
        let has_values = matches!(header.kind, Kind::Region | Kind::Locks | Kind::TxRegion | Kind::Latest);
        if section.kind() != SectionKind::Data || !has_values {
            return Ok(Vec::new());
        }
        let fields = schema::fields(&header.element.schema);
        // A bare number or list is the value itself.
        let fields: Vec<_> = fields.into_iter().filter(|field| field.len < header.element.size).collect();
        let values = segment.spans(SectionKind::Data, 0, section.len())?;
        let values = values.into_iter().filter(|span| span.role == SpanRole::Value);
        Ok(values
            .flat_map(|value| {
                fields.iter().map(move |field| Span {
                    at: value.at.saturating_add(field.at),
                    len: field.len,
                    what: field.name().to_owned(),
                    role: SpanRole::Part,
                })
            })
            .collect())
    }
}

pub(super) fn run(directory: &Directory, args: &DumpArgs, output: &Output) -> Result<(), Failure> {
    let segment = args.target.open(directory)?;
    let part = Bytes::of(&segment, args.part);
    let (name, all) = (part.name(), part.len());
    let rest = all.checked_sub(args.offset);
    let length = args.length.or(rest);
    let Some(length) = length.filter(|length| rest.is_some_and(|rest| *length <= rest)) else {
        let asked = args.length.map_or_else(String::new, |length| format!("{length} bytes "));
        let what = format!("expected a place within the {all} bytes of '{name}', came {asked}at {}", args.offset);
        return Err(Failure::usage(what));
    };
    let fields = if args.raw { Vec::new() } else { part.fields(&segment)? };
    let mut last = None;
    for at in (args.offset..args.offset + length).step_by(usize::try_from(PIECE).expect("small")) {
        let bytes = part.copy(at, PIECE.min(args.offset + length - at))?;
        if args.raw {
            output.data(&Value::Null, || bytes)?;
            continue;
        }
        let end = at + bytes.len() as u64;
        let mut spans = part.spans(&segment, at, end)?;
        spans.extend(fields.iter().cloned());
        spans.retain(|span| (at..end).contains(&span.at));
        // A value stands before its own first field.
        spans.sort_by_key(|span| (span.at, std::cmp::Reverse(span.len)));
        if output.is_json() {
            for (line, chunk) in lines_of(&bytes, at) {
                let hex: String = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
                let begins: Vec<_> = begin_in(&spans, line)
                    .iter()
                    .map(|span| json!({ "offset": span.at, "bytes": span.len, "what": span.what }))
                    .collect();
                output.data(&json!({ "part": name, "offset": line, "hex": hex, "begins": begins }), Vec::new)?;
            }
            continue;
        }
        let text = lines(&bytes, at, &spans, &mut last);
        output.data(&Value::Null, || text.into_bytes())?;
    }
    Ok(())
}

fn lines_of(bytes: &[u8], at: u64) -> impl Iterator<Item = (u64, &[u8])> {
    (at..).step_by(usize::try_from(LINE).expect("small")).zip(bytes.chunks(usize::try_from(LINE).expect("small")))
}

/// Those of `spans`, which are in order, that begin in the line at `line`.
fn begin_in(spans: &[Span], line: u64) -> &[Span] {
    let first = spans.partition_point(|span| span.at < line);
    let end = spans.partition_point(|span| span.at < line + LINE);
    &spans[first..end]
}

/// Sixteen bytes a line, in hexadecimal and as text, below the names of what begins in them; lines like the one before are one `*`.
fn lines(bytes: &[u8], at: u64, spans: &[Span], last: &mut Option<(Vec<u8>, bool)>) -> String {
    let mut text = String::new();
    for (line, chunk) in lines_of(bytes, at) {
        let begins = begin_in(spans, line);
        // Rows in which nothing ever was need no names.
        let is_plain = begins.iter().all(|span| span.role == SpanRole::Row);
        if let Some((before, is_told)) = last
            && before == chunk
            && is_plain
        {
            if !*is_told {
                text.push_str("*\n");
                *is_told = true;
            }
            continue;
        }
        *last = Some((chunk.to_vec(), false));
        let names: Vec<_> = begins.iter().map(|span| format!("{} {}", span.at, text::name(&span.what))).collect();
        if !names.is_empty() {
            wrap(&names.join("; "), WIDTH - 2).iter().for_each(|names| text.push_str(&format!("# {names}\n")));
        }
        write!(text, "{line:08x} ").expect("writing to a string succeeds");
        for byte in chunk {
            write!(text, " {byte:02x}").expect("writing to a string succeeds");
        }
        text.push_str(&"   ".repeat(usize::try_from(LINE).expect("small") - chunk.len()));
        let shown = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        let readable: String = chunk.iter().map(shown).collect();
        writeln!(text, "  |{readable}|").expect("writing to a string succeeds");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_repeat_are_told_once_over_all_pieces() {
        let mut last = None;
        let zeroes = [0; 32];
        assert_eq!(lines(&zeroes, 0, &[], &mut last).lines().count(), 2);
        assert_eq!(lines(&zeroes, 32, &[], &mut last), "");
        let text = lines(b"crosstie", 64, &[], &mut last);
        assert_eq!(text, format!("00000040  63 72 6f 73 73 74 69 65{}  |crosstie|\n", "   ".repeat(8)));
    }

    #[test]
    fn what_begins_in_a_line_stands_above_it() {
        let span = |at, role| Span { at, len: 8, what: format!("it{at}"), role };
        let spans =
            [span(0, SpanRole::Part), span(8, SpanRole::Part), span(16, SpanRole::Row), span(32, SpanRole::Value)];
        let text = lines(&[0; 48], 0, &spans, &mut None);
        let told: Vec<_> = text.lines().map(|line| line.split("  ").next().unwrap()).collect();
        assert_eq!(told, ["# 0 it0; 8 it8", "00000000", "*", "# 32 it32", "00000020"]);
    }
}

//! `crosstie shm dump`.

use std::fmt::Write;

use clap::{Args, ValueEnum};
use crosstie::shm::{Directory, SectionKind};
use serde_json::{Value, json};

use super::target::Target;
use crate::{exit::Failure, output::Output};

/// Bytes that are read at a time.
const PIECE: u64 = 64 * 1024;
const LINE: usize = 16;

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie shm dump ledger --length 64
  crosstie shm dump ledger --part locks
  crosstie shm dump ledger --raw > ledger.bin")]
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
    /// The bytes themselves
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    Participants,
    Locks,
    Waiters,
    Events,
    Data,
}

pub(super) fn run(directory: &Directory, args: &DumpArgs, output: &Output) -> Result<(), Failure> {
    let segment = args.target.open(directory)?;
    let kind = match args.part {
        Part::Participants => SectionKind::Participants,
        Part::Locks => SectionKind::Locks,
        Part::Waiters => SectionKind::Waiters,
        Part::Events => SectionKind::Events,
        Part::Data => SectionKind::Data,
    };
    let section = segment.section(kind);
    let rest = section.len().checked_sub(args.offset);
    let length = args.length.or(rest);
    let Some(length) = length.filter(|length| rest.is_some_and(|rest| *length <= rest)) else {
        let asked = args.length.map_or_else(String::new, |length| format!("{length} bytes "));
        let what =
            format!("expected a place within the {} bytes of '{kind}', came {asked}at {}", section.len(), args.offset);
        return Err(Failure::usage(what));
    };
    let mut last = None;
    for at in (args.offset..args.offset + length).step_by(usize::try_from(PIECE).expect("small")) {
        let bytes = section.copy(at, PIECE.min(args.offset + length - at))?;
        if args.raw {
            output.data(&Value::Null, || bytes)?;
            continue;
        }
        if output.is_json() {
            for (line, chunk) in bytes.chunks(LINE).enumerate() {
                let hex: String = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
                let value = json!({ "part": kind.to_string(), "offset": at + (line * LINE) as u64, "hex": hex });
                output.data(&value, Vec::new)?;
            }
            continue;
        }
        let text = lines(&bytes, at, &mut last);
        output.data(&Value::Null, || text.into_bytes())?;
    }
    Ok(())
}

/// Sixteen bytes a line, in hexadecimal and as text; lines like the one before are one `*`.
fn lines(bytes: &[u8], at: u64, last: &mut Option<(Vec<u8>, bool)>) -> String {
    let mut text = String::new();
    for (line, chunk) in bytes.chunks(LINE).enumerate() {
        if let Some((before, is_told)) = last
            && before == chunk
        {
            if !*is_told {
                text.push_str("*\n");
                *is_told = true;
            }
            continue;
        }
        *last = Some((chunk.to_vec(), false));
        write!(text, "{:08x} ", at + (line * LINE) as u64).expect("writing to a string succeeds");
        for byte in chunk {
            write!(text, " {byte:02x}").expect("writing to a string succeeds");
        }
        text.push_str(&"   ".repeat(LINE - chunk.len()));
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
        assert_eq!(lines(&zeroes, 0, &mut last).lines().count(), 2);
        assert_eq!(lines(&zeroes, 32, &mut last), "");
        let text = lines(b"crosstie", 64, &mut last);
        assert_eq!(text, format!("00000040  63 72 6f 73 73 74 69 65{}  |crosstie|\n", "   ".repeat(8)));
    }
}

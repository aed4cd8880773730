//! Transcripts kept in a file: what nats-server answered, for when there is none at hand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Transcripts by the name of their case.
pub type Transcripts = BTreeMap<String, Vec<String>>;

/// Reads a record.
///
/// # Errors
///
/// What the file system says.
pub fn read(file: &Path) -> Result<Transcripts, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut transcripts = Transcripts::new();
    let mut current: Option<&mut Vec<String>> = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            current = Some(transcripts.entry(name.to_owned()).or_default());
        } else if let Some(lines) = current.as_mut() {
            lines.push(line.to_owned());
        }
    }
    Ok(transcripts)
}

/// Writes a record; `head` says where it comes from.
///
/// # Errors
///
/// What the file system says.
pub fn write(file: &Path, head: &str, transcripts: &Transcripts) -> Result<(), String> {
    let mut text = format!("# {head}\n");
    for (name, lines) in transcripts {
        let _ = writeln!(text, "== {name}");
        for line in lines {
            let _ = writeln!(text, "{line}");
        }
    }
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_as_it_was_written() {
        let file = std::env::temp_dir().join(format!("record-{}.txt", std::process::id()));
        let transcripts = Transcripts::from([
            ("pub/a b".to_owned(), vec!["a| +OK".to_owned(), "a| PONG".to_owned()]),
            ("pub/none".to_owned(), Vec::new()),
        ]);
        write(&file, "of a test", &transcripts).unwrap();
        assert_eq!(read(&file).unwrap(), transcripts);
        std::fs::remove_file(file).unwrap();
    }
}

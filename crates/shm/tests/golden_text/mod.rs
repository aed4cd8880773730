//! Segments as text, for golden files: the length, then sixteen bytes a line, lines of zeroes left out.

use std::{fmt::Write, ops::Range, path::PathBuf};

use xxhash_rust::xxh3::xxh3_64;

const BOOT_AND_ID: Range<usize> = 56..88;
const CREATED_AND_USER: Range<usize> = 128..140;
const CHECKED: usize = 3896;
/// What every golden segment has instead of the time and the user of whoever wrote it.
pub(crate) const CREATED: u64 = 1_800_000_000_123_456_789;
pub(crate) const USER: u32 = 1000;

pub(crate) fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/1.0-{name}.txt"))
}

pub(crate) fn written(bytes: &[u8]) -> String {
    let mut text = format!("length {}\n", bytes.len());
    for (line, chunk) in bytes.chunks(16).enumerate().filter(|(_, chunk)| chunk.iter().any(|byte| *byte != 0)) {
        let hex: String = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{:08x} {hex}", line * 16).unwrap();
    }
    text
}

pub(crate) fn read(text: &str) -> Vec<u8> {
    let mut lines = text.lines();
    let len = lines.next().and_then(|first| first.strip_prefix("length ")).unwrap().parse().unwrap();
    let mut bytes = vec![0; len];
    for line in lines {
        let (at, hex) = line.split_once(' ').unwrap();
        let at = usize::from_str_radix(at, 16).unwrap();
        for (index, byte) in bytes[at..at + 16].iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap();
        }
    }
    bytes
}

/// Gives what differs from run to run in a header a fixed value.
pub(crate) fn fix_header(bytes: &mut [u8]) {
    for (at, byte) in bytes[BOOT_AND_ID].iter_mut().enumerate() {
        *byte = u8::try_from(at + 1).unwrap();
    }
    bytes[CREATED_AND_USER][..8].copy_from_slice(&CREATED.to_le_bytes());
    bytes[CREATED_AND_USER][8..].copy_from_slice(&USER.to_le_bytes());
    mend(bytes);
}

/// Makes the checksum right.
pub(crate) fn mend(bytes: &mut [u8]) {
    let sum = xxh3_64(&bytes[..CHECKED]);
    bytes[CHECKED..CHECKED + 8].copy_from_slice(&sum.to_le_bytes());
}

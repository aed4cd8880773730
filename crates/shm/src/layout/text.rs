//! Short text in shared words.

use crate::sync::{AtomicU64, Ordering};

/// Puts `text` into `words`, cut at the last character that fits and padded with zeroes.
pub(crate) fn store_text(words: &[AtomicU64], text: &str) {
    let bytes = &text.as_bytes()[..text.floor_char_boundary(words.len() * 8)];
    for (at, word) in words.iter().enumerate() {
        let mut eight = [0; 8];
        let part = bytes.get(at * 8..).unwrap_or_default();
        let len = part.len().min(8);
        eight[..len].copy_from_slice(&part[..len]);
        // Relaxed is enough: text is for people, and whatever says that it is complete is stored after it.
        word.store(u64::from_le_bytes(eight), Ordering::Relaxed);
    }
}

/// The text in `words`; what is no UTF-8 is replaced.
pub(crate) fn load_text(words: &[AtomicU64]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_a_character() {
        let words = [const { AtomicU64::new(u64::MAX) }; 2];
        for (text, kept) in [
            ("short", "short"),
            ("", ""),
            ("fifteen bytes:ß", "fifteen bytes:ß"),
            ("sixteen bytes: ß", "sixteen bytes: "),
        ] {
            store_text(&words, text);
            assert_eq!(load_text(&words), kept);
        }
    }
}

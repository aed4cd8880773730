//! Names in the text: bare where they are plain, quoted otherwise.

use std::fmt::Write as _;

/// Words that are kinds: a type of that name is quoted.
const KINDS: [&str; 27] = [
    "u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128", "f32", "f64", "bool", "char", "text",
    "bytes", "unit", "marker", "option", "list", "set", "map", "array", "tuple", "struct", "enum", "type",
];

/// The longest name in bytes.
pub(super) const NAME_MAX: usize = 255;

pub(super) fn is_bare(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '~')
}

pub(super) fn is_kind(name: &str) -> bool {
    KINDS.contains(&name)
}

/// Writes the name of a field, a variant or a tag.
pub(super) fn write_name(text: &mut String, name: &str) {
    if !name.is_empty() && name.chars().all(is_bare) {
        text.push_str(name);
        return;
    }
    text.push('"');
    for character in name.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            _ if is_hidden(character) => {
                write!(text, "\\u{{{:x}}}", u32::from(character)).expect("a String takes everything");
            }
            _ => text.push(character),
        }
    }
    text.push('"');
}

/// Writes the name of a type, which must not be taken for a kind.
pub(super) fn write_type_name(text: &mut String, name: &str) {
    if is_kind(name) {
        text.extend(["\"", name, "\""]);
    } else {
        write_name(text, name);
    }
}

/// Characters that would end a line, control a terminal or turn its order round. A list of our own: what the language calls printable grows
/// from release to release, and the hash must not.
pub(super) fn is_hidden(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

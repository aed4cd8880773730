//! The headers of a message as they stand before its payload: their length, then lines.

use crosstie_core::{Error, Headers, Kind, Result};

use super::Violation;

/// The longest block of headers.
pub(super) const MAX: usize = 64 * 1024;

/// Refuses headers that the other side would not take.
pub(super) fn check(headers: &Headers) -> Result<()> {
    let len = len(headers);
    if len > MAX {
        let text = format!("the headers have {len} bytes, a message takes {MAX}: put large things into the payload");
        return Err(Error::new(Kind::TooLarge, text));
    }
    Ok(())
}

fn len(headers: &Headers) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum()
}

/// Appends a block of them.
pub(super) fn put(headers: &Headers, out: &mut Vec<u8>) {
    let length = u32::try_from(len(headers)).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    for (name, value) in headers.iter() {
        for part in [name, ": ", value, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// Takes the block that `body` begins with.
pub(super) fn take(body: &mut &[u8]) -> std::result::Result<Headers, Violation> {
    let length = take_length(body, "length of the headers")?;
    if length > MAX {
        return Err(Violation::Text(format!("a header block has {length} bytes, at most {MAX} are taken")));
    }
    let short = Violation::Short { what: "headers", expected: length, found: body.len() };
    let (block, rest) = body.split_at_checked(length).ok_or(short)?;
    *body = rest;
    let wrong = |text: &str| Violation::Text(text.to_owned());
    let block = std::str::from_utf8(block).map_err(|_| wrong("headers are UTF-8 text"))?;
    let mut headers = Headers::new();
    let Some(lines) = block.strip_suffix("\r\n") else { return Err(wrong("a header block ends with a line end")) };
    for line in lines.split("\r\n") {
        let (name, value) = line.split_once(": ").ok_or_else(|| wrong("a header line is 'Name: value'"))?;
        headers.append(name, value).map_err(|error| Violation::Text(error.to_string()))?;
    }
    Ok(headers)
}

/// Takes the four bytes of a length.
pub(super) fn take_length(body: &mut &[u8], what: &'static str) -> std::result::Result<usize, Violation> {
    let (length, rest) =
        body.split_first_chunk::<4>().ok_or(Violation::Short { what, expected: 4, found: body.len() })?;
    *body = rest;
    Ok(u32::from_le_bytes(*length) as usize)
}

//! Headers as they stand in `HPUB` and `HMSG`: a version line, one line each, an empty line.

use crosstie_core::{HeaderError, Headers, Status};
use memchr::memmem;

const VERSION: &[u8] = b"NATS/1.0";

/// Why bytes are not a header block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderBlockError {
    /// It does not begin with the version.
    #[error("a header block begins with 'NATS/1.0'")]
    Version,
    /// It does not end with an empty line.
    #[error("a header block ends with an empty line")]
    Unfinished,
    /// A line has no colon.
    #[error("a header line is 'Name: value', found '{0}'")]
    Line(String),
    /// The code after the version is not a number of three digits.
    #[error("a status is three digits and words, found '{0}'")]
    Status(String),
    /// It is not UTF-8.
    #[error("headers are UTF-8 text")]
    NotText,
    /// A name or value breaks the rules.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// Appends the block for `headers`, with `status` on its first line.
pub fn encode_headers(headers: &Headers, status: Option<&Status>, out: &mut Vec<u8>) {
    out.extend_from_slice(VERSION);
    if let Some(status) = status {
        out.extend_from_slice(format!(" {status}").trim_end().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    for (name, value) in headers.iter() {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Reads a block.
///
/// # Errors
///
/// [`HeaderBlockError`] says what is wrong with it.
pub fn decode_headers(block: &[u8]) -> Result<(Headers, Option<Status>), HeaderBlockError> {
    let rest = block.strip_prefix(VERSION).ok_or(HeaderBlockError::Version)?;
    let end = memmem::find(rest, b"\r\n\r\n").ok_or(HeaderBlockError::Unfinished)?;
    let text = std::str::from_utf8(&rest[..end]).map_err(|_| HeaderBlockError::NotText)?;
    let mut lines = text.split("\r\n");
    let status = status(lines.next().unwrap_or_default().trim())?;
    let mut headers = Headers::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| HeaderBlockError::Line(line.to_owned()))?;
        headers.append(name, value)?;
    }
    Ok((headers, status))
}

fn status(text: &str) -> Result<Option<Status>, HeaderBlockError> {
    if text.is_empty() {
        return Ok(None);
    }
    let (code, description) = text.split_once(' ').unwrap_or((text, ""));
    let valid = code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
    let code = code.parse().ok().filter(|_| valid).ok_or_else(|| HeaderBlockError::Status(text.to_owned()))?;
    Ok(Some(Status { code, description: description.trim().to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut headers = Headers::new();
        headers.append("A", "1").unwrap();
        headers.append("A", "two: 2").unwrap();
        headers.append("Empty", "").unwrap();
        for status in [
            None,
            Some(Status { code: 503, description: String::new() }),
            Some(Status { code: 404, description: "No Messages".into() }),
            Some(Status { code: 44, description: String::new() }),
        ] {
            let mut block = Vec::new();
            encode_headers(&headers, status.as_ref(), &mut block);
            assert_eq!(decode_headers(&block), Ok((headers.clone(), status)));
        }
    }

    #[test]
    fn what_is_not_a_block_is_refused() {
        for block in [
            "",
            "HTTP/1.1\r\n\r\n",
            "NATS/1.0\r\nA: b\r\n",
            "NATS/1.0\r\nno colon\r\n\r\n",
            "NATS/1.0 5x3\r\n\r\n",
            "NATS/1.0\r\nA B: c\r\n\r\n",
        ] {
            assert!(decode_headers(block.as_bytes()).is_err(), "{block:?}");
        }
        assert!(decode_headers(b"NATS/1.0\r\nA: \xff\r\n\r\n").is_err());
    }
}

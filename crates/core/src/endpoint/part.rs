//! A piece of a URL that knows where it stands, and the error that points at it.

/// Why a text is not an endpoint: what was expected, what came, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {} (column {column} of '{shown}')", if found.is_empty() { "nothing".to_owned() } else { format!("'{found}'") })]
pub struct EndpointError {
    expected: String,
    found: String,
    column: usize,
    shown: String,
}

impl EndpointError {
    /// Where the offending part begins, in characters from 1.
    pub const fn column(&self) -> usize {
        self.column
    }

    /// What should stand there.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// The whole text, without what is secret in it; of a long one the beginning and the end.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether it begins with no scheme that is known.
    pub fn is_about_scheme(&self) -> bool {
        self.column == 1 && self.expected.starts_with("a scheme")
    }
}

/// A piece of the URL that knows where it stands in the whole.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    whole: &'a str,
    start: usize,
    end: usize,
}

impl<'a> Part<'a> {
    pub(super) fn new(whole: &'a str) -> Self {
        Self { whole, start: 0, end: whole.len() }
    }

    pub(super) fn text(self) -> &'a str {
        &self.whole[self.start..self.end]
    }

    /// The parts before and after the first `separator`.
    pub(super) fn split_once(self, separator: char) -> Option<(Self, Self)> {
        let at = self.start + self.text().find(separator)?;
        Some((Self { end: at, ..self }, Self { start: at + separator.len_utf8(), ..self }))
    }

    pub(super) fn rsplit_once(self, separator: char) -> Option<(Self, Self)> {
        let at = self.start + self.text().rfind(separator)?;
        Some((Self { end: at, ..self }, Self { start: at + separator.len_utf8(), ..self }))
    }

    pub(super) fn strip_prefix(self, prefix: &str) -> Option<Self> {
        self.text().starts_with(prefix).then_some(Self { start: self.start + prefix.len(), ..self })
    }

    pub(super) fn split(self, separator: char) -> impl Iterator<Item = Self> {
        let mut rest = Some(self);
        std::iter::from_fn(move || {
            let part = rest?;
            let (head, tail) = part.split_once(separator).map_or((part, None), |(head, tail)| (head, Some(tail)));
            rest = tail;
            Some(head)
        })
    }

    /// The error that says what should have stood here.
    pub(super) fn expected(self, expected: impl Into<String>) -> EndpointError {
        EndpointError {
            expected: expected.into(),
            found: shown(&without_secret(self.text())),
            column: self.whole[..self.start].chars().count() + 1,
            shown: shown(&without_secret(self.whole)),
        }
    }

    /// The text with its `%xx` escapes resolved.
    pub(super) fn decode(self) -> Result<String, EndpointError> {
        let mut bytes = Vec::with_capacity(self.text().len());
        let mut rest = self.text().as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            if *first != b'%' {
                bytes.push(*first);
                continue;
            }
            let digits = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
            let byte = digits
                .filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|pair| u8::from_str_radix(pair, 16).ok());
            bytes.push(byte.ok_or_else(|| self.expected("two hexadecimal digits after every '%'"))?);
            rest = &tail[2..];
        }
        String::from_utf8(bytes).map_err(|_| self.expected("escapes that spell UTF-8 text"))
    }
}

/// The text with what stands between `//` and the last `@` of the authority hidden.
fn without_secret(text: &str) -> String {
    // These have no authority: behind their '@' is an abstract name.
    if text.starts_with("unix:") || text.starts_with("nats+unix:") {
        return text.to_owned();
    }
    let start = text.find("//").map_or(0, |at| at + 2);
    let authority = text[start..].split(['/', '?']).next().unwrap_or_default();
    match authority.rfind('@') {
        Some(at) if at > 0 => format!("{}***{}", &text[..start], &text[start + at..]),
        _ => text.to_owned(),
    }
}

/// How many characters of a text an error repeats from its beginning, and from its end.
const REPEATED: [usize; 2] = [80, 20];

/// The text for an error: without what would control a terminal, and of a long one the two ends.
pub(super) fn shown(text: &str) -> String {
    let signs: Vec<char> = text.chars().collect();
    let escaped = |signs: &[char]| -> String {
        let one = |sign: &char| if sign.is_control() { sign.escape_default().to_string() } else { sign.to_string() };
        signs.iter().map(one).collect()
    };
    match signs.len() {
        len if len <= REPEATED[0] + REPEATED[1] + 1 => escaped(&signs),
        len => format!("{}…{}", escaped(&signs[..REPEATED[0]]), escaped(&signs[len - REPEATED[1]..])),
    }
}

/// A duration as a URL holds it.
pub(super) fn duration_text(duration: std::time::Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

/// Escapes what would end a path or a user name.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_control() || matches!(c, '%' | '?' | '#' | ' ' | '&') {
            out.push_str(&format!("%{:02X}", c as u32));
        } else {
            out.push(c);
        }
    }
    out
}

//! Tokens of a Rust file: identifiers, punctuation and literals, each with its line; comments are gone.

/// What a token is. The text of a literal is dropped: no check may fire on what a string says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ident(String),
    /// `::`
    PathSep,
    Punct(char),
    Literal,
    Lifetime,
}

/// One token and the line it starts on, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

impl Token {
    /// The word, if the token is an identifier or a keyword.
    pub(crate) fn ident(&self) -> Option<&str> {
        match &self.kind {
            Kind::Ident(word) => Some(word),
            _ => None,
        }
    }

    pub(crate) fn is_ident(&self, word: &str) -> bool {
        self.ident() == Some(word)
    }

    pub(crate) fn is_punct(&self, sign: char) -> bool {
        self.kind == Kind::Punct(sign)
    }
}

/// Cuts a file into tokens.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    Scanner { rest: source, line: 1, tokens: Vec::new() }.run()
}

/// The tokens that are compiled outside tests: whatever follows a `#[cfg(test)]` or `#[test]` is left out.
pub(crate) fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        match test_attribute(tokens, at) {
            Some(after) => at = item_end(tokens, after),
            None => {
                kept.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    kept
}

/// Name, first line and number of lines of every `fn` that has a body.
pub(crate) fn functions(tokens: &[Token]) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        let (true, Some(name)) = (pair[0].is_ident("fn"), pair[1].ident()) else {
            continue;
        };
        let end = item_end(tokens, at);
        let last = &tokens[end - 1];
        if last.is_punct('}') {
            found.push((name.to_owned(), pair[0].line, last.line - pair[0].line + 1));
        }
    }
    found
}

/// If a test-only attribute starts at `at`, the place after it.
fn test_attribute(tokens: &[Token], at: usize) -> Option<usize> {
    if !(tokens[at].is_punct('#') && tokens.get(at + 1)?.is_punct('[')) {
        return None;
    }
    let end = closing(tokens, at + 1)?;
    let inside = &tokens[at + 2..end];
    let is_cfg = inside.first()?.is_ident("cfg");
    let names_test = inside.iter().any(|token| token.is_ident("test"));
    let negated = inside.iter().any(|token| token.is_ident("not"));
    let is_test = names_test && !negated && (is_cfg || inside.last()?.is_ident("test"));
    is_test.then_some(end + 1)
}

/// The place after the item that starts at `at`: past its `;` or past its braces.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() {
        match tokens[at].kind {
            Kind::Punct(';') => return at + 1,
            Kind::Punct('{') => return closing(tokens, at).map_or(tokens.len(), |end| end + 1),
            Kind::Punct('(' | '[') => at = closing(tokens, at).map_or(tokens.len(), |end| end + 1),
            _ => at += 1,
        }
    }
    tokens.len()
}

/// The place of the bracket that closes the one at `open`.
fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Punct('(' | '[' | '{') => depth += 1,
            Kind::Punct(')' | ']' | '}') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl Scanner<'_> {
    fn run(mut self) -> Vec<Token> {
        while let Some(first) = self.rest.chars().next() {
            if self.rest.starts_with("//") {
                self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                self.skip(block_comment(self.rest));
            } else if let Some(length) = string_literal(self.rest) {
                self.take(Kind::Literal, length);
            } else if first == '\'' {
                self.quote();
            } else if first.is_alphabetic() || first == '_' {
                let length = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
                self.take(Kind::Ident(self.rest[..length].to_owned()), length);
            } else if first.is_ascii_digit() {
                let length = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
                self.take(Kind::Literal, length);
            } else if self.rest.starts_with("::") {
                self.take(Kind::PathSep, 2);
            } else if first.is_whitespace() {
                self.skip(first.len_utf8());
            } else {
                self.take(Kind::Punct(first), first.len_utf8());
            }
        }
        self.tokens
    }

    /// A lifetime or a character: `'a` has no closing quote where `'a'` has one.
    fn quote(&mut self) {
        let mut inside = self.rest[1..].chars();
        let length = match (inside.next(), inside.next()) {
            (Some('\\'), Some(escaped)) => {
                let after = 2 + escaped.len_utf8();
                self.rest[after..].find('\'').map(|more| after + more + 1)
            }
            (Some(only), Some('\'')) => Some(2 + only.len_utf8()),
            _ => None,
        };
        match length {
            Some(length) => self.take(Kind::Literal, length),
            None => {
                let word =
                    self.rest[1..].find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len() - 1);
                self.take(Kind::Lifetime, 1 + word);
            }
        }
    }

    fn take(&mut self, kind: Kind, length: usize) {
        self.tokens.push(Token { kind, line: self.line });
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        let (gone, rest) = self.rest.split_at(length);
        self.line += gone.matches('\n').count();
        self.rest = rest;
    }
}

/// The length of the block comment at the start; block comments nest.
fn block_comment(source: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < source.len() {
        if source[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if source[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += source[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    source.len()
}

/// The length of the string literal at the start, with its prefix (`b`, `c`, `r`, `br`, `cr`), if there is one.
fn string_literal(source: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        source.strip_prefix(prefix).is_some_and(|after| {
            let raw = prefix.ends_with('r');
            after.starts_with('"') || (raw && after.trim_start_matches('#').starts_with('"') && after.starts_with('#'))
        })
    })?;
    let after = &source[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = after.len() - after.trim_start_matches('#').len();
        let close = format!("\"{}", "#".repeat(hashes));
        let body = prefix.len() + hashes + 1;
        return Some(source[body..].find(&close).map_or(source.len(), |end| body + end + close.len()));
    }
    let mut escaped = false;
    for (at, byte) in after.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(prefix.len() + at + 1),
            _ => {}
        }
    }
    Some(source.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<String> {
        tokens(source).iter().filter_map(|token| token.ident().map(str::to_owned)).collect()
    }

    #[test]
    fn comments_and_strings_hide_what_they_say() {
        let source = "a // b\n/* c /* d */ e */ f \"g \\\" h\" r#\"i \" j\"# b\"k\" 'l' '\\'' m<'n> 0xop";
        assert_eq!(words(source), ["a", "f", "m"]);
    }

    #[test]
    fn lines_are_counted_through_literals() {
        let found = tokens("\"one\ntwo\"\n/*\n*/ here");
        assert_eq!(found.last().map(|token| token.line), Some(4));
    }

    #[test]
    fn test_items_are_left_out_and_only_they() {
        let source = "fn a() {} #[cfg(test)] mod tests { fn b() {} } #[cfg(not(test))] fn c() {} #[test] fn d() {} fn e() {} \
                      #[cfg(test)] #[allow(dead_code)] fn g(x: [u8; 3]) {} fn h() {}";
        let kept: Vec<_> = functions(&without_tests(&tokens(source))).into_iter().map(|f| f.0).collect();
        assert_eq!(kept, ["a", "c", "e", "h"]);
    }

    #[test]
    fn a_function_is_as_long_as_from_its_fn_to_its_brace() {
        let source = "pub fn one() {\n}\ntrait T { fn none(&self); }\nfn two(\n) -> [u8; 2]\n{\n if x { }\n}\n";
        assert_eq!(functions(&tokens(source)), [("one".to_owned(), 1, 2), ("two".to_owned(), 4, 5)]);
    }
}

//! nats-server's configuration grammar: JSON with `=`, `:` or nothing between key and value, comments, variables and includes.
//!
//! Written from the public description of the format (docs.nats.io, "Server configuration"): `#` and `//` begin a comment; a text may
//! stand bare, in `'…'` (verbatim), in `"…"` (with escapes) or in a block `(` … `)`; a whole number may carry a suffix (`K` is 1000,
//! `KB`, `Ki` and `KiB` are 1024, and so on); `$name` is an earlier key of this or an enclosing table, or an environment variable.

mod budget;

use std::{collections::HashSet, path::Path, sync::Arc};

use self::budget::Budget;
use crate::tree::{ConfigError, Entry, Node, Place, Table, Value, read_file};

/// How deep tables, lists, includes and variables may nest.
const MAX_DEPTH: usize = 64;

/// A parsed configuration.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) root: Node,
    /// Keys that were used as variables; they need no other meaning.
    pub(crate) variables: HashSet<String>,
}

/// Where environment variables come from.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The configuration in the file at `path`.
pub(crate) fn parse_file(path: &Path, env: Environment<'_>) -> Result<Document, ConfigError> {
    let name = path.display().to_string();
    let text = read_file(path, &Place::whole(name.as_str()))?;
    parse(&name, &text, path.parent(), env)
}

/// The configuration in `text`; includes are looked for in `folder`, and refused if there is none.
pub(crate) fn parse(
    name: &str,
    text: &str,
    folder: Option<&Path>,
    env: Environment<'_>,
) -> Result<Document, ConfigError> {
    let mut scopes = vec![Table::default()];
    let (mut variables, mut budget) = (HashSet::new(), Budget::new());
    let source = Arc::from(name);
    let mut parser = Parser {
        source: &source,
        text,
        at: 0,
        folder,
        env,
        depth: 0,
        scopes: &mut scopes,
        variables: &mut variables,
        budget: &mut budget,
    };
    parser.document()?;
    let place = parser.place(0);
    let root = scopes.pop().expect("the outermost scope is never taken away");
    Ok(Document { root: Node { value: Value::Table(root), place }, variables })
}

struct Parser<'a> {
    source: &'a Arc<str>,
    text: &'a str,
    at: usize,
    folder: Option<&'a Path>,
    env: Environment<'a>,
    depth: usize,
    /// The tables that are being written, outermost first: where variables are looked up.
    scopes: &'a mut Vec<Table>,
    variables: &'a mut HashSet<String>,
    budget: &'a mut Budget,
}

impl Parser<'_> {
    fn place(&self, at: usize) -> Place {
        Place::at(self.source, self.text, at)
    }

    fn refuse(&self, at: usize, message: impl Into<String>) -> ConfigError {
        ConfigError::new(&self.place(at), message)
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take_while(&mut self, mut wanted: impl FnMut(char) -> bool) -> &str {
        let start = self.at;
        while self.peek().is_some_and(&mut wanted) {
            self.bump();
        }
        &self.text[start..self.at]
    }

    fn found(&self) -> String {
        self.peek().map_or_else(|| "the end".to_owned(), |found| format!("'{}'", found.escape_default()))
    }

    /// Skips blanks and comments, and `also`.
    fn skip(&mut self, also: &str) {
        loop {
            self.take_while(|c| c.is_whitespace() || c == '\u{feff}' || also.contains(c));
            if !self.text[self.at..].starts_with("//") && self.peek() != Some('#') {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn deeper(&mut self, at: usize) -> Result<(), ConfigError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.refuse(at, format!("expected at most {MAX_DEPTH} levels, found more")));
        }
        Ok(())
    }

    /// A whole file: keys and values, or one table in braces as JSON has it.
    fn document(&mut self) -> Result<(), ConfigError> {
        self.skip("");
        let braced = self.peek() == Some('{');
        if braced {
            self.bump();
        }
        self.entries(braced)?;
        self.skip("");
        match self.peek() {
            None => Ok(()),
            Some(_) => {
                Err(self.refuse(self.at, format!("expected the end after the last '}}', found {}", self.found())))
            }
        }
    }

    /// Keys and values into the innermost scope, to the closing brace or the end.
    fn entries(&mut self, braced: bool) -> Result<(), ConfigError> {
        let start = self.at;
        loop {
            self.skip(",;");
            match self.peek() {
                None if braced => return Err(self.refuse(start, "expected a '}' for this '{', found the end")),
                None => return Ok(()),
                Some('}') if braced => {
                    self.bump();
                    return Ok(());
                }
                Some('"' | '\'') => self.entry()?,
                Some(c) if is_bare(c) && c != '(' => self.entry()?,
                Some(_) => return Err(self.refuse(self.at, format!("expected a key, found {}", self.found()))),
            }
        }
    }

    fn entry(&mut self) -> Result<(), ConfigError> {
        let start = self.at;
        let quoted = matches!(self.peek(), Some('"' | '\''));
        let key = match self.peek() {
            Some('"') => self.double_quoted()?,
            Some('\'') => self.single_quoted()?,
            _ => self.take_while(|c| is_bare(c) && !"=:".contains(c)).to_owned(),
        };
        if key.is_empty() {
            return Err(self.refuse(start, format!("expected a key, found {}", self.found())));
        }
        self.take_while(|c| c == ' ' || c == '\t');
        if key == "include" && !quoted && !matches!(self.peek(), Some('=' | ':')) {
            return self.include(start);
        }
        self.skip("");
        if matches!(self.peek(), Some('=' | ':')) {
            self.bump();
        }
        self.skip("");
        let node = self.value()?;
        let place = self.place(start);
        let scope = self.scopes.last_mut().expect("there is always a scope");
        // As in nats-server, the last one counts.
        scope.entries.retain(|entry| entry.key != key);
        scope.entries.push(Entry { key, place, node });
        Ok(())
    }

    fn include(&mut self, start: usize) -> Result<(), ConfigError> {
        let name = match self.peek() {
            Some('"') => self.double_quoted()?,
            Some('\'') => self.single_quoted()?,
            _ => self.take_while(is_bare).to_owned(),
        };
        let Some(folder) = self.folder else {
            return Err(self.refuse(start, "a text that is no file can include none"));
        };
        let (path, place) = (folder.join(&name), self.place(start));
        let over = |message| ConfigError::new(&place, message);
        self.budget.file().map_err(over)?;
        let text = read_file(&path, &place)?;
        self.budget.bytes(text.len()).map_err(over)?;
        self.deeper(start)?;
        let source = Arc::from(path.display().to_string());
        let mut parser = Parser {
            source: &source,
            text: &text,
            at: 0,
            folder: path.parent(),
            env: self.env,
            depth: self.depth,
            scopes: &mut *self.scopes,
            variables: &mut *self.variables,
            budget: &mut *self.budget,
        };
        parser.document()?;
        self.depth -= 1;
        Ok(())
    }

    fn value(&mut self) -> Result<Node, ConfigError> {
        let start = self.at;
        let value = match self.peek() {
            Some('{') => self.table()?,
            Some('[') => self.list()?,
            Some('(') => Value::Text(self.block()?),
            Some('"') => Value::Text(self.double_quoted()?),
            Some('\'') => Value::Text(self.single_quoted()?),
            Some('$') => return self.variable(),
            Some(c) if is_bare(c) => classify(self.take_while(is_bare)),
            _ => return Err(self.refuse(start, format!("expected a value, found {}", self.found()))),
        };
        Ok(Node { value, place: self.place(start) })
    }

    fn table(&mut self) -> Result<Value, ConfigError> {
        self.deeper(self.at)?;
        self.bump();
        self.scopes.push(Table::default());
        self.entries(true)?;
        self.depth -= 1;
        let table = self.scopes.pop().expect("pushed above, and entries leaves the scopes as they were");
        Ok(Value::Table(table))
    }

    fn list(&mut self) -> Result<Value, ConfigError> {
        let start = self.at;
        self.deeper(start)?;
        self.bump();
        let mut items = Vec::new();
        loop {
            self.skip(",");
            match self.peek() {
                None => return Err(self.refuse(start, "expected a ']' for this '[', found the end")),
                Some(']') => {
                    self.bump();
                    self.depth -= 1;
                    return Ok(Value::List(items));
                }
                Some(_) => items.push(self.value()?),
            }
        }
    }

    /// `(`, lines, and a line that is `)` alone.
    fn block(&mut self) -> Result<String, ConfigError> {
        let start = self.at;
        self.bump();
        let rest = &self.text[self.at..];
        let mut taken = 0;
        for line in rest.split_inclusive('\n') {
            if line.trim() == ")" {
                let end = taken + line.find(')').expect("the line is a parenthesis") + 1;
                self.at += end;
                return Ok(rest[..taken].trim_matches('\n').to_owned());
            }
            taken += line.len();
        }
        Err(self.refuse(start, "expected a line with ')' alone to end this block, found the end"))
    }

    fn single_quoted(&mut self) -> Result<String, ConfigError> {
        let start = self.at;
        self.bump();
        let text = self.take_while(|c| c != '\'').to_owned();
        self.bump().map(|_| text).ok_or_else(|| self.refuse(start, "expected a ' to end this text, found the end"))
    }

    fn double_quoted(&mut self) -> Result<String, ConfigError> {
        let start = self.at;
        self.bump();
        let mut text = String::new();
        loop {
            let at = self.at;
            match self.bump() {
                None => return Err(self.refuse(start, "expected a \" to end this text, found the end")),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape(at)?),
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self, at: usize) -> Result<char, ConfigError> {
        match self.bump() {
            Some('t') => Ok('\t'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('"') => Ok('"'),
            Some('\\') => Ok('\\'),
            Some('/') => Ok('/'),
            Some('x') => {
                let digits: String = (0..2).filter_map(|_| self.bump()).collect();
                let byte = u8::from_str_radix(&digits, 16).map_err(|_| {
                    self.refuse(at, format!("expected two hexadecimal digits after \\x, found '{digits}'"))
                })?;
                Ok(char::from(byte))
            }
            _ => Err(self.refuse(at, r#"expected one of \t \n \r \" \\ \/ \xHH"#)),
        }
    }

    fn variable(&mut self) -> Result<Node, ConfigError> {
        let start = self.at;
        let word = self.take_while(is_bare).to_owned();
        let place = self.place(start);
        // A bcrypt hash begins like a variable, and is none.
        if ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|form| word.starts_with(form)) {
            return Ok(Node { value: Value::Text(word), place });
        }
        let name = &word[1..];
        if let Some(node) = self.scopes.iter().rev().find_map(|scope| scope.get(name)) {
            self.budget.copy(node).map_err(|message| ConfigError::new(&place, message))?;
            let value = node.value.clone();
            self.variables.insert(name.to_owned());
            return Ok(Node { value, place });
        }
        let Some(text) = (self.env)(name) else {
            let message = format!("'${name}' is neither an earlier key nor an environment variable");
            return Err(ConfigError::new(&place, message));
        };
        self.budget.bytes(text.len()).map_err(|message| ConfigError::new(&place, message))?;
        self.deeper(start)?;
        let source = Arc::from(format!("environment variable {name}"));
        let mut parser = Parser {
            source: &source,
            text: &text,
            at: 0,
            folder: self.folder,
            env: self.env,
            depth: self.depth,
            scopes: &mut *self.scopes,
            variables: &mut *self.variables,
            budget: &mut *self.budget,
        };
        let node = parser.value()?;
        self.depth -= 1;
        Ok(node)
    }
}

/// True for what may be part of a bare word.
fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !",;{}[]\"'#".contains(c)
}

/// What a bare word means: a truth, a number with or without a suffix, or a text.
fn classify(word: &str) -> Value {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => return Value::Bool(true),
        "false" | "no" | "off" => return Value::Bool(false),
        _ => {}
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return Value::Text(word.to_owned());
    }
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (number, suffix) = word.split_at(word.len() - digits.len() + end);
    let scaled = || number.parse::<i64>().ok()?.checked_mul(multiplier(suffix)?);
    if let Some(number) = scaled() {
        return Value::Integer(number);
    }
    let is_fraction = word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-');
    match word.parse() {
        Ok(number) if is_fraction => Value::Float(number),
        _ => Value::Text(word.to_owned()),
    }
}

fn multiplier(suffix: &str) -> Option<i64> {
    let suffix = suffix.to_ascii_lowercase();
    let Some(letter) = suffix.chars().next() else {
        return Some(1);
    };
    let power = "kmgtpe".find(letter)? as u32 + 1;
    match &suffix[1..] {
        "" => 1000_i64.checked_pow(power),
        "b" | "i" | "ib" => 1024_i64.checked_pow(power),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

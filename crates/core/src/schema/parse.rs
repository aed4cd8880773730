//! The text as it may come from anybody: read once, from left to right, within limits.

use std::collections::{HashMap, HashSet};

use super::{
    name::{NAME_MAX, is_bare, is_hidden, is_kind},
    refused::SchemaError,
    shape::{Body, Content, Definition, Field, Integer, Shape, Tagging, Variant},
};

/// The most definitions of one schema.
const DEFINITIONS_MAX: usize = 1024;
/// How deep shapes may lie in shapes. Structs and enums do not count: they are told by name.
const DEPTH_MAX: usize = 32;

type Result<T> = std::result::Result<T, SchemaError>;

/// The message's shape and the definitions. Whether the text is in the one way to write it is for the caller to compare.
pub(super) fn parse(text: &str) -> Result<(Shape, Vec<Definition>)> {
    let names = names(text)?;
    let mut root = None;
    let mut definitions = Vec::with_capacity(names.len());
    for (at, line) in text.lines().enumerate() {
        let mut reader = Reader { line, at: 0, number: at + 1, names: &names };
        if at == 0 && !starts_definition(line) {
            let shape = reader.shape(0)?;
            if matches!(shape, Shape::Named(_)) {
                return Err(reader.error("a message that is a struct or enum begins with its definition"));
            }
            root = Some(shape);
        } else {
            definitions.push(reader.definition()?);
        }
        reader.end()?;
    }
    refuse_empty_names(&definitions)?;
    match root {
        Some(root) => Ok((root, definitions)),
        None if definitions.is_empty() => Err(SchemaError::of_text("it is empty")),
        None => Ok((Shape::Named(0), definitions)),
    }
}

/// Where each definition is. Names can be used above the line that tells what they are.
fn names(text: &str) -> Result<HashMap<String, usize>> {
    let nothing = HashMap::new();
    let mut names = HashMap::new();
    for (at, line) in text.lines().enumerate() {
        if at == 0 && !starts_definition(line) {
            continue;
        }
        let mut reader = Reader { line, at: 0, number: at + 1, names: &nothing };
        if names.len() == DEFINITIONS_MAX {
            return Err(reader.error(format!("more than {DEFINITIONS_MAX} definitions")));
        }
        reader.definition_word()?;
        let name = reader.type_name()?;
        let index = names.len();
        if names.insert(name, index).is_some() {
            return Err(reader.error("this name has a definition already"));
        }
    }
    Ok(names)
}

fn starts_definition(line: &str) -> bool {
    ["struct ", "enum ", "type "].iter().any(|word| line.starts_with(word))
}

/// A name that stands for a name that stands for it stands for nothing.
fn refuse_empty_names(definitions: &[Definition]) -> Result<()> {
    for definition in definitions {
        let mut at = definition;
        let mut steps = 0;
        while let Body::Type(Shape::Named(next)) = at.body {
            at = &definitions[next];
            steps += 1;
            if steps > definitions.len() {
                return Err(SchemaError::of_text("a type stands for nothing but itself"));
            }
        }
    }
    Ok(())
}

/// One line, and how far it is read.
struct Reader<'a> {
    line: &'a str,
    at: usize,
    number: usize,
    names: &'a HashMap<String, usize>,
}

impl<'a> Reader<'a> {
    fn definition(&mut self) -> Result<Definition> {
        let word = self.definition_word()?;
        let name = self.type_name()?;
        self.expect(" ")?;
        let body = match word {
            "struct" => {
                let (fields, is_strict) = self.fields()?;
                Body::Struct { fields, is_strict }
            }
            "enum" => {
                let tagging = self.tagging()?;
                let variants = self.braced(Self::variant)?;
                self.refuse_doubles(variants.iter().map(|variant| (&variant.name, &variant.aliases)))?;
                if variants.iter().filter(|variant| variant.is_other).count() > 1 {
                    return Err(self.error("two variants are `other`"));
                }
                Body::Enum { tagging, variants }
            }
            _ => {
                self.expect("= ")?;
                Body::Type(self.shape(0)?)
            }
        };
        Ok(Definition { name, body })
    }

    fn definition_word(&mut self) -> Result<&'static str> {
        let word = ["struct", "enum", "type"].into_iter().find(|word| self.takes(word));
        let Some(word) = word else { return Err(self.expected("`struct`, `enum` or `type`")) };
        self.expect(" ")?;
        Ok(word)
    }

    fn fields(&mut self) -> Result<(Vec<Field>, bool)> {
        let fields = self.braced(Self::field)?;
        self.refuse_doubles(fields.iter().map(|field| (&field.name, &field.aliases)))?;
        Ok((fields, self.takes(" strict")))
    }

    fn field(&mut self) -> Result<Field> {
        let name = self.name()?;
        self.expect(": ")?;
        let mut field = Field::new(name, self.shape(0)?);
        field.has_default = self.takes(" default");
        field.is_required = !field.has_default && self.takes(" required");
        field.is_sometimes = self.takes(" sometimes");
        field.aliases = self.aliases()?;
        Ok(field)
    }

    fn tagging(&mut self) -> Result<Tagging> {
        if self.takes("untagged ") {
            return Ok(Tagging::Untagged);
        }
        if !self.takes("tag(") {
            return Ok(Tagging::External);
        }
        let tag = self.name()?;
        let tagging = match self.takes(", ") {
            true => Tagging::Adjacent { tag, content: self.name()? },
            false => Tagging::Internal { tag },
        };
        self.expect(") ")?;
        Ok(tagging)
    }

    fn variant(&mut self) -> Result<Variant> {
        let name = self.name()?;
        let content = if self.takes("(") {
            let items = self.list(")", |reader| reader.shape(0))?;
            Content::Tuple(items)
        } else if self.rest().starts_with(" {") {
            self.expect(" ")?;
            let (fields, is_strict) = self.fields()?;
            Content::Struct { fields, is_strict }
        } else {
            Content::Unit
        };
        let is_other = matches!(content, Content::Unit) && self.takes(" other");
        Ok(Variant { name, content, is_other, aliases: self.aliases()? })
    }

    fn aliases(&mut self) -> Result<Vec<String>> {
        if !self.takes(" alias(") {
            return Ok(Vec::new());
        }
        let first = self.name()?;
        let mut aliases = vec![first];
        while self.takes(", ") {
            aliases.push(self.name()?);
        }
        self.expect(")")?;
        Ok(aliases)
    }

    fn refuse_doubles<'b>(&self, names: impl Iterator<Item = (&'b String, &'b Vec<String>)>) -> Result<()> {
        let mut seen = HashSet::new();
        for name in names.flat_map(|(name, aliases)| std::iter::once(name).chain(aliases)) {
            if !seen.insert(name) {
                return Err(SchemaError {
                    line: self.number,
                    column: 0,
                    what: format!("two fields or variants of one type answer to {name:?}"),
                });
            }
        }
        Ok(())
    }

    fn shape(&mut self, depth: usize) -> Result<Shape> {
        if depth > DEPTH_MAX {
            return Err(self.error(format!("shapes lie more than {DEPTH_MAX} deep in each other")));
        }
        if self.rest().starts_with('"') {
            return self.reference();
        }
        let start = self.at;
        let length = self.rest().find(|character| !is_bare(character)).unwrap_or_else(|| self.rest().len());
        let word = &self.rest()[..length];
        if !is_kind(word) {
            return self.reference();
        }
        self.at += length;
        if let Some(integer) = Integer::ALL.into_iter().find(|integer| integer.name() == word) {
            return Ok(Shape::Integer(integer));
        }
        let plain = match word {
            "bool" => Some(Shape::Bool),
            "char" => Some(Shape::Char),
            "text" => Some(Shape::Text),
            "bytes" => Some(Shape::Bytes),
            "unit" => Some(Shape::Unit),
            "marker" => Some(Shape::Marker),
            "f32" => Some(Shape::F32),
            "f64" => Some(Shape::F64),
            _ => None,
        };
        if let Some(plain) = plain {
            return Ok(plain);
        }
        if matches!(word, "struct" | "enum" | "type") {
            self.at = start;
            return Err(self.error(format!("`{word}` begins a definition; a type of that name is written in quotes")));
        }
        self.expect("<")?;
        if word == "tuple" {
            return Ok(Shape::Tuple(self.list(">", |reader| reader.shape(depth + 1))?));
        }
        let item = Box::new(self.shape(depth + 1)?);
        let shape = match word {
            "option" => Shape::Option(item),
            "list" => Shape::List(item),
            "set" => Shape::Set(item),
            "map" => {
                self.expect(", ")?;
                Shape::Map(item, Box::new(self.shape(depth + 1)?))
            }
            _ => {
                self.expect(", ")?;
                Shape::Array(item, self.count()?)
            }
        };
        self.expect(">")?;
        Ok(shape)
    }

    fn reference(&mut self) -> Result<Shape> {
        let start = self.at;
        let name = self.type_name()?;
        match self.names.get(&name) {
            Some(&index) => Ok(Shape::Named(index)),
            None => {
                self.at = start;
                Err(self.error(format!("{name:?} is no kind and has no definition")))
            }
        }
    }

    fn count(&mut self) -> Result<u64> {
        let digits =
            self.rest().find(|character: char| !character.is_ascii_digit()).unwrap_or_else(|| self.rest().len());
        let Ok(count) = self.rest()[..digits].parse() else { return Err(self.expected("a number")) };
        self.at += digits;
        Ok(count)
    }

    fn type_name(&mut self) -> Result<String> {
        let start = self.at;
        let name = self.name()?;
        if is_kind(&name) && self.line.as_bytes()[start] != b'"' {
            self.at = start;
            return Err(self.error(format!("`{name}` is a kind; a type of that name is written in quotes")));
        }
        Ok(name)
    }

    fn name(&mut self) -> Result<String> {
        let start = self.at;
        let name = if self.takes("\"") {
            self.quoted()?
        } else {
            let length = self.rest().find(|character| !is_bare(character)).unwrap_or_else(|| self.rest().len());
            if length == 0 {
                return Err(self.expected("a name"));
            }
            let name = self.rest()[..length].to_owned();
            self.at += length;
            name
        };
        if name.len() > NAME_MAX {
            self.at = start;
            return Err(self.error(format!("a name of {} bytes, and {NAME_MAX} are the most", name.len())));
        }
        Ok(name)
    }

    fn quoted(&mut self) -> Result<String> {
        let mut name = String::new();
        loop {
            let Some(character) = self.rest().chars().next() else { return Err(self.expected("a closing `\"`")) };
            if is_hidden(character) {
                return Err(self.error(format!("{character:?} is written as \\u{{{:x}}}", u32::from(character))));
            }
            self.at += character.len_utf8();
            match character {
                '"' => return Ok(name),
                '\\' => name.push(self.escaped()?),
                _ => name.push(character),
            }
        }
    }

    fn escaped(&mut self) -> Result<char> {
        if self.takes("\"") {
            return Ok('"');
        }
        if self.takes("\\") {
            return Ok('\\');
        }
        self.expect("u{")?;
        // Six digits are the most that a character has.
        let digits = self.rest().bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
        let character = u32::from_str_radix(&self.rest()[..digits], 16).ok().and_then(char::from_u32);
        let Some(character) = character else { return Err(self.expected("the number of a character")) };
        self.at += digits;
        self.expect("}")?;
        Ok(character)
    }

    fn braced<T>(&mut self, item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect("{ ")?;
        if self.takes("}") {
            return Ok(Vec::new());
        }
        self.items(" }", item)
    }

    fn list<T>(&mut self, end: &str, item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        if self.takes(end) {
            return Ok(Vec::new());
        }
        self.items(end, item)
    }

    fn items<T>(&mut self, end: &str, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.takes(", ") {
            items.push(item(self)?);
        }
        self.expect(end)?;
        Ok(items)
    }

    fn end(&self) -> Result<()> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.expected("the end of the line")) }
    }

    fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    fn takes(&mut self, text: &str) -> bool {
        let is_there = self.rest().starts_with(text);
        if is_there {
            self.at += text.len();
        }
        is_there
    }

    fn expect(&mut self, text: &str) -> Result<()> {
        if self.takes(text) { Ok(()) } else { Err(self.expected(&format!("`{text}`"))) }
    }

    fn expected(&self, what: &str) -> SchemaError {
        const SHOWN: usize = 20;
        let found: String = self.rest().chars().take(SHOWN).collect();
        match found.is_empty() {
            true => self.error(format!("expected {what}, found the end of the line")),
            false => self.error(format!("expected {what}, found {found:?}")),
        }
    }

    fn error(&self, what: impl Into<String>) -> SchemaError {
        SchemaError { line: self.number, column: self.at + 1, what: what.into() }
    }
}

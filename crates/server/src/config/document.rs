//! A TOML file as a tree of values that know their lines.

use std::{path::Path, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::tree::{ConfigError, Entry, Node, Place, Table, Value, read_file};

/// The tree of the file at `path`, or everything that keeps it from being one.
pub(super) fn read(path: &Path) -> Result<Node, Vec<ConfigError>> {
    let name = path.display().to_string();
    let text = read_file(path, &Place::whole(name.as_str())).map_err(|error| vec![error])?;
    parse(&name, &text)
}

/// The tree of `text`, or everything that keeps it from being one.
pub(super) fn parse(name: &str, text: &str) -> Result<Node, Vec<ConfigError>> {
    let source = Source { name: Arc::from(name), text };
    let (table, mut errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
        let told = |error: &toml::de::Error| {
            let place = source.place(error.span().map_or(0, |span| span.start));
            ConfigError::new(&place, error.message().to_owned())
        };
        return Err(errors.iter().map(told).collect());
    }
    let table = source.table(table.get_ref()).map_err(|error| vec![error])?;
    Ok(Node { place: source.place(0), value: Value::Table(table) })
}

/// The first of several mistakes.
pub(super) fn first(errors: Vec<ConfigError>) -> ConfigError {
    errors.into_iter().next().expect("an error has at least one mistake")
}

struct Source<'a> {
    name: Arc<str>,
    text: &'a str,
}

impl Source<'_> {
    fn place(&self, offset: usize) -> Place {
        Place::at(&self.name, self.text, offset)
    }

    fn table(&self, table: &DeTable<'_>) -> Result<Table, ConfigError> {
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            entries.push(Entry {
                key: key.get_ref().to_string(),
                place: self.place(key.span().start),
                node: self.node(value)?,
            });
        }
        // The parser sorts by name; errors are to come in the order of the file.
        entries.sort_by_key(|entry| (entry.place.line, entry.place.column));
        Ok(Table { entries })
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Result<Node, ConfigError> {
        let place = self.place(value.span().start);
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map(Value::Integer)
                .map_err(|_| ConfigError::new(&place, format!("'{number}' is out of range")))?,
            DeValue::Float(number) => number
                .as_str()
                .parse()
                .map(Value::Float)
                .map_err(|_| ConfigError::new(&place, format!("'{number}' is out of range")))?,
            DeValue::Boolean(truth) => Value::Bool(*truth),
            DeValue::Datetime(time) => Value::Text(time.to_string()),
            DeValue::Array(items) => Value::List(items.iter().map(|item| self.node(item)).collect::<Result<_, _>>()?),
            DeValue::Table(table) => Value::Table(self.table(table)?),
        };
        Ok(Node { value, place })
    }
}

//! Taking typed values out of the tree, and naming what did not fit.

use std::{fmt::Display, path::PathBuf, time::Duration};

use super::{ConfigError, Node, Table, Value};

impl Node {
    pub(crate) fn refuse(&self, message: impl Into<String>) -> ConfigError {
        ConfigError::new(&self.place, message)
    }

    fn expected(&self, what: &str) -> ConfigError {
        self.refuse(format!("expected {what}, found {}", self.value.kind()))
    }

    pub(crate) fn text(&self) -> Result<&str, ConfigError> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.expected("a text")),
        }
    }

    /// A text, or a number as it is written: passwords and names may look like one.
    pub(crate) fn word(&self) -> Result<String, ConfigError> {
        match &self.value {
            Value::Text(text) => Ok(text.clone()),
            Value::Integer(number) => Ok(number.to_string()),
            Value::Float(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            _ => Err(self.expected("a text")),
        }
    }

    pub(crate) fn path(&self) -> Result<PathBuf, ConfigError> {
        match self.text()? {
            "" => Err(self.refuse("expected a path, found an empty text")),
            path => Ok(PathBuf::from(path)),
        }
    }

    pub(crate) fn bool(&self) -> Result<bool, ConfigError> {
        match &self.value {
            Value::Bool(truth) => Ok(*truth),
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(true),
                "false" | "no" | "off" | "0" => Ok(false),
                _ => Err(self.refuse(format!("expected true or false, found '{text}'"))),
            },
            _ => Err(self.expected("true or false")),
        }
    }

    pub(crate) fn integer(&self) -> Result<i64, ConfigError> {
        match &self.value {
            Value::Integer(number) => Ok(*number),
            Value::Text(text) => text.parse().map_err(|_| self.refuse(format!("expected a number, found '{text}'"))),
            _ => Err(self.expected("a number")),
        }
    }

    pub(crate) fn count<T: TryFrom<i64>>(&self) -> Result<T, ConfigError> {
        let number = self.integer()?;
        T::try_from(number).map_err(|_| self.refuse(format!("{number} is out of range here")))
    }

    /// Bytes: a number, or a text like `64MiB`.
    pub(crate) fn size(&self) -> Result<usize, ConfigError> {
        match &self.value {
            Value::Text(text) => {
                let size: bytesize::ByteSize =
                    text.parse().map_err(|_| self.refuse(format!("expected a size like '64MiB', found '{text}'")))?;
                usize::try_from(size.as_u64()).map_err(|_| self.refuse(format!("'{text}' is out of range here")))
            }
            Value::Integer(_) => self.count(),
            _ => Err(self.expected("a size like '64MiB'")),
        }
    }

    /// A time with its unit, like `250ms`.
    pub(crate) fn duration(&self) -> Result<Duration, ConfigError> {
        match &self.value {
            Value::Text(text) => humantime::parse_duration(text).map_err(|error| {
                self.refuse(format!("expected a time like '250ms' or '2m', found '{text}' ({error})"))
            }),
            Value::Integer(0) => Ok(Duration::ZERO),
            _ => Err(self
                .refuse(format!("expected a time with its unit, like '250ms' or '2m', found {}", self.value.kind()))),
        }
    }

    /// A time with its unit, or a bare number of seconds, as nats-server has it.
    pub(crate) fn seconds(&self) -> Result<Duration, ConfigError> {
        let seconds = match self.value {
            Value::Integer(seconds) => Duration::try_from_secs_f64(seconds as f64),
            Value::Float(seconds) => Duration::try_from_secs_f64(seconds),
            _ => return self.duration(),
        };
        seconds.map_err(|_| self.refuse("expected a time that is not negative"))
    }

    pub(crate) fn list(&self) -> Result<&[Self], ConfigError> {
        match &self.value {
            Value::List(items) => Ok(items),
            _ => Err(self.expected("a list")),
        }
    }

    /// The items of a list; anything else is a list of itself.
    pub(crate) fn one_or_many(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    pub(crate) fn table(&self) -> Result<&Table, ConfigError> {
        match &self.value {
            Value::Table(table) => Ok(table),
            _ => Err(self.expected("a table")),
        }
    }
}

/// A time in the form that is read back as the same.
pub(crate) fn duration_text(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

/// Refuses the first key of `table` that is not among `known`.
pub(crate) fn refuse_unknown(table: &Table, known: &[&str], inside: impl Display) -> Result<(), ConfigError> {
    unknown(table, known, inside).next().map_or(Ok(()), Err)
}

/// A mistake for each key of `table` that is not among `known`.
pub(crate) fn unknown(table: &Table, known: &[&str], inside: impl Display) -> impl Iterator<Item = ConfigError> {
    table.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())).map(move |entry| {
        let hint = suggestion(&entry.key, known.iter().copied());
        ConfigError::new(&entry.place, format!("unknown key '{}' in {inside}{hint}", entry.key))
    })
}

/// The value, or a mistake more.
pub(crate) fn kept<T>(outcome: Result<T, ConfigError>, mistakes: &mut Vec<ConfigError>) -> Option<T> {
    outcome.map_err(|mistake| mistakes.push(mistake)).ok()
}

/// A hint at the key that was probably meant, or at nothing.
pub(crate) fn suggestion<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> String {
    // A third of the letters may be wrong; beyond that a hint misleads.
    let limit = (key.len() / 3).max(1);
    known
        .map(|candidate| (strsim::damerau_levenshtein(key, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map_or_else(String::new, |(_, candidate)| format!(": did you mean '{candidate}'?"))
}

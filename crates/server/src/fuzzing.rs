//! Ways in for the fuzz targets: what is read from configuration files, command lines and queries, read from text and from nowhere else.

use crate::{ConfigError, config, monitor, nats};

/// Reads `text` as nats-server's configuration, every key included.
///
/// # Errors
///
/// The first thing that is wrong, with its line and column.
pub fn nats_configuration(text: &str) -> Result<(), ConfigError> {
    nats::read_text(text)
}

/// Reads `words` as nats-server's command line; no file that it names is opened.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn nats_command_line<'a>(words: impl Iterator<Item = &'a str>) -> Result<(), String> {
    nats::read_words(words)
}

/// Reads `text` as Crosstie's own configuration, every key included but those that name a file with a secret.
///
/// # Errors
///
/// The first thing that is wrong, with its line and column; with no place if no line alone is wrong.
pub fn configuration(text: &str) -> Result<(), ConfigError> {
    config::read_text(text)
}

/// Answers `query` on a page with rows, of a server without connections: the page as JSON.
///
/// # Errors
///
/// What is wrong with the query.
pub fn monitoring(page: &str, query: &str) -> Result<String, String> {
    monitor::read_query(page, query)
}

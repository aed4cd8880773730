//! Ways in for the fuzz targets: what is read from configuration files, read from text and from nowhere else.

use crate::{ConfigError, config, nats};

/// Reads `text` as nats-server's configuration, every key included.
///
/// # Errors
///
/// The first thing that is wrong, with its line and column.
pub fn nats_configuration(text: &str) -> Result<(), ConfigError> {
    nats::read_text(text)
}

/// Reads `text` as Crosstie's own configuration, as far as the tree of its values.
///
/// # Errors
///
/// The first thing that is wrong, with its line and column.
pub fn configuration(text: &str) -> Result<(), ConfigError> {
    config::read_text(text)
}

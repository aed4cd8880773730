//! Crosstie's own configuration: one TOML file, an environment variable and a flag for every key, one table for all of them.

mod document;
mod keys;
mod layers;
mod print;
mod quote;
mod secrets;
mod tls;
mod users;

pub(crate) use self::{keys::differing, layers::fits_together, tls::first as handshake_first};
pub use self::{
    keys::{KEYS, Key},
    layers::{Layers, Loaded, Origin, check_config, mistakes},
    print::{commented, reference, values},
};

/// Reads `text` and every key in it, for the fuzz targets: no environment, and no file that a key names.
pub(crate) fn read_text(text: &str) -> Result<(), crate::ConfigError> {
    layers::read_document(document::parse("text", text).map_err(document::first)?)
}

//! nats-server's contract: its command line, its configuration files, its ports file, as far as core NATS goes.

mod address;
mod flags;
mod grammar;
mod invocation;
mod keys;
mod refused;
mod tls;

pub use self::invocation::{main_nats, run_nats};

/// Reads `text` as nats-server's configuration, for the fuzz targets: no file, no environment.
pub(crate) fn read_text(text: &str) -> Result<(), crate::ConfigError> {
    let document = grammar::parse("text", text, None, &|_| None)?;
    keys::apply(&document, &mut crate::Settings::new()).map(drop)
}

/// Reads `words` as nats-server's command line, for the fuzz targets: no file is opened.
pub(crate) fn read_words<'a>(words: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let line = flags::CommandLine::parse(words.map(std::ffi::OsString::from))?;
    line.apply(&mut crate::Settings::new(), &mut keys::Stated::default())
}

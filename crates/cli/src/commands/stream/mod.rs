//! Commands that join streams of bytes.

mod end;
mod interrupt;
mod join;
mod pace;
pub(crate) mod pipe;
mod progress;
mod report;

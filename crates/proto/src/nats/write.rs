//! Operations as bytes.

pub use super::number::push_decimal;

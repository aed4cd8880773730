//! Rust source, read as lightly as the checks need: tokens, modules, paths. No syntax tree.

mod modules;
mod paths;
mod tokens;

pub(crate) use modules::Unit;
pub(crate) use paths::{Reference, references};
pub(crate) use tokens::{Kind, Token, functions, tokens, without_tests};

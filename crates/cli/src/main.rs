//! The crosstie command.

#![forbid(unsafe_code)]

fn main() {}

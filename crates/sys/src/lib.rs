//! The operating system: the only Crosstie crate that calls it with unsafe code.

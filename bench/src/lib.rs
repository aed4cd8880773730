//! Crosstie measured against its rivals.

#![forbid(unsafe_code)]

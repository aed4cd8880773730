//! Crosstie measured against its rivals.

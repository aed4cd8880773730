//! Whole-system simulation: broker, clients and a faulty network in one thread from one seed.

#![forbid(unsafe_code)]

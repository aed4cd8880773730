//! Whole-system simulation, its ground: an agenda in virtual time, a faulty byte pipe and a log, all from one seed.

#![forbid(unsafe_code)]

mod agenda;
mod log;
mod pipe;

pub use crate::{
    agenda::Agenda,
    log::Log,
    pipe::{Lost, Pipe, Weather},
};

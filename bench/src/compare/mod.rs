//! One command, one table: every contender through every workload, interleaved.

mod report;
mod rows;
mod run;

pub(crate) use self::run::{CompareArguments, compare};

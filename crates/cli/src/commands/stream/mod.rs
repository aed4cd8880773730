//! Commands that join streams of bytes.

mod end;
mod interrupt;
mod join;
mod joiner;
pub(crate) mod listen;
mod pace;
pub(crate) mod pipe;
mod progress;
mod report;

pub(super) use self::{
    end::{End, Unless, peer_json, peer_text},
    interrupt::{Interrupt, end_by},
};

//! Clients and wires that record what the core writes to them, for tests of the pure core.
#![allow(dead_code, unused_imports, reason = "each test program uses a part of it")]

mod client;
mod wire;

pub(crate) use self::{
    client::Client,
    wire::{Journal, Wire},
};

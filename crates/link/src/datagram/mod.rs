//! Typed messages in datagrams, one each.

mod reading;
mod tasks;
mod types;
mod writing;

pub(crate) use self::{reading::Reading, writing::Writing};
pub use self::{
    reading::{DatagramStats, ReceivedDatagram},
    tasks::{DatagramReceiver, DatagramSender},
};

//! Channels for threads, without a runtime.

mod channel;
mod datagram;
mod line;
mod listener;
mod select;
mod spawn;

pub use self::{
    channel::{Channel, Receiver, Sender},
    datagram::{DatagramReceiver, DatagramSender},
    listener::{Accepted, ChannelListener},
    select::{Select, Selectable},
    spawn::{parent, spawn},
};
pub use crate::shared::TrySendError;

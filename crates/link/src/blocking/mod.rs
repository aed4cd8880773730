//! Channels for threads, without a runtime.

mod channel;
mod datagram;
mod listener;
mod select;
mod spawn;

pub use self::{
    channel::{Channel, Receiver, Sender, TrySendError},
    datagram::{DatagramReceiver, DatagramSender},
    listener::{Accepted, ChannelListener},
    select::{Select, Selectable},
    spawn::{parent, spawn},
};

//! Channels for threads, without a runtime.

mod channel;
mod listener;
mod select;
mod spawn;

pub use self::{
    channel::{Channel, Receiver, Sender, TrySendError},
    listener::{Accepted, ChannelListener},
    select::{Select, Selectable},
    spawn::{parent, spawn},
};

//! Channels for threads, without a runtime.

mod channel;
mod listener;
mod select;

pub use self::{
    channel::{Channel, Receiver, Sender, TrySendError},
    listener::{Accepted, ChannelListener},
    select::{Select, Selectable},
};

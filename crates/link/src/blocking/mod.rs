//! Channels for threads, without a runtime.

mod channel;
mod listener;

pub use self::{
    channel::{Channel, Receiver, Sender, TrySendError},
    listener::{Accepted, ChannelListener},
};

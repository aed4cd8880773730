//! Commands that send and receive messages over endpoints, without a broker: datagrams, and messages of a channel.

mod anything;
mod came;
mod kind;
pub(crate) mod recv;
pub(crate) mod send;

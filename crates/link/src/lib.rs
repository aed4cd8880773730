//! Typed channels over any endpoint.
//!
//! # The model
//!
//! * A [`Channel`] joins two processes (or threads, or tasks) and carries typed messages with headers both ways, in order, each whole and
//!   once. It opens over any [`Endpoint`](crosstie_core::Endpoint) that carries a stream: `mem:`, `unix:`, `shm:`, `tcp:`, pipes, a child's standard streams.
//! * The two ends agree on a codec when they connect: each says what it writes and reads. What does not fit is refused there, in words,
//!   and not at the first message.
//! * [`Channel`] is for async programs, [`blocking::Channel`] for threads. Both drive the same state machine ([`crosstie_proto::frame`]), so one end may be the one
//!   and the other the other.
//! * What waits to be written is bounded: whoever sends to a side that does not read waits, and gives up at the deadline. Every wait has one.
//! * [`Select`] waits for the first of several channels, whatever their types; [`blocking::Select`] does the same for threads.
//! * [`DatagramSender`] and [`DatagramReceiver`] carry the same messages one way in datagrams (`udp:` with its groups, `unix:`, `shm:`, `mem:`): what is lost,
//!   doubled or late is counted and told, and nothing is repeated.
//! * The end has three names: `Closed` (the other side said so), `PeerDied` (its death is proved), `Disconnected` (nobody knows).
//!
//! # An example
//!
//! ```
//! use std::{thread, time::Duration};
//! use crosstie_link::{Untyped, blocking::{Channel, ChannelListener}};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Order { item: String, count: u32 }
//!
//! let listener = ChannelListener::<Untyped<String>, Untyped<Order>>::bind(&"mem:orders".parse()?)?;
//! thread::spawn(move || -> Result<(), crosstie_core::Error> {
//!     let mut customer = listener.accept(Duration::from_secs(5))?.open()?;
//!     let order = customer.recv()?.value.0;
//!     customer.send(&Untyped(format!("{} of {}", order.count, order.item)))
//! });
//!
//! let mut shop = Channel::<Untyped<Order>, Untyped<String>>::connect(&"mem:orders".parse()?)?;
//! shop.send(&Untyped(Order { item: "screws".to_owned(), count: 12 }))?;
//! assert_eq!(shop.recv()?.value.0, "12 of screws");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod blocking;
mod channel;
mod compression;
mod datagram;
mod difference;
mod faults;
mod line;
mod listener;
mod options;
mod payload;
mod select;
mod shared;
mod spawn;
mod turn;
mod waiting;

pub use crate::{
    channel::{Channel, Receiver, Sender},
    datagram::{DatagramReceiver, DatagramSender, DatagramStats, ReceivedDatagram},
    listener::{Accepted, ChannelListener},
    options::ChannelOptions,
    payload::{Payload, Raw, Untyped, decode, encode},
    select::{Select, Selectable},
    shared::{ChannelStats, Received, TrySendError},
    spawn::{Spawn, given, parent, spawn},
};

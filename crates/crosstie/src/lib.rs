//! Every way for processes to talk, and the ties that keep them in step.
//!
//! What is here today is the client of a broker, ours or a real nats-server: publish and subscribe, queue groups, requests. [`Client`] is for
//! async programs, [`blocking::Client`] for threads. [`shm`] is memory that processes of one machine share, whole whoever of them dies.
//!
//! ```no_run
//! # async fn example() -> Result<(), crosstie::Error> {
//! use crosstie::Client;
//!
//! let client = Client::connect("nats://127.0.0.1:4222").await?;
//! let mut orders = client.queue_subscribe("orders.*", "billing").await?;
//! client.publish("orders.new", "three crossties").await?;
//! while let Some(order) = orders.next().await {
//!     println!("{}: {:?}", order.subject, order.payload);
//! }
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

pub use crosstie_client::{
    Client, ConnectOptions, Event, Events, IntoEndpoint, Replies, Request, Stats, Subscription, blocking,
};
pub use crosstie_core::{
    Codec, Endpoint, EndpointError, Error, Headers, Kind, Message, Result, Status, Subject, SubjectError,
    SubjectPattern,
};

/// Shared memory: segments, participants, and what stands on them.
pub use crosstie_shm as shm;

/// The README's code, compiled along with the examples above.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

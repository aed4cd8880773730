//! The NATS client: one pure session, an async and a blocking driver.
//!
//! [`Client`] is for async programs on tokio, [`blocking::Client`] for threads; both have the same methods and are thin covers over the same session.
//! They speak to a Crosstie broker and to nats-server alike.
//!
//! # Guarantees
//!
//! Core NATS is *at most once*: a message published while the server is away is kept up to a limit, one that was handed to a connection which
//! was then lost may or may not have arrived. A request tells apart that nobody answers ([`Kind::NoResponders`](crosstie_core::Kind), not
//! executed), that the answer did not come in time (`Timeout`, maybe executed) and that the connection was lost meanwhile (`Disconnected`,
//! maybe executed).
#![forbid(unsafe_code)]

pub mod blocking;
mod client;
mod driver;
mod feed;
mod mailbox;
mod options;
mod request;
pub mod session;
mod shared;

pub use crate::{
    client::{Client, Events, Subscription},
    options::ConnectOptions,
    request::{IntoEndpoint, Replies, Request},
    session::{Event, Stats},
};

//! The pure client, for who brings a driver of their own: what the user asks and what the server says go in, bytes and deliveries come out.
//!
//! Programs use [`Client`](crate::Client) or [`blocking::Client`](crate::blocking::Client), which are this session with a driver. A
//! simulation drives it itself: that is why it is public, plainly and without a feature, as the broker's `core` is. A feature would be
//! on or off for the whole build at once, so it could hide nothing from anybody.
//!
//! A driver owns the connection and the clock. It asks [`Session::poll`] what to do, dials, hands in what was read
//! ([`Session::received`]) and writes what [`Session::take_output`] gives. After every call of any method it polls again.
//!
//! While the server is away, what is published is kept up to a limit, and subscriptions are made again on the next connection. What was
//! handed to a connection that was then lost may or may not have arrived: that is the *at most once* of core NATS.

mod connection;
mod event;
mod finish;
mod pending;
mod publish;
mod receive;
mod servers;
mod state;
mod subscribe;
mod wish;

pub use self::{
    connection::Act,
    event::{Event, Stats},
    pending::Answer,
    state::Session,
};
pub use crate::{broadcast::Reader, feed::Feed, mailbox::Mailbox};

#[cfg(test)]
mod tests;

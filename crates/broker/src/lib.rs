//! The broker: a pure core and the drivers that carry its bytes.
//!
//! It speaks the NATS client protocol, so any NATS client can talk to it, and keeps nothing: a message goes to whoever listens now.
//!
//! # The model
//!
//! * [`Broker::start`] serves listeners, TCP or Unix sockets, on threads of this process: two reactors per core, one of them for busy clients. The
//!   [`Broker`] is a handle; the broker runs until [`Broker::shutdown`] or the end of [`Broker::lame_duck`].
//! * A reactor reads a client's bytes, finds who wants each message, and writes to all of them at once, from the thread that read it. Only a
//!   socket that takes no more is left to its own reactor.
//! * [`Options`] say who may come in ([`Auth`]), what they may do ([`Permissions`], where deny beats allow), and how much of everything
//!   there may be ([`Limits`]). A client that does not keep up is cut off and counted; the others do not notice.
//! * [`Broker::reload`] puts other options in force while it runs. [`Broker::snapshot`] and [`Broker::connections`] tell what is going on.
//! * Nobody has to authenticate unless the options say so; then it listens on this machine alone, or `insecure` is spelled out.
//! * [`core`] is the same broker without threads, sockets and clocks, for a simulation to drive.
//!
//! # An example
//!
//! ```
//! use std::{io::{BufRead, BufReader, Write}, net::TcpStream};
//!
//! use crosstie_broker::{Broker, Options};
//! use crosstie_core::{Endpoint, Target};
//! use crosstie_net::SocketListener;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint: Endpoint = "tcp://127.0.0.1:0".parse()?; // any free port
//! let broker = Broker::start(Options::default(), vec![SocketListener::bind(endpoint.target())?])?;
//!
//! let Target::Tcp { host } = broker.local_endpoints()[0].target() else { unreachable!() };
//! let mut stream = TcpStream::connect((host.host.as_str(), host.port))?;
//! stream.write_all(b"CONNECT {\"verbose\":false}\r\nSUB greet.* 1\r\nPUB greet.world 5\r\nhello\r\n")?;
//! let mut lines = BufReader::new(stream).lines();
//! assert!(lines.next().expect("an INFO")?.starts_with("INFO {"));
//! assert_eq!(lines.next().expect("a message")?, "MSG greet.world 1 5");
//! assert_eq!(lines.next().expect("its payload")?, "hello");
//! broker.shutdown();
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

mod broker;
pub mod core;
#[doc(hidden)]
pub mod fuzzing;
mod options;
mod reactor;
mod snapshot;

pub use crate::{
    broker::Broker,
    core::{NATS_VERSION, Reloaded},
    options::{Auth, HandshakeFirst, Limits, Options, Permissions, Responses, Rule, Rules, Secret, Tls, User},
    snapshot::{CacheSnapshot, ClosedSnapshot, ConnectionSnapshot, Snapshot, SubscriptionSnapshot, TlsSnapshot},
};

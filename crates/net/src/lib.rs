//! Byte streams of every kind: one address, one contract, one set of errors.
//!
//! [`listen`] and [`connector`] open an [`Endpoint`](crosstie_core::Endpoint) of any scheme that carries streams; [`Capabilities`] says what each can do. What comes
//! of it is a [`Connection`]: `Read` and `Write` for threads without any runtime behind, or tokio's traits ([`Connection::into_async`]), who is
//! there ([`Connection::peer`]), and what is proved of its death ([`Connection::explain`]).
//!
//! | what | one file each | how it is used |
//! | --- | --- | --- |
//! | `mem:` `pipe:` `fd:` `exec:` `fifo:` `unix:` `shm:` `tcp:` `tls:` | `scheme/…` | [`listen`], [`connector`]; [`pipe_pair`], [`standard_streams`], [`spawn_with_stream`], [`activated`], [`Reconnecting`] |
//! | datagrams: `mem:` `unix:` `shm:` `udp:` | `datagram/…` | [`receive_datagrams`], [`send_datagrams`] |
//! | faults on purpose | `fault` | `?fault=` of an endpoint, [`Faults`], [`Paused`] |
//! | shared memory | `shared` | [`shared::receive`] and its kin, for tokio alone: it needs no connection |
//! | for reactors | `socket/…`, `memory` | [`SocketListener`], [`Dial`], [`connect`], [`connect_async`], [`MemoryListener`], [`memory_pair`] |
//!
//! `tls:` needs the feature `tls`, which also gives `TlsClient` and `TlsServer`: TLS over any connection, for reactors too.
//!
//! Below is a [`Transport`]: bytes in and out that never block. From it come three faces: a descriptor for a reactor ([`SocketTransport`]),
//! tokio's traits ([`Transport::into_async`]), and `Read` and `Write` for a thread ([`BlockingStream`]).
//!
//! ```
//! use std::{io::{Read, Write}, time::Duration};
//! use crosstie_net::{BlockingStream, MemoryListener, connect};
//!
//! let listener = MemoryListener::bind("greeting")?;
//! let endpoint: crosstie_core::Endpoint = "mem:greeting".parse()?;
//! let mut client = connect(endpoint.target(), Duration::from_secs(1))?;
//! let mut server = BlockingStream::new(Box::new(listener.accept(Duration::from_secs(1))?), None);
//! client.write_all(b"hello")?;
//! client.shutdown();
//! let mut text = String::new();
//! server.read_to_string(&mut text)?;
//! assert_eq!(text, "hello");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod activation;
mod announcement;
mod around;
mod blocking;
mod capabilities;
mod child;
mod connect;
mod connection;
mod connector;
mod datagram;
mod descriptor;
mod dial;
mod fault;
mod life;
mod lifeline;
mod listener;
mod memory;
mod open;
mod options;
mod reach;
mod reconnecting;
mod scheme;
mod several;
pub mod shared;
mod shared_stream;
mod socket;
mod spin;
mod telling;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod watched;

pub use crosstie_sys::{Inheritance, PeerProcess, inherited};

#[cfg(feature = "tls")]
pub use crate::tls::{Certificate, Handshake, TlsClient, TlsFiles, TlsServer, TlsTransport, tls_refusal};
pub use crate::{
    activation::{Activated, activated},
    announcement::{Announced, announced_by},
    blocking::BlockingStream,
    capabilities::{Capabilities, Connections, DeathProof, Flow, Identity},
    child::{ChildProcess, spawn_with_stream},
    connect::{connect, connect_async},
    connection::{AsyncConnection, AsyncReader, AsyncWriter, Connection},
    connector::{Attempt, Connector, Progress},
    datagram::{
        AsyncDatagrams, DatagramCapabilities, Datagrams, Overflow, Received, receive_datagrams, send_datagrams,
    },
    dial::Dial,
    fault::{FaultLog, Faults, Paused, Split, Splitter},
    life::{Life, PATIENCE},
    lifeline::Death,
    listener::{AsyncListener, Listener},
    memory::{MemoryListener, MemoryTransport, memory_pair},
    open::{connector, connector_of_frames, listen, listen_for_frames},
    reconnecting::{Backoff, Reconnecting},
    scheme::{
        fd::standard_streams,
        pipe::{PipeEnds, pipe_pair},
    },
    several::wait_for_any,
    socket::SocketListener,
    transport::{Armed, AsyncStream, Peer, SocketTransport, Transport},
};

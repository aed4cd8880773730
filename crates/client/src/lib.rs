//! The NATS client: one pure session, an async and a blocking driver.
//!
//! It speaks to a Crosstie broker and to nats-server alike.
//!
//! # The model
//!
//! * [`Client`] is for async programs on tokio, [`blocking::Client`] for threads. Both have the same methods and are thin covers over the
//!   same [`session`], which knows the subscriptions, what waits, and when to connect again; it does no I/O and reads no clock.
//! * A driver, a task or a thread, carries the bytes of one connection. It ends when the last handle is dropped.
//! * Publishing puts a message into the write buffer and returns; it waits while that is full. [`Client::flush`] returns when the server has
//!   read everything.
//! * A subscription has a bounded queue. What comes beyond it is dropped, counted and told as an [`Event`]: a slow reader
//!   holds up nobody.
//! * When the connection is lost, the driver tries the known servers in turn with growing, jittered pauses, and subscribes again.
//!
//! # An example
//!
//! ```
//! # use std::{io::{BufRead, BufReader, Write}, net::TcpListener, thread};
//! # // As much of a server as the example needs: it gives back what is published, and answers PING.
//! # let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
//! # let url = format!("nats://{}", listener.local_addr().expect("its address"));
//! # thread::spawn(move || {
//! #     let (stream, _) = listener.accept().expect("a client");
//! #     (&stream).write_all(b"INFO {\"server_id\":\"S\",\"max_payload\":1024,\"headers\":true}\r\n").expect("to write");
//! #     let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
//! #     while let Some(line) = lines.next() {
//! #         let words: Vec<&str> = line.split(' ').collect();
//! #         let answer = match words[0] {
//! #             "PING" => "PONG\r\n".to_owned(),
//! #             "PUB" => format!("MSG {} 1 {}\r\n{}\r\n", words[1], words[2], lines.next().unwrap_or_default()),
//! #             _ => continue,
//! #         };
//! #         (&stream).write_all(answer.as_bytes()).expect("to write");
//! #     }
//! # });
//! # let url = url.as_str();
//! # fn example(url: &str) -> crosstie_core::Result<()> {
//! // On a thread; the async twin has `.await` in the places that block here. `url` is "nats://127.0.0.1:4222" where a broker runs.
//! let client = crosstie_client::blocking::Client::connect(url)?;
//! let mut greetings = client.subscribe("greet.*")?;
//! client.publish("greet.world", "hello")?;
//! client.flush()?; // the server has read it
//! let message = greetings.next().expect("the subscription is open");
//! assert_eq!((message.subject.as_str(), &message.payload[..]), ("greet.world", &b"hello"[..]));
//! # Ok(()) }
//! # example(url).expect("the example works");
//! ```
//!
//! # Guarantees
//!
//! Core NATS is *at most once*: a message published while the server is away is kept up to a limit, one that was handed to a connection which
//! was then lost may or may not have arrived. A request tells apart that nobody answers ([`Kind::NoResponders`](crosstie_core::Kind), not
//! executed), that the answer did not come in time (`Timeout`, maybe executed) and that the connection was lost meanwhile (`Disconnected`,
//! maybe executed).
#![forbid(unsafe_code)]

pub mod blocking;
mod broadcast;
mod client;
mod driver;
mod feed;
mod mailbox;
mod options;
mod request;
pub mod session;
mod shared;

pub use crosstie_proto::nats::Info;

pub use crate::{
    client::{Client, Events, Subscription},
    options::ConnectOptions,
    request::{IntoEndpoint, Replies, Request},
    session::{Event, Stats},
};

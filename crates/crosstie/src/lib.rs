//! Every way for processes to talk, and the ties that keep them in step.
//!
//! What is here today is the client of a broker, ours or a real nats-server; [`Channel`], typed messages between two programs without a
//! broker, and [`net`], bytes and datagrams over the same endpoints; and [`shm`], memory that processes of one machine share and that stays
//! whole whoever of them dies.
//!
//! # The model
//!
//! * A [`Client`] is one connection to a broker; its clones share it. It is for async programs on tokio. [`blocking::Client`] does the
//!   same for threads and needs no runtime; where an async method gives a future with options, a blocking one ends in `send()`.
//! * A message is published to a [`Subject`]: words with dots between, as `orders.new`. Whoever has subscribed to a [`SubjectPattern`] that
//!   matches gets a copy: `*` stands for one word, `>` at the end for one or more.
//! * Subscribers that name the same *queue group* share: each message goes to exactly one of them.
//! * A request is a message with a reply subject of its own. That nobody listens, that no answer came in time, and that the connection
//!   was lost are three errors: see [`Kind`].
//! * A lost connection is made again, with all subscriptions; [`Client::events`] tells. What is published meanwhile is kept up to a limit.
//!   Delivery is *at most once*: what was on its way when the connection was lost may be gone.
//! * Everything has a limit: what waits in a subscription, what waits to be written, how long a request may take. [`ConnectOptions`] says
//!   which, and what happens beyond.
//!
//! # An example
//!
//! ```
//! use crosstie::Client;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), crosstie::Error> {
//! # let any_port: crosstie::Endpoint = "tcp://127.0.0.1:0".parse().expect("an endpoint");
//! # let listener = crosstie_net::SocketListener::bind(any_port.target())?;
//! # let broker = crosstie_broker::Broker::start(crosstie_broker::Options::default(), vec![listener])?;
//! # let url = broker.local_endpoints()[0].to_string().replace("tcp://", "nats://");
//! # let url = url.as_str();
//! // `url` is "nats://127.0.0.1:4222" where `crosstie serve` runs.
//! let client = Client::connect(url).await?;
//!
//! // A service: of all that join the group, one answers.
//! let mut questions = client.queue_subscribe("sum.*", "adders").await?;
//! let adder = client.clone();
//! tokio::spawn(async move {
//!     while let Some(question) = questions.next().await {
//!         let numbers = String::from_utf8_lossy(&question.payload).into_owned();
//!         let sum: i64 = numbers.split('+').filter_map(|number| number.trim().parse::<i64>().ok()).sum();
//!         if let Some(reply) = question.reply {
//!             adder.publish(reply, sum.to_string()).await.expect("the connection is open");
//!         }
//!     }
//! });
//! client.flush().await?; // the server knows of the subscription
//!
//! let answer = client.request("sum.integers", "1 + 2 + 39").await?;
//! assert_eq!(answer.payload, "42");
//! client.drain().await?; // leaves when everything has been delivered
//! # broker.shutdown();
//! # Ok(()) }
//! ```
//!
//! # Channels
//!
//! A [`Channel`] needs no broker: it joins two programs over any endpoint that carries a stream (`unix:`, `shm:`, `tcp:`, `pipe:`, `exec:`, …) and carries typed messages
//! both ways. [`blocking::Channel`] is the same for threads. [`DatagramSender`] and [`DatagramReceiver`] carry such messages one way in datagrams, `udp:` among them.
//! [`Select`] waits for the first of several, [`spawn`] starts a child with one (`examples/spawn.rs`).
//!
//! ```
//! use crosstie::{Untyped, blocking::{Channel, ChannelListener}};
//! use std::{thread, time::Duration};
//!
//! // Or "unix:/run/shop.sock", "tcp://127.0.0.1:7000", "shm:shop".
//! let listener = ChannelListener::<Untyped<String>>::bind(&"mem:shop".parse()?)?;
//! let shop = thread::spawn(move || -> crosstie::Result<()> {
//!     let mut customer = listener.accept(Duration::from_secs(5))?.open()?;
//!     let order = customer.recv()?.value.0;
//!     customer.send(&Untyped(format!("one {order}, coming")))
//! });
//!
//! let mut channel = Channel::<Untyped<String>>::connect(&"mem:shop".parse()?)?;
//! channel.send(&Untyped("coffee".to_owned()))?;
//! assert_eq!(channel.recv()?.value.0, "one coffee, coming");
//! # shop.join().unwrap()?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! A type that derives serde's traits and [`Schema`] is sent as it is, without [`Untyped`]. The two programs tell each other what it looks like when
//! they connect: builds whose types differ in a way that can be read talk (here an older one, without `count`), others are refused in words.
//!
//! ```
//! use crosstie::{Channel, ChannelListener, Schema};
//! use serde::{Deserialize, Serialize};
//! use std::time::Duration;
//!
//! #[derive(Serialize, Deserialize, Schema)]
//! struct Order { item: String, #[serde(default)] count: u32 }
//! mod old {
//!     # use super::*;
//!     #[derive(Serialize, Deserialize, Schema)]
//!     pub struct Order { pub item: String }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // What is sent comes first, what is received second.
//! let listener = ChannelListener::<String, Order>::bind(&"mem:typed-shop".parse()?)?;
//! tokio::spawn(async move {
//!     let mut customer = listener.accept(Duration::from_secs(5)).await?.open().await?;
//!     let order = customer.recv().await?.value;
//!     customer.send(&format!("{} of {}", order.count, order.item)).await
//! });
//!
//! let mut channel = Channel::<old::Order, String>::connect(&"mem:typed-shop".parse()?).await?;
//! channel.send(&old::Order { item: "coffee".to_owned() }).await?;
//! assert_eq!(channel.recv().await?.value, "0 of coffee");
//! # Ok(()) }
//! ```
//!
//! # Shared memory
//!
//! A [`shm::Region`] is a value with a name that processes of one machine share. One of them changes it at a time, and what it has changed
//! counts when it commits: if it drops the guard, panics or is killed before, the value is as it was.
//!
//! ```
//! use crosstie::shm::{Directory, Region, ShmSafe, deadline_after};
//! use std::time::Duration;
//!
//! #[derive(Clone, Copy, ShmSafe)]
//! #[repr(C)]
//! struct Books {
//!     ann: i64,
//!     bob: i64,
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("crosstie-example-{}", std::process::id()));
//! # let directory = Directory::at(&folder)?;
//! # let _ = Directory::of_user; // which an example does not litter
//! // let directory = Directory::of_user()?;
//! let name = "books".parse()?;
//! let books = Region::open_or_create(&directory, &name, Books { ann: 100, bob: 0 })?;
//!
//! // Whoever died with the lock is told of: `acquired.recovery()`.
//! let acquired = books.lock(deadline_after(Duration::from_secs(1)))?;
//! let mut guard = acquired.into_guard();
//! guard.ann -= 7;
//! guard.bob += 7;
//! guard.commit();
//!
//! // Readers need no lock and never see half of a change.
//! let seen = books.snapshot(deadline_after(Duration::from_secs(1)))?;
//! assert_eq!((seen.ann, seen.bob), (93, 7));
//! # drop(books);
//! # std::fs::remove_dir_all(folder)?;
//! # Ok(()) }
//! ```
//!
//! A [`shm::Ring`] carries messages from one process to another; `examples/ring.rs` has two that know no more of each other than its name.
//!
//! `crosstie shm ls` and `crosstie locks` show from outside what is there and who holds it.
#![forbid(unsafe_code)]

pub use bytes::Bytes;
pub use crosstie_client::{
    Client, ConnectOptions, Event, Events, Info, IntoEndpoint, Replies, Request, Stats, Subscription,
};
pub use crosstie_core::{
    Codec, Endpoint, EndpointError, Error, HeaderError, Headers, Kind, Message, Result, Status, Subject, SubjectError,
    SubjectPattern,
};
pub use crosstie_link::{
    Accepted, Channel, ChannelListener, ChannelOptions, ChannelStats, DatagramReceiver, DatagramSender, DatagramStats,
    Payload, Raw, Received, ReceivedDatagram, Receiver, Select, Selectable, Sender, Spawn, Untyped, given, parent,
    spawn,
};

/// A child that was started by [`spawn`].
pub use crosstie_net::ChildProcess;

pub use crosstie_core::Schema;
// The derive alone is another than that of `crosstie_macros`: it finds the trait through this crate.
pub use crosstie_macros::SchemaThroughCrosstie as Schema;

/// What types look like to others, and what can read what.
pub use crosstie_core::schema;

/// The same for threads, without a runtime: clients and channels.
pub mod blocking {
    pub use crosstie_client::blocking::*;
    pub use crosstie_link::blocking::*;
}

/// Streams of bytes and datagrams, by endpoint: what channels stand on, for programs that speak a protocol of their own.
///
/// [`listen`](net::listen) and [`connector`](net::connector) open streams, [`receive_datagrams`](net::receive_datagrams) and
/// [`send_datagrams`](net::send_datagrams) the others; `docs/endpoints.md` says what each scheme can do. A [`Connection`](net::Connection)
/// is `Read` and `Write` for a thread, and tokio's traits after `into_async`; a channel can be opened over it ([`Channel::over`]).
///
/// ```
/// use crosstie::net;
/// use std::{io::{Read, Write}, thread, time::Duration};
///
/// // Or "unix:/run/bank.sock", "tcp://127.0.0.1:7000", "shm:bank".
/// let listener = net::listen(&"mem:bank".parse()?)?;
/// let bank = thread::spawn(move || -> std::io::Result<String> {
///     let mut customer = listener.accept(Duration::from_secs(5)).map_err(std::io::Error::other)?;
///     let mut text = String::new();
///     customer.read_to_string(&mut text)?; // until the other side has ended writing
///     Ok(text)
/// });
///
/// let mut connection = net::connector(&"mem:bank".parse()?)?.connect(Duration::from_secs(5))?;
/// connection.write_all(b"7 coins")?;
/// connection.end_writing()?;
/// assert_eq!(bank.join().unwrap()?, "7 coins");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub mod net {
    #[cfg(feature = "tls")]
    pub use crosstie_net::Certificate;
    pub use crosstie_net::{
        Activated, Announced, AsyncConnection, AsyncDatagrams, AsyncListener, AsyncReader, AsyncWriter, Attempt,
        Backoff, Capabilities, Connection, Connections, Connector, DatagramCapabilities, Datagrams, Death, DeathProof,
        Flow, Identity, Life, Listener, Overflow, Peer, PeerProcess, PipeEnds, Progress, Received, Reconnecting,
        activated, announced_by, connector, listen, pipe_pair, receive_datagrams, send_datagrams, spawn_with_stream,
        standard_streams, wait_for_any,
    };
}

/// For tests of what is built on this: messages and connections that misbehave on purpose, the same way each time, and processes that stand still.
///
/// ```
/// use crosstie::{Untyped, blocking::{Channel, ChannelListener}, testkit::{Fault, Faults}};
/// use std::{thread, time::Duration};
///
/// let listener = ChannelListener::<Untyped<u32>>::bind(&"mem:shaky-shop".parse()?)?;
/// let faults = Faults::seeded(42).drop(0.1).dup(0.1).delay(Duration::ZERO..=Duration::from_millis(1));
/// let shaky = faults.on("mem:shaky-shop".parse()?);
/// let customer = thread::spawn(move || -> crosstie::Result<_> {
///     let mut channel = Channel::<Untyped<u32>>::connect(&shaky)?;
///     for number in 1..=100 {
///         channel.sender().feed(&Untyped(number))?;
///     }
///     channel.sender().flush()?;
///     let log = channel.faults().expect("this end makes them").clone();
///     channel.close("that was all").map(|()| log)
/// });
///
/// let mut shop = listener.accept(Duration::from_secs(5))?.open()?;
/// while shop.recv().is_ok() {}
/// let log = customer.join().unwrap()?;
/// assert_eq!(shop.stats().lost, log.count(|taken| taken.fault == Fault::Drop));
/// assert_eq!(shop.stats().duplicates, log.count(|taken| taken.fault == Fault::Dup));
/// // The log does the same again, whatever the seed was: `Faults::replay(parse_log(&log.to_string())?)`.
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// A peer that is paused beyond its time limits is not dead: a call to it runs out of time, and it goes on where it was.
///
/// ```
/// use crosstie::testkit::Paused;
/// use std::{io::{Read, Write}, process::{Command, Stdio}, sync::mpsc, thread, time::Duration};
///
/// let mut server = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// let (mut to, mut from) = (server.stdin.take().unwrap(), server.stdout.take().unwrap());
/// let (answered, answer) = mpsc::channel();
/// thread::spawn(move || {
///     let mut buf = [0; 5];
///     from.read_exact(&mut buf).map(|()| answered.send(buf))
/// });
///
/// let paused = Paused::process(server.id())?;
/// to.write_all(b"hello")?;
/// assert!(answer.recv_timeout(Duration::from_millis(100)).is_err(), "beyond its time limit");
/// assert!(server.try_wait()?.is_none(), "and yet it lives");
/// drop(paused);
/// assert_eq!(&answer.recv_timeout(Duration::from_secs(10))?, b"hello");
/// drop(to);
/// server.wait()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub mod testkit {
    pub use crosstie_core::{
        FaultSpec,
        fault::{Direction, Fault, Plan, Taken, TakenError, parse_log},
    };
    pub use crosstie_net::{FaultLog, Faults, Paused};
}

/// Shared memory: values, locks, rings and buffers that processes of one machine share and that stay whole when one of them is killed.
///
/// | to | take | what a killed process leaves |
/// | --- | --- | --- |
/// | change a value, one process at a time | [`Region`](shm::Region), [`Mutex`](shm::Mutex) | the value as it was last committed; the next holder is told |
/// | change parts of a large value | [`TxRegion`](shm::TxRegion) | as above, by an undo journal |
/// | change a value that many hold to read | [`RwLock`](shm::RwLock) | as above; its readers are withdrawn |
/// | let so many in at a time | [`Semaphore`](shm::Semaphore) | its permits return |
/// | send messages from one process to another | [`Ring`](shm::Ring), [`ByteRing`](shm::ByteRing) | what was sent is received, whole; its successor goes on |
/// | hand over large messages without copying | [`Pool`](shm::Pool), and a ring for the tokens | its buffers return |
/// | publish the newest value of something | [`Latest`](shm::Latest) | the last whole value |
/// | wait for several of these at once | [`Notifier`](shm::Notifier), [`wait_any`](shm::wait_any) | whoever waits for it is woken |
///
/// All of them have `create`, `open` and `open_or_create`, which take a [`Directory`](shm::Directory) and a name, and wait until a
/// [`Deadline`](shm::Deadline) ([`deadline_after`](shm::deadline_after), `Deadline::NEVER`). At most 32 may take part in one at a time, fewer in a ring; a `Latest` is made for so many readers.
/// What else is here is what these stand on, for tools that look at it.
pub mod shm {
    // All of it, so that there is one list of what there is. The derive macro alone is another, which finds the trait through this crate: whoever
    // depends on `crosstie` need not depend on what it is made of.
    pub use crosstie_macros::ShmSafeThroughCrosstie as ShmSafe;
    pub use crosstie_shm::*;
}

/// The README's code, compiled along with the examples above.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

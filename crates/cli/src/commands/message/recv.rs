//! `crosstie recv`: datagrams, and messages of channels.

use std::{sync::Arc, time::Duration};

use clap::Args;
use crosstie_core::{Codec, Endpoint, Error, Headers, Kind};
use crosstie_link::{Channel, ChannelListener, ChannelOptions, Received};
use crosstie_net::{AsyncDatagrams, Peer, receive_datagrams};
use serde_json::{Value, json};
use tokio::{
    runtime::Builder,
    sync::{Semaphore, mpsc},
    time::{Instant, sleep_until},
};

use super::{
    anything::Anything,
    kind::{check_datagram, codec, is_datagram, options},
};
use crate::{
    commands::stream::{End, Interrupt, Unless, end_by, peer_json, peer_text},
    exit::{Code, Failure},
    output::{Output, bytes_json, printable},
    values::{at_least_one, duration},
};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie recv udp://127.0.0.1:7000              datagrams
  crosstie recv 'udp://239.0.0.1:7000?insecure'   of a group
  crosstie recv --datagram unix:/run/log
  crosstie recv unix:/run/jobs --json             messages of channels
  crosstie recv tcp://:7000 --count 1 --raw > job
  crosstie recv connect:unix:/run/feed            from who listens there

udp: carries datagrams, every other scheme messages of channels, or with
--datagram datagrams, if it can. It listens, and takes messages of all who come,
those of each in their order. What comes is printed, and nothing else is done
with it: an endpoint in a message is text like any other.")]
pub(crate) struct RecvArgs {
    /// Where: udp://host:port, unix:/path, shm:name, tcp://:7000; connect:… goes to who listens there
    endpoint: String,
    /// Receive datagrams, not messages of channels
    #[arg(long, short)]
    datagram: bool,
    /// raw, json, cbor or msgpack, and no other [default: what both ends have]
    #[arg(long, value_name = "CODEC", value_parser = codec)]
    codec: Option<Codec>,
    /// End after so many messages
    #[arg(long, short = 'n', value_parser = at_least_one)]
    count: Option<u64>,
    /// End with code 5 if no message comes for so long
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// Print payloads only, byte for byte
    #[arg(long)]
    raw: bool,
    /// How many channels at a time; more wait until one has ended
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
}

/// A message or datagram that came.
pub(super) struct Came {
    payload: Vec<u8>,
    headers: Headers,
    facts: Value,
}

impl Came {
    pub(super) fn of_message(message: Received<Anything>, from: Option<(u64, Peer)>) -> Self {
        let mut facts = json!({ "number": message.number, "lost": message.lost, "codec": message.value.codec.name() });
        if let Some((connection, peer)) = from {
            (facts["connection"], facts["peer"]) = (json!(connection), peer_json(peer));
        }
        Self { payload: message.value.bytes, headers: message.headers, facts }
    }
}

/// Messages that wait to be printed.
const WAITING: usize = 64;
/// The longest datagram that is expected where the way does not tell.
const LONGEST: usize = 65_536;

pub(crate) fn run(args: &RecvArgs, output: &Output) -> Result<(), Failure> {
    let end = End::parse("ENDPOINT", &args.endpoint, Unless::Listens)?;
    let Some(endpoint) = end.endpoint().cloned() else {
        return Err(Failure::usage("ENDPOINT: '-' is no endpoint; 'crosstie send' reads standard input"));
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let mut interrupt = Interrupt::watch()?;
        let (tell, came) = mpsc::channel(WAITING);
        let source = async {
            if is_datagram(&endpoint, args.datagram) {
                check_datagram(args.codec, false)?;
                return datagrams(&endpoint, &tell, output).await;
            }
            let mut options = options(&endpoint, args.codec)?;
            options.deadline = None;
            match end {
                End::Listen(_) => listen(&endpoint, options, args.connections, tell.clone(), output).await,
                _ => connect(&endpoint, options, &tell).await,
            }
        };
        tokio::select! {
            // What has come is printed before an end is told.
            biased;
            outcome = print(args, came, output) => outcome.map(Ok),
            outcome = source => outcome.map(Ok),
            signal = interrupt.signal() => Ok(Err(signal)),
        }
    });
    match outcome? {
        Ok(()) => Ok(()),
        Err(signal) => Err(end_by(signal)),
    }
}

/// Prints what comes, until that was enough or too long.
async fn print(args: &RecvArgs, mut came: mpsc::Receiver<Came>, output: &Output) -> Result<(), Failure> {
    let mut count = 0;
    loop {
        let until = args.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let message = tokio::select! {
            biased;
            message = came.recv() => message,
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                let text = format!("no message came within {}", humantime::format_duration(args.timeout.unwrap_or_default()));
                return Err(Failure::new(Code::Deadline, "timeout", text));
            }
        };
        // The end of the source is told by the source itself.
        let Some(message) = message else { return std::future::pending().await };
        show(&message, args.raw, output)?;
        count += 1;
        if args.count == Some(count) {
            return Ok(());
        }
    }
}

/// Prints one. On a terminal nothing that came from others may move the cursor or change the colours.
pub(super) fn show(came: &Came, raw: bool, output: &Output) -> Result<(), Failure> {
    let lost = came.facts["lost"].as_u64().unwrap_or(0);
    if lost > 0 {
        output.note(&format!("{lost} messages before this one are lost"));
    }
    let mut value = bytes_json(&came.payload);
    value["size"] = json!(came.payload.len());
    if let (Some(value), Some(facts)) = (value.as_object_mut(), came.facts.as_object()) {
        value.extend(facts.clone());
    }
    let headers: Vec<Value> = came.headers.iter().map(|(name, value)| json!([name, value])).collect();
    if !headers.is_empty() {
        value["headers"] = json!(headers);
    }
    output.data(&value, || {
        if raw {
            return came.payload.clone();
        }
        let is_shown = output.data_is_shown();
        let (dim, plain) = if output.has_colour() { ("\u{1b}[2m", "\u{1b}[0m") } else { ("", "") };
        let mut text = if is_shown { printable(&came.payload).into_bytes() } else { came.payload.clone() };
        text.push(b'\n');
        for (name, value) in came.headers.iter() {
            let value = if is_shown { printable(value.as_bytes()) } else { value.to_owned() };
            text.extend_from_slice(format!("{dim}    {name}: {value}{plain}\n").as_bytes());
        }
        text
    })
}

fn told_listening(endpoint: &Endpoint, output: &Output) {
    let at = endpoint.to_string();
    output.event_with("listening", &format!("listening on {at}"), &[("endpoint", json!(at))]);
}

async fn datagrams(endpoint: &Endpoint, tell: &mpsc::Sender<Came>, output: &Output) -> Result<(), Failure> {
    let socket = receive_datagrams(endpoint)?;
    told_listening(socket.endpoint(), output);
    let mut buf = vec![0; socket.max_len().max(LONGEST)];
    let socket: AsyncDatagrams = socket.into_async()?;
    loop {
        let received = match socket.receive(&mut buf).await {
            // It is lost, and others follow.
            Err(error) if error.kind() == Kind::TooLarge => {
                output.event("too_large", &error.to_string());
                continue;
            }
            received => received?,
        };
        let from = received.from.map(|from| from.to_string());
        let message =
            Came { payload: buf[..received.len].to_vec(), headers: Headers::new(), facts: json!({ "from": from }) };
        if tell.send(message).await.is_err() {
            return Ok(());
        }
    }
}

/// Takes channels of all who come.
async fn listen(
    endpoint: &Endpoint,
    options: ChannelOptions,
    connections: u16,
    tell: mpsc::Sender<Came>,
    output: &Output,
) -> Result<(), Failure> {
    let listener = ChannelListener::<Anything>::bind_with(endpoint, options)?;
    told_listening(listener.endpoint(), output);
    let places = Arc::new(Semaphore::new(usize::from(connections)));
    let mut number = 0;
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        let accepted = match listener.accept(Duration::from_secs(3600)).await {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == Kind::Timeout => continue,
            Err(error) => {
                output.event("accept", &format!("cannot accept: {error}"));
                // Mostly for want of descriptors, which come back with time.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        number += 1;
        let (peer, tell, output) = (accepted.peer(), tell.clone(), output.clone());
        tokio::spawn(async move {
            let outcome = match accepted.open().await {
                Ok(mut channel) => take(&mut channel, Some((number, peer)), &tell).await,
                Err(error) => Err(error),
            };
            if let Err(error) = outcome
                && error.kind() != Kind::Closed
            {
                output.event(error.kind().name(), &format!("channel {number}{}: {error}", peer_text(peer)));
            }
            drop(place);
        });
    }
}

/// Takes the messages of one channel until its end.
async fn take(
    channel: &mut Channel<Anything>,
    from: Option<(u64, Peer)>,
    tell: &mpsc::Sender<Came>,
) -> Result<(), Error> {
    loop {
        let message = match channel.recv().await {
            // It harms only itself; others follow.
            Err(error) if error.kind() == Kind::Protocol => continue,
            message => message?,
        };
        if tell.send(Came::of_message(message, from)).await.is_err() {
            return Ok(());
        }
    }
}

async fn connect(endpoint: &Endpoint, options: ChannelOptions, tell: &mpsc::Sender<Came>) -> Result<(), Failure> {
    let mut channel = Channel::<Anything>::connect_with(endpoint, options).await.map_err(Failure::before_sending)?;
    let peer = channel.peer();
    let outcome = take(&mut channel, Some((1, peer)), tell).await;
    // What has come is printed first.
    while tell.capacity() < tell.max_capacity() {
        tokio::task::yield_now().await;
    }
    match outcome {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == Kind::Closed => Ok(()),
        Err(error) => Err(Failure::on_the_way(error.kind(), error.to_string())),
    }
}

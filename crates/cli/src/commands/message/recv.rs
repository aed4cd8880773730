//! `crosstie recv`: datagrams, and messages of channels.

use std::{sync::Arc, time::Duration};

use clap::Args;
use crosstie_core::{Codec, Endpoint, Error, Headers, Kind, instant_after};
use crosstie_link::{Channel, ChannelListener, ChannelOptions, DatagramReceiver};
use crosstie_net::{AsyncDatagrams, Peer, receive_datagrams};
use serde_json::json;
use tokio::{
    runtime::Builder,
    sync::{Semaphore, mpsc},
    time::{Instant, sleep_until},
};

use super::{
    anything::Anything,
    came::{Came, Sink, show},
    kind::{check_datagram, codec, is_datagram, no_hello, options},
};
use crate::{
    commands::stream::{End, Interrupt, Unless, end_by, peer_text},
    exit::{Code, Failure},
    output::Output,
    values::{at_least_one, duration},
};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie recv udp://:7000                       datagrams, on 127.0.0.1
  crosstie recv 'udp://239.0.0.1:7000?insecure'   of a group
  crosstie recv --datagram unix:/run/log
  crosstie recv --typed udp://127.0.0.1:7000 --json
  crosstie recv unix:/run/jobs --json             messages of channels
  crosstie recv tcp://:7000 --count 1 --raw > job
  crosstie recv connect:unix:/run/feed            from who listens there

udp: carries datagrams, every other scheme messages of channels, or with
--datagram datagrams, if it can. It listens, and takes messages of all who come,
those of each in their order. With --typed datagrams are messages, as typed
programs send them: with headers, and what is lost is told.

What comes is printed, and nothing else is done with it: an endpoint in a
message is text like any other. What is no valid message is left out and told on
standard error, and the exit code is 1 in the end. Without a terminal SIGHUP has
the certificates of tls: read again.")]
pub(crate) struct RecvArgs {
    /// Where: udp://:7000 and tcp://:7000 (127.0.0.1), unix:/path, shm:name; connect:… goes to who listens there
    endpoint: String,
    /// Receive datagrams, not messages of channels
    #[arg(long, short)]
    datagram: bool,
    /// Receive datagrams that are messages: with headers, codec and number
    #[arg(long)]
    typed: bool,
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

/// Messages that wait to be printed.
const WAITING: usize = 64;
/// The longest datagram that is expected where the way does not tell.
const LONGEST: usize = 65_536;

pub(crate) fn run(args: &RecvArgs, output: &Output) -> Result<(), Failure> {
    let end = End::parse("ENDPOINT", &args.endpoint, Unless::Listens)?;
    let Some(endpoint) = end.endpoint().cloned() else {
        return Err(Failure::usage("ENDPOINT: '-' is no endpoint; 'crosstie send' reads standard input"));
    };
    check(&endpoint, args)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let mut interrupt = Interrupt::watch(end.has_files())?;
        let hangups = interrupt.hangups();
        let (tell, came) = mpsc::channel(WAITING);
        let sink = Sink::new(tell, output);
        let source = async {
            if is_datagram(&endpoint, args.datagram) && !args.typed {
                return datagrams(&endpoint, &sink, output).await;
            }
            let mut options = options(&endpoint, args.codec)?;
            options.deadline = None;
            match end {
                _ if args.typed => typed(&endpoint, options, &sink, output).await,
                End::Listen(_) => {
                    let listener = ChannelListener::bind_with(&endpoint, options)?;
                    tokio::select! {
                        outcome = listen(&listener, args.connections, &sink, output) => outcome,
                        never = hangups.each(output, || listener.reload()) => match never {},
                    }
                }
                _ => connect(&endpoint, options, &sink).await,
            }
        };
        tokio::select! {
            // What has come is printed before an end is told.
            biased;
            outcome = print(args, came, output) => outcome.and_then(|()| sink.verdict()).map(Ok),
            outcome = source => outcome.and_then(|()| sink.verdict()).map(Ok),
            signal = interrupt.signal() => Ok(Err(signal)),
        }
    });
    match outcome? {
        Ok(()) => Ok(()),
        Err(signal) => Err(end_by(signal)),
    }
}

fn check(endpoint: &Endpoint, args: &RecvArgs) -> Result<(), Failure> {
    if is_datagram(endpoint, args.datagram) && !args.typed { check_datagram(args.codec, false) } else { Ok(()) }
}

/// Prints what comes, until that was enough or too long.
async fn print(args: &RecvArgs, mut came: mpsc::Receiver<Came>, output: &Output) -> Result<(), Failure> {
    let mut count = 0;
    loop {
        let until = args.timeout.map(|timeout| instant_after(Instant::now(), timeout));
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

fn told_listening(endpoint: &Endpoint, output: &Output) {
    let at = endpoint.to_string();
    output.event_with("listening", &format!("listening on {at}"), &[("endpoint", json!(at))]);
}

async fn datagrams(endpoint: &Endpoint, sink: &Sink, output: &Output) -> Result<(), Failure> {
    let socket = receive_datagrams(endpoint)?;
    told_listening(socket.endpoint(), output);
    let mut buf = vec![0; socket.max_len().max(LONGEST)];
    let socket: AsyncDatagrams = socket.into_async()?;
    loop {
        let received = match socket.receive(&mut buf).await {
            // It is lost, and others follow.
            Err(error) if error.kind() == Kind::TooLarge => {
                sink.skip("", &error);
                continue;
            }
            received => received?,
        };
        let from = received.from.map(|from| from.to_string());
        let message =
            Came { payload: buf[..received.len].to_vec(), headers: Headers::new(), facts: json!({ "from": from }) };
        if !sink.give(message).await {
            return Ok(());
        }
    }
}

async fn typed(endpoint: &Endpoint, options: ChannelOptions, sink: &Sink, output: &Output) -> Result<(), Failure> {
    let mut receiver = DatagramReceiver::<Anything>::bind_with(endpoint, options)?;
    told_listening(receiver.endpoint(), output);
    loop {
        match receiver.recv().await {
            Ok(message) => {
                if !sink.give(Came::of_datagram(message)).await {
                    return Ok(());
                }
            }
            // It harms only itself; others follow.
            Err(error) if matches!(error.kind(), Kind::Protocol | Kind::Rejected | Kind::TooLarge) => {
                sink.skip("", &error);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Takes channels of all who come.
async fn listen(
    listener: &ChannelListener<Anything>,
    connections: u16,
    sink: &Sink,
    output: &Output,
) -> Result<(), Failure> {
    told_listening(listener.endpoint(), output);
    let places = Arc::new(Semaphore::new(usize::from(connections)));
    let (mut number, mut is_failing) = (0, false);
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        let accepted = match listener.accept(Duration::from_secs(3600)).await {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == Kind::Timeout => continue,
            Err(error) => {
                // Mostly for want of descriptors, which come back with time: it is told once.
                if !std::mem::replace(&mut is_failing, true) {
                    output.event("accept", &format!("cannot accept, and tries again: {error}"));
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        (number, is_failing) = (number + 1, false);
        let (peer, sink, output) = (accepted.peer(), sink.clone(), output.clone());
        tokio::spawn(async move {
            let outcome = match accepted.open().await {
                Ok(mut channel) => take(&mut channel, (number, peer), &sink).await,
                Err(error) => Err(no_hello(error)),
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
async fn take(channel: &mut Channel<Anything>, from: (u64, Peer), sink: &Sink) -> Result<(), Error> {
    loop {
        let message = match channel.recv().await {
            // It harms only itself; others follow. What ends the channel is said again by the next.
            Err(error) if error.kind() == Kind::Protocol && !channel.receiver().has_ended() => {
                sink.skip(&format!(" from channel {}{}", from.0, peer_text(from.1)), &error);
                continue;
            }
            message => message?,
        };
        if !sink.give(Came::of_message(message, Some(from))).await {
            return Ok(());
        }
    }
}

async fn connect(endpoint: &Endpoint, options: ChannelOptions, sink: &Sink) -> Result<(), Failure> {
    let mut channel = Channel::<Anything>::connect_with(endpoint, options)
        .await
        .map_err(no_hello)
        .map_err(Failure::before_sending)?;
    let peer = channel.peer();
    let outcome = take(&mut channel, (1, peer), sink).await;
    // What has come is printed first.
    sink.drained().await;
    match outcome {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == Kind::Closed => Ok(()),
        Err(error) => Err(Failure::on_the_way(error.kind(), error.to_string())),
    }
}

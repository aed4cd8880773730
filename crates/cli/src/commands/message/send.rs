//! `crosstie send`: datagrams, and messages of a channel.

use std::{
    io::{self, BufRead, Read},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use crosstie_core::{Codec, Endpoint, Headers, Kind};
use crosstie_link::blocking::{Channel, ChannelListener, DatagramSender};
use crosstie_net::{Datagrams, send_datagrams};
use serde_json::json;

use super::{
    anything::Anything,
    came::{Came, show},
    kind::{check_datagram, codec, is_datagram, no_hello, options},
};
use crate::{
    commands::{
        input::{check_template, fill, headers, payload},
        stream::{End, Unless},
    },
    exit::Failure,
    output::Output,
    values::{at_least_one, duration},
};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie send udp://127.0.0.1:7000 hello      one datagram
  crosstie send udp://239.0.0.1:7000 hello      to all of a group
  crosstie send --datagram unix:/run/log hello
  crosstie send --typed udp://127.0.0.1:7000 hello -H Trace:7
  crosstie send unix:/run/jobs one two three    three messages of a channel
  crosstie send unix:/run/jobs -H Trace:7 - < job
  crosstie send tcp://127.0.0.1:7000 < log      each line a message
  crosstie send unix:/run/bank '{\"to\":\"ann\"}' --replies 1

udp: carries datagrams. Every other scheme carries messages of a channel, which
come in order, whole and once, with headers; with --datagram it carries
datagrams, if it can. A datagram that is longer than the way allows is
refused before it is sent; whether one arrives nobody tells. With --typed each
is a message with number, codec and headers, as typed programs send them.

The two ends of a channel agree on a codec: bytes as they are (raw) if both
have that, as 'crosstie recv' has; else DATA must be JSON, and is sent as a
value that a typed program reads.")]
pub(crate) struct SendArgs {
    /// Where to: udp://host:port, unix:/path, shm:name, tcp://host:port, exec:…; listen:… waits for whoever comes
    endpoint: String,
    /// Messages; '-' is all of standard input; without any, each line of it is one
    ///
    /// {{count}}, {{time}} and {{random}} are filled in, except on standard input.
    data: Vec<String>,
    /// Send datagrams, not messages of a channel
    #[arg(long, short)]
    datagram: bool,
    /// Send datagrams that are messages: with headers, codec and number
    #[arg(long)]
    typed: bool,
    /// raw, json, cbor or msgpack, and no other [default: what both ends have]
    #[arg(long, value_name = "CODEC", value_parser = codec)]
    codec: Option<Codec>,
    /// A header, NAME:VALUE; may come several times
    #[arg(long, short = 'H', value_name = "NAME:VALUE")]
    header: Vec<String>,
    /// Send all of DATA so many times
    #[arg(long, short = 'n', default_value_t = 1, value_parser = at_least_one)]
    count: u64,
    /// The pause between two messages
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    every: Option<Duration>,
    /// How long connecting, each message, and each reply may take
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    timeout: Duration,
    /// Print so many messages that come back, then end
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    replies: u64,
    /// Print replies byte for byte
    #[arg(long)]
    raw: bool,
}

/// The most bytes of standard input that are one message.
const MAX_LINE: u64 = 64 * 1024 * 1024;

pub(crate) fn run(args: &SendArgs, output: &Output) -> Result<(), Failure> {
    let end = End::parse("ENDPOINT", &args.endpoint, Unless::First)?;
    let Some(endpoint) = end.endpoint() else {
        return Err(Failure::usage("ENDPOINT: '-' is no endpoint; 'crosstie recv' prints messages"));
    };
    for data in args.data.iter().filter(|data| *data != "-") {
        check_template("DATA", data, &[])?;
    }
    let headers = headers(&args.header)?;
    let is_datagram = is_datagram(endpoint, args.datagram || args.typed);
    if is_datagram && matches!(end, End::Listen(_)) {
        return Err(Failure::usage(
            "ENDPOINT: a datagram goes to somebody: write to whom, as in 'udp://127.0.0.1:7000'",
        ));
    }
    if is_datagram && args.replies > 0 {
        return Err(Failure::usage("--replies: nothing comes back for a datagram"));
    }
    let mut way = if args.typed {
        let mut options = options(endpoint, args.codec)?;
        options.deadline = Some(args.timeout);
        Way::Typed(Box::new(DatagramSender::connect_with(endpoint, options).map_err(Failure::before_sending)?))
    } else if is_datagram {
        check_datagram(args.codec, !args.header.is_empty())?;
        Way::Datagrams(Box::new(send_datagrams(endpoint).map_err(Failure::before_sending)?))
    } else {
        Way::Channel(Box::new(open(&end, endpoint, args)?))
    };
    let sent = send_all(args, &mut way, &headers)?;
    if let Way::Channel(mut channel) = way {
        for number in 0..args.replies {
            let message = channel.receiver().recv_within(args.timeout).map_err(|error| {
                let text = format!("{number} of {} replies came: {error}", args.replies);
                Failure::on_the_way(error.kind(), text)
            })?;
            show(&Came::of_message(message, None), args.raw, output)?;
        }
        finish(*channel)?;
    }
    output.data(&json!({ "sent": sent, "endpoint": endpoint.to_string() }), Vec::new)
}

/// Says that no more comes. Whoever has had enough and left in order before that is not called dead.
fn finish(channel: Channel<Anything>) -> Result<(), Failure> {
    let (sender, mut receiver) = channel.split();
    let Err(error) = sender.finish() else { return Ok(()) };
    if matches!(error.kind(), Kind::PeerDied | Kind::Disconnected) {
        // What it has said and nobody asked for comes first.
        let last = (0..UNASKED).find_map(|_| receiver.recv_within(LAST_WORD).err());
        if last.is_some_and(|end| end.kind() == Kind::Closed) {
            return Ok(());
        }
    }
    Err(Failure::on_the_way(error.kind(), error.to_string()))
}

/// How long a word is waited for that was said before the connection ended.
const LAST_WORD: Duration = Duration::from_millis(100);

/// The most messages that are passed over on the way to its last word.
const UNASKED: usize = 1000;

/// Where messages go.
enum Way {
    Datagrams(Box<Datagrams>),
    Typed(Box<DatagramSender<Anything>>),
    Channel(Box<Channel<Anything>>),
}

fn open(end: &End, endpoint: &Endpoint, args: &SendArgs) -> Result<Channel<Anything>, Failure> {
    let mut options = options(endpoint, args.codec)?;
    (options.deadline, options.connect_timeout) = (Some(args.timeout), args.timeout);
    let opened = match end {
        End::Listen(_) => ChannelListener::bind_with(endpoint, options)
            .and_then(|listener| listener.accept(args.timeout))
            .and_then(crosstie_link::blocking::Accepted::open),
        _ => Channel::connect_with(endpoint, options),
    };
    opened.map_err(no_hello).map_err(Failure::before_sending)
}

fn send_all(args: &SendArgs, way: &mut Way, headers: &Headers) -> Result<u64, Failure> {
    let mut sending = Sending { way, headers, args, sent: 0, due: Some(Instant::now()) };
    if args.data.is_empty() {
        if args.count > 1 {
            return Err(Failure::usage("--count: lines of standard input come once; give DATA"));
        }
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            if (&mut input).take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
                return Ok(sending.sent);
            }
            line.pop_if(|last| *last == b'\n');
            sending.send(line)?;
        }
    }
    let whole = if args.data.iter().any(|data| data == "-") { Some(payload("-")?) } else { None };
    for _ in 0..args.count {
        for data in &args.data {
            let message = match (&whole, data.as_str()) {
                (Some(whole), "-") => whole.clone(),
                (_, text) => fill(text.as_bytes(), sending.sent + 1, &[]),
            };
            sending.send(message)?;
        }
    }
    Ok(sending.sent)
}

/// Messages one after the other, in their time.
struct Sending<'a> {
    way: &'a mut Way,
    headers: &'a Headers,
    args: &'a SendArgs,
    sent: u64,
    due: Option<Instant>,
}

impl Sending<'_> {
    fn send(&mut self, message: Vec<u8>) -> Result<(), Failure> {
        if let (Some(every), true) = (self.args.every, self.sent > 0) {
            // On time by the clock, not by the sum of the pauses.
            self.due = self.due.and_then(|due| due.checked_add(every));
            thread::sleep(self.due.map_or(Duration::MAX, |due| due.saturating_duration_since(Instant::now())));
        }
        let outcome = match self.way {
            Way::Datagrams(socket) => socket.send(&message, self.args.timeout),
            Way::Typed(sender) => sender.send_with(&Anything::new(message), self.headers),
            Way::Channel(channel) => channel.sender().send_with(&Anything::new(message), self.headers),
        };
        outcome.map_err(|error| Failure::on_the_way(error.kind(), format!("after {} messages: {error}", self.sent)))?;
        self.sent += 1;
        Ok(())
    }
}

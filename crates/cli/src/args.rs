//! The command line, as clap reads it and the help shows it.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{
    commands::{
        message::{recv::RecvArgs, send::SendArgs},
        ps::PsArgs,
        serve::ServeArgs,
        shm::{ShmArgs, lock::LockArgs, locks::LocksArgs},
        stream::{listen::ListenArgs, pipe::PipeArgs},
        tls::TlsArgs,
    },
    demo::DemoArgs,
    exit::TABLE,
    output::Colour,
    values::{at_least_one, duration, message_size, seconds},
};

const EXAMPLES: &str = "Examples:
  crosstie demo                              a bank of processes you may kill
  crosstie serve                             a broker on 127.0.0.1:4222
  crosstie sub 'orders.>'                    watch
  crosstie pub orders.new 'three crossties'  publish
  crosstie reply time --exec date            answer requests
  crosstie request time                      ask
  crosstie pipe tcp://:9000 unix:/run/app    join any two ends of streams
  crosstie lock backup -- ./backup.sh        one at a time on this machine
  crosstie locks                             who holds locks, and who waits
  crosstie shm ls                            shared memory, and who is in it";

const ENVIRONMENT: &str = "Environment:
  CROSSTIE_URL     the broker, for commands that connect to one: --server
  CROSSTIE_CONFIG  the file of 'serve': --config; each of its keys has a
                   variable, too, which 'crosstie serve --help' names
  CROSSTIE_DIR     the directory of shared memory and locks: --dir
  CROSSTIE_DIR_GROUP
                   the number of a group that may use CROSSTIE_DIR, too
  NO_COLOR         no colours, unless --color says otherwise
  CLICOLOR_FORCE   colours everywhere, unless NO_COLOR is set";

/// The heading of the options that every command takes.
const GLOBAL: &str = "Global options";

/// Every way for processes to talk, and the ties that keep them in step.
#[derive(Parser)]
#[command(name = "crosstie", version, max_term_width = 80, after_help = format!("{EXAMPLES}\n\n{ENVIRONMENT}\n\n{TABLE}"))]
pub(crate) struct Cli {
    // It may stand before the command as well, but the help shows it with those that connect.
    #[command(flatten)]
    pub(crate) server: AnyServerArgs,
    /// Print data as JSON Lines on standard output, errors and events as JSON on standard error
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,
    /// When to use colours; auto is on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN", help_heading = GLOBAL)]
    pub(crate) color: Colour,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const DEFAULT_SERVER: &str = "nats://127.0.0.1:4222";

/// Which broker, wherever it is said.
#[derive(Args)]
pub(crate) struct AnyServerArgs {
    /// The broker: nats://host:port, tls://host:port, nats+unix:/path
    #[arg(
        id = "server",
        long = "server",
        short = 's',
        value_name = "URL",
        global = true,
        hide = true,
        env = "CROSSTIE_URL",
        hide_env_values = true,
        default_value = DEFAULT_SERVER
    )]
    pub(crate) url: String,
}

/// Which broker, as the help of a command that connects shows it.
#[derive(Args)]
pub(crate) struct ServerArgs {
    /// The broker: nats://host:port, tls://host:port, nats+unix:/path
    ///
    /// A URL with a password is better given in CROSSTIE_URL: other users of the machine see the arguments of a command.
    #[arg(
        id = "server",
        long = "server",
        short = 's',
        value_name = "URL",
        env = "CROSSTIE_URL",
        hide_env_values = true,
        default_value = DEFAULT_SERVER
    )]
    _url: String,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a broker with Crosstie's configuration
    Serve(ServeArgs),
    /// Run a broker with nats-server's command line and configuration
    #[command(
        disable_help_flag = true,
        after_help = "Examples:
  crosstie nats -p 4333 -m 8222
  crosstie nats -c nats-server.conf
  crosstie nats --signal ldm=1234"
    )]
    Nats {
        /// What nats-server would be given; `crosstie nats -h` lists it
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Check a configuration file without starting anything
    CheckConfig(CheckConfigArgs),
    /// Publish a message
    Pub(PubArgs),
    /// Receive messages
    Sub(SubArgs),
    /// Send a request and wait for the answer
    Request(RequestArgs),
    /// Answer requests
    Reply(ReplyArgs),
    /// Measure a broker, an endpoint, or all ways to talk of this machine
    Bench(BenchArgs),
    /// Join any two ends of streams: pipes, sockets, shared memory, programs
    Pipe(PipeArgs),
    /// Take whoever comes to an endpoint, and print what comes
    Listen(ListenArgs),
    /// Send datagrams, or messages over a channel, without a broker
    Send(SendArgs),
    /// Receive datagrams, or messages over channels, without a broker
    Recv(RecvArgs),
    /// Show who listens at endpoints and shares memory, and who is connected
    Ps(PsArgs),
    /// Run a command while holding a mutex of this machine
    Lock(LockArgs),
    /// Show who holds locks in shared memory, and who waits for them
    Locks(LocksArgs),
    /// Look at shared memory, and tidy up after the dead
    Shm(ShmArgs),
    /// Certificates for a trial of TLS
    Tls(TlsArgs),
    /// Real processes that talk, and heal when you kill them
    Demo(DemoArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Examples:
  crosstie completions bash > /etc/bash_completion.d/crosstie
  crosstie completions fish > ~/.config/fish/completions/crosstie.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write man pages into a directory, and print their names
    #[command(after_help = "Examples:
  crosstie man ~/.local/share/man/man1")]
    Man {
        /// Where to
        directory: PathBuf,
    },
}

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie check-config crosstie.toml
  crosstie check-config crosstie.toml && systemctl reload crosstie")]
pub(crate) struct CheckConfigArgs {
    /// The file, in TOML
    pub(crate) file: PathBuf,
}

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie pub greet.world hello
  crosstie pub orders.new - < order.json
  crosstie pub tick '{{count}} at {{time}}' --count 10 --every 1s
  crosstie pub orders.new '{}' --header Content-Type:application/json")]
pub(crate) struct PubArgs {
    #[command(flatten)]
    _server: ServerArgs,
    /// Where to
    pub(crate) subject: String,
    /// What; '-' reads standard input. {{count}}, {{time}} and {{random}} are filled in
    ///
    /// Any other {{word}} is an error, except on standard input, where it is left alone.
    #[arg(default_value = "")]
    pub(crate) payload: String,
    /// A header, NAME:VALUE; may come several times
    #[arg(long, short = 'H', value_name = "NAME:VALUE")]
    pub(crate) header: Vec<String>,
    /// Where an answer is expected
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) reply: Option<String>,
    /// How many messages
    #[arg(long, short = 'n', default_value_t = 1, value_parser = at_least_one)]
    pub(crate) count: u64,
    /// The pause between two messages
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) every: Option<Duration>,
}

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie sub 'orders.>'
  crosstie sub jobs --queue workers --count 10
  crosstie sub 'sensor.*' --json | jq .payload
  crosstie sub blob --raw --count 1 > blob.bin")]
pub(crate) struct SubArgs {
    #[command(flatten)]
    _server: ServerArgs,
    /// What to receive: * is one token, > is the rest
    pub(crate) pattern: String,
    /// Share the messages with the other members of this group
    #[arg(long, short, value_name = "GROUP")]
    pub(crate) queue: Option<String>,
    /// End after so many messages
    #[arg(long, short = 'n', value_parser = at_least_one)]
    pub(crate) count: Option<u64>,
    /// End with code 5 if no message comes for so long
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Print payloads only, byte for byte
    #[arg(long)]
    pub(crate) raw: bool,
}

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie request time
  crosstie request bank.balance ann --timeout 500ms
  crosstie request fleet.status --replies 3 --timeout 2s

Several answer where several have subscribed, each by itself: programs, or each
'crosstie reply' with a --queue of its own. Of those in one group one answers.

Whoever subscribes to the subject counts as one who may answer: a request that
only a 'sub' hears is out of time (code 5); one that nobody hears fails at once
(code 3).")]
pub(crate) struct RequestArgs {
    #[command(flatten)]
    _server: ServerArgs,
    /// Whom to ask
    pub(crate) subject: String,
    /// What; '-' reads standard input
    #[arg(default_value = "")]
    pub(crate) payload: String,
    /// A header, NAME:VALUE; may come several times
    #[arg(long, short = 'H', value_name = "NAME:VALUE")]
    pub(crate) header: Vec<String>,
    /// How long to wait
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5s")]
    pub(crate) timeout: Duration,
    /// How many answers to wait for
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    pub(crate) replies: u64,
    /// Print payloads only, byte for byte
    #[arg(long)]
    pub(crate) raw: bool,
}

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie reply echo --echo
  crosstie reply greet 'hello, {{payload}}'
  crosstie reply upper --exec 'tr a-z A-Z'

With --exec the payload is the command's standard input, CROSSTIE_SUBJECT in
its environment is the subject, and its standard output is the answer. A command
that fails is answered with the header Tie-Error.")]
pub(crate) struct ReplyArgs {
    #[command(flatten)]
    _server: ServerArgs,
    /// What to answer
    pub(crate) pattern: String,
    /// The answer; {{payload}}, {{subject}}, {{count}}, {{time}} and {{random}} are filled in
    ///
    /// Without it, --echo or --exec says what to answer. Any other {{word}} is an error.
    #[arg(conflicts_with_all = ["echo", "exec"])]
    pub(crate) template: Option<String>,
    /// Answer with the request itself
    #[arg(long, conflicts_with = "exec")]
    pub(crate) echo: bool,
    /// Answer with what a shell command prints
    #[arg(long, value_name = "COMMAND")]
    pub(crate) exec: Option<String>,
    /// Share the requests with the other members of this group
    #[arg(long, short, value_name = "GROUP", default_value = "crosstie-reply")]
    pub(crate) queue: String,
    /// End after so many answers
    #[arg(long, short = 'n', value_parser = at_least_one)]
    pub(crate) count: Option<u64>,
    /// How long a command may take
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    pub(crate) exec_timeout: Duration,
}

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie bench                           through a broker, as much as goes
  crosstie bench --rate 1000 --seconds 10  latency at a fixed rate
  crosstie bench unix:/tmp/x               between two processes, by a socket
  crosstie bench shm:x --channel --size 1024
  crosstie bench udp://127.0.0.1:0
  crosstie bench --compare --svg ways.svg  every way of this machine

The other end is a process that bench starts. Times count from the moment a
message was due. A rate that could not be kept up is told, and rate_missed is
true in JSON. How to choose: docs/which-mechanism.md.")]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    _server: ServerArgs,
    /// What to measure: mem: pipe: fifo: unix: shm: tcp: udp:, or a broker's URL; without it the broker of --server
    #[arg(conflicts_with = "compare")]
    pub(crate) endpoint: Option<String>,
    /// Measure every way of this machine, and say which to use for what
    #[arg(long)]
    pub(crate) compare: bool,
    /// Draw the comparison into this file
    #[arg(long, value_name = "FILE", requires = "compare", conflicts_with = "endpoint")]
    pub(crate) svg: Option<PathBuf>,
    /// Measure typed messages instead of bytes
    #[arg(long, conflicts_with_all = ["datagrams", "compare"])]
    pub(crate) channel: bool,
    /// Measure datagrams instead of a stream, over unix: mem: shm:
    #[arg(long, conflicts_with = "compare")]
    pub(crate) datagrams: bool,
    /// Bytes of a message, 16 to 64MiB; 128 through a broker, else 64, unless set
    #[arg(long, value_name = "BYTES", value_parser = message_size)]
    pub(crate) size: Option<u32>,
    /// Publishers, at most 1024; through a broker
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) pubs: u16,
    /// Subscribers, each of which gets every message, at most 1024; through a broker
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) subs: u16,
    /// Messages per second of each publisher, sent on time whatever comes back; without it as many as go through a broker, 1000
    /// elsewhere
    #[arg(long, value_parser = at_least_one)]
    pub(crate) rate: Option<u64>,
    /// How long to measure, at most a day
    #[arg(long, default_value = "3", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// Be the other end, which is told over this endpoint what to do (bench starts itself with this)
    #[arg(long, hide = true)]
    pub(crate) far: Option<String>,
}

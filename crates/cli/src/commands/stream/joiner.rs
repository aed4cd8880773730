//! Joins for one command: opens the ends, serves one or many, and tells how each went.

use std::{
    fs::File,
    io::{self, IsTerminal},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    pin::pin,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crosstie_core::{Endpoint, Error};
use crosstie_net::{Connection, Peer, connector};
use crosstie_proto::frame::PREAMBLE;
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
};
use serde_json::json;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{Semaphore, mpsc},
};

use super::{
    end::{Coming, End, Gate, peer_text},
    interrupt::{Interrupt, end_by},
    join::{Look, Meter, Show, Side, Terms, join},
    progress::Progress,
    report::Report,
};
use crate::{
    exit::{Code, Failure},
    output::{Output, UNWRITTEN, bytes_json},
};

/// What all joins of one command share. The arrays are by the side where bytes come from.
pub(super) struct Joiner {
    pub(super) ends: [End; 2],
    /// A command of a shell that is the other end of each who comes, instead of the second end.
    pub(super) exec: Option<String>,
    /// Ends with the first connection.
    pub(super) once: bool,
    pub(super) tees: [Option<String>; 2],
    pub(super) rate: Option<u64>,
    pub(super) idle: Option<Duration>,
    pub(super) lingers: [Option<Duration>; 2],
    pub(super) connect_timeout: Duration,
    /// How many at a time.
    pub(super) connections: u16,
    /// What the directions are called.
    pub(super) names: [&'static str; 2],
    /// Standard output goes on after a connection has ended, and in JSON it shows what came.
    pub(super) goes_on: bool,
    pub(super) output: Output,
}

/// How long nothing may come from an end alone unless that is said: a person is not waited for.
pub(super) fn patience(end: &End) -> Option<Duration> {
    (matches!(end, End::Standard) && io::stdin().is_terminal()).then_some(Duration::ZERO)
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

impl Joiner {
    /// Serves until the end, or a signal that ends the process.
    pub(super) fn run(self) -> Result<(), Failure> {
        if !self.once {
            self.check_tees()?;
        }
        let joiner = Arc::new(self);
        let outcome = runtime()?.block_on(async {
            let mut interrupt = Interrupt::watch(joiner.ends.iter().any(End::has_files))?;
            let (hangups, gates) = (interrupt.hangups(), Arc::new(joiner.open()?));
            let listening = Arc::downgrade(&gates);
            // Once the one who is served has come, nobody else does.
            let reload = || listening.upgrade().map_or(Ok(()), |gates| gates.iter().try_for_each(Gate::reload));
            tokio::select! {
                outcome = joiner.serve(gates) => outcome.map(Ok),
                signal = interrupt.signal() => Ok(Err(signal)),
                never = hangups.each(&joiner.output, reload) => match never {},
            }
        });
        // What listened is put away by now.
        match outcome? {
            Ok(()) => Ok(()),
            Err(signal) => Err(end_by(signal)),
        }
    }

    fn check_tees(&self) -> Result<(), Failure> {
        for (name, option) in self.tees.iter().zip(["--tee", "--tee-back"]) {
            if name.as_ref().is_some_and(|name| !name.contains("{{count}}")) {
                let text = format!(
                    "{option}: expected {{{{count}}}} in the name, for each connection its own file, or --once"
                );
                return Err(Failure::usage(text));
            }
        }
        Ok(())
    }

    /// Opens both ends as far as that can be done before anybody comes.
    fn open(&self) -> Result<[Gate; 2], Failure> {
        let gates = [self.ends[0].open()?, self.ends[1].open()?];
        for gate in &gates {
            if let Gate::Listener(listener) = gate {
                let at = listener.get_ref().endpoint().to_string();
                self.output.event_with("listening", &format!("listening on {at}"), &[("endpoint", json!(at))]);
            }
        }
        Ok(gates)
    }

    async fn serve(self: &Arc<Self>, gates: Arc<[Gate; 2]>) -> Result<(), Failure> {
        if !self.once {
            return self.serve_many(gates).await;
        }
        let pair = accept(&gates).await?;
        // One is served: nobody else need try.
        drop(gates);
        let meter = Arc::new(Meter::default());
        self.greet(1, &pair);
        let is_seen = self.output.is_watched() && !(self.uses_standard_output() && io::stdout().is_terminal());
        let progress = is_seen.then(|| Progress::show(Arc::clone(&meter)));
        let report = self.join(1, pair, &meter).await;
        drop(progress);
        let report = report?;
        if is_seen {
            self.output.note(&report.text(self.names));
        }
        self.tell(&report)?;
        report.verdict()
    }

    /// Serves whoever comes, each in a thread of its own, so that a copy on a slow disk holds up nobody else.
    async fn serve_many(self: &Arc<Self>, gates: Arc<[Gate; 2]>) -> Result<(), Failure> {
        let places = Arc::new(Semaphore::new(usize::from(self.connections)));
        let (done, mut ended) = mpsc::unbounded_channel::<(u64, Result<Report, Failure>)>();
        let mut number = 0;
        let next = async || {
            let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
            (place, accept(&gates).await)
        };
        // It outlives each turn: of a pair whose second has not come yet the first is not sent away because others have ended.
        let mut coming = pin!(next());
        let mut is_failing = false;
        loop {
            tokio::select! {
                // The end of one is told before the next, who got its place, is welcomed.
                biased;
                Some((number, outcome)) = ended.recv() => self.farewell(number, outcome)?,
                (place, pair) = &mut coming => {
                    coming.set(next());
                    let pair = match pair {
                        Ok(pair) => pair,
                        Err(error) => {
                            // Mostly for want of descriptors, which come back with time: it is told once.
                            if !std::mem::replace(&mut is_failing, true) {
                                self.output.event("accept", &format!("cannot accept, and tries again: {error}"));
                            }
                            tokio::time::sleep(Duration::from_millis(100)).await;
                            continue;
                        }
                    };
                    is_failing = false;
                    number += 1;
                    self.welcome(number, &pair);
                    let (joiner, done) = (Arc::clone(self), done.clone());
                    let begun = thread::Builder::new().name(format!("crosstie-join-{number}")).spawn(move || {
                        let outcome = runtime().map_err(Failure::from).and_then(|runtime| {
                            runtime.block_on(joiner.join(number, pair, &Meter::default()))
                        });
                        // Nobody listens once the command ends.
                        let _ = done.send((number, outcome));
                        drop(place);
                    });
                    if let Err(error) = begun {
                        self.output.event("accept", &format!("connection {number}: no thread can be had for it: {error}"));
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        }
    }

    fn welcome(&self, number: u64, pair: &[Coming; 2]) {
        let peers: Vec<_> = pair.iter().filter_map(Coming::peer).map(peer_text).collect();
        self.output.event_with(
            "connected",
            &format!("connection {number}{}", peers.join(" and")),
            &[("connection", json!(number))],
        );
    }

    fn farewell(&self, number: u64, outcome: Result<Report, Failure>) -> Result<(), Failure> {
        let told = match outcome {
            Ok(report) => {
                self.output.note(&format!("connection {number}: {}", report.text(self.names)));
                self.tell(&report)?;
                report.verdict()
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = told {
            self.output.event_with(
                "failed",
                &format!("connection {number}: {failure}"),
                &[("connection", json!(number))],
            );
        }
        Ok(())
    }

    /// Tells who has come where one is served.
    fn greet(&self, number: u64, pair: &[Coming; 2]) {
        if self.goes_on {
            self.welcome(number, pair);
        }
    }

    /// The totals, in JSON.
    fn tell(&self, report: &Report) -> Result<(), Failure> {
        if self.goes_on || !self.uses_standard_output() {
            return self.output.data(&report.json(), Vec::new);
        }
        self.output.aside(&report.json());
        Ok(())
    }

    fn uses_standard_output(&self) -> bool {
        self.ends.iter().any(End::is_standard_output)
    }

    /// Makes what is missing of a pair, and joins it until its end.
    async fn join(&self, number: u64, pair: [Coming; 2], meter: &Meter) -> Result<Report, Failure> {
        let takes_bytes = pair.each_ref().map(Coming::takes_bytes);
        let mut connections = Vec::with_capacity(2);
        let pair = self.with_program(pair)?;
        for (side, coming) in Side::BOTH.into_iter().zip(pair) {
            let missing =
                |error: Error| Failure::before_sending(Error::new(error.kind(), format!("{}: {error}", side.name())));
            connections.push(coming.connect(self.connect_timeout).await.map_err(missing)?);
        }
        let [a, b] = <[Connection; 2]>::try_from(connections).ok().expect("there are two sides");
        let (peers, begun) = ([a.peer(), b.peer()], Instant::now());
        let terms = self.terms(number, takes_bytes)?;
        let ending = join(a.into_async()?, b.into_async()?, terms, meter).await;
        Ok(Report {
            number,
            names: [self.ends[0].to_string(), self.exec.clone().unwrap_or_else(|| self.ends[1].to_string())],
            peers,
            bytes: Side::BOTH.map(|side| meter.from(side)),
            took: begun.elapsed(),
            limit: self.rate,
            ending,
        })
    }

    /// The pair with the program at its second end, if there is to be one. The program is told who has come.
    fn with_program(&self, pair: [Coming; 2]) -> Result<[Coming; 2], Failure> {
        let Some(command) = &self.exec else { return Ok(pair) };
        let peer = pair[0].peer().map_or_else(String::new, peer_value);
        let words =
            ["env".to_owned(), format!("CROSSTIE_PEER={peer}"), "sh".to_owned(), "-c".to_owned(), command.clone()];
        let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
        // The command stands on the command line, and who has come cannot choose a word of it.
        let endpoint: Result<Endpoint, _> = format!("exec:{}", words.join(" ")).parse();
        let endpoint = endpoint.map_err(|error| Failure::usage(format!("--exec: {error}")))?;
        let [first, _] = pair;
        Ok([first, Coming::Connector(connector(&endpoint.trusted())?.into())])
    }

    /// Says what to do about who speaks as a channel does, where its bytes are only printed.
    fn look(&self, number: u64) -> Option<Look> {
        let output = self.output.clone();
        (self.goes_on && self.exec.is_none()).then(|| -> Look {
            Box::new(move |first| {
                if first.starts_with(&PREAMBLE) {
                    let text = format!(
                        "connection {number} speaks as a channel does, which is not for reading: 'crosstie recv' takes its messages"
                    );
                    output.event_with("channel", &text, &[("connection", json!(number))]);
                }
            })
        })
    }

    /// What is done with the bytes that came, if they are not written to the other end.
    fn show(&self, number: u64) -> Option<Show> {
        let output = self.output.clone();
        (self.goes_on && output.is_json() && self.exec.is_none()).then(|| -> Show {
            Box::new(move |bytes| {
                let mut value = bytes_json(bytes);
                value["connection"] = json!(number);
                output.data(&value, Vec::new).map_err(|failure| match failure {
                    Failure::BrokenPipe => io::ErrorKind::BrokenPipe.into(),
                    // That it is standard output is said with how it ended.
                    other => io::Error::other(other.to_string().trim_start_matches(UNWRITTEN).to_owned()),
                })
            })
        })
    }

    fn terms(&self, number: u64, takes_bytes: [bool; 2]) -> Result<Terms, Failure> {
        let deadline = |end: &End| end.endpoint().and_then(|endpoint| endpoint.options().deadline);
        let is_own = self.ends.each_ref().map(End::is_standard_output);
        Ok(Terms {
            rate: self.rate,
            idle: self.idle,
            lingers: self.lingers,
            deadlines: self.ends.each_ref().map(deadline),
            takes_bytes,
            is_own,
            tees: [copy(self.tees[0].as_deref(), number)?, copy(self.tees[1].as_deref(), number)?],
            ends_output: !self.goes_on,
            show: self.show(number),
            look: self.look(number),
        })
    }
}

/// Both ends of a pair. The second is waited for only once the first is there.
async fn accept(gates: &[Gate; 2]) -> Result<[Coming; 2], Error> {
    Ok([gates[0].pass().await?, gates[1].pass().await?])
}

fn copy(name: Option<&str>, number: u64) -> Result<Option<File>, Failure> {
    let Some(name) = name else { return Ok(None) };
    let name = name.replace("{{count}}", &number.to_string());
    let cannot = |error: io::Error| {
        let is_unread = error.raw_os_error() == Some(Errno::NXIO.raw_os_error());
        let why =
            if is_unread { "nobody reads this named pipe: start its reader first".into() } else { error.to_string() };
        Failure::new(Code::Failure, "io", format!("--tee: '{name}': {why}"))
    };
    create(Path::new(&name)).map(Some).map_err(cannot)
}

/// A file that was emptied, or a named pipe that somebody reads: nobody is waited for.
fn create(name: &Path) -> io::Result<File> {
    let (mut options, at_once) = (File::options(), OFlags::NONBLOCK);
    let file = options.write(true).create(true).truncate(true).custom_flags(at_once.bits().cast_signed()).open(name)?;
    // Whoever reads it slowly is waited for like any other.
    fcntl_setfl(&file, fcntl_getfl(&file)?.difference(at_once))?;
    Ok(file)
}

/// Who has come, for a program.
fn peer_value(peer: Peer) -> String {
    match peer {
        Peer::Network(address) => address.to_string(),
        Peer::Local(process) => format!("pid={},uid={},gid={}", process.pid, process.uid, process.gid),
        _ => String::new(),
    }
}

/// One word of a command as `exec:` reads it.
fn quoted(word: &str) -> String {
    let mut text = String::from('"');
    for sign in word.chars() {
        if matches!(sign, '"' | '\\' | '$' | '`') {
            text.push('\\');
        }
        text.push(sign);
    }
    text.push('"');
    text
}

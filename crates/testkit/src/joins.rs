//! Joins of every pair of schemes by a command such as `crosstie pipe`, with real processes at both ends, byte for byte.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::{
    certificates::{Authority, Validity},
    streams::Pattern,
};

/// The schemes over which two processes reach each other.
pub const SCHEMES: [&str; 7] = ["fd", "exec", "fifo", "unix", "shm", "tcp", "tls"];

/// How long one join may take.
const LONG: Duration = Duration::from_secs(60);

/// The command that joins, and how much goes through.
pub struct Joins {
    command: PathBuf,
    folder: tempfile::TempDir,
    /// What both ends of TLS show, and whom they believe.
    certificate: String,
    pattern: Arc<Pattern>,
    bytes: u64,
}

/// How long one join took, from the first process to the last.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Where the bytes came from.
    pub from: &'static str,
    /// Where they went.
    pub to: &'static str,
    /// The time.
    pub took: Duration,
}

impl Joins {
    /// Joins by `command`, so many bytes each.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn new(command: &Path, bytes: u64) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let pattern = Arc::new(Pattern::new());
        pattern.write(io::BufWriter::new(File::create(folder.path().join("source"))?), bytes)?;
        let authority = Authority::new(folder.path(), "joins");
        let certificate = authority.issue("end", &["127.0.0.1"], Validity::Now).options(&authority.ca());
        Ok(Self { command: command.to_owned(), folder, certificate, pattern, bytes })
    }

    /// Joins every pair of schemes; each that went well is shown to `told`.
    ///
    /// # Errors
    ///
    /// Of the first pair over which something else arrived, or nothing in time.
    pub fn run(&self, mut told: impl FnMut(&Joined)) -> Result<(), String> {
        for from in SCHEMES {
            for to in SCHEMES {
                let begun = Instant::now();
                self.join(from, to, &[]).map_err(|why| format!("from {from}: to {to}: {why}"))?;
                told(&Joined { from, to, took: begun.elapsed() });
            }
        }
        Ok(())
    }

    /// Joins one pair, with more options for the command.
    ///
    /// # Errors
    ///
    /// What went wrong, in words.
    pub fn join(&self, from: &'static str, to: &'static str, options: &[&str]) -> Result<(), String> {
        let mut sink = self.sink(to).map_err(|error| format!("the sink: {error}"))?;
        let mut command = self.command(&["pipe", &self.source(from), &sink.url, "--once"]);
        command.args(options).stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::null());
        if from == "fd" {
            command.stdin(Stdio::piped());
        }
        if to == "fd" {
            command.stdout(Stdio::piped());
        }
        let mut running = Running(command.spawn().map_err(|error| format!("cannot start the command: {error}"))?);
        let mut words = BufReader::new(running.0.stderr.take().expect("it was piped"));
        let feeder = self.feed(from, &mut running, &mut words).map_err(|error| format!("the feeder: {error}"))?;
        if let Some(output) = running.0.stdout.take() {
            sink.check = Some(self.check(output));
        }
        let outcome = match &sink.check {
            Some(check) => check.recv_timeout(LONG).map_err(|_| "nothing more came in time".to_owned()),
            // It is in a file once the command has ended.
            None => Ok(Ok(Ok(self.bytes))),
        };
        // Whatever else runs ends with the command.
        let outcome = outcome?;
        if let Ok(Err(position)) = outcome {
            return Err(format!("other bytes came from {position} on"));
        }
        running.finish(&mut words)?;
        for mut other in [feeder, sink.process].into_iter().flatten() {
            other.finish(&mut io::empty())?;
        }
        let outcome = match sink.file {
            None => outcome,
            Some(file) => File::open(file).and_then(|file| self.pattern.read(file, u64::MAX)),
        };
        match outcome {
            Ok(Ok(count)) if count == self.bytes => Ok(()),
            Ok(Ok(count)) => Err(format!("{count} bytes came, expected {}", self.bytes)),
            Ok(Err(position)) => Err(format!("other bytes came from {position} on")),
            Err(error) => Err(format!("reading what came: {error}")),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.command);
        command.args(words).env("CROSSTIE_DIR", self.path("segments"));
        command
    }

    /// The first end of the command.
    fn source(&self, scheme: &str) -> String {
        match scheme {
            "fd" => "fd:0".to_owned(),
            "exec" => format!("exec:cat {}", self.path("source").display()),
            "fifo" => format!("fifo:{}", self.path("in.fifo").display()),
            "unix" => format!("listen:unix:{}", self.path("in.socket").display()),
            "tcp" => "tcp://:0".to_owned(),
            "tls" => format!("tls://:0?{}", self.certificate),
            other => format!("listen:{other}:in"),
        }
    }

    /// Begins to feed the first end once it is there.
    fn feed(&self, scheme: &str, running: &mut Running, words: &mut impl BufRead) -> io::Result<Option<Running>> {
        let source = File::open(self.path("source"))?;
        if scheme == "fd" {
            let input = running.0.stdin.take();
            copy(source, move || Ok(input));
            return Ok(None);
        }
        if scheme == "exec" {
            return Ok(None);
        }
        let mut line = String::new();
        words.read_line(&mut line)?;
        let Some(url) = line.trim_end().strip_prefix("listening on ") else {
            return Err(io::Error::other(format!("expected that the command listens, it said '{}'", line.trim_end())));
        };
        if scheme == "fifo" {
            let path = self.path("in.fifo");
            copy(source, move || File::options().write(true).open(path).map(Some));
            return Ok(None);
        }
        let mut feeder = self.command(&["pipe", "-", url]);
        feeder.stdin(Stdio::from(source)).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Some(Running(feeder.spawn()?)))
    }

    /// Something that takes what comes out of the second end.
    fn sink(&self, scheme: &str) -> io::Result<Sink> {
        let nothing = Sink { url: "fd:1".to_owned(), check: None, file: None, process: None };
        match scheme {
            "fd" => Ok(nothing),
            "exec" => {
                let file = self.path("sink");
                let url = format!("exec:sh -c 'cat > {}'", file.display());
                Ok(Sink { url, file: Some(file), ..nothing })
            }
            "fifo" => {
                let path = self.path("out.fifo");
                match mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
                    Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                let url = format!("fifo:{}", path.display());
                Ok(Sink { url, check: Some(self.check_opened(move || File::open(path))), ..nothing })
            }
            _ => {
                let at = match scheme {
                    "unix" => format!("unix:{}", self.path("out.socket").display()),
                    "tcp" => "tcp://127.0.0.1:0".to_owned(),
                    "tls" => format!("tls://127.0.0.1:0?{}", self.certificate),
                    other => format!("{other}:out"),
                };
                let mut receiver = self.command(&["pipe", &format!("listen:{at}"), "-", "--once"]);
                receiver.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
                let mut process = Running(receiver.spawn()?);
                let mut line = String::new();
                BufReader::new(process.0.stderr.take().expect("it was piped")).read_line(&mut line)?;
                let url = line.trim_end().strip_prefix("listening on ").map(str::to_owned);
                let url = url.ok_or_else(|| io::Error::other(format!("the receiver said '{}'", line.trim_end())))?;
                let output = process.0.stdout.take().expect("it was piped");
                Ok(Sink { url, check: Some(self.check(output)), process: Some(process), ..nothing })
            }
        }
    }

    fn check(&self, reader: impl Read + Send + 'static) -> Check {
        self.check_opened(move || Ok(reader))
    }

    /// Reads to the end on a thread of its own, and compares.
    fn check_opened<R: Read>(&self, open: impl FnOnce() -> io::Result<R> + Send + 'static) -> Check {
        let (tell, check) = mpsc::channel();
        let pattern = Arc::clone(&self.pattern);
        // It is not joined: if nobody ever writes, the test has failed long before.
        thread::spawn(move || tell.send(open().and_then(|reader| pattern.read(reader, u64::MAX))));
        check
    }
}

type Check = mpsc::Receiver<io::Result<Result<u64, u64>>>;

struct Sink {
    url: String,
    check: Option<Check>,
    file: Option<PathBuf>,
    process: Option<Running>,
}

fn copy<W: io::Write + Send>(mut source: File, open: impl FnOnce() -> io::Result<Option<W>> + Send + 'static) {
    // That it is not taken shows at the other end.
    thread::spawn(move || open().map(|to| to.map(|mut to| io::copy(&mut source, &mut to))));
}

/// A process that is gone in the end.
struct Running(Child);

impl Running {
    /// Waits for its end, and tells if it did not end well.
    fn finish(&mut self, words: &mut impl Read) -> Result<(), String> {
        let until = Instant::now() + LONG;
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => {
                    let mut said = String::new();
                    // It has ended, so this does too.
                    let _ = words.read_to_string(&mut said);
                    return Err(format!("{status}: {}", said.trim_end()));
                }
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(1)),
                Ok(None) => return Err("a process does not end".to_owned()),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

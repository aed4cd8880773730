//! A session at several terminals, run as it stands: what they show must be printed there, and nothing else.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::blocks::Line;
use crate::failure::{Failure, Result};

/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a command that stays says once it can be relied on.
const READY: [&str; 3] = ["Server is ready", "listening on '", "answering '"];

/// Between two looks whether a command has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Alone on a line: any number of lines.
const ANY_LINES: &str = "…";
/// What the page shows of the port.
const USUAL_PORT: &str = ":4222";

/// A session at several terminals.
struct Session {
    path: String,
    port: u16,
    patience: Duration,
}

/// A terminal: everything that is started in it prints to it.
struct Terminal<'a> {
    session: &'a Session,
    /// Gone once nothing more is started here.
    printer: Option<Sender<String>>,
    printed: Receiver<String>,
    /// What runs until it is ended.
    running: Vec<Child>,
    /// What was printed and is not accounted for.
    unseen: Vec<String>,
}

/// Runs the commands in order, each terminal after the other, with the programs of `folder` on the search path, and a free port in the place of
/// the usual one. A command that says it can be relied on stays; any other ends by itself. Then each terminal must show what was printed
/// there, no more and no less.
pub(super) fn run(terminals: &[Vec<Line>], folder: &Path) -> Result<()> {
    run_within(terminals, folder, PATIENCE)
}

fn run_within(terminals: &[Vec<Line>], folder: &Path, patience: Duration) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Failure::failed)?;
    let port = listener.local_addr().map_err(Failure::failed)?.port();
    drop(listener);
    let path = format!("{}:{}", folder.display(), env::var("PATH").unwrap_or_default());
    let session = Session { path, port, patience };
    let mut open = Vec::new();
    for lines in terminals {
        let mut terminal = Terminal::open(&session);
        for line in lines {
            if let Line::Command(text) = line {
                println!("$ {text}");
                terminal.run(text)?;
            }
        }
        open.push((terminal, lines));
    }
    for (terminal, lines) in &mut open {
        for line in *lines {
            match line {
                Line::Output(expected) if expected != ANY_LINES => {
                    let what = format!("README.md shows '{expected}'");
                    let line = terminal.wait_for(&what, |line| looks_like(line, expected))?;
                    println!("{line}");
                }
                _ => {}
            }
        }
    }
    // Whoever watches and answers is ended before the broker, which they would miss.
    while let Some((mut terminal, lines)) = open.pop() {
        let is_whole = !lines.contains(&Line::Output(ANY_LINES.to_owned()));
        let rest = terminal.close();
        if is_whole && !rest.is_empty() {
            return Err(Failure::failed(format!("README.md does not show what is printed, too: {rest:?}")));
        }
    }
    Ok(())
}

impl<'a> Terminal<'a> {
    fn open(session: &'a Session) -> Self {
        let (printer, printed) = channel();
        Self { session, printer: Some(printer), printed, running: Vec::new(), unseen: Vec::new() }
    }

    fn start(&self, command: &str) -> Result<Child> {
        let mut child = Command::new("sh")
            // The shell becomes the command, so that to end the one is to end the other.
            .args(["-euc", &format!("exec {command}")])
            .env("PATH", &self.session.path)
            .env("CROSSTIE_LISTEN", format!("tcp://127.0.0.1:{}", self.session.port))
            .env("CROSSTIE_URL", format!("nats://127.0.0.1:{}", self.session.port))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::failed(format!("cannot start sh: {error}")))?;
        self.show(child.stdout.take());
        self.show(child.stderr.take());
        Ok(child)
    }

    /// Prints what comes from `source`.
    fn show(&self, source: Option<impl Read + Send + 'static>) {
        let (Some(source), Some(printer)) = (source, self.printer.clone()) else { return };
        let own = format!(":{}", self.session.port);
        thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(std::io::Result::ok) {
                if printer.send(line.replace(&own, USUAL_PORT)).is_err() {
                    return;
                }
            }
        });
    }

    /// Runs a command until it has ended, or says that it can be relied on.
    fn run(&mut self, command: &str) -> Result<()> {
        let mut child = self.start(command)?;
        let deadline = Instant::now() + self.session.patience;
        loop {
            let before = self.unseen.len();
            self.unseen.extend(self.printed.recv_timeout(LOOK_EVERY));
            if self.unseen[before..].iter().any(|line| READY.iter().any(|ready| line.contains(ready))) {
                self.running.push(child);
                return Ok(());
            }
            match child.try_wait().map_err(Failure::failed)? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    let rest = self.close();
                    let text = format!("`{command}` of README.md ended with {status}; printed: {rest:?}");
                    return Err(Failure::failed(text));
                }
                None if Instant::now() >= deadline => {
                    self.running.push(child);
                    let rest = self.close();
                    return Err(Failure::failed(format!("`{command}` of README.md does not end; printed: {rest:?}")));
                }
                None => {}
            }
        }
    }

    /// The first line, printed by now or soon, that satisfies `condition`; it is not found again.
    fn wait_for(&mut self, what: &str, condition: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + self.session.patience;
        loop {
            if let Some(at) = self.unseen.iter().position(|line| condition(line)) {
                return Ok(self.unseen.remove(at));
            }
            match self.printed.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.unseen.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(Failure::failed(format!("waited in vain: {what}; printed: {:?}", self.unseen)));
                }
            }
        }
    }

    /// Ends what runs, and returns what was printed to the last and is not accounted for.
    fn close(&mut self) -> Vec<String> {
        for mut child in self.running.drain(..) {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        self.printer = None;
        // Something else may hold the terminal open: then this is what there is.
        while let Ok(line) = self.printed.recv_timeout(self.session.patience) {
            self.unseen.push(line);
        }
        std::mem::take(&mut self.unseen)
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.close();
    }
}

/// True if `line` is `expected`, in which `…` stands for anything.
fn looks_like(line: &str, expected: &str) -> bool {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = expected.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((first, rest)) = expected.split_once('…') else { return line == expected };
    let Some(mut line) = line.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = line.split_once(part) else { return false };
        line = after;
    }
    line.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ellipsis_stands_for_anything_and_nothing_else_does() {
        assert!(looks_like("[a]  b", "[a] b") && !looks_like("[a] b!", "[a] b"));
        assert!(looks_like("[_INBOX.x1] yes, here", "[_INBOX.…] yes…"));
        assert!(
            looks_like("received 12 40/s lost 0", "received … lost 0")
                && !looks_like("received 1 lost 2", "received … lost 0")
        );
        assert!(looks_like("a1b2c", "a…b…c") && !looks_like("a1c", "a…b…c"));
    }

    const NOWHERE: &str = "/nowhere";

    fn command(text: &str) -> Line {
        Line::Command(text.into())
    }

    fn session(patience: Duration, terminals: &[&[&str]]) -> bool {
        let line = |line: &&str| match line.strip_prefix("$ ") {
            Some(text) => command(text),
            None => Line::Output((*line).into()),
        };
        let terminals: Vec<Vec<Line>> = terminals.iter().map(|lines| lines.iter().map(line).collect()).collect();
        run_within(&terminals, Path::new(NOWHERE), patience).is_ok()
    }

    #[test]
    fn what_is_shown_must_be_printed_and_what_is_printed_must_be_shown() {
        let two = r"$ printf 'one\ntwo\n'";
        assert!(session(PATIENCE, &[&[two, "one", "two"]]));
        assert!(session(PATIENCE, &[&[two, "two", "…"]]));
        assert!(!session(PATIENCE, &[&[two, "two"]]));
        assert!(!session(Duration::from_millis(50), &[&[two, "three", "…"]]));
        assert!(!session(PATIENCE, &[&["$ false"]]));
    }

    #[test]
    fn a_command_that_is_ready_stays_and_any_other_must_end() {
        // A later terminal may make an earlier one print.
        let folder = env::temp_dir().join(format!("crosstie-readme-{}", std::process::id()));
        let stays = format!("$ sh -c \"mkfifo {0}; echo Server is ready; exec cat {0}\"", folder.display());
        let speaks = format!("$ sh -c \"echo hello > {}\"", folder.display());
        assert!(session(PATIENCE, &[&[&stays, "Server is ready", "hello"], &[&speaks]]));
        std::fs::remove_file(folder).unwrap();
        assert!(!session(Duration::from_millis(50), &[&["$ sleep 60"]]));
    }
}

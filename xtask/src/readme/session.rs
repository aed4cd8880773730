//! A session at one terminal, run as it stands: commands in the background stay there, and what it shows must be printed.

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
/// What a command in the background says once it can be relied on.
const READY: [&str; 3] = ["Server is ready", "listening on '", "answering '"];

/// A terminal: everything that is started in it prints to it.
struct Terminal {
    path: String,
    port: u16,
    patience: Duration,
    printer: Sender<String>,
    printed: Receiver<String>,
    background: Vec<Child>,
    /// What was printed and has not been asked for.
    unseen: Vec<String>,
}

/// Runs the lines in order with the programs of `folder` on the search path, on a free port instead of the usual one.
pub(super) fn run(lines: &[Line], folder: &Path) -> Result<()> {
    run_within(lines, folder, PATIENCE)
}

fn run_within(lines: &[Line], folder: &Path, patience: Duration) -> Result<()> {
    let mut terminal = Terminal::open(folder, patience)?;
    for line in lines {
        match line {
            Line::Command { text, in_background: true } => {
                println!("$ {text} &");
                terminal.start_in_background(text)?;
            }
            Line::Command { text, .. } => {
                println!("$ {text}");
                terminal.run(text)?;
            }
            Line::Output(expected) => {
                let what = format!("README.md shows '{expected}'");
                let line = terminal.wait_for(&what, |line| looks_like(line, expected))?;
                println!("{line}");
            }
        }
    }
    Ok(())
}

impl Terminal {
    fn open(folder: &Path, patience: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(Failure::failed)?;
        let port = listener.local_addr().map_err(Failure::failed)?.port();
        let (printer, printed) = channel();
        let path = format!("{}:{}", folder.display(), env::var("PATH").unwrap_or_default());
        Ok(Self { path, port, patience, printer, printed, background: Vec::new(), unseen: Vec::new() })
    }

    fn start(&self, command: &str) -> Result<Child> {
        let mut child = Command::new("sh")
            // The shell becomes the command, so that to end the one is to end the other.
            .args(["-euc", &format!("exec {command}")])
            .env("PATH", &self.path)
            .env("CROSSTIE_LISTEN", format!("tcp://127.0.0.1:{}", self.port))
            .env("CROSSTIE_URL", format!("nats://127.0.0.1:{}", self.port))
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
        let (Some(source), printer) = (source, self.printer.clone()) else { return };
        thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(std::io::Result::ok) {
                if printer.send(line).is_err() {
                    return;
                }
            }
        });
    }

    fn start_in_background(&mut self, command: &str) -> Result<()> {
        let child = self.start(command)?;
        self.background.push(child);
        self.wait_for(&format!("'{command}' becomes ready"), |line| READY.iter().any(|ready| line.contains(ready)))?;
        Ok(())
    }

    fn run(&mut self, command: &str) -> Result<()> {
        let mut child = self.start(command)?;
        let status = child.wait().map_err(Failure::failed)?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::failed(format!("`{command}` of README.md ended with {status}; printed: {:?}", self.rest())))
    }

    /// The first line, printed by now or soon, that satisfies `condition`; it is not found again.
    fn wait_for(&mut self, what: &str, condition: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + self.patience;
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

    fn rest(&mut self) -> &[String] {
        self.unseen.extend(self.printed.try_iter());
        &self.unseen
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        for child in &mut self.background {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
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

    #[test]
    fn what_is_shown_must_be_printed() {
        let command = |text: &str| Line::Command { text: text.into(), in_background: false };
        let shows = |text: &str, patience| {
            let lines = [command(r"printf 'one\ntwo\n'"), Line::Output(text.into())];
            run_within(&lines, Path::new("/nowhere"), patience).is_ok()
        };
        assert!(shows("two", PATIENCE));
        assert!(!shows("three", Duration::from_millis(50)));
        assert!(run(&[command("false")], Path::new("/nowhere")).is_err());
    }
}

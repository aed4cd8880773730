//! The command and a broker to run it against, as a shell would.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) fn crosstie(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosstie"));
    for name in ["CROSSTIE_URL", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs to the end; a command that does not end is a failure.
pub(crate) fn run(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let (done, over) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || done.send(child.wait_with_output().unwrap()));
    let output = over.recv_timeout(LONG).unwrap_or_else(|_| panic!("process {pid} does not end"));
    waiting.join().unwrap().unwrap();
    output
}

pub(crate) fn code(arguments: &[&str]) -> Option<i32> {
    run(&mut crosstie(arguments)).status.code()
}

/// A process that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A broker on a Unix socket.
pub(crate) struct Broker {
    pub(crate) url: String,
    pub(crate) process: Running,
    pub(crate) folder: TempDir,
}

impl Broker {
    pub(crate) fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (file, socket) = (folder.path().join("c.toml"), folder.path().join("s"));
        fs::write(&file, format!("listen = \"unix:{}\"\n{config}", socket.display())).unwrap();
        let mut process = crosstie(&["serve", "--config", file.to_str().unwrap()]);
        let process = Running(process.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
        let url = format!("nats+unix:{}", socket.display());
        until("the broker answers", || code(&["-s", &url, "pub", "up"]) == Some(0));
        Self { url, process, folder }
    }

    pub(crate) fn open() -> Self {
        Self::start("")
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        run(crosstie(arguments).args(["--server", &self.url]))
    }

    /// Starts a command that runs for long, and waits until it says on standard error that it is ready.
    pub(crate) fn background(&self, arguments: &[&str]) -> Running {
        let mut command = crosstie(arguments);
        command.args(["--server", &self.url]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("answering") || line.starts_with("listening"), "{line}");
        Running(child)
    }
}

pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONG, "{what}");
    }
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

//! The servers that are compared: where they are, how they start, and that they end.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::wire;

const UP_WITHIN: Duration = Duration::from_secs(10);

/// Where a contender stands in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Our broker.
    Ours,
    /// A nats-server: the better one of a row is what ours is held against.
    Reference,
    /// Somebody else, shown and not judged.
    Guest,
}

/// A server that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) role: Role,
    program: PathBuf,
    /// `{port}` stands for the port.
    arguments: Vec<String>,
}

impl Contender {
    /// Our broker at `program`.
    pub(crate) fn ours(program: &Path) -> Result<Self> {
        if !program.exists() {
            return Err(Error::new(format!(
                "{} is missing: `cargo build --release`, or name it with --crosstie",
                program.display()
            )));
        }
        let arguments = ["nats", "-a", "127.0.0.1", "-p", "{port}"].map(str::to_owned).to_vec();
        Ok(Self { name: "crosstie".into(), role: Role::Ours, program: program.into(), arguments })
    }

    /// A nats-server under `target/tools`, fetched by `cargo xtask tools` if it is not there.
    pub(crate) fn nats_server(version: &str) -> Result<Self> {
        let tool = format!("nats-server-{version}");
        let program = tools().join(&tool).join("nats-server");
        if !program.exists() {
            eprintln!("fetching {tool}");
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let status = Command::new(cargo).args(["xtask", "tools", &tool]).stdout(Stdio::null()).status()?;
            if !status.success() || !program.exists() {
                return Err(Error::new(format!("{tool} could not be fetched: `cargo xtask tools {tool}` says why")));
            }
        }
        let arguments = ["-a", "127.0.0.1", "-p", "{port}"].map(str::to_owned).to_vec();
        Ok(Self { name: format!("nats {version}"), role: Role::Reference, program, arguments })
    }

    /// From `NAME=COMMAND`, split at spaces, in which `{port}` stands for the port.
    pub(crate) fn guest(text: &str) -> Result<Self> {
        let wrong = || Error::new(format!("expected NAME=COMMAND with {{port}} in the command, got {text:?}"));
        let (name, command) =
            text.split_once('=').filter(|(_, command)| command.contains("{port}")).ok_or_else(wrong)?;
        let mut words = command.split_whitespace().map(str::to_owned);
        let program = words.next().ok_or_else(wrong)?.into();
        Ok(Self { name: name.into(), role: Role::Guest, program, arguments: words.collect() })
    }

    /// Starts it on a free port of loopback and returns once it answers.
    pub(crate) fn start(&self) -> Result<Server> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = free.local_addr()?;
        drop(free);
        let port = address.port().to_string();
        let log = tools().join("bench-logs");
        fs::create_dir_all(&log)?;
        let log = log.join(format!("{}.log", self.name.replace(' ', "-")));
        let output = File::create(&log).map_err(Error::during(log.display()))?;
        let child = Command::new(&self.program)
            .args(self.arguments.iter().map(|word| word.replace("{port}", &port)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .map_err(Error::during(format!("starting {}", self.program.display())))?;
        let mut server = Server { address, child };
        let until = Instant::now() + UP_WITHIN;
        loop {
            let Err(failed) = wire::connect(address) else {
                return Ok(server);
            };
            let ended = server.child.try_wait()?;
            if ended.is_some() || Instant::now() > until {
                let state = ended.map_or_else(|| "does not answer".into(), |status| format!("ended with {status}"));
                return Err(Error::new(format!("{} {state} ({failed}): see {}", self.name, log.display())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tools() -> PathBuf {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    bench.parent().expect("bench lies in the workspace").join("target/tools")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_needs_a_name_and_a_port() {
        assert!(Contender::guest("mine=./server --port {port}").is_ok());
        assert!(Contender::guest("./server --port {port}").is_err());
        assert!(Contender::guest("mine=./server").is_err());
    }
}

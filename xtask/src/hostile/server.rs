//! The built server as a process, and what can be seen of it from outside.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::attack::Door;
use crate::failure::{Failure, Result};
use crate::root;
use crate::tools;

/// What the server has to fit in.
pub(super) const MEMORY: u64 = 256 << 20;
/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// Users of a server that asks for a password: `honest` in the clear, and one whose hash is slow to check.
const USERS: &str = "[auth]\nusers = [{ name = \"honest\", password = \"h\" }, { name = \"ann\", password = \
                     \"$2b$10$crosstie.hostile.test.nobody.knows.the.password.of.th\" }]\n";

/// A server that runs until it is dropped.
pub(super) struct Server {
    child: Child,
    folder: PathBuf,
    port: u16,
}

/// Where the program is; it is built if need be.
pub(super) fn program() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--release", "--package", "crosstie-cli"])
        .current_dir(root::workspace())
        .status()
        .map_err(Failure::failed)?;
    if !status.success() {
        return Err(Failure::failed("the server does not build"));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root::workspace().join("target"), PathBuf::from);
    Ok(target.join("release/crosstie"))
}

impl Server {
    /// Starts one on a free port of loopback, with defaults but for `flags` and its `door`.
    pub(super) fn start(program: &Path, flags: &[&str], door: Door) -> Result<Self> {
        let folder = folder().map_err(Failure::failed)?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "tcp://127.0.0.1:0", "--ports-file-dir"]).arg(&folder).args(flags);
        match door {
            Door::Open => {}
            Door::Password => {
                let path = folder.join("users.toml");
                fs::write(&path, USERS).map_err(Failure::failed)?;
                command.arg("--config").arg(path);
            }
            Door::Tls => {
                let made = folder.join("tls");
                tools::run_quietly(Command::new(program).args(["tls", "init"]).arg(&made))?;
                command.arg("--tls-cert").arg(made.join("server.pem")).arg("--tls-key").arg(made.join("server.key"));
                command.arg("--tls-allow-plain=true");
            }
        }
        let log = File::create(folder.join("log")).map_err(Failure::failed)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(Failure::failed)?)
            .stderr(log)
            .spawn()
            .map_err(|error| Failure::failed(format!("cannot start {}: {error}", program.display())))?;
        let mut server = Self { child, folder, port: 0 };
        let begun = Instant::now();
        while server.port == 0 {
            if let Some(port) = server.announced() {
                server.port = port;
            } else if begun.elapsed() > PATIENCE || server.has_ended() {
                return Err(Failure::failed(format!("the server did not start: {}", server.log())));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory it has had resident, in bytes; nothing once it is gone.
    pub(super) fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
    }

    /// What is wrong with it, if anything.
    pub(super) fn trouble(&mut self) -> Option<String> {
        let log = self.log();
        if let Some(line) = log.lines().find(|line| line.contains("panicked") || line.contains("allocation of")) {
            return Some(format!("the server says: {line}"));
        }
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(format!("the server ended: {status}")),
            Err(error) => Some(error.to_string()),
        }
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// The port in the ports file, once it is there.
    fn announced(&self) -> Option<u16> {
        let mut files = fs::read_dir(&self.folder).ok()?.filter_map(io::Result::ok);
        let file = files.find(|file| file.path().extension().is_some_and(|extension| extension == "ports"))?;
        let ports: serde_json::Value = serde_json::from_str(&fs::read_to_string(file.path()).ok()?).ok()?;
        ports["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A folder of its own for each server.
fn folder() -> io::Result<PathBuf> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("crosstie-hostile-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    fs::create_dir(&folder)?;
    Ok(folder)
}

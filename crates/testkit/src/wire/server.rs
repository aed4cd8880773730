//! A server process with nats-server's command line, watched through its log.

use std::fs;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(10);

/// A running server, killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    folder: PathBuf,
    /// Where clients connect.
    pub address: SocketAddr,
}

impl Server {
    /// A server on any loopback port, with a configuration file.
    ///
    /// `folder` is its own, made here and removed with it. The program is called by the name `nats-server`. Blocks until it listens.
    ///
    /// # Errors
    ///
    /// With what the server logged, if it ended or did not listen within ten seconds.
    pub fn start(program: &Path, config: &str, folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let name = folder.join("nats-server");
        symlink(program, &name)?;
        let file = folder.join("server.conf");
        fs::write(&file, config)?;
        let log = folder.join("server.log");
        let child = Command::new(&name)
            .args(["-a", "127.0.0.1", "-p", "-1", "-c"])
            .arg(&file)
            .arg("-l")
            .arg(&log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("server.err"))?)
            .spawn()?;
        let mut server = Self { child, folder, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        server.wait_until_it_listens(&log)?;
        Ok(server)
    }

    fn wait_until_it_listens(&mut self, log: &Path) -> io::Result<()> {
        let end = Instant::now() + START;
        loop {
            let told = fs::read_to_string(log).unwrap_or_default();
            if let Some(address) = listener(&told)
                && greets(address)
            {
                self.address = address;
                return Ok(());
            }
            if self.child.try_wait()?.is_some() || Instant::now() > end {
                let cried = fs::read_to_string(self.folder.join("server.err")).unwrap_or_default();
                return Err(io::Error::other(format!("it does not listen: {told}{cried}")));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends the process a signal by name, as `USR2`.
    ///
    /// # Errors
    ///
    /// If `kill` refuses.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status()?;
        if sent.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("kill -{name} ended with {sent}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already; either way there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Connects once, and waits until the server has let go of that: as long as it counts it, it is one too many for a case about their number.
fn greets(address: SocketAddr) -> bool {
    let end = |stream: TcpStream| {
        stream.shutdown(Shutdown::Write)?;
        stream.set_read_timeout(Some(START))?;
        io::copy(&mut &stream, &mut io::sink())
    };
    TcpStream::connect(address).and_then(end).is_ok_and(|greeted| greeted > 0)
}

/// The address in the log line that says where clients may connect.
fn listener(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains(" client connections on "))?;
    line.rsplit(' ').next()?.trim().parse().ok()
}

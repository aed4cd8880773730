//! The ports file: where a server listens, for a program that let it choose its ports.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process,
};

use crosstie_core::{Endpoint, Error, HostPort, Kind, Target};
use serde::Serialize;

/// `<executable>_<pid>.ports`; it is removed with this value.
pub(crate) struct PortsFile {
    path: PathBuf,
}

#[derive(Serialize)]
struct Ports {
    nats: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    monitoring: Vec<String>,
}

impl PortsFile {
    /// Writes the file whole: whoever sees it sees all of it.
    pub(crate) fn write(folder: &Path, clients: &[Endpoint], monitoring: Option<SocketAddr>) -> Result<Self, Error> {
        let ports = Ports {
            nats: clients.iter().map(url).collect(),
            monitoring: monitoring
                .map(|address| format!("http://{}", reachable(&address.ip().to_string(), address.port())))
                .into_iter()
                .collect(),
        };
        let executable = std::env::args_os().next().unwrap_or_default();
        let name = Path::new(&executable).file_name().unwrap_or_default().to_string_lossy();
        let path = folder.join(format!("{name}_{}.ports", process::id()));
        let text = serde_json::to_string(&ports).expect("two lists of text are always JSON");
        let draft = path.with_extension("ports.new");
        fs::write(&draft, text).and_then(|()| fs::rename(&draft, &path)).map_err(|error| {
            Error::new(Kind::Io, format!("cannot write the ports file '{}'", path.display())).because(error)
        })?;
        Ok(Self { path })
    }
}

impl Drop for PortsFile {
    fn drop(&mut self) {
        // Nobody is left to be told, and its name holds a pid that is gone.
        let _ = fs::remove_file(&self.path);
    }
}

fn url(endpoint: &Endpoint) -> String {
    match endpoint.target() {
        Target::Tcp { host } => format!("nats://{}", reachable(&host.host, host.port)),
        Target::Unix { address } => format!("nats+unix:{address}"),
        other => other.to_string(),
    }
}

/// Every interface means this machine too, and that is where the reader of the file is.
fn reachable(host: &str, port: u16) -> HostPort {
    let host = match host {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    HostPort { host: host.to_owned(), port }
}

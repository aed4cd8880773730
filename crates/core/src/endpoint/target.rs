//! Where an endpoint is: one variant per scheme, with what each needs to be reached.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::part::encode;

/// Where an endpoint is, by scheme.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// `mem:name`: inside this process.
    Mem {
        /// The name.
        name: String,
    },
    /// `pipe:`: an anonymous pipe pair.
    Pipe,
    /// `fd:3`: a descriptor inherited from the parent.
    Fd {
        /// Its number.
        number: u32,
    },
    /// `exec:command args`: the standard input and output of a child.
    Exec {
        /// The command as shell words, verbatim.
        command: String,
    },
    /// `fifo:/path`: a named pipe.
    Fifo {
        /// Its path.
        path: PathBuf,
    },
    /// `unix:/path` or `unix:@name`.
    Unix {
        /// Its address.
        address: UnixAddress,
    },
    /// `shm:name`: shared memory on this machine.
    Shm {
        /// The name.
        name: String,
    },
    /// `tcp://host:port`.
    Tcp {
        /// The address.
        host: HostPort,
    },
    /// `tls://host[,host…]`.
    Tls {
        /// The addresses, tried in turn; the port is 4222 unless given.
        servers: Vec<HostPort>,
        /// Who we are.
        credentials: Option<Credentials>,
    },
    /// `udp://host:port`.
    Udp {
        /// The address.
        host: HostPort,
    },
    /// `http://host/path` or `https://host/path`.
    Http {
        /// True for `https`.
        secure: bool,
        /// The address; the port is 80 or 443 unless given.
        host: HostPort,
        /// The path, at least `/`.
        path: String,
        /// Who we are.
        credentials: Option<Credentials>,
    },
    /// `local:NAME`: the bus of that name on this machine.
    Local {
        /// The name.
        name: String,
    },
    /// `nats://host[,host…]`.
    Nats {
        /// The addresses, tried in turn; the port is 4222 unless given.
        servers: Vec<HostPort>,
        /// Who we are.
        credentials: Option<Credentials>,
    },
    /// `nats+unix:/path`: the NATS protocol over a Unix socket.
    NatsUnix {
        /// Its address.
        address: UnixAddress,
    },
}

impl Target {
    /// The scheme, without the colon.
    pub const fn scheme(&self) -> &'static str {
        match self {
            Self::Mem { .. } => "mem",
            Self::Pipe => "pipe",
            Self::Fd { .. } => "fd",
            Self::Exec { .. } => "exec",
            Self::Fifo { .. } => "fifo",
            Self::Unix { .. } => "unix",
            Self::Shm { .. } => "shm",
            Self::Tcp { .. } => "tcp",
            Self::Tls { .. } => "tls",
            Self::Udp { .. } => "udp",
            Self::Http { secure: false, .. } => "http",
            Self::Http { secure: true, .. } => "https",
            Self::Local { .. } => "local",
            Self::Nats { .. } => "nats",
            Self::NatsUnix { .. } => "nats+unix",
        }
    }
}

/// Where a Unix socket is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UnixAddress {
    /// A path of the file system.
    Path(PathBuf),
    /// A name of Linux's abstract name space, without the leading `@`.
    Abstract(String),
}

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", shown_path(path)),
            Self::Abstract(name) => write!(f, "@{}", encode(name)),
        }
    }
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name or an IP address, IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// True if this address can only be reached from this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The user part of a URL.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// `user:password@`.
    Password {
        /// The name.
        user: String,
        /// The secret.
        password: String,
    },
    /// `token@`.
    Token(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "{}:***", encode(user)),
            Self::Token(_) => f.write_str("***"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme();
        match self {
            Self::Pipe => write!(f, "{scheme}:"),
            Self::Fd { number } => write!(f, "{scheme}:{number}"),
            Self::Exec { command } => write!(f, "{scheme}:{command}"),
            Self::Fifo { path } => write!(f, "{scheme}:{}", shown_path(path)),
            Self::Mem { name } | Self::Shm { name } | Self::Local { name } => {
                write!(f, "{scheme}:{name}")
            }
            Self::Unix { address } | Self::NatsUnix { address } => write!(f, "{scheme}:{address}"),
            Self::Tcp { host } | Self::Udp { host } => write!(f, "{scheme}://{host}"),
            Self::Http { host, path, credentials, .. } => {
                write!(f, "{scheme}://")?;
                write_credentials(f, credentials.as_ref())?;
                write!(f, "{host}{path}")
            }
            Self::Tls { servers, credentials } | Self::Nats { servers, credentials } => {
                write!(f, "{scheme}://")?;
                write_credentials(f, credentials.as_ref())?;
                for (index, server) in servers.iter().enumerate() {
                    write!(f, "{}{server}", if index == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

fn write_credentials(f: &mut fmt::Formatter<'_>, credentials: Option<&Credentials>) -> fmt::Result {
    credentials.map_or(Ok(()), |credentials| write!(f, "{credentials:?}@"))
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A path that a URL can hold. One that begins with two slashes would be read as a host, so an empty host comes before it.
fn shown_path(path: &Path) -> String {
    let path = encode(&path.to_string_lossy());
    if path.starts_with("//") { format!("//{path}") } else { path }
}

//! Endpoints: URLs that say where something is and how to reach it.
//!
//! An endpoint is parsed once, from the grammar of RFC 3986, and is valid from then on. Two forms leave the RFC: `exec:` takes the
//! rest of the text verbatim as shell words, and the authority of `nats:` and `tls:` may be a list of hosts.

mod options;
mod parse;

use std::{fmt, path::PathBuf, str::FromStr};

pub use self::{
    options::{Compression, Durability, FaultSpec, Options, Probability},
    parse::EndpointError,
};

/// A parsed URL: where, and with which options.
///
/// `Display` never shows a password or token: it prints `***` in its place.
///
/// ```
/// use crosstie_core::{Endpoint, Target};
///
/// let endpoint: Endpoint = "nats://n1,n2:4333?durability=disk".parse()?;
/// let Target::Nats { servers, .. } = endpoint.target() else { panic!("a nats URL names a server") };
/// assert_eq!(servers[0].port, 4222);
/// assert_eq!(servers[1].to_string(), "n2:4333");
///
/// let error = "tcp://host:seven".parse::<Endpoint>().unwrap_err();
/// assert_eq!(error.to_string(), "expected a port from 0 to 65535, found 'seven' (column 12 of 'tcp://host:seven')");
/// # Ok::<(), crosstie_core::EndpointError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Endpoint {
    target: Target,
    options: Options,
}

impl Endpoint {
    /// The longest URL in bytes.
    pub const MAX_LEN: usize = 8192;

    /// The endpoint at `target` with default options.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            options: Options::default(),
        }
    }

    /// Where it is.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// The options of the query part.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// The scheme, without the colon.
    pub const fn scheme(&self) -> &'static str {
        self.target.scheme()
    }

    /// True if this URL may be taken from a file or from another process.
    ///
    /// `exec:`, `fd:` and `fifo:` act with the rights of the caller, so they come only from its own code or command line; so does `fault=`.
    pub const fn may_come_from_elsewhere(&self) -> bool {
        !matches!(
            self.target,
            Target::Exec { .. } | Target::Fd { .. } | Target::Fifo { .. }
        ) && self.options.fault.is_none()
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (target, options) = parse::parse(text)?;
        Ok(Self { target, options })
    }
}

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
            Self::Path(path) => write!(f, "{}", parse::encode(&path.to_string_lossy())),
            Self::Abstract(name) => write!(f, "@{}", parse::encode(name)),
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
            Self::Password { user, .. } => write!(f, "{}:***", parse::encode(user)),
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
            Self::Fifo { path } => write!(f, "{scheme}:{}", parse::encode(&path.to_string_lossy())),
            Self::Mem { name } | Self::Shm { name } | Self::Local { name } => {
                write!(f, "{scheme}:{name}")
            }
            Self::Unix { address } | Self::NatsUnix { address } => write!(f, "{scheme}:{address}"),
            Self::Tcp { host } | Self::Udp { host } => write!(f, "{scheme}://{host}"),
            Self::Http {
                host,
                path,
                credentials,
                ..
            } => {
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

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.target, self.options)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

//! Endpoints: URLs that say where something is and how to reach it.
//!
//! An endpoint is parsed once, from the grammar of RFC 3986, and is valid from then on. Two forms leave the RFC: `exec:` takes the
//! rest of the text verbatim as shell words, and the authority of `nats:` and `tls:` may be a list of hosts.

mod fault_spec;
mod options;
mod parse;
mod part;
mod target;

use std::{fmt, str::FromStr};

pub use self::{
    fault_spec::{FaultSpec, Probability},
    options::{Compression, Durability, Options, Wait},
    part::EndpointError,
    target::{Credentials, HostPort, Target, UnixAddress},
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
    is_trusted: bool,
    allows_faults: bool,
}

impl Endpoint {
    /// The longest URL in bytes.
    pub const MAX_LEN: usize = parse::MAX_LEN;

    /// The endpoint at `target` with default options.
    pub fn new(target: Target) -> Self {
        Self { target, options: Options::default(), is_trusted: false, allows_faults: false }
    }

    /// The same endpoint, vouched for: it is in the caller's own code or on its command line.
    ///
    /// Text says nothing of where it came from, so an endpoint that was parsed is not trusted, and nothing opens an untrusted one that
    /// acts with the caller's rights. Never call it on what another process has sent.
    ///
    /// ```
    /// use crosstie_core::Endpoint;
    ///
    /// let parsed: Endpoint = "exec:cat".parse()?;
    /// assert!(!parsed.may_be_opened());
    /// assert!(parsed.trusted().may_be_opened());
    /// # Ok::<(), crosstie_core::EndpointError>(())
    /// ```
    #[must_use]
    pub fn trusted(mut self) -> Self {
        self.is_trusted = true;
        self
    }

    /// The same endpoint, whose `?fault=` is made even where `CROSSTIE_ALLOW_FAULTS=1` does not allow it. It must be
    /// [trusted](Self::trusted) all the same.
    #[must_use]
    pub fn allow_faults(mut self) -> Self {
        self.allows_faults = true;
        self
    }

    /// True if the program allows faults here.
    pub const fn allows_faults(&self) -> bool {
        self.allows_faults
    }

    /// The same endpoint with other options. It is trusted if it was.
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// True if it may be opened: somebody vouched for it, or it does nothing that it would take.
    pub const fn may_be_opened(&self) -> bool {
        self.is_trusted || self.may_come_from_elsewhere()
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
    /// `exec:`, `fd:` and `fifo:` act with the rights of the caller, so they come only from its own code or command line; so do
    /// `fault=`, and the files of certificates and keys that `cert=`, `key=` and `ca=` name.
    pub const fn may_come_from_elsewhere(&self) -> bool {
        !matches!(self.target, Target::Exec { .. } | Target::Fd { .. } | Target::Fifo { .. })
            && self.options.fault.is_none()
            && !self.options.names_files()
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (target, options) = parse::parse(text)?;
        Ok(Self { target, options, is_trusted: false, allows_faults: false })
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

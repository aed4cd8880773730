//! The query part of an endpoint.

use std::{fmt, path::PathBuf, time::Duration};

use super::{
    fault_spec::FaultSpec,
    part::{EndpointError, Part, duration_text, encode},
};
use crate::Codec;

/// What follows the `?` of an endpoint. Absent options are `None` or `false`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// `codec=`: how typed values are serialised.
    pub codec: Option<Codec>,
    /// `compress=`: how payloads are compressed.
    pub compress: Option<Compression>,
    /// `deadline=`: how long any wait on this endpoint may last.
    pub deadline: Option<Duration>,
    /// `window=`: how many messages may be under way, unacknowledged.
    pub window: Option<u32>,
    /// `retry=`: how often an attempt is repeated.
    pub retry: Option<u32>,
    /// `fault=`: deliberate misbehaviour.
    pub fault: Option<FaultSpec>,
    /// `durability=`: what the user knows of the server's disk discipline.
    pub durability: Option<Durability>,
    /// `host=daemon`: never host the bus in this process.
    pub daemon: bool,
    /// `iface=`: the network interface for multicast.
    pub iface: Option<String>,
    /// `ttl=`: how many hops a multicast datagram may make.
    pub ttl: Option<u8>,
    /// `loop=`: whether a multicast sender hears itself.
    pub multicast_loop: Option<bool>,
    /// `wait=`: what a thread does while nothing comes through shared memory.
    pub wait: Option<Wait>,
    /// `insecure`: listen beyond loopback without authentication.
    pub insecure: bool,
    /// `cert=`: the file of the certificate chain that this side shows, PEM.
    pub cert: Option<PathBuf>,
    /// `key=`: the file of that certificate's private key, PEM.
    pub key: Option<PathBuf>,
    /// `ca=`: the file of those who may have signed the other side's certificate, PEM. Whoever listens with it lets in nobody without one.
    pub ca: Option<PathBuf>,
    /// `name=`: the name that the server's certificate must be for, if it is not the host.
    pub name: Option<String>,
    /// `handshake=first`: TLS begins before the server's first line, not after it.
    pub handshake_first: bool,
}

const KNOWN: &str = "one of the options codec, compress, deadline, window, retry, fault, durability, host, iface, ttl, loop, wait, insecure, cert, key, ca, name, handshake";
const WITH_CERTIFICATES: &[&str] = &["tls", "nats"];

impl Options {
    /// True if it names files: whoever opens it reads them with its own rights, and shows who it is with them.
    pub(super) const fn names_files(&self) -> bool {
        self.cert.is_some() || self.key.is_some() || self.ca.is_some()
    }

    pub(super) fn parse(query: Part<'_>, scheme: &str) -> Result<Self, EndpointError> {
        let mut options = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').map_or((pair, None), |(key, value)| (key, Some(value)));
            if seen.contains(&key.text()) {
                return Err(key.expected(format!("the option '{}' once", key.text())));
            }
            seen.push(key.text());
            options.set(key, value, pair, scheme)?;
        }
        Ok(options)
    }

    fn set(
        &mut self,
        key: Part<'_>,
        value: Option<Part<'_>>,
        pair: Part<'_>,
        scheme: &str,
    ) -> Result<(), EndpointError> {
        if key.text() == "insecure" {
            self.insecure = match value.map(Part::text) {
                None | Some("true") => true,
                Some("false") => false,
                Some(_) => return Err(pair.expected("'insecure' or 'insecure=false'")),
            };
            return Ok(());
        }
        let value = || value.ok_or_else(|| pair.expected(KNOWN_FORM));
        match key.text() {
            "codec" => self.codec = Some(read(value()?, "one of raw, json, postcard, cbor, msgpack")?),
            "compress" => self.compress = Some(value().and_then(compression)?),
            "deadline" => self.deadline = Some(value().and_then(duration)?),
            "window" => self.window = Some(read(value()?, "a number of messages")?),
            "retry" => self.retry = Some(read(value()?, "a number of attempts")?),
            "fault" => self.fault = Some(FaultSpec::parse(value()?)?),
            "durability" => {
                only(scheme, &["nats", "tls", "nats+unix", "local"], pair)?;
                self.durability = Some(value().and_then(durability)?);
            }
            "host" => {
                only(scheme, &["local"], pair)?;
                self.daemon = value()?.text() == "daemon";
                if !self.daemon {
                    return Err(value()?.expected("'daemon'"));
                }
            }
            "iface" => {
                only(scheme, &["udp"], pair)?;
                self.iface = Some(value()?.decode()?);
            }
            "ttl" => {
                only(scheme, &["udp"], pair)?;
                self.ttl = Some(read(value()?, "a number of hops from 0 to 255")?);
            }
            "loop" => {
                only(scheme, &["udp"], pair)?;
                self.multicast_loop = Some(read::<u8>(value()?, "0 or 1")? != 0);
            }
            "wait" => {
                only(scheme, &["shm"], pair)?;
                self.wait = Some(value().and_then(wait)?);
            }
            "cert" | "key" | "ca" => {
                only(scheme, WITH_CERTIFICATES, pair)?;
                let file = Some(file(value()?)?);
                match key.text() {
                    "cert" => self.cert = file,
                    "key" => self.key = file,
                    _ => self.ca = file,
                }
            }
            "name" => {
                only(scheme, WITH_CERTIFICATES, pair)?;
                self.name = Some(value()?.decode()?);
            }
            "handshake" => {
                only(scheme, WITH_CERTIFICATES, pair)?;
                self.handshake_first = value()?.text() == "first";
                if !self.handshake_first {
                    return Err(value()?.expected("'first'"));
                }
            }
            _ => return Err(key.expected(KNOWN)),
        }
        Ok(())
    }
}

const KNOWN_FORM: &str = "an option with a value, as in 'deadline=5s'";

fn only(scheme: &str, schemes: &[&str], pair: Part<'_>) -> Result<(), EndpointError> {
    if schemes.contains(&scheme) {
        return Ok(());
    }
    Err(pair.expected(format!("an option of '{scheme}:' (this one belongs to {})", schemes.join(", "))))
}

fn read<T: std::str::FromStr>(part: Part<'_>, expected: &str) -> Result<T, EndpointError> {
    part.text().parse().map_err(|_| part.expected(expected))
}

fn file(part: Part<'_>) -> Result<PathBuf, EndpointError> {
    let path = part.decode()?;
    if path.is_empty() || path.contains('\0') {
        return Err(part.expected("the path of a file"));
    }
    Ok(PathBuf::from(path))
}

fn duration(part: Part<'_>) -> Result<Duration, EndpointError> {
    humantime::parse_duration(part.text()).map_err(|_| part.expected("a duration, as in '250ms' or '5s'"))
}

fn compression(part: Part<'_>) -> Result<Compression, EndpointError> {
    match part.text() {
        "zstd" => Ok(Compression::Zstd),
        "none" => Ok(Compression::None),
        _ => Err(part.expected("zstd or none")),
    }
}

fn wait(part: Part<'_>) -> Result<Wait, EndpointError> {
    match part.text() {
        "adaptive" => Ok(Wait::Adaptive),
        "busy" => Ok(Wait::Busy),
        "park" => Ok(Wait::Park),
        _ => Err(part.expected("adaptive, busy or park")),
    }
}

fn durability(part: Part<'_>) -> Result<Durability, EndpointError> {
    match part.text() {
        "memory" => Ok(Durability::Memory),
        "os" => Ok(Durability::Os),
        "disk" => Ok(Durability::Disk),
        _ => Err(part.expected("memory, os or disk")),
    }
}

/// How payloads are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Zstandard.
    Zstd,
}

/// What a thread does while nothing comes through shared memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// It looks for some microseconds, then sleeps; where looking does not help it looks less.
    #[default]
    Adaptive,
    /// It looks again and again and never sleeps: the lowest latency, for a whole processor.
    Busy,
    /// It sleeps at once: the least processor time.
    Park,
}

/// How far a message has got when it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// Into the memory of the server: it survives nothing.
    Memory,
    /// Into the operating system: it survives the death of the server, not of the machine.
    Os,
    /// Onto the disk: it survives the machine.
    Disk,
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pairs: Vec<String> = Vec::new();
        let mut add = |key: &str, value: Option<String>| pairs.extend(value.map(|value| format!("{key}={value}")));
        add("codec", self.codec.map(|codec| codec.to_string()));
        add("compress", self.compress.map(|c| if c == Compression::Zstd { "zstd" } else { "none" }.to_owned()));
        add("deadline", self.deadline.map(duration_text));
        add("window", self.window.map(|n| n.to_string()));
        add("retry", self.retry.map(|n| n.to_string()));
        add("fault", self.fault.as_ref().map(ToString::to_string));
        add("durability", self.durability.map(|level| format!("{level:?}").to_lowercase()));
        add("host", self.daemon.then(|| "daemon".to_owned()));
        add("iface", self.iface.as_deref().map(encode));
        add("ttl", self.ttl.map(|n| n.to_string()));
        add("loop", self.multicast_loop.map(|on| u8::from(on).to_string()));
        add("wait", self.wait.map(|wait| format!("{wait:?}").to_lowercase()));
        add("insecure", self.insecure.then(|| "true".to_owned()));
        for (key, file) in [("cert", &self.cert), ("key", &self.key), ("ca", &self.ca)] {
            add(key, file.as_ref().map(|file| encode(&file.to_string_lossy())));
        }
        add("name", self.name.as_deref().map(encode));
        add("handshake", self.handshake_first.then(|| "first".to_owned()));
        if pairs.is_empty() { Ok(()) } else { write!(f, "?{}", pairs.join("&")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;

    fn options(query: &str) -> Options {
        format!("tcp://h:1?{query}").parse::<Endpoint>().unwrap().options().clone()
    }

    fn error(text: &str) -> String {
        text.parse::<Endpoint>().unwrap_err().to_string()
    }

    #[test]
    fn typed_values_are_read() {
        let options = options("codec=cbor&compress=zstd&deadline=250ms&window=64&retry=3&insecure");
        assert_eq!((options.codec, options.compress), (Some(Codec::Cbor), Some(Compression::Zstd)));
        assert_eq!(
            (options.deadline, options.window, options.retry),
            (Some(Duration::from_millis(250)), Some(64), Some(3))
        );
        assert!(options.insecure);
    }

    #[test]
    fn a_way_of_waiting_is_read_and_written() {
        for (text, wait) in [("adaptive", Wait::Adaptive), ("busy", Wait::Busy), ("park", Wait::Park)] {
            let text = format!("shm:a?wait={text}");
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.options().wait, endpoint.to_string()), (Some(wait), text));
        }
    }

    #[test]
    fn errors_say_what_belongs_there() {
        assert!(error("tcp://h:1?colour=red").starts_with("expected one of the options codec,"));
        assert!(error("tcp://h:1?ttl=1").contains("belongs to udp"));
        assert!(error("tcp://h:1?wait=busy").contains("belongs to shm"));
        assert!(error("shm:a?wait=long").contains("adaptive, busy or park"));
        assert!(error("tcp://h:1?deadline=soon").contains("a duration, as in '250ms'"));
        assert!(error("tcp://h:1?deadline").contains("with a value"));
        assert!(error("tcp://h:1?window=1&window=2").contains("once"));
    }
}

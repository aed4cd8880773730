//! Hosts and ports as nats-server takes them: apart or together, `-1` for any free port.

use crosstie_core::{HostPort, Target};

/// The port of clients, unless given.
const CLIENT_PORT: u16 = 4222;

/// Where clients connect and where monitoring answers, before both are complete.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    /// nats-server listens on every interface unless told otherwise; this server on loopback.
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) http_host: Option<String>,
    pub(super) http_port: Option<u16>,
}

impl Addresses {
    pub(super) fn listen(&self) -> Target {
        Target::Tcp {
            host: HostPort { host: self.host.clone().unwrap_or_else(loopback), port: self.port.unwrap_or(CLIENT_PORT) },
        }
    }

    pub(super) fn http(&self) -> Option<HostPort> {
        self.http_port.map(|port| HostPort {
            // Not the clients' host: monitoring asks nobody who they are.
            host: self.http_host.clone().unwrap_or_else(loopback),
            port,
        })
    }
}

fn loopback() -> String {
    "127.0.0.1".to_owned()
}

/// A port number: `-1` is any free one (`Some(0)`), and 0 is as good as not given (`None`).
pub(super) fn port(number: i64) -> Result<Option<u16>, String> {
    match number {
        -1 => Ok(Some(0)),
        0 => Ok(None),
        _ => u16::try_from(number)
            .map(Some)
            .map_err(|_| format!("expected a port from 1 to 65535, or -1 for any free one, found {number}")),
    }
}

/// A host and a port in one text: `host:port`, `[::1]:port`, `:port`, `port` or `host`.
pub(super) fn host_and_port(text: &str) -> Result<(Option<String>, Option<u16>), String> {
    let (host, digits) = match text.rsplit_once(':') {
        Some((host, digits)) => (host, digits),
        None if text.parse::<i64>().is_ok() => ("", text),
        None => return Ok((Some(text.to_owned()), None)),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bare.is_none() && host.contains(':') {
        return Err(format!("an IPv6 address is written in brackets: expected '[{host}]:{digits}', found '{text}'"));
    }
    let number =
        digits.parse().map_err(|_| format!("expected a port after the last ':' of '{text}', found '{digits}'"))?;
    let host = bare.unwrap_or(host);
    Ok(((!host.is_empty()).then(|| host.to_owned()), port(number)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_come_in_five_forms() {
        let host = |host: &str| Some(host.to_owned());
        for (text, expected) in [
            ("127.0.0.1:4333", (host("127.0.0.1"), Some(4333))),
            ("[::1]:4333", (host("::1"), Some(4333))),
            (":4333", (None, Some(4333))),
            ("4333", (None, Some(4333))),
            ("-1", (None, Some(0))),
            ("localhost:-1", (host("localhost"), Some(0))),
            ("localhost", (host("localhost"), None)),
        ] {
            assert_eq!(host_and_port(text).unwrap(), expected, "{text}");
        }
        for text in ["::1:4222", "a:b", "a:70000", "a:-2"] {
            assert!(host_and_port(text).is_err(), "{text}");
        }
    }
}

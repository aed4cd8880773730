//! From text to target and options.

use std::path::PathBuf;

use super::{
    options::Options,
    part::{EndpointError, Part, shown},
    target::{Credentials, HostPort, Target, UnixAddress},
};

/// The longest URL in bytes.
pub(super) const MAX_LEN: usize = 8192;

const SCHEMES: &str = "a scheme: mem: pipe: fd: exec: fifo: unix: shm: tcp:// tls:// udp:// http:// https:// local: nats:// or nats+unix:";

pub(super) fn parse(text: &str) -> Result<(Target, Options), EndpointError> {
    let whole = Part::new(text);
    if text.len() > MAX_LEN {
        return Err(whole.expected(format!("a URL of at most {MAX_LEN} bytes (this one has {})", text.len())));
    }
    let (scheme, rest) = whole.split_once(':').ok_or_else(|| whole.expected(with_scheme(text)))?;
    if scheme.text() == "exec" {
        let command = rest.text().trim();
        let target = Target::Exec { command: command.to_owned() };
        return if command.is_empty() {
            Err(rest.expected("a command after 'exec:'"))
        } else {
            Ok((target, Options::default()))
        };
    }
    if let Some((_, fragment)) = rest.split_once('#') {
        return Err(fragment.expected("no '#' part: options follow '?'"));
    }
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let target = match scheme.text() {
        "mem" => Target::Mem { name: name(rest)? },
        "shm" => Target::Shm { name: name(rest)? },
        "local" => Target::Local { name: name(rest)? },
        "pipe" if rest.text().is_empty() => Target::Pipe,
        "pipe" => return Err(rest.expected("nothing after 'pipe:'")),
        "fd" => Target::Fd { number: descriptor(rest)? },
        "fifo" => Target::Fifo { path: path(rest)? },
        "unix" => Target::Unix { address: unix_address(rest)? },
        "nats+unix" => Target::NatsUnix { address: unix_address(rest)? },
        "tcp" => Target::Tcp { host: only_host(rest)? },
        "udp" => Target::Udp { host: only_host(rest)? },
        "tls" | "nats" => {
            let (authority, path) = authority(rest)?;
            if let Some(path) = path.filter(|path| !path.text().is_empty()) {
                return Err(path.expected("no path after the hosts"));
            }
            let (credentials, hosts) = credentials(authority)?;
            let servers = hosts.split(',').map(|host| host_port(host, Some(4222))).collect::<Result<_, _>>()?;
            if scheme.text() == "tls" {
                Target::Tls { servers, credentials }
            } else {
                Target::Nats { servers, credentials }
            }
        }
        "http" | "https" => {
            let secure = scheme.text() == "https";
            let (authority, path) = authority(rest)?;
            let (credentials, host) = credentials(authority)?;
            let host = host_port(host, Some(if secure { 443 } else { 80 }))?;
            let path = format!("/{}", path.map_or("", Part::text));
            Target::Http { secure, host, path, credentials }
        }
        _ => return Err(scheme.expected(with_scheme(text))),
    };
    let options = query.map_or_else(|| Ok(Options::default()), |query| Options::parse(query, target.scheme()))?;
    Ok((target, options))
}

/// What was probably meant by a text without a scheme, else the schemes there are. It repeats paths, hosts and ports alone, which hold no secrets.
fn with_scheme(text: &str) -> String {
    if text.starts_with('/') {
        let text = shown(text);
        return format!("a scheme, as in 'unix:{text}' or 'fifo:{text}'");
    }
    let is_host = |host: &str| !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    match text.rsplit_once(':') {
        Some((host, port)) if is_host(host) && port.parse::<u16>().is_ok() => format!("a scheme, as in 'tcp://{text}'"),
        _ => SCHEMES.to_owned(),
    }
}

fn name(part: Part<'_>) -> Result<String, EndpointError> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let text = part.text();
    let fits = !text.is_empty() && text.len() <= 128 && !text.starts_with('.') && text.chars().all(valid);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(part.expected("a name of 1 to 128 letters, digits, '-', '_' and '.', not starting with '.'"))
    }
}

fn descriptor(part: Part<'_>) -> Result<u32, EndpointError> {
    let number = part.text().parse().ok().filter(|number| *number <= i32::MAX as u32);
    number.ok_or_else(|| part.expected("the number of an inherited descriptor, as in 'fd:3'"))
}

fn path(part: Part<'_>) -> Result<PathBuf, EndpointError> {
    let path = part.strip_prefix("//").unwrap_or(part).decode()?;
    if !path.starts_with('/') {
        return Err(part.expected("an absolute path, as in '/run/bank.sock'"));
    }
    if path.contains('\0') {
        return Err(part.expected("a path without '%00', which no path can have"));
    }
    Ok(PathBuf::from(path))
}

/// The kernel's `sockaddr_un` holds 108 bytes, one of them for the final or leading NUL.
const UNIX_MAX: usize = 107;

fn unix_address(part: Part<'_>) -> Result<UnixAddress, EndpointError> {
    let address = match part.strip_prefix("@") {
        Some(rest) if rest.text().is_empty() => return Err(rest.expected("a name after '@'")),
        Some(rest) => UnixAddress::Abstract(rest.decode()?),
        None => UnixAddress::Path(path(part)?),
    };
    let len = match &address {
        UnixAddress::Path(path) => path.as_os_str().len(),
        UnixAddress::Abstract(name) => name.len(),
    };
    if len > UNIX_MAX {
        return Err(part.expected(format!("a socket address of at most {UNIX_MAX} bytes (this one has {len})")));
    }
    Ok(address)
}

/// What stands between `//` and the next `/`, and what follows it.
fn authority(part: Part<'_>) -> Result<(Part<'_>, Option<Part<'_>>), EndpointError> {
    let rest = part.strip_prefix("//").ok_or_else(|| part.expected("'//' and a host"))?;
    Ok(rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path))))
}

fn credentials(authority: Part<'_>) -> Result<(Option<Credentials>, Part<'_>), EndpointError> {
    let Some((user, hosts)) = authority.rsplit_once('@') else {
        return Ok((None, authority));
    };
    let credentials = match user.split_once(':') {
        Some((user, password)) => Credentials::Password { user: user.decode()?, password: password.decode()? },
        None => Credentials::Token(user.decode()?),
    };
    Ok((Some(credentials), hosts))
}

fn only_host(part: Part<'_>) -> Result<HostPort, EndpointError> {
    let (authority, path) = authority(part)?;
    if let Some(path) = path.filter(|path| !path.text().is_empty()) {
        return Err(path.expected("no path after the port"));
    }
    if authority.text().contains('@') {
        return Err(authority.expected("a host without a user"));
    }
    host_port(authority, None)
}

fn host_port(part: Part<'_>, default_port: Option<u16>) -> Result<HostPort, EndpointError> {
    let (host, port) = match part.strip_prefix("[") {
        Some(rest) => {
            let (host, tail) = rest.split_once(']').ok_or_else(|| part.expected("a ']' after the IPv6 address"))?;
            host.text()
                .parse::<std::net::Ipv6Addr>()
                .map_err(|_| host.expected("an IPv6 address between '[' and ']'"))?;
            let port = tail.strip_prefix(":");
            if port.is_none() && !tail.text().is_empty() {
                return Err(tail.expected("':' and a port after ']'"));
            }
            (host, port)
        }
        None => part.rsplit_once(':').map_or((part, None), |(host, port)| (host, Some(port))),
    };
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if host.text().is_empty()
        || !host.text().chars().all(valid)
        || (host.text().contains(':') && !part.text().starts_with('['))
    {
        return Err(host.expected("a host name or address (IPv6 in brackets)"));
    }
    let port = match (port, default_port) {
        (Some(port), _) => port.text().parse().map_err(|_| port.expected("a port from 0 to 65535"))?,
        (None, Some(default)) => default,
        (None, None) => return Err(part.expected("a host and a port, as in 'host:4222'")),
    };
    Ok(HostPort { host: host.text().to_owned(), port })
}

#[cfg(test)]
mod tests {
    use crate::Endpoint;

    fn error(text: &str) -> String {
        text.parse::<Endpoint>().unwrap_err().to_string()
    }

    #[test]
    fn every_scheme_prints_what_it_parsed() {
        for text in [
            "mem:shop",
            "pipe:",
            "fd:3",
            "exec:ssh host crosstie pipe 'a b?c'",
            "fifo:/run/a%20b",
            "unix:/run/bank.sock?deadline=5s",
            "unix:@bank",
            "shm:ledger",
            "tcp://127.0.0.1:7000?window=64",
            "tcp://[::1]:7000",
            "tls://a:4222,b:4333",
            "tls://a:4222?cert=/etc/a%20b.pem&key=a.key&ca=ca.pem&name=n1&handshake=first",
            "udp://239.0.0.1:7000?iface=eth0&ttl=1&loop=1",
            "http://h:80/rpc/bank",
            "https://h:443/",
            "local:shop",
            "nats://n1:4222,n2:4222,n3:4222?durability=disk",
            "nats+unix:/run/crosstie.sock",
            "unix:////run/bank.sock",
        ] {
            let endpoint: Endpoint = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(endpoint.to_string(), text);
            assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
        }
    }

    #[test]
    fn errors_name_the_part_and_its_column() {
        assert_eq!(
            error("tcp://host"),
            "expected a host and a port, as in 'host:4222', found 'host' (column 7 of 'tcp://host')"
        );
        assert!(error("tcp://host:99999").starts_with("expected a port from 0 to 65535, found '99999' (column 12"));
        assert!(error("kafka://x").starts_with("expected a scheme: mem:"));
        assert_eq!(
            error("/tmp/x"),
            "expected a scheme, as in 'unix:/tmp/x' or 'fifo:/tmp/x', found '/tmp/x' (column 1 of '/tmp/x')"
        );
        assert_eq!(
            error("localhost:80"),
            "expected a scheme, as in 'tcp://localhost:80', found 'localhost' (column 1 of 'localhost:80')"
        );
        assert!(error("localhost").starts_with("expected a scheme: mem:"));
        assert!(error("a b:80").starts_with("expected a scheme: mem:"));
        assert!(error("unix:relative").starts_with("expected an absolute path"));
        assert!(error("fd:x").contains("descriptor"));
        assert!(error("exec:").starts_with("expected a command after 'exec:', found nothing"));
        assert!(error("tcp://[::1:4").contains("']'"));
        assert!(error("tcp://::1:4").contains("IPv6 in brackets"));
        assert!(error("local:a/b").contains("a name of 1 to 128"));
        assert!(error("nats://a/b").contains("no path"));
        assert!(error("mem:x#y").contains("'#'"));
        assert!(error(&format!("unix:/{}", "x".repeat(200))).contains("at most 107 bytes"));
        assert!(error("unix:/a%zz").contains("hexadecimal"));
        assert!(error("unix:/a%00").contains("a path without '%00'"));
        assert!(error("unix:@a%zz").ends_with("found 'a%zz' (column 7 of 'unix:@a%zz')"));
    }

    #[test]
    fn an_error_is_as_long_as_a_person_reads_and_controls_no_terminal() {
        for text in [format!("/{}", "ä".repeat(100_000)), format!("exec:{}", "x".repeat(9000)), "x".repeat(8000)] {
            let told = error(&text);
            assert!(told.chars().count() < 600 && told.contains('…'), "{told}");
        }
        assert!(error(&"x".repeat(10_000)).starts_with("expected a URL of at most 8192 bytes (this one has 10000)"));
        let (told, short) = (error("unix:x\u{1b}[2J\n%zz"), format!("tcp://{}", "h".repeat(95)));
        assert!(told.contains("x\\u{1b}[2J\\n%zz") && !told.contains(char::is_control), "{told}");
        assert!(error(&short).ends_with(&format!("'{short}')")), "the control: what is short stands there whole");
    }

    #[test]
    fn secrets_appear_in_no_text() {
        let endpoint: Endpoint = "nats://ann:s3cret@n1,n2".parse().unwrap();
        assert_eq!(endpoint.to_string(), "nats://ann:***@n1:4222,n2:4222");
        assert!(!format!("{endpoint:?}").contains("s3cret"));
        assert!(!error("nats://ann:s3cret@n1:port").contains("s3cret"));
        assert!(!error("ann:s3cret@n1:4222").contains("s3cret"));
        assert_eq!("nats://t0ken@n".parse::<Endpoint>().unwrap().to_string(), "nats://***@n:4222");
    }

    #[test]
    fn what_acts_with_the_callers_rights_is_marked() {
        for (text, expected) in [
            ("exec:cat", false),
            ("fd:3", false),
            ("fifo:/x", false),
            ("tcp://h:1", true),
            ("tcp://h:1?fault=drop:1%", false),
            ("tls://h:1", true),
            ("tls://h:1?ca=/x", false),
            ("tls://h:1?cert=/x", false),
            ("nats://h:1?key=/x", false),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.may_come_from_elsewhere(), expected, "{text}");
            assert_eq!(endpoint.may_be_opened(), expected, "{text}: parsing is not vouching");
            assert!(endpoint.trusted().may_be_opened(), "{text}");
        }
    }
}

//! The pages, asked for over a real socket, about a broker that is made up.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{Mutex, mpsc},
};

use serde_json::Value;

use std::time::Duration;

use crosstie_broker::{ConnectionSnapshot, Options, Snapshot};

use super::{limited::MAX_CONNECTIONS, *};

#[derive(Default)]
struct Fake {
    snapshot: Mutex<Snapshot>,
}

impl Monitored for Fake {
    fn snapshot(&self) -> Snapshot {
        self.snapshot.lock().unwrap().clone()
    }

    fn options(&self) -> Arc<Options> {
        Arc::default()
    }

    fn connections(&self) -> Vec<ConnectionSnapshot> {
        Vec::new()
    }

    fn closed_connections(&self) -> Vec<ConnectionSnapshot> {
        Vec::new()
    }
}

fn start(fake: &Arc<Fake>) -> Monitoring {
    start_within(Deadlines::default(), fake)
}

fn start_within(deadlines: Deadlines, fake: &Arc<Fake>) -> Monitoring {
    let at = HostPort { host: "127.0.0.1".to_owned(), port: 0 };
    let about = About { insecure: false, clients: Some(HostPort { host: "127.0.0.1".to_owned(), port: 4333 }) };
    Monitoring::start_within(deadlines, &at, about, Arc::clone(fake) as _).unwrap()
}

fn get(monitoring: &Monitoring, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(monitoring.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn get_json(monitoring: &Monitoring, path: &str) -> Value {
    let (status, body) = get(monitoring, path);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

#[test]
fn varz_has_the_names_and_values_that_tools_read() {
    let fake = Arc::new(Fake::default());
    {
        let mut snapshot = fake.snapshot.lock().unwrap();
        snapshot.server_id = "NABC".to_owned();
        snapshot.connections = 3;
        snapshot.in_msgs = 7;
        snapshot.slow_consumers = 2;
        snapshot.uptime = Duration::from_secs(90_061);
    }
    let monitoring = start(&fake);
    let varz = get_json(&monitoring, "/varz");
    assert_eq!(varz["server_id"], "NABC");
    assert_eq!(varz["version"], NATS_VERSION_TEXT);
    assert_eq!((&varz["connections"], &varz["in_msgs"], &varz["port"]), (&3.into(), &7.into(), &4333.into()));
    assert_eq!(varz["slow_consumer_stats"]["clients"], 2);
    assert_eq!(varz["ping_interval"], 120_000_000_000_u64);
    assert_eq!(varz["uptime"], "1d1h1m1s");
    assert_eq!(varz["http_port"], monitoring.address().port());
    assert!(varz["mem"].as_u64().unwrap() > 0);
}

const NATS_VERSION_TEXT: &str = crosstie_broker::NATS_VERSION;

#[test]
fn health_ends_with_lame_duck_mode() {
    let fake = Arc::new(Fake::default());
    let monitoring = start(&fake);
    assert_eq!(get_json(&monitoring, "/healthz")["status"], "ok");
    fake.snapshot.lock().unwrap().lame_duck = true;
    let (status, body) = get(&monitoring, "/healthz");
    assert_eq!(status, 503);
    assert!(body.contains("lame duck"), "{body}");
}

#[test]
fn a_wrong_question_is_answered_with_what_would_be_right() {
    let monitoring = start(&Arc::new(Fake::default()));
    for (path, part) in [
        ("/connz?sort=size", "expected cid, start"),
        ("/connz?limit=many", "expected a whole number, found 'many'"),
        ("/connz?sort=stop", "closed connections"),
        ("/connz?subs=2", "expected 1, true"),
        ("/connz?auth=x", "expected 1, true"),
        ("/connz?cid=x", "expected a number"),
        ("/connz?state=odd", "expected open"),
        ("/subsz?test=a..b", "token 2"),
    ] {
        let (status, body) = get(&monitoring, path);
        assert_eq!(status, 400, "{path}");
        assert!(body.contains(part), "{path}: {body}");
    }
    assert_eq!(get(&monitoring, "/nothing").0, 404);
}

#[test]
fn metrics_are_described_typed_and_aggregated() {
    let fake = Arc::new(Fake::default());
    fake.snapshot.lock().unwrap().out_msgs = 9;
    let monitoring = start(&fake);
    let (status, body) = get(&monitoring, "/metrics");
    assert_eq!(status, 200);
    assert!(body.contains("\ncrosstie_out_messages_total 9\n"), "{body}");
    let series: Vec<_> = body.lines().filter(|line| !line.starts_with('#')).collect();
    for line in &series {
        let name = line.split(['{', ' ']).next().unwrap();
        assert!(body.contains(&format!("# TYPE {name} ")) && body.contains(&format!("# HELP {name} ")), "{name}");
    }
    assert_eq!(series.len(), body.lines().filter(|line| line.starts_with("# TYPE")).count());
}

#[test]
fn monitoring_beyond_loopback_must_be_spelled_out() {
    let at = HostPort { host: "0.0.0.0".to_owned(), port: 0 };
    let mut about = About { insecure: false, clients: None };
    let refused = Monitoring::start(&at, about.clone(), Arc::new(Fake::default()));
    assert!(refused.err().unwrap().to_string().contains("insecure"));
    about.insecure = true;
    assert!(Monitoring::start(&at, about, Arc::new(Fake::default())).is_ok());
}

/// Holds every place among the connections: `begin` goes out at once, then `drip` again and again, until this value is dropped.
struct Crowd {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Crowd {
    fn gather(monitoring: &Monitoring, begin: &[u8], drip: &'static [u8]) -> Self {
        let mut streams: Vec<_> =
            (0..MAX_CONNECTIONS).map(|_| TcpStream::connect(monitoring.address()).unwrap()).collect();
        for stream in &mut streams {
            // On a busy machine it may be over before it has begun.
            drop(stream.write_all(begin));
        }
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(Duration::from_millis(10)) == Err(mpsc::RecvTimeoutError::Timeout) {
                // Whoever was cut off is cut off.
                streams.iter_mut().for_each(|stream| drop(stream.write_all(drip)));
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn slow_connections_do_not_keep_monitoring_from_others() {
    let deadlines = Deadlines { request: Duration::from_secs(1), whole: Duration::from_secs(3) };
    let monitoring = start_within(deadlines, &Arc::new(Fake::default()));
    for (what, begin, drip) in [
        ("a head that never ends", &b"GET /healthz HTTP/1.1\r\nX: "[..], &b"x"[..]),
        ("a body that never ends", b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        ("one request after the other", b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
    ] {
        let _crowd = Crowd::gather(&monitoring, begin, drip);
        assert_eq!(get(&monitoring, "/healthz").0, 200, "{what}");
    }
}

#[test]
fn control_without_deadlines_slow_connections_hold_every_place() {
    let ever = Duration::from_secs(3600);
    let monitoring = start_within(Deadlines { request: ever, whole: ever }, &Arc::new(Fake::default()));
    let _crowd = Crowd::gather(&monitoring, b"GET /healthz HTTP/1.1\r\nX: ", b"x");
    let mut stream = TcpStream::connect(monitoring.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

//! The monitoring pages have the fields of nats-server 2.15.1, by name and type, except for those listed with a reason.
//!
//! With `CROSSTIE_NATS_SERVER` the list itself is checked against that program.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// A server with nats-server's command line, and a client that has done a little of everything.
struct Server {
    child: Child,
    http: u16,
    port: u16,
    theirs: bool,
    _folder: tempfile::TempDir,
    _client: BufReader<TcpStream>,
}

const CONFIG: &str = "authorization { users: [ {user: bob, password: pw} ] }";

impl Server {
    fn start() -> Self {
        let theirs = std::env::var_os("CROSSTIE_NATS_SERVER");
        let mut command = match &theirs {
            Some(program) => Command::new(program),
            None => Command::new(env!("CARGO_BIN_EXE_crosstie")),
        };
        if theirs.is_none() {
            command.arg("nats");
        }
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("server.conf");
        fs::write(&config, CONFIG).unwrap();
        let (port, http) = (free_port(), free_port());
        command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-m", &http.to_string(), "-c"]).arg(config);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let stream = connect(port);
        let mut client = BufReader::new(stream);
        client
            .get_mut()
            .write_all(
                b"CONNECT {\"user\":\"bob\",\"pass\":\"pw\",\"name\":\"n\",\"lang\":\"rust\",\"version\":\"1\",\"verbose\":false}\r\n\
                  SUB a.b q 1\r\nUNSUB 1 5\r\nPUB a.b 2\r\nhi\r\nPING\r\n",
            )
            .unwrap();
        let mut line = String::new();
        while !line.starts_with("PONG") {
            line.clear();
            assert!(client.read_line(&mut line).unwrap() > 0, "the server hung up");
        }
        connect(http);
        Self { child, http, port, theirs: theirs.is_some(), _folder: folder, _client: client }
    }

    /// A client that says this after its introduction, takes what it is answered, and goes.
    fn come_and_go(&self, said: &[u8]) {
        let before = self.json("/connz?state=closed")["total"].as_u64();
        let mut client = BufReader::new(connect(self.port));
        client.get_mut().write_all(b"CONNECT {\"user\":\"bob\",\"pass\":\"pw\",\"verbose\":false}\r\n").unwrap();
        client.get_mut().write_all(said).unwrap();
        let mut line = String::new();
        // What the server hangs up on may end in a reset: what was sent too much was not read.
        while !line.starts_with("PONG") && client.read_line(&mut line).is_ok_and(|count| count > 0) {
            if !line.starts_with("PONG") {
                line.clear();
            }
        }
        drop(client);
        let begun = Instant::now();
        while self.json("/connz?state=closed")["total"].as_u64() == before {
            assert!(begun.elapsed() < Duration::from_secs(20), "the server keeps a client that has gone");
        }
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = connect(self.http);
        write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port below those that the system gives away by itself, so that nobody else is given it before the server has it.
fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(20_000..30_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn connect(port: u16) -> TcpStream {
    let begun = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => {
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                return stream;
            }
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(20), "{error}"),
        }
        std::thread::yield_now();
    }
}

/// Every field below `value` with its type; the rows of a list are taken together.
fn fields(at: &str, value: &Value, found: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(rows) => {
            rows.iter().for_each(|row| fields(&format!("{at}[]"), row, found));
            "list"
        }
        Value::Object(members) => {
            // The members are the pages that were asked for.
            if !at.ends_with(".http_req_stats") {
                members.iter().for_each(|(name, member)| fields(&format!("{at}.{name}"), member, found));
            }
            "object"
        }
    };
    found.entry(at.to_owned()).or_default().insert(kind);
}

/// The page, and the name under which its fields are listed.
const PAGES: [(&str, &str); 6] = [
    ("/connz?state=closed&subs=detail", "connz"),
    ("/healthz", "healthz"),
    ("/varz", "varz"),
    ("/connz?subs=detail&auth=1", "connz"),
    ("/connz?subs=1", "connz"),
    ("/subsz?subs=1", "subsz"),
];

/// The fields that a server has, as lines: `varz.port number`.
fn lines(server: &Server) -> BTreeSet<String> {
    let mut found = BTreeMap::new();
    for (path, name) in PAGES {
        fields(name, &server.json(path), &mut found);
    }
    found.into_iter().flat_map(|(at, kinds)| kinds.into_iter().map(move |kind| format!("{at} {kind}"))).collect()
}

fn list() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/monitoring.fields")
}

/// The list: every field with who has it (`both`, `theirs: why not we`, `ours: why not they`).
fn listed(theirs: bool) -> BTreeSet<String> {
    let text = fs::read_to_string(list()).unwrap();
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.splitn(3, ' ');
        let (at, kind, who) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or("both"));
        let has = match who.split_once(": ") {
            None => who == "both",
            Some(("theirs", why)) if !why.is_empty() => theirs,
            Some(("ours", why)) if !why.is_empty() => !theirs,
            Some(_) => panic!("not understood: {line}"),
        };
        if has {
            found.insert(format!("{at} {kind}"));
        }
    }
    found
}

#[test]
fn the_fields_are_those_of_nats_server_and_each_difference_has_a_reason() {
    let server = Server::start();
    server.come_and_go(b"SUB a q 1\r\nPING\r\n");
    let (got, expected) = (lines(&server), listed(server.theirs));
    let missing: Vec<_> = expected.difference(&got).collect();
    let more: Vec<_> = got.difference(&expected).collect();
    assert!(missing.is_empty() && more.is_empty(), "missing: {missing:#?}\nmore than listed: {more:#?}");
}

#[test]
fn a_question_is_answered_as_nats_server_answers_it() {
    let server = Server::start();
    let cid = server.json("/connz")["connections"][0]["cid"].clone();
    // The path, the status, how many connections or subscriptions are shown, and out of how many.
    for (path, shown, total) in [
        ("/connz".to_owned(), 1, 1),
        ("/connz?sort=start".to_owned(), 1, 1),
        ("/connz?sort=rtt&subs=0&auth=F".to_owned(), 1, 1),
        ("/connz?limit=1&offset=1".to_owned(), 0, 1),
        ("/connz?limit=-1&offset=-1".to_owned(), 1, 1),
        ("/connz?offset=99".to_owned(), 0, 1),
        ("/connz?state=open".to_owned(), 1, 1),
        ("/connz?user=bob&auth=1".to_owned(), 1, 1),
        ("/connz?acc=$G".to_owned(), 1, 1),
        ("/connz?acc=other".to_owned(), 0, 0),
        (format!("/connz?cid={cid}"), 1, 1),
    ] {
        let page = server.json(&path);
        let rows = page["connections"].as_array().map_or(0, Vec::len);
        assert_eq!((rows, &page["num_connections"], &page["total"]), (shown, &shown.into(), &total.into()), "{path}");
    }
    for path in [
        "/connz?sort=size",
        "/connz?sort=stop",
        "/connz?sort=reason",
        "/connz?state=odd",
        "/connz?limit=many",
        "/connz?subs=2",
        "/connz?auth=x",
        "/connz?cid=x",
        "/subsz?subs=x",
        "/subsz?limit=x",
        "/subsz?test=a..b",
    ] {
        assert_eq!(server.get(path).0, 400, "{path}");
    }
    assert_eq!(server.get("/nothing").0, 404);
    let subsz = server.json("/subsz?subs=1&test=a.b");
    assert_eq!(subsz["subscriptions_list"][0]["subject"], "a.b");
    assert_eq!(server.json("/subsz?test=a.b").get("subscriptions_list"), None, "only if asked for");
}

#[test]
fn a_connection_that_has_ended_is_told_with_its_reason_in_the_words_of_nats_server() {
    let server = Server::start();
    let long = format!("PUB {} 1\r\n", "x".repeat(5000));
    let cases: [(&[u8], &str); 9] = [
        (b"SUB a q 1\r\nSUB b 2\r\nPING\r\n", "Client Closed"),
        (b"CONNECT {\"user\":\"bob\",\"pass\":\"wrong\"}\r\n", "Authentication Failure"),
        (b"HELLO\r\n", "Protocol Violation"),
        (b"PUB\r\n", "Protocol Violation"),
        (b"PUB x 2000000\r\n", "Maximum Message Payload Exceeded"),
        (long.as_bytes(), "Maximum Control Line Exceeded"),
        (b"-ERR 'no'\r\n", "Parse Error"),
        (b"CONNECT {\"user\":\"bob\",\"pass\":\"pw\",\"protocol\":7}\r\n", "Bad Client Protocol Version"),
        (
            b"CONNECT {\"user\":\"bob\",\"pass\":\"pw\",\"no_responders\":true,\"headers\":false}\r\n",
            "No Responders Requires Headers",
        ),
    ];
    for (said, _) in &cases {
        server.come_and_go(said);
    }
    let page = server.json("/connz?state=closed&subs=1");
    let rows = page["connections"].as_array().unwrap();
    let reasons: Vec<_> = rows.iter().map(|row| row["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, cases.map(|(_, reason)| reason));
    assert_eq!(
        (&rows[0]["subscriptions"], rows[0]["subscriptions_list"].as_array().map(Vec::len)),
        (&2.into(), Some(2))
    );
    assert!(rows.iter().all(|row| row["stop"].as_str() >= row["start"].as_str()), "{rows:#?}");
    let last = &server.json("/connz?state=closed&sort=stop&limit=1")["connections"][0];
    assert_eq!(last["cid"], rows[8]["cid"], "the last first");
    let by_reason = server.json("/connz?state=closed&sort=reason");
    assert_eq!(by_reason["connections"][0]["reason"], "Authentication Failure");
    assert_eq!(server.json("/connz?state=all")["total"], 10, "with the one that is there");
    assert_eq!(server.json("/connz")["total"], 1, "which is the only one that is open");
    let subsz = server.json("/subsz");
    assert_eq!(
        subsz["num_inserts"].as_u64().unwrap() - subsz["num_removes"].as_u64().unwrap(),
        subsz["num_subscriptions"].as_u64().unwrap()
    );
}

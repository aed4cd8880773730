//! `crosstie ps` as a shell meets it: who listens where, who is connected, and that nothing is left of the dead.

mod place;
mod shell;
mod terminal;

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    process::{Command, Stdio},
};

use place::Place;
use serde_json::Value;
use shell::{Running, until};

/// A command that listens, and where.
fn listening(mut command: Command) -> (Running, String) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let at = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
    (Running(child), at)
}

/// The row of a process, if there is one.
fn row(place: &Place, pid: u32) -> Option<Value> {
    place.json(&["ps"]).into_iter().find(|row| row["pid"] == pid)
}

#[test]
fn listeners_of_every_kind_are_listed_and_gone_when_they_are_killed() {
    let place = Place::new();
    let socket = tempfile::tempdir().unwrap();
    let tls = socket.path().join("tls").display().to_string();
    assert!(place.crosstie(&["tls", "init", &tls]).output().unwrap().status.success());
    for (words, kind) in [
        (["pipe", "tcp://:0", "exec:cat"].to_vec(), "stream"),
        (vec!["listen", &format!("tls://:0?cert={tls}/server.pem&key={tls}/server.key")], "stream"),
        (vec!["listen", &format!("unix:{}/s", socket.path().display())], "stream"),
        (vec!["listen", "unix:@crosstie-ps-test"], "stream"),
        (vec!["listen", "shm:listed"], "stream"),
        (vec!["recv", "udp://:0"], "datagram"),
        (vec!["recv", "-d", "shm:listed"], "datagram"),
        (vec!["recv", "-d", &format!("unix:{}/d", socket.path().display())], "datagram"),
    ] {
        let (mut child, at) = listening(place.crosstie(&words));
        let pid = child.0.id();
        let row = row(&place, pid).unwrap_or_else(|| panic!("{words:?} is not listed"));
        assert_eq!((&row["endpoint"], &row["kind"], &row["state"]), (&at.into(), &kind.into(), &"listens".into()));
        assert_eq!(row["command"], "crosstie");
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        assert_eq!(crate::row(&place, pid), None, "{words:?}: of the dead nothing is left");
    }
}

#[test]
fn who_is_connected_is_counted_and_named() {
    let place = Place::new();
    let (server, at) = listening(place.crosstie(&["pipe", "tcp://:0", "exec:cat"]));
    let seen = || {
        let row = row(&place, server.0.id()).unwrap();
        (row["connections"].as_u64().unwrap(), row["peers"].as_array().unwrap().clone())
    };
    assert_eq!(seen(), (0, vec![]), "nobody has come yet");
    let mut client = TcpStream::connect(at.strip_prefix("tcp://").unwrap()).unwrap();
    client.write_all(b"a").unwrap();
    // When the answer is there it has been accepted.
    client.read_exact(&mut [0]).unwrap();
    assert_eq!(seen(), (1, vec![std::process::id().into()]));
    drop(client);
    until("it has gone", || seen().0 == 0);
}

#[test]
fn connections_of_a_unix_socket_are_counted_and_named() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let (server, _) = listening(place.crosstie(&["pipe", &format!("listen:unix:{}", path.display()), "exec:cat"]));
    let seen = || {
        let row = row(&place, server.0.id()).unwrap();
        (row["connections"].as_u64().unwrap(), row["peers"].as_array().unwrap().clone())
    };
    assert_eq!(seen(), (0, vec![]), "nobody has come yet");
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"a").unwrap();
    client.read_exact(&mut [0]).unwrap();
    assert_eq!(seen(), (1, vec![std::process::id().into()]));
    drop(client);
    until("it has gone", || seen() == (0, vec![]));
}

#[test]
fn peers_over_shared_memory_and_senders_of_datagrams_are_named() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let at = format!("unix:{}/d", folder.path().display());
    for (listens, speaks) in [
        (&["listen", "shm:named"][..], &["pipe", "shm:named", "-"][..]),
        (&["recv", "-d", "shm:named"], &["send", "-d", "shm:named"]),
        (&["recv", "-d", &at], &["send", "-d", &at]),
    ] {
        let (server, _) = listening(place.crosstie(listens));
        let peers = || row(&place, server.0.id()).unwrap()["peers"].clone();
        assert_eq!(peers(), serde_json::json!([]), "{listens:?}: nobody has come yet");
        // It speaks as long as its input lasts.
        let mut command = place.crosstie(speaks);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let client = Running(command.spawn().unwrap());
        until("it has come", || peers() == serde_json::json!([client.0.id()]));
        drop(client);
        until("it has gone", || peers() == serde_json::json!([]));
    }
}

#[test]
fn a_broker_is_listed() {
    let place = Place::new();
    let broker = shell::Broker::open();
    let row = row(&place, broker.process.0.id()).unwrap();
    assert_eq!(row["endpoint"], broker.url.replace("nats+unix:", "unix:"));
}

#[test]
fn who_shares_memory_is_listed_with_the_others_in_it() {
    let place = Place::new();
    let holder = |place: &Place| {
        let mut command = place.crosstie(&["lock", "shared", "--", "sh", "-c", "echo held; cat"]);
        Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    };
    let mut first = holder(&place);
    BufReader::new(first.0.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    let second = holder(&place);
    until("both take part", || {
        let rows = place.json(&["ps"]);
        let row = |pid: u32| rows.iter().find(|row| row["pid"] == pid && row["kind"] == "segment").cloned();
        let (one, other) = (row(first.0.id()), row(second.0.id()));
        one.is_some_and(|it| it["peers"][0] == second.0.id()) && other.is_some_and(|it| it["peers"][0] == first.0.id())
    });
}

#[test]
fn control_a_process_that_says_it_listens_and_does_not_is_not_believed() {
    // It says what a listener says, and has no such socket; the endpoint that it names is never opened.
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let trap = folder.path().join("trap");
    for (endpoint, state) in
        [("unix:/nowhere/at/all".to_owned(), "gone"), (format!("exec:touch {}", trap.display()), "?")]
    {
        let name = rustix::fs::memfd_create("crosstie-endpoint", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut file = File::from(name);
        write!(file, "crosstie-endpoint 1\n{}\nstream\n{endpoint}\n", std::process::id()).unwrap();
        let rows = place.json(&["ps"]);
        let row = rows.iter().find(|row| row["endpoint"] == endpoint.as_str()).unwrap();
        assert_eq!((&row["pid"], &row["state"]), (&std::process::id().into(), &state.into()));
    }
    assert!(!trap.exists());
}

#[test]
fn the_table_fits_a_terminal() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let long = format!("unix:{}/{}", folder.path().display(), "x".repeat(80));
    let (_child, at) = listening(place.crosstie(&["listen", &long]));
    let shown = place.shown(60, &["ps"]);
    assert!(shown.contains("ENDPOINT") && shown.lines().all(|line| line.chars().count() <= 60), "{shown}");
    assert!(place.text(&["ps"]).contains(&at), "a pipe has everything");
}

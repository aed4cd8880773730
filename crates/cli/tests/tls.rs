//! TLS from a shell: certificates made, a broker started with them, a client let in, and certificates read again.

mod shell;

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{ChildStderr, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use shell::{Running, crosstie, run, text};

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Certificates in a folder of their own.
fn made(folder: &Path, more: &[&str]) {
    let output = run(crosstie(&["tls", "init", folder.to_str().unwrap()]).args(more));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

/// A server that is ready, and the rest of its log.
fn started(arguments: &[&str]) -> (Running, impl FnMut(&str) -> String + use<>) {
    let mut child = crosstie(arguments).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let running = Running(child);
    let mut wait_for = move |part: &str| said(&mut log, part);
    wait_for("Server is ready");
    (running, wait_for)
}

fn said(log: &mut BufReader<ChildStderr>, part: &str) -> String {
    let mut all = String::new();
    loop {
        let before = all.len();
        assert!(log.read_line(&mut all).unwrap() > 0, "the log ended without '{part}': {all}");
        if all[before..].contains(part) {
            return all;
        }
    }
}

fn url(port: u16, folder: &Path, shows: bool) -> String {
    let at = folder.display();
    let shown = if shows { format!("&cert={at}/client.pem&key={at}/client.key") } else { String::new() };
    format!("tls://localhost:{port}?ca={at}/ca.pem{shown}")
}

#[test]
fn the_certificates_of_a_trial_are_made_once_and_keys_are_their_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("new/tls");
    let output =
        run(&mut crosstie(&["tls", "init", at.to_str().unwrap(), "--name", "node1", "--client", "ann", "--json"]));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["names"], serde_json::json!(["localhost", "127.0.0.1", "::1", "node1"]));
    assert_eq!((&value["client"], &value["schema"]), (&"ann".into(), &1.into()));
    for file in value["files"].as_array().unwrap() {
        let path = at.join(file.as_str().unwrap());
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let is_key = path.extension().unwrap() == "key";
        assert_eq!(mode & 0o077 == 0, is_key, "{file}: {mode:o}");
    }
    // Nothing is written over.
    let before = fs::read(at.join("ca.key")).unwrap();
    let again = run(&mut crosstie(&["tls", "init", at.to_str().unwrap()]));
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("is there already"), "{}", text(&again.stderr));
    assert_eq!(fs::read(at.join("ca.key")).unwrap(), before);
    let wrong = run(&mut crosstie(&["tls", "init", folder.path().join("x").to_str().unwrap(), "--name", "näme"]));
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
}

#[test]
fn a_broker_with_certificates_lets_in_who_shows_one_and_reads_new_ones_on_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("tls");
    made(&at, &[]);
    let file = |name: &str| at.join(name).display().to_string();
    let port = free_port();
    let listen = format!("tcp://127.0.0.1:{port}");
    let (cert, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
    let flags = ["serve", "--listen", &listen, "--tls-cert", &cert, "--tls-key", &key, "--tls-ca", &ca];
    let (server, mut wait_for) = started(&flags);
    let publish = |url: &str| run(&mut crosstie(&["-s", url, "pub", "a", "hi"]));
    assert_eq!(publish(&url(port, &at, true)).status.code(), Some(0));
    let told = |url: &str, code: i32, part: &str| {
        let output = publish(url);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(part), "{}", text(&output.stderr));
    };
    // Without a certificate, without an authority, and in the clear, where the server asks for TLS all the same.
    told(&url(port, &at, false), 4, "certificate");
    told(&format!("tls://localhost:{port}"), 4, "ca=");
    told(&format!("nats://localhost:{port}"), 4, "ca=");
    // Certificates of another authority take their place.
    let other = folder.path().join("other");
    made(&other, &[]);
    for name in ["server.pem", "server.key", "ca.pem"] {
        fs::copy(other.join(name), at.join(name)).unwrap();
    }
    kill_process(Pid::from_raw(i32::try_from(server.0.id()).unwrap()).unwrap(), Signal::HUP).unwrap();
    wait_for("Reloaded server configuration");
    assert_eq!(publish(&url(port, &other, true)).status.code(), Some(0));
    // What does not hold what it should is refused, and the server goes on with what it has.
    fs::write(&cert, "nothing").unwrap();
    kill_process(Pid::from_raw(i32::try_from(server.0.id()).unwrap()).unwrap(), Signal::HUP).unwrap();
    assert!(wait_for("Reload refused").contains("BEGIN CERTIFICATE"));
    assert_eq!(publish(&url(port, &other, true)).status.code(), Some(0));
}

/// In a session of their own, that is without a terminal, whose end the signal would be.
#[test]
fn commands_that_listen_read_new_certificates_on_a_signal_too() {
    for (command, with, ask, what) in
        [("listen", &["--exec", "cat"][..], &["pipe", "-"][..], None), ("recv", &[], &["send"], Some("hi"))]
    {
        let folder = tempfile::tempdir().unwrap();
        let (at, other) = (folder.path().join("tls"), folder.path().join("other"));
        made(&at, &[]);
        made(&other, &[]);
        let port = free_port();
        let place = format!("tls://127.0.0.1:{port}?cert={0}/server.pem&key={0}/server.key", at.display());
        let mut listening = Command::new("setsid");
        listening.args([env!("CARGO_BIN_EXE_crosstie"), command, &place]);
        listening.args(with);
        listening.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut listening = listening.spawn().unwrap();
        let mut log = BufReader::new(listening.stderr.take().unwrap());
        let listening = Running(listening);
        said(&mut log, "listening on");
        let asks = |folder: &Path| {
            let url = url(port, folder, false);
            run(crosstie(ask).arg(url).args(what)).status.success()
        };
        assert!(asks(&at) && !asks(&other), "{command}");
        for name in ["server.pem", "server.key"] {
            fs::copy(other.join(name), at.join(name)).unwrap();
        }
        let hang_up = || kill_process(Pid::from_child(&listening.0), Signal::HUP).unwrap();
        hang_up();
        said(&mut log, "are read again");
        assert!(asks(&other) && !asks(&at), "{command}");
        fs::write(at.join("server.pem"), "nothing").unwrap();
        hang_up();
        said(&mut log, "nothing has changed");
        assert!(asks(&other), "{command}");
    }
}

#[test]
fn the_command_line_of_nats_server_speaks_tls_too() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("tls");
    made(&at, &[]);
    let file = |name: &str| at.join(name).display().to_string();
    let (port, text_of_port) = (free_port(), |port: u16| port.to_string());
    let (cert, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
    let at_port = text_of_port(port);
    let flags =
        ["nats", "-p", &at_port, "--tls", "--tlscert", &cert, "--tlskey", &key, "--tlscacert", &ca, "--tlsverify"];
    let (_server, _) = started(&flags);
    assert_eq!(run(&mut crosstie(&["-s", &url(port, &at, true), "pub", "a"])).status.code(), Some(0));
    assert_eq!(run(&mut crosstie(&["-s", &url(port, &at, false), "pub", "a"])).status.code(), Some(4));

    let (port, config) = (free_port(), folder.path().join("n.conf"));
    let block = format!(
        "listen: \"127.0.0.1:{port}\"\ntls {{ cert_file: \"{cert}\", key_file: \"{key}\", handshake_first: true, timeout: 1 }}\n"
    );
    fs::write(&config, block).unwrap();
    let (_server, _) = started(&["nats", "-c", config.to_str().unwrap()]);
    let first = format!("{}&handshake=first", url(port, &at, false));
    assert_eq!(run(&mut crosstie(&["-s", &first, "pub", "a"])).status.code(), Some(0));

    let refused = run(&mut crosstie(&["nats", "--tls", "--tlscert", &cert, "--tlskey", &key, "--tlsverify"]));
    assert!(text(&refused.stderr).contains("'ca_file'"), "{}", text(&refused.stderr));
}

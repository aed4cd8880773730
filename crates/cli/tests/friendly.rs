//! What a newcomer meets: help that fits the terminal, errors that say what to do, and a connection that is told of.

mod shell;
mod terminal;

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    os::fd::OwnedFd,
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};
use shell::{Broker, Running, crosstie, run, text, until};
use terminal::{read_all, terminal};

const CONNECTING: [&str; 5] = ["pub", "sub", "request", "reply", "bench"];
const OTHERS: [&str; 14] = [
    "serve",
    "check-config",
    "demo",
    "pipe",
    "listen",
    "send",
    "recv",
    "ps",
    "lock",
    "locks",
    "shm",
    "tls",
    "completions",
    "man",
];

fn help(command: &str) -> String {
    let output = run(&mut crosstie(&[command, "--help"]));
    text(&output.stdout).to_owned()
}

#[test]
fn the_broker_is_an_option_of_the_commands_that_connect_alone() {
    for command in CONNECTING {
        assert!(help(command).contains("--server <URL>") && help(command).contains("CROSSTIE_URL"), "{command}");
    }
    for command in OTHERS {
        assert!(!help(command).contains("--server <"), "{command}");
    }
    let root = run(&mut crosstie(&["--help"]));
    assert!(text(&root.stdout).contains("CROSSTIE_URL") && text(&root.stdout).contains("CROSSTIE_CONFIG"));
}

#[test]
fn help_fits_a_terminal_of_80_columns_and_global_options_stand_apart() {
    for command in CONNECTING.into_iter().chain(OTHERS) {
        let help = help(command);
        let wide: Vec<_> = help.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{command}: {wide:#?}");
        let (own, global) = help.split_once("Global options:").unwrap_or_else(|| panic!("{command}: {help}"));
        let (_, own) = own.split_once("\n\nUsage: ").unwrap_or_else(|| panic!("{command}: {own}"));
        assert!(!own.contains("--json") && global.contains("--json") && global.contains("--color"), "{command}");
    }
}

#[test]
fn help_begins_with_examples_that_are_aligned_and_unbroken() {
    for command in [""].into_iter().chain(CONNECTING).chain(OTHERS) {
        let words: Vec<_> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let output = run(&mut crosstie(&words));
        let (before, rest) = text(&output.stdout).split_once("\nExamples:\n").unwrap_or_else(|| panic!("{command}"));
        assert_eq!(before.lines().count(), 1, "{command}: {before}");
        let (examples, _) = rest.split_once("\n\nUsage: ").unwrap_or_else(|| panic!("{command}"));
        let mut columns: Vec<_> = Vec::new();
        for line in examples.lines() {
            // A longer explanation has a line of its own, in the same column.
            let is_example = line.starts_with("  crosstie");
            assert!(is_example || line.starts_with("            "), "{command}: {line}");
            let said = if is_example { 2 } else { 0 };
            let explained = line[said..].find("  ").map(|at| said + at);
            columns.extend(explained.map(|at| at + line[at..].len() - line[at..].trim_start().len()));
        }
        columns.dedup();
        assert!(columns.len() <= 1, "{command}: explanations begin at {columns:?}\n{examples}");
    }
}

#[test]
fn every_error_begins_with_the_name_of_the_command() {
    for arguments in
        [&["pub"][..], &["nonsense"], &["pub", "a", "--count", "0"], &["sub", "a..b"], &["shm", "show", "No"]]
    {
        let output = run(&mut crosstie(arguments));
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).starts_with("crosstie: "), "{}", text(&output.stderr));
    }
}

#[test]
fn a_variable_that_is_set_is_not_shown_as_an_option_to_be_typed() {
    let output = run(crosstie(&["sub"]).env("CROSSTIE_URL", "nats://127.0.0.1:1"));
    assert!(text(&output.stderr).contains("Usage: crosstie sub [OPTIONS] <PATTERN>\n"), "{}", text(&output.stderr));
    let output = run(crosstie(&["lock", "a"]).env("CROSSTIE_DIR", "/nowhere"));
    assert!(text(&output.stderr).contains("Usage: crosstie lock [OPTIONS] <NAME> -- <COMMAND>...\n"));
    // The control: what was typed is shown.
    let output = run(&mut crosstie(&["sub", "--server", "nats://127.0.0.1:1"]));
    assert!(text(&output.stderr).contains("Usage: crosstie sub --server <URL> <PATTERN>\n"));
}

#[test]
fn usage_shows_as_required_what_is_required() {
    for (command, usage) in [
        ("pub", "crosstie pub [OPTIONS] <SUBJECT> [PAYLOAD]"),
        ("sub", "crosstie sub [OPTIONS] <PATTERN>"),
        ("request", "crosstie request [OPTIONS] <SUBJECT> [PAYLOAD]"),
        ("reply", "crosstie reply [OPTIONS] <PATTERN> [TEMPLATE]"),
        ("bench", "crosstie bench [OPTIONS] [ENDPOINT]"),
    ] {
        assert!(help(command).contains(&format!("Usage: {usage}\n")), "{}", help(command));
    }
}

#[test]
fn every_variable_of_the_server_is_in_its_help() {
    let help = help("serve").replace(['\n', ' '], "");
    let printed = run(&mut crosstie(&["--json", "serve", "--print-config"]));
    let value: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    for key in value["keys"].as_array().unwrap() {
        let variable = format!("CROSSTIE_{}", key["key"].as_str().unwrap().replace('.', "_").to_uppercase());
        assert!(help.contains(&variable), "{variable}");
    }
}

#[test]
fn what_is_missing_or_misspelt_is_named_with_what_there_is() {
    for (arguments, parts) in [
        (&["reply", "a"][..], &["TEMPLATE", "--echo", "--exec"][..]),
        (&["pub", "a", "{{cuont}}"], &["{{cuont}}", "{{count}}", "{{time}}", "{{random}}"]),
        (&["reply", "a", "{{body}}"], &["{{body}}", "{{payload}}", "{{subject}}", "{{count}}"]),
        (&["pub", "a", "--count", "0"], &["--count", "from 1 on"]),
        (&["bench", "--seconds", "1e300"], &["--seconds", "at most 86400"]),
        (&["bench", "--size", "8"], &["--size", "16", "64KiB"]),
        (&["bench", "/tmp/x"], &["'unix:/tmp/x'"]),
        (&["bench", "localhost:4222"], &["'tcp://localhost:4222'"]),
        (&["pub", "a", "-s", "kafka://ann:pw@h"], &["nats://localhost:4222", "tls://", "found 'kafka://***@h'"]),
        (&["serve", "--listen", "kafka://h"], &["tcp://host:port", "unix:/path", "found 'kafka://h'"]),
        (&["listen", "udp://:0"], &["datagrams", "unix:", "tcp:"]),
        (&["send", "udp://:7", "x"], &["to whom", "'udp://127.0.0.1:7000'"]),
        (&["listen", "tls://:0"], &["cert=", "key=", "crosstie tls init"]),
        (&["tls", "init", "/nowhere", "--name", "a b"], &["--name", "host name", "'a b'"]),
    ] {
        let output = run(&mut crosstie(arguments));
        assert_eq!(output.status.code(), Some(2));
        for part in parts {
            assert!(text(&output.stderr).contains(part), "{}", text(&output.stderr));
        }
    }
    // What does not help is not said.
    let output = run(&mut crosstie(&["reply", "a", "{{body}}"]));
    assert!(!text(&output.stderr).contains("standard input"), "{}", text(&output.stderr));
    let output = run(&mut crosstie(&["pub", "a", "-s", "kafka://h"]));
    assert!(!text(&output.stderr).contains("fifo:"), "{}", text(&output.stderr));
}

#[test]
fn an_address_that_is_taken_is_told_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("tcp://{}", taken.local_addr().unwrap());
    for arguments in [["serve", "--listen", &at], ["listen", &at, "--once"], ["recv", &at, "--raw"]] {
        let output = run(&mut crosstie(&arguments));
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(&format!("'{at}'; somebody listens there")), "{}", text(&output.stderr));
    }
}

#[test]
fn a_place_where_no_socket_can_be_is_told_with_what_is_wrong_there() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("unix:{}/{name}", folder.path().display());
    std::fs::write(folder.path().join("file"), "kept").unwrap();
    for (more, kind) in [(None, "messages"), (Some("--datagram"), "datagrams")] {
        for (name, said) in [("file", "what is there is no socket"), ("no/s", "its folder is not there")] {
            let output = run(crosstie(&["recv", &at(name), "--timeout=1s"]).args(more));
            assert_eq!(output.status.code(), Some(1), "{kind}");
            assert!(text(&output.stderr).contains(said), "{kind}: {}", text(&output.stderr));
        }
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("file")).unwrap(), "kept");
}

#[test]
fn the_help_of_the_server_says_what_a_value_looks_like_and_what_holds_without_it() {
    let help = help("serve").split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "--listen <ENDPOINTS> Where clients connect: tcp://host:port and unix:/path, with commas [default: tcp://127.0.0.1:4222]",
        "--insecure [<BOOL>]",
        "--ping-interval <DURATION>",
        "--limits-max-payload <SIZE> Bytes of a payload, headers included [default: 1MiB]",
        "--log-format <VALUE> How a line looks: for people, one JSON object each, or as nats-server writes it: text, json, or nats [default: text]",
    ] {
        assert!(help.contains(part), "{part}\n{help}");
    }
}

#[test]
fn a_pause_beyond_the_clock_is_waited_for_and_no_panic() {
    let broker = Broker::open();
    let mut command = crosstie(&["pub", "a", "x", "--count", "2", "--every", "500000000000y", "-s", &broker.url]);
    let mut waiting = Running(command.stderr(Stdio::piped()).spawn().unwrap());
    let mut sub = crosstie(&["sub", "a", "--timeout", "500000000000y", "-s", &broker.url]);
    let mut listening = Running(sub.stderr(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(listening.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening"), "{line}");
    assert!(waiting.0.try_wait().unwrap().is_none() && listening.0.try_wait().unwrap().is_none());
}

#[test]
fn a_broker_that_is_not_there_is_named_as_typed_with_what_to_do() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for typed in [format!("localhost:{port}"), format!("nats://127.0.0.1:{port}")] {
        let output = run(&mut crosstie(&["-s", &typed, "pub", "a"]));
        let told = text(&output.stderr);
        assert!(told.contains(&format!("no connection to {typed}: ")) && told.contains("'crosstie serve'"), "{told}");
    }
    let output = run(&mut crosstie(&["-s", &format!("nats://ann:pw@127.0.0.1:{port}"), "pub", "a"]));
    assert!(!text(&output.stderr).contains("pw@"), "{}", text(&output.stderr));
}

#[test]
fn a_lost_connection_and_its_return_are_told_once_each() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (at, url) = (format!("tcp://127.0.0.1:{port}"), format!("localhost:{port}"));
    let start = || {
        let mut process = crosstie(&["serve", "--listen", &at]).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let process = Running(process);
        // The rest of the log is not read: it is short.
        let mut lines = log.lines();
        assert!(lines.any(|line| line.unwrap().contains("Server is ready")));
        (process, lines)
    };
    for (arguments, in_json) in [
        (&["sub", "a.>"][..], false),
        (&["reply", "a.b", "--echo"], false),
        (&["sub", "a.>", "--json"], true),
        (&["reply", "a.b", "--echo", "--json"], true),
    ] {
        let broker = start();
        let mut command = crosstie(arguments);
        let child = command.args(["-s", &url]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut listening = Running(child.unwrap());
        let mut words = BufReader::new(listening.0.stderr.take().unwrap()).lines().map(Result::unwrap);
        let mut heard = BufReader::new(listening.0.stdout.take().unwrap());
        if in_json {
            // It says nothing until something happens, so it is asked: what it says then it says after all else that its beginning takes.
            let answers = arguments[0] == "reply";
            until("it listens", || {
                let asked = run(&mut crosstie(&["-s", &url, "request", "a.b", "--timeout", "100ms"])).status.code();
                if answers { asked == Some(0) } else { asked != Some(3) }
            });
            if !answers {
                heard.read_line(&mut String::new()).unwrap();
            }
        } else {
            words.next().unwrap();
        }
        drop(broker);
        let told = |line: String, kind: &str| {
            if !in_json {
                return line;
            }
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!((&value["schema"], &value["event"]["kind"]), (&1.into(), &kind.into()), "{line}");
            value["event"]["message"].as_str().unwrap().to_owned()
        };
        let lost = told(words.next().unwrap(), "disconnected");
        assert!(lost.starts_with(&format!("disconnected from {url}: ")) && lost.ends_with("trying again"), "{lost}");
        let _broker = start();
        assert_eq!(told(words.next().unwrap(), "reconnected"), format!("reconnected to {url}"));
        kill_process(Pid::from_child(&listening.0), Signal::KILL).unwrap();
        assert_eq!(words.next(), None, "nothing more");
    }
}

#[test]
fn a_rate_that_is_missed_is_told() {
    let broker = Broker::open();
    let bench = |rate: &str| broker.run(&["bench", "--seconds", "0.2", "--rate", rate]);
    assert!(text(&bench("1000000000").stdout).contains("THE RATE WAS MISSED"));
    // The control: one that anybody can keep.
    assert!(!text(&bench("1").stdout).contains("MISSED"));
    let output = broker.run(&["--json", "bench", "--seconds", "0.2", "--rate", "1000000000"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["rate_missed"], true);
}

/// What `sub` prints of a message, on a terminal or into a pipe.
fn shown(is_terminal: bool, payload: &str) -> Vec<u8> {
    let broker = Broker::open();
    let mut command = crosstie(&["sub", "a", "--count", "1", "--color", "never", "-s", &broker.url]);
    let (seen, terminal) = terminal(80);
    let (mut pipe, writer) = std::io::pipe().unwrap();
    let out: OwnedFd = if is_terminal { terminal } else { writer.into() };
    let mut sub = Running(command.stdout(Stdio::from(out)).stderr(Stdio::piped()).spawn().unwrap());
    drop(command);
    BufReader::new(sub.0.stderr.take().unwrap()).read_line(&mut String::new()).unwrap();
    assert_eq!(broker.run(&["pub", "a", payload, "-H", "K:v\u{1b}[2J"]).status.code(), Some(0));
    if is_terminal {
        return read_all(seen);
    }
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_terminal_is_shown_what_would_control_it() {
    assert_eq!(
        text(&shown(true, "x\u{1b}]0;title\u{7}\u{9b}2J")).replace("\r\n", "\n"),
        "[a] x\\x1b]0;title\\x07\\u{9b}2J\n    K: v\\x1b[2J\n"
    );
}

#[test]
fn control_a_pipe_gets_the_bytes_as_they_are() {
    assert_eq!(text(&shown(false, "x\u{1b}]0;title\u{7}")), "[a] x\u{1b}]0;title\u{7}\n    K: v\u{1b}[2J\n");
}

#[test]
fn every_mistake_of_a_configuration_is_told_with_its_place() {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), "lissten = 1\nreactors = 'x'\n[limits]\nmemory = 'much'\n").unwrap();
    let name = file.path().to_str().unwrap();
    let output = run(&mut crosstie(&["check-config", name]));
    assert_eq!(output.status.code(), Some(2));
    let lines: Vec<_> = text(&output.stderr).lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, place) in lines.iter().zip(["1:1", "2:12", "4:10"]) {
        assert!(line.starts_with(&format!("crosstie: {name}:{place}: ")), "{line}");
    }
    let output = run(&mut crosstie(&["--json", "check-config", name]));
    let value: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    let mistakes = value["error"]["mistakes"].as_array().unwrap();
    assert_eq!((mistakes.len(), &mistakes[2]["line"], &mistakes[2]["column"]), (3, &4.into(), &10.into()));
}

#[test]
fn what_keeps_a_server_from_starting_is_told_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, folder) = (taken.local_addr().unwrap(), tempfile::tempdir().unwrap());
    let (at, log) = (format!("tcp://{address}"), folder.path().join("log"));
    let port = address.port().to_string();
    let count = |text: &str| text.matches("in use").count();
    for arguments in [
        &["serve", "--listen", &at][..],
        &["--json", "serve", "--listen", &at],
        &["nats", "-a", "127.0.0.1", "-p", &port],
        // A log of its own has it, too.
        &["serve", "--listen", &at, "--log-file", log.to_str().unwrap()],
    ] {
        let output = run(&mut crosstie(arguments));
        assert_eq!(count(text(&output.stderr)), 1, "{arguments:?}: {}", text(&output.stderr));
    }
    assert_eq!(count(&std::fs::read_to_string(log).unwrap()), 1);
}
